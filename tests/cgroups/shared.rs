//! Directories above groups, which others share.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use libcontainer::cgroups::Layout;
use libcontainer::{Factory, ProcessConfig};
use libcontainer_tests::Place;

use super::{limited, ready};

/// Somebody makes the directory above and removes it again, as it goes with the last group below it.
#[test]
fn a_directory_above_that_comes_and_goes_stops_no_start() {
    if !ready("a_directory_above_that_comes_and_goes_stops_no_start", &[]) {
        return;
    }
    let place = Place::new("shared");
    let mut config = limited(&place, "shared", "{}");
    let block = config.cgroups.as_mut().unwrap();
    let shared = PathBuf::from("/").join(&block.path);
    block.path = shared.join("leaf");
    let layout = Layout::of_this_process().unwrap();
    let below = libcontainer::cgroups::GroupPath::new(&shared).unwrap();
    let all: Vec<_> = layout.all().map(|one| one.mountpoint.join(below.below_mount(one).unwrap())).collect();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // It is there already, or in use.
                all.iter().for_each(|path| drop(fs::create_dir(path)));
                all.iter().for_each(|path| drop(fs::remove_dir(path)));
            }
            // What it made may have been in use at its last look.
            all.iter().for_each(|path| drop(fs::remove_dir(path)));
        });
        let run = || -> libcontainer::Result<()> {
            let process = ProcessConfig::new(["true"]);
            let (container, mut process) = Factory::new()?.run(place.join("c"), &config, process)?;
            process.wait()?;
            container.destroy()
        };
        let ran: Vec<_> = (0..60).filter_map(|_| run().err()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(ran.is_empty(), "{ran:?}");
    });
    assert!(all.iter().all(|path| !path.exists()), "{all:?}");
}

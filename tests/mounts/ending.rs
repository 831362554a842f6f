//! Mounts for a container that ends.

use std::thread;
use std::time::Duration;

use libcontainer::mount::Mount;
use libcontainer::{Factory, ProcessConfig};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Setup;

/// Wherever on its way a mount is when the container ends, that is what is told.
#[test]
fn a_mount_whose_container_ends_meanwhile_says_so() {
    let Some(setup) = Setup::new("a_mount_whose_container_ends_meanwhile_says_so") else { return };
    let path = setup.place.join("web");
    let mount = Mount { kind: "tmpfs".into(), destination: "/tmp/t".into(), ..Mount::default() };
    let mut refused = 0;
    for number in 0..40 {
        let program = ProcessConfig::new(["sleep", "300"]);
        let (container, process) = Factory::new().unwrap().run(&path, &setup.config, program).unwrap();
        let adding = thread::spawn({
            let (container, mount) = (container.clone(), mount.clone());
            move || container.add_mount(&mount)
        });
        thread::sleep(Duration::from_micros(100 * number));
        kill(Pid::from_raw(process.pid().as_raw()), Signal::SIGKILL).unwrap();
        if let Err(error) = adding.join().unwrap() {
            let text = error.to_string();
            let says_so = text.contains("the container has ended") || text.contains("container not running");
            assert!(says_so && text.contains("\"web\""), "{number}: {text}");
            refused += 1;
        }
        container.destroy().unwrap();
    }
    assert!(refused > 0);
}

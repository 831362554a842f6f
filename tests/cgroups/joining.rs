//! Processes that join a container which has made groups of its own.

use std::fs;
use std::path::PathBuf;

use libcontainer::cgroups::{Layout, discovery::Mode};
use libcontainer::{Container, Factory, ProcessConfig};
use libcontainer_tests::{Place, skip, text};

use super::{directories, gone, limited, ready};

/// The only directory of a container in version 2 alone.
fn unified(container: &Container) -> PathBuf {
    directories(container).remove(0)
}

/// A service manager in the container moves itself into a group below and gives that controllers. Nobody can join the container's own then.
#[test]
fn a_process_that_joins_follows_a_first_that_has_moved() {
    let name = "a_process_that_joins_follows_a_first_that_has_moved";
    if !ready(name, &["memory"]) {
        return;
    }
    if Layout::of_this_process().unwrap().mode != Mode::Unified {
        return skip(name, "a group of version 1 takes processes whatever is below it");
    }
    let place = Place::new("cg-follow");
    let config = limited(&place, "follow", "{}");
    let sleep = ProcessConfig::new(["sleep", "1000"]);
    let (container, process) = Factory::new().unwrap().run(place.join("c"), &config, sleep).unwrap();
    let group = unified(&container);
    let joined = || {
        let cat = ProcessConfig::new(["cat", "/proc/self/cgroup"]).piped();
        text(&container.start(cat).unwrap().output(10_000).unwrap()).trim().to_owned()
    };
    let own = joined();
    assert!(own.ends_with(group.file_name().unwrap().to_str().unwrap()), "{own}");
    fs::create_dir(group.join("inner")).unwrap();
    fs::write(group.join("inner/cgroup.procs"), process.pid().to_string()).unwrap();
    // As long as no controller is given away the group takes processes.
    assert_eq!(joined(), own);
    fs::write(group.join("cgroup.subtree_control"), "+memory").unwrap();
    assert_eq!(joined(), format!("{own}/inner"));
    // A group that is asked for by name is that one.
    let named = ProcessConfig { subgroup: Some("other".into()), ..ProcessConfig::new(["true"]) };
    assert!(container.start(named).unwrap().wait().unwrap().success());
    assert!(group.join("other").is_dir());
    let made = directories(&container);
    container.destroy().unwrap();
    gone(&made);
}

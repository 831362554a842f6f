//! Containers that make groups of their own, and processes that join them.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use libcontainer::cgroups::{Layout, discovery::Mode};
use libcontainer::{Config, Container, Factory, Namespace, NamespaceKind, ProcessConfig};
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
    let own =
        ProcessConfig { subgroups: [(String::new(), PathBuf::new())].into(), ..ProcessConfig::new(["true"]) };
    let busy = container.start(own).unwrap_err().to_string();
    let file = group.join("cgroup.procs");
    let words =
        format!("adding pid of a new process to cgroups: {}: device or resource busy", file.display());
    assert!(busy.contains(&words) && busy.contains("takes no processes: EBUSY"), "{busy}");
    let made = directories(&container);
    container.destroy().unwrap();
    gone(&made);
}

/// A container of an ordinary user with a control group namespace and the group's files mounted with these options.
fn shown(place: &Place, name: &str, options: &str) -> Config {
    let mount =
        r#"{"type": "cgroup", "source": "cgroup", "destination": "/sys/fs/cgroup", "options": [OPTIONS]}"#;
    let mounts = format!(r#"{{"mounts": [{}]}}"#, mount.replace("OPTIONS", options));
    let mut config = Config {
        mount_config: Some(serde_json::from_str(&mounts).unwrap()),
        user: "1000:1000".to_owned(),
        restrict_sys: false,
        ..limited(place, name, "{}")
    };
    config.namespaces.set(NamespaceKind::Cgroup, Namespace::New);
    config
}

/// Whose on the host its group is, with its list of processes and a file that is never given, and whether its user could make a group below it.
fn given(container: &Container) -> (Vec<u32>, bool) {
    let group = unified(container);
    let files = ["", "cgroup.procs", "cgroup.max.depth"];
    let owners = files.map(|file| fs::metadata(group.join(file)).unwrap().uid()).to_vec();
    let mkdir = ProcessConfig::new(["mkdir", "/sys/fs/cgroup/sub"]);
    (owners, container.start(mkdir).unwrap().wait().unwrap().success())
}

fn can_be_given(name: &str) -> bool {
    if !ready(name, &[]) {
        return false;
    }
    if Layout::of_this_process().unwrap().mode == Mode::Unified {
        return true;
    }
    skip(name, "groups of version 1 are given to nobody");
    false
}

/// As the OCI runtime specification has it: what may be written to belongs to who is to write.
#[test]
fn a_group_of_a_writable_mount_is_the_users() {
    let name = "a_group_of_a_writable_mount_is_the_users";
    if !can_be_given(name) {
        return;
    }
    for (name, options, wanted) in
        [("writable", "", (vec![1000, 1000, 0], true)), ("read-only", r#""ro""#, (vec![0, 0, 0], false))]
    {
        let place = Place::new("cg-given");
        let config = shown(&place, name, options);
        let sleep = ProcessConfig::new(["sleep", "1000"]);
        let (container, _process) = Factory::new().unwrap().run(place.join(name), &config, sleep).unwrap();
        assert_eq!(given(&container), wanted, "{name}");
        let made = directories(&container);
        container.destroy().unwrap();
        gone(&made);
    }
}

/// Whose it is to be is known when the program is: the same as of one that was made for it.
#[test]
fn a_group_that_stood_by_is_its_users() {
    let name = "a_group_that_stood_by_is_its_users";
    if !can_be_given(name) {
        return;
    }
    let sleep = |user: Option<&str>| ProcessConfig {
        user: user.map(str::to_owned),
        ..ProcessConfig::new(["sleep", "1000"])
    };
    for (name, options, user, wanted) in [
        ("warm", "", None, [1000, 1000, 0]),
        ("warm-other", "", Some("7:8"), [7, 7, 0]),
        ("warm-root", "", Some("0"), [0, 0, 0]),
        ("warm-read-only", r#""ro""#, None, [0, 0, 0]),
    ] {
        let place = Place::new("cg-warm");
        let mut config = shown(&place, name, options);
        // Each has a group of its name.
        config.cgroups.as_mut().unwrap().path = PathBuf::new();
        fs::create_dir(place.join("all")).unwrap();
        let template = Factory::new().unwrap().template(place.join("all"), &config).unwrap();
        template.keep_ready(1).unwrap();
        assert!(template.settle(Duration::from_secs(60)), "{:?}", template.stats());
        let (container, _process) = template.start(sleep(user)).unwrap();
        assert_eq!(template.stats().handed_over, 1);
        let (owners, made) = given(&container);
        assert_eq!((owners, made), (wanted.to_vec(), wanted[0] == 1000), "{name}");
        let made = directories(&container);
        container.destroy().unwrap();
        assert!(template.settle(Duration::from_secs(60)));
        gone(&made);
    }
}

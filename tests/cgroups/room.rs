//! Limits of processes that are reached at a start: which group's it is, and nothing left behind.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use libcontainer::cgroups::{Existing, Group, GroupPath, Layout, Plan, Select};
use libcontainer::{Config, Error, Factory, Namespace, NamespaceKind, ProcessConfig};
use libcontainer_tests::Place;

use super::descriptors::program;
use super::refused::exists;
use super::{limited, ready};

/// A group for containers to be below, removed at the end.
struct Above(Group, PathBuf);

impl Above {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(format!("lct-{}-{name}", std::process::id()));
        let select = Select::Only(BTreeSet::from(["pids".to_owned()]));
        let layout = Layout::of_this_process().unwrap();
        let plan = Plan::new(&layout, &GroupPath::new(&path).unwrap(), &select).unwrap();
        Self(plan.make(Existing::Refuse).unwrap(), path)
    }

    fn allow(&self, count: &str) {
        self.0.controller("pids").unwrap().0.write("pids.max", count).unwrap();
    }

    /// The message that names its limit.
    fn message(&self, current: u32, max: u32) -> String {
        let file = self.0.paths().into_values().next().unwrap().join("pids.max");
        format!("{}: {current} of {max} processes and threads are there already", file.display())
    }
}

impl Drop for Above {
    fn drop(&mut self) {
        self.0.destroy(Duration::from_secs(10)).unwrap();
    }
}

fn names(error: &Error, message: &str) {
    assert!(error.to_string().contains(message), "wanted {message:?}, found: {error}");
    assert!(error.to_string().contains("raise this limit or end some of them"), "{error}");
    assert_eq!(error.errno(), Some(libc::EAGAIN), "{error}");
}

/// A mount is made by a process beside the caller, which counts where that is.
#[test]
fn a_full_group_of_who_adds_a_mount_is_named() {
    if !ready("a_full_group_of_who_adds_a_mount_is_named", &["pids"]) {
        return;
    }
    let place = Place::new("cg-mount");
    let above = Above::new("mount");
    let config = libcontainer_tests::config(&place.rootfs().unwrap());
    std::fs::create_dir(place.join("state")).unwrap();
    let factory = Factory::new().unwrap();
    let (container, _process) =
        factory.run(place.join("state/c"), &config, ProcessConfig::new(["sleep", "300"])).unwrap();
    let file = above.0.paths().into_values().next().unwrap().join("cgroup.procs");
    let add = |count: &str| {
        above.allow(count);
        let script = format!("echo $$ >{} && exec \"$@\"", file.display());
        let mut command = Command::new("sh");
        command.args(["-c", &script, "-"]).arg(program()).arg("--root").arg(place.join("state"));
        command.args(["mounts", "add", "c", "/etc", "/tmp/etc"]).stdin(Stdio::null()).output().unwrap()
    };
    let text = String::from_utf8(add("1").stderr).unwrap();
    assert!(text.contains(&above.message(1, 1)), "{text}");
    assert!(add("2").status.success());
    container.destroy().unwrap();
}

#[test]
fn a_full_group_above_is_named() {
    if !ready("a_full_group_above_is_named", &["pids"]) {
        return;
    }
    let place = Place::new("cg-full");
    let above = Above::new("full");
    let mut config = limited(&place, "full", "{}");
    config.cgroups.as_mut().unwrap().path = above.1.join("c");
    above.allow("0");
    let factory = Factory::new().unwrap();
    let error = factory.create(place.join("c"), &config).map(drop).unwrap_err();
    names(&error, &above.message(0, 0));
    assert!(error.undo_errors().next().is_none(), "{error}");
    assert!(!place.join("c").exists());
    let below = above.0.controller("pids").unwrap().0.groups().unwrap();
    assert!(below.is_empty(), "{below:?}");
    above.allow("1");
    let container = factory.create(place.join("c"), &config).unwrap();
    let error = container.start(ProcessConfig::new(["true"])).map(drop).unwrap_err();
    names(&error, &above.message(1, 1));
    assert_eq!(container.processes().unwrap().len(), 1);
    above.allow("max");
    assert!(container.start(ProcessConfig::new(["true"])).unwrap().wait().unwrap().success());
    container.destroy().unwrap();
}

/// The init of a container that joins a pid namespace is two for a moment.
#[test]
fn the_own_limit_is_named_when_the_init_cannot_respawn() {
    if !ready("the_own_limit_is_named_when_the_init_cannot_respawn", &["pids"]) {
        return;
    }
    let (place, second) = (Place::new("cg-own"), Place::new("cg-own2"));
    let factory = Factory::new().unwrap();
    let first = factory.create(place.join("c"), &limited(&place, "own", "{}")).unwrap();
    let init = first.processes().unwrap()[0];
    let base = limited(&second, "own2", "{}");
    let joining = |limit: u32| {
        let mut config: Config = base.clone();
        config.cgroups.as_mut().unwrap().resources =
            serde_json::from_str(&format!(r#"{{"pids": {{"limit": {limit}}}}}"#)).unwrap();
        config.namespaces.set(NamespaceKind::Pid, Namespace::Join(format!("/proc/{init}/ns/pid").into()));
        config
    };
    let config = joining(1);
    let run = |config: &Config| factory.run(second.join("c"), config, ProcessConfig::new(["true"]));
    let error = run(&config).map(drop).unwrap_err();
    names(&error, "own2/pids.max: 0 of 1 processes and threads are there already, and 2 more are needed");
    assert!(!second.join("c").exists() && !exists(&config));
    let (container, mut process) = run(&joining(2)).unwrap();
    assert!(process.wait().unwrap().success());
    container.destroy().unwrap();
    first.destroy().unwrap();
}

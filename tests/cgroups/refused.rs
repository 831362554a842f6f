//! Groups and limits that can't be: each one clear error, and nothing left behind.

use std::fs;
use std::path::PathBuf;

use libcontainer::cgroups::{GroupPath, Layout};
use libcontainer::{Cgroup, Config, ErrorKind, Factory, ProcessConfig};
use libcontainer_tests::{Place, able, config, skip};

use super::{directories, gone, limited, ready};

/// Whether the config's group is anywhere.
pub(crate) fn exists(config: &Config) -> bool {
    let path = GroupPath::new(&config.cgroups.as_ref().unwrap().path).unwrap();
    let layout = Layout::of_this_process().unwrap();
    layout.all().any(|one| path.below_mount(one).is_ok_and(|below| one.mountpoint.join(below).exists()))
}

/// Refused before anything is made: the block, and what the message says.
#[rustfmt::skip]
const WRONG: &[(&str, &str)] = &[
    (r#"{"path": "../x"}"#, ".."),
    (r#"{"path": "/"}"#, "names no group"),
    (r#"{"path": "a//b"}"#, "empty component"),
    (r#"{"path": "a/"}"#, "empty component"),
    (r#"{"path": "./a"}"#, "component . or .."),
    (r#"{"path": "a\u0000b"}"#, "NUL"),
    (r#"{"path": "a\nb"}"#, "newline"),
    (r#"{"parent": "..", "name": "x"}"#, ".."),
    (r#"{"parent": "/a/..", "name": "x"}"#, ".."),
    (r#"{"name": "a/../b"}"#, ".."),
    (r#"{"slice": "x.slice"}"#, "only with \"systemd\": true"),
    (r#"{"properties": {"A": "1"}}"#, "only with \"systemd\": true"),
    (r#"{"freezer": "FROZEN"}"#, "frozen"),
    (r#"{"freezer": "MELTED"}"#, "MELTED"),
    (r#"{"cpu_shares": -4}"#, "cgroups.cpu_shares: -4 is negative"),
    (r#"{"cpu_period": -1}"#, "cgroups.cpu_period: -1 is negative"),
    (r#"{"cpu_quota": 5}"#, "cpu.quota: 5 is below 1000"),
    (r#"{"cpu_period": 5}"#, "cpu.period: 5"),
    (r#"{"cpuset_cpus": "3-1"}"#, "cpu.cpus"),
    (r#"{"memory": -5}"#, "memory.limit: -5 is below -1"),
    (r#"{"memory_reservation": -5}"#, "memory.reservation: -5"),
    (r#"{"memory_swap": -7}"#, "memory.swap: -7"),
    (r#"{"memory": 8192, "memory_swap": 4096}"#, "memory.swap: 4096 is below memory.limit 8192"),
    (r#"{"memory": 8192, "memory_reservation": 9000}"#, "memory.reservation: 9000 is above"),
    (r#"{"allowed_devices": [{"type": 99, "major_number": 1, "minor_number": 3, "cgroup_permissions": "q"}]}"#, "q"),
    (r#"{"resources": {"memory": {"limit": -7}}}"#, "memory.limit: -7"),
    (r#"{"resources": {"memory": {"swap": 5, "limit": 9}}}"#, "memory.swap: 5 is below"),
    (r#"{"resources": {"memory": {"swap": 4096, "limit": -1}}}"#, "memory.swap: 4096 can't hold"),
    (r#"{"resources": {"memory": {"swappiness": 101}}}"#, "memory.swappiness: 101"),
    (r#"{"resources": {"pids": {"limit": -5}}}"#, "pids.limit: -5"),
    (r#"{"resources": {"cpu": {"shares": 18446744073709551615}}}"#, "cpu.shares: 18446744073709551615"),
    (r#"{"resources": {"cpu": {"shares": 5, "idle": 1}}}"#, "cpu.shares: an idle group"),
    (r#"{"resources": {"cpu": {"idle": 2}}}"#, "cpu.idle: 2"),
    (r#"{"resources": {"cpu": {"quota": 5000, "burst": 5001}}}"#, "cpu.burst: 5001 is above cpu.quota"),
    (r#"{"resources": {"cpu": {"mems": "all"}}}"#, "cpu.mems"),
    (r#"{"resources": {"blockIO": {"weight": 9}}}"#, "blockIO.weight: 9"),
    (r#"{"resources": {"blockIO": {"weightDevice": [{"major": -8, "minor": 0, "weight": 10}]}}}"#, "blockIO.weightDevice[0]"),
    (r#"{"resources": {"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 1048576, "rate": 1}]}}}"#, "throttleReadBpsDevice[0]"),
    (r#"{"resources": {"hugepageLimits": [{"pageSize": "3MB", "limit": 1}]}}"#, "hugepageLimits[0].pageSize"),
    (r#"{"resources": {"hugepageLimits": [{"pageSize": "../2MB", "limit": 1}]}}"#, "hugepageLimits[0].pageSize"),
    (r#"{"resources": {"hugepageLimits": [{"pageSize": "2MB", "limit": 1}, {"pageSize": "2MB", "limit": 2}]}}"#, "2MB comes twice"),
    (r#"{"resources": {"network": {"priorities": [{"name": "a b", "priority": 1}]}}}"#, "network.priorities[0].name"),
    (r#"{"resources": {"rdma": {"mlx5_0": {}}}}"#, "rdma.mlx5_0"),
    (r#"{"resources": {"unified": {"../../x": "1"}}}"#, "not the name of a control file"),
    (r#"{"resources": {"unified": {"a\u0000b": "1"}}}"#, "not the name of a control file"),
    (r#"{"resources": {"unified": {"cgroup.procs": "1"}}}"#, "this file is no setting"),
    (r#"{"resources": {"unified": {"memory.max": "1\u00002"}}}"#, "NUL"),
];

/// Refused by the kernel, or for what this machine has, with the group made already: controller, block, message.
#[rustfmt::skip]
const REFUSED: &[(&str, &str, &str)] = &[
    ("pids", r#"{"resources": {"pids": {"limit": 9223372036854775807}}}"#, "write \"9223372036854775807\" to "),
    ("cpuset", r#"{"resources": {"cpu": {"cpus": "4000"}}}"#, "write \"4000\" to "),
    ("cpuset", r#"{"resources": {"cpu": {"mems": "900"}}}"#, "write \"900\" to "),
    ("cpu", r#"{"resources": {"cpu": {"quota": 9223372036854775807}}}"#, "9223372036854775807"),
    ("blkio", r#"{"resources": {"blockIO": {"throttleReadBpsDevice": [{"major": 4000, "minor": 7, "rate": 9}]}}}"#, "no such block device"),
    ("pids", r#"{"resources": {"hugepageLimits": [{"pageSize": "64KB", "limit": 1}]}}"#, "hugepageLimits[0]"),
    ("pids", r#"{"resources": {"rdma": {"mlx5_0": {"hcaHandles": 1}}}}"#, "mlx5_0"),
    ("pids", r#"{"resources": {"unified": {"abacus.max": "1"}}}"#, "abacus"),
    ("pids", r#"{"resources": {"unified": {"cgroup.abacus": "1"}}}"#, "cgroup.abacus"),
];

/// The base with this block; a block that says nothing of the path gets one of the test's own.
fn with(base: &Config, block: &str, name: &str) -> Config {
    let mut cgroups: Cgroup = serde_json::from_str(block).unwrap();
    if cgroups.path.as_os_str().is_empty() && cgroups.name.is_empty() && cgroups.parent.is_empty() {
        cgroups.path = format!("lct-{}-{name}", std::process::id()).into();
    }
    Config { cgroups: Some(cgroups), ..base.clone() }
}

#[test]
fn bad_groups_are_refused_before_anything_is_made() {
    if !able("bad_groups_are_refused_before_anything_is_made") {
        return;
    }
    let place = Place::new("cg-bad");
    let base = config(&place.rootfs().unwrap());
    let long = format!(r#"{{"path": "{}"}}"#, "x".repeat(256));
    let more = [(long.as_str(), "above 255 bytes")];
    for (block, wanted) in WRONG.iter().chain(&more) {
        let config = with(&base, block, "bad");
        let error = Factory::new().unwrap().create(place.join("c"), &config).map(drop).expect_err(block);
        assert!(error.to_string().contains(wanted), "{block}: {error}");
        assert_eq!(error.to_string().lines().count(), 1, "{block}: {error}");
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{block}: {error}");
        assert!(!place.join("c").exists(), "{block}");
    }
    assert!(!exists(&with(&base, "{}", "bad")));
    assert!(WRONG.len() >= 40);
}

#[test]
fn limits_that_the_kernel_refuses_leave_nothing() {
    if !ready("limits_that_the_kernel_refuses_leave_nothing", &["pids"]) {
        return;
    }
    let place = Place::new("cg-no");
    let base = config(&place.rootfs().unwrap());
    let layout = Layout::of_this_process().unwrap();
    let there = REFUSED.iter().filter(|(controller, _, _)| layout.hierarchy(controller).is_some());
    for (_, block, wanted) in there {
        let config = with(&base, block, "no");
        let error = Factory::new().unwrap().create(place.join("c"), &config).map(drop).expect_err(block);
        assert!(error.to_string().contains(wanted), "{block}: {error}");
        assert!(error.undo_errors().next().is_none(), "{block}: {error}");
        assert!(!place.join("c").exists() && !exists(&config), "{block}");
    }
}

/// What can't be written is left out: an error only where limits ask for it. No group at all is a valid choice.
#[test]
fn hierarchies_that_cannot_be_used() {
    if !able("hierarchies_that_cannot_be_used") {
        return;
    }
    let place = Place::new("cg-ro");
    let base = config(&place.rootfs().unwrap());
    let mut read_only = Layout::of_this_process().unwrap();
    read_only.v1.iter_mut().chain(&mut read_only.v2).for_each(|one| one.read_only = true);
    let none = Layout { v1: Vec::new(), v2: None, ..read_only.clone() };
    for (layout, why) in [(read_only, "read-only"), (none, "can't be used")] {
        let factory = Factory::new().unwrap().layout(layout);
        let asked = with(&base, r#"{"resources": {"pids": {"limit": 5}}}"#, "ro");
        let error = factory.create(place.join("c"), &asked).map(drop).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("pids.limit: the controller pids can't be used") && text.contains(why),
            "{text}"
        );
        assert!(!place.join("c").exists() && !exists(&asked));
        let config = with(&base, "{}", "ro");
        let container = factory.create(place.join("c"), &config).unwrap();
        assert!(container.start(ProcessConfig::new(["true"])).unwrap().wait().unwrap().success());
        assert!(!exists(&config));
        container.destroy().unwrap();
    }
}

#[test]
fn a_group_deleted_underneath_a_container() {
    if !ready("a_group_deleted_underneath_a_container", &["pids", "freezer"]) {
        return;
    }
    let place = Place::new("cg-under");
    let config = limited(&place, "under", "{}");
    let process = ProcessConfig::new(["sleep", "1000"]);
    let (container, mut process) = Factory::new().unwrap().run(place.join("c"), &config, process).unwrap();
    let made = directories(&container);
    container.signal(libc::SIGKILL).unwrap();
    process.wait().unwrap();
    for directory in &made {
        fs::remove_dir(directory).unwrap();
    }
    let update = container.update(&serde_json::from_str(r#"{"pids": {"limit": 5}}"#).unwrap());
    for error in [container.pause().unwrap_err(), container.resume().unwrap_err(), update.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::WrongState, "{error}");
    }
    let error = container.stats().map(drop).unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("-under"), "{error}");
    container.destroy().unwrap();
    gone(&made);
}

#[test]
fn below_a_threaded_group_no_container_can_be() {
    let test = "below_a_threaded_group_no_container_can_be";
    if !able(test) {
        return;
    }
    let layout = Layout::of_this_process().unwrap();
    let Some(v2) = &layout.v2 else { return skip(test, "version 2 is not mounted") };
    let path = PathBuf::from(format!("lct-{}-threads", std::process::id()));
    let top = v2.mountpoint.join(GroupPath::new(&path).unwrap().below_mount(v2).unwrap());
    fs::create_dir_all(top.join("threads")).unwrap();
    let threaded = fs::write(top.join("threads/cgroup.type"), "threaded");
    let place = Place::new("cg-threads");
    let base = config(&place.rootfs().unwrap());
    let block = format!(r#"{{"path": "{}/threads/c"}}"#, path.display());
    let config = with(&base, &block, "threads");
    let created = Factory::new().unwrap().create(place.join("c"), &config);
    let left = exists(&config);
    fs::remove_dir(top.join("threads")).unwrap();
    fs::remove_dir(&top).unwrap();
    if threaded.is_err() {
        created.unwrap().destroy().unwrap();
        return skip(test, "this kernel has no threaded groups here");
    }
    let error = created.map(drop).unwrap_err();
    assert!(error.to_string().contains("which takes no processes"), "{error}");
    assert!(!left && !place.join("c").exists(), "{error}");
}

//! Bad inputs that need a machine: hierarchies that can't be written, groups that are full, and controllers that aren't there.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "group/ground.rs"]
mod ground;

use std::collections::BTreeSet;
use std::process::Command;

use ground::{Ground, LONG, name, skip};
use libcontainer_cgroups::limits::{OnRefusal, update};
use libcontainer_cgroups::{Error, Existing, Group, GroupPath, Layout, Plan, Select, remove_empty};

/// Runs the test `inner` of this binary by `sh -c "script; exec ..."`, in a mount namespace of its own.
fn in_own_mounts(inner: &str, script: &str) -> bool {
    let exe = std::env::current_exe().unwrap();
    let script = format!("{script} && exec \"$0\" --exact {inner} --nocapture");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]).arg(exe);
    command.env("LIBCONTAINER_TEST_INNER", "1").status().unwrap().success()
}

/// Runs `inner` behind `script`, where there is a hierarchy to see it on.
fn isolated(test: &str, script: &str, inner: fn()) {
    if std::env::var_os("LIBCONTAINER_TEST_INNER").is_some() {
        return inner();
    }
    if Ground::new(test, &["pids"]).is_some() {
        assert!(in_own_mounts(test, script));
    }
}

#[test]
fn a_read_only_mount() {
    // Each hierarchy is bound onto itself, read-only: as containers see them.
    let script = "grep -E ' - cgroup2? ' /proc/self/mountinfo | cut -d' ' -f5 | while read -r at; do \
                  mount --bind \"$at\" \"$at\" && mount -o remount,bind,ro \"$at\" || exit 1; done";
    isolated("a_read_only_mount", script, read_only);
}

fn read_only() {
    let layout = Layout::of_this_process().unwrap();
    assert!(layout.all().all(|hierarchy| hierarchy.read_only), "{layout:?}");
    let path = GroupPath::new(name()).unwrap();
    // What can be done is done: no group. Only what asks for a limit is an error.
    let group = Plan::new(&layout, &path, &Select::Usable).unwrap().make(Existing::Refuse).unwrap();
    assert!(group.is_gone() && group.missing()["pids"].contains("read-only"), "{:?}", group.missing());
    update(&group, &serde_json::from_str("{}").unwrap(), OnRefusal::RollBack).unwrap();
    for (json, field) in [
        (r#"{"pids":{"limit":5}}"#, "pids.limit: the controller pids can't be used: "),
        (r#"{"memory":{"limit":8192}}"#, "memory: the controller memory can't be used: "),
        (r#"{"cpu":{"shares":100}}"#, "cpu: the controller cpu can't be used: "),
    ] {
        let asked = serde_json::from_str(json).unwrap();
        let error = update(&group, &asked, OnRefusal::RollBack).unwrap_err().to_string();
        assert!(error.contains(field) && error.contains("read-only"), "{json}: {error}");
    }
    let select = Select::Only(BTreeSet::from(["pids".to_owned()]));
    let error = Plan::new(&layout, &path, &select).and_then(|plan| plan.make(Existing::Refuse)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("read-only") || error.errno() == Some(libc::EROFS), "{text}");
    group.destroy(LONG).unwrap();
}

/// Values that the kernel refuses, which no validation can know: JSON, and what the message says besides file and value.
#[rustfmt::skip]
const REFUSED: &[(&str, &str, &str)] = &[
    ("cpuset", r#"{"pids":{"limit":7},"cpu":{"cpus":"4000"}}"#, "\"4000\" to "),
    ("cpuset", r#"{"pids":{"limit":7},"cpu":{"mems":"900"}}"#, "\"900\" to "),
    ("blkio", r#"{"pids":{"limit":7},"blockIO":{"throttleReadBpsDevice":[{"major":4000,"minor":7,"rate":1000}]}}"#, "\"4000:7 1000\" to "),
    ("io", r#"{"pids":{"limit":7},"blockIO":{"throttleReadBpsDevice":[{"major":4000,"minor":7,"rate":1000}]}}"#, "4000:7 rbps=1000"),
    ("pids", r#"{"pids":{"limit":9223372036854775807}}"#, "\"9223372036854775807\" to "),
    ("cpu", r#"{"pids":{"limit":7},"cpu":{"quota":9223372036854775807}}"#, "9223372036854775807"),
    ("unified", r#"{"pids":{"limit":7},"unified":{"cgroup.max.depth":"-3"}}"#, "\"-3\" to "),
    ("unified", r#"{"pids":{"limit":7},"unified":{"cgroup.max.descendants":"18446744073709551616"}}"#, "\"18446744073709551616\" to "),
    ("unified", r#"{"pids":{"limit":7},"unified":{"cgroup.controllers":"+pids"}}"#, "cgroup.controllers"),
    ("unified", r#"{"pids":{"limit":7},"unified":{"cpu.pressure":"nonsense"}}"#, "\"nonsense\" to "),
];

#[test]
fn a_hierarchy_that_is_unmounted_has_not_lost_its_group() {
    isolated("a_hierarchy_that_is_unmounted_has_not_lost_its_group", "true", unmounted);
}

fn unmounted() {
    let path = GroupPath::new(format!("{}/a", name())).unwrap();
    let select = Select::Only(BTreeSet::from(["pids".to_owned()]));
    let plan = Plan::new(&Layout::of_this_process().unwrap(), &path, &select).unwrap();
    let group = plan.make(Existing::Refuse).unwrap();
    let [place] = group.places() else { panic!("{:?}", group.places()) };
    let run = |args: &[&str], at: &std::path::Path| {
        assert!(Command::new(args[0]).args(&args[1..]).arg(at).status().unwrap().success(), "{args:?}");
    };
    let unknown = || {
        for error in [Group::open(group.places()).unwrap_err(), remove_empty(group.places()).unwrap_err()] {
            assert!(!error.is_gone() && error.to_string().contains("mount it again"), "{error}");
        }
        // Whoever has it open needs no mount.
        assert_eq!(group.processes().unwrap(), []);
    };
    run(&["umount", "--lazy"], &place.mountpoint);
    unknown();
    // Now there is not even an empty directory.
    let above = place.mountpoint.parent().unwrap();
    run(&["mount", "-t", "tmpfs", "tmpfs"], above);
    unknown();
    run(&["umount"], above);
    let options = place.controllers.join(",");
    let kind = if place.unified { ["cgroup2", "rw"] } else { ["cgroup", options.as_str()] };
    run(&["mount", "-t", kind[0], "-o", kind[1], "none"], &place.mountpoint);
    group.destroy(LONG).unwrap();
    assert!(Group::open(group.places()).unwrap().is_gone());
}

#[test]
fn what_is_mounted_over_a_hierarchy_after_the_plan_is_not_used() {
    isolated("what_is_mounted_over_a_hierarchy_after_the_plan_is_not_used", "true", mounted_over);
}

fn mounted_over() {
    let path = GroupPath::new(name()).unwrap();
    let plan = Plan::new(&Layout::of_this_process().unwrap(), &path, &Select::Usable).unwrap();
    let run = |program: &str, args: &[&str], place: &libcontainer_cgroups::Place| {
        assert!(Command::new(program).args(args).arg(&place.mountpoint).status().unwrap().success());
    };
    let places = plan.places().to_vec();
    places.iter().for_each(|place| run("mount", &["-t", "tmpfs", "tmpfs"], place));
    let group = plan.make(Existing::Refuse).unwrap();
    assert!(!group.is_gone());
    for place in &places {
        assert_eq!(std::fs::read_dir(&place.mountpoint).unwrap().count(), 0, "{place:?}");
        run("umount", &[], place);
    }
    assert!(group.places().iter().all(|place| place.path().is_dir()), "{:?}", group.places());
    group.destroy(LONG).unwrap();
    assert!(group.places().iter().all(|place| !place.path().exists()), "{:?}", group.places());
}

#[test]
fn values_that_only_the_kernel_can_refuse() {
    let Some(ground) = Ground::new("values_that_only_the_kernel_can_refuse", &["pids"]) else { return };
    let mut tried = 0;
    for (controller, json, message) in REFUSED {
        let there = match *controller {
            "unified" => ground.group.unified().is_some(),
            name => ground.group.controller(name).is_some(),
        };
        if !there
            || (json.contains("cpu.pressure")
                && !ground.group.unified().unwrap().has("cpu.pressure").unwrap())
        {
            continue;
        }
        let asked = serde_json::from_str(json).unwrap();
        let error = update(&ground.group, &asked, OnRefusal::RollBack).expect_err(json).to_string();
        assert!(error.contains(message), "{json}: {error}");
        assert_eq!(ground.read("pids", "pids.max"), "max", "{json}: {error}");
        tried += 1;
    }
    assert!(tried > 3, "{tried}");
}

/// A group whose numbers are used up: whoever is born into it is refused, and the message says by which limit.
#[test]
fn a_group_that_is_full() {
    let Some(mut ground) = Ground::new("a_group_that_is_full", &["pids"]) else { return };
    ground.run("exec sleep 1000");
    ground.group.check_room().unwrap();
    let limit = |json: &str| {
        update(&ground.group, &serde_json::from_str(json).unwrap(), OnRefusal::RollBack).unwrap();
    };
    limit(r#"{"pids":{"limit":1}}"#);
    let full = ground.group.check_room().unwrap_err();
    let said =
        "pids.max: 1 of 1 processes and threads are there already; raise this limit or end some of them";
    assert!(full.to_string().ends_with(said), "{full}");
    assert_eq!(full.errno(), Some(libc::EAGAIN));
    let full = ground.group.check_room_for(3).unwrap_err();
    assert!(full.to_string().contains("there already, and 3 more are needed; raise"), "{full}");
    limit(r#"{"pids":{"limit":2}}"#);
    ground.group.check_room().unwrap();
    // Also by the limit of a group above.
    limit(r#"{"pids":{"limit":1}}"#);
    let below = ground.group.places()[0].below.join("below");
    let path = GroupPath::new(std::path::Path::new("/").join(below)).unwrap();
    let layout = Layout::of_this_process().unwrap();
    let pids = layout.hierarchy("pids").unwrap();
    if pids.version == libcontainer_cgroups::stats::Version::V1 {
        let select = Select::Only(BTreeSet::from(["pids".to_owned()]));
        let group: Group = Plan::new(&layout, &path, &select).unwrap().make(Existing::Refuse).unwrap();
        let (full, move_in) = (group.check_room(), group.check_room_to_move(1));
        group.destroy(LONG).unwrap();
        assert!(matches!(move_in, Err(Error::Full { .. })), "{move_in:?}");
        assert!(matches!(full, Err(Error::Full { max: 1, .. })), "{full:?}");
    } else {
        skip("a_group_that_is_full", "a group with processes gives no controllers");
    }
}

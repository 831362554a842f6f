//! Each write of each control file fails once: the message names file and value, and nothing remains.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "group/ground.rs"]
mod ground;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::rc::Rc;

use ground::{Ground, LONG, name, until};
use libcontainer_cgroups::limits::{OnRefusal, update};
use libcontainer_cgroups::{
    Error, Existing, FreezerState, Group, GroupPath, Layout, Plan, Resources, Result, Select, faults,
};

/// Runs `work` with each of its writes failing in turn, until it has no more. `work` does one attempt and looks after it.
/// The files that failed, in order.
fn each_write(mut work: impl FnMut(&dyn Fn() -> Option<(PathBuf, String)>)) -> Vec<PathBuf> {
    let mut failed = Vec::new();
    loop {
        let hit = Rc::new(RefCell::new(None));
        let (put, mut left) = (Rc::clone(&hit), failed.len());
        let injected = faults::inject(move |file, value| {
            if left == 0 && put.borrow().is_none() {
                *put.borrow_mut() = Some((file.to_owned(), value.to_owned()));
                return Some(libc::EIO);
            }
            left = left.saturating_sub(1);
            None
        });
        work(&|| hit.borrow().clone());
        drop(injected);
        let Some((file, _)) = hit.borrow().clone() else { return failed };
        failed.push(file);
        assert!(failed.len() < 1000, "no end");
    }
}

fn names(error: &Error, (file, value): &(PathBuf, String)) {
    let text = error.to_string();
    assert!(text.contains(&format!("write {value:?} to {}", file.display())), "{file:?} {value:?}: {text}");
    assert_eq!(error.errno(), Some(libc::EIO), "{text}");
}

fn last(files: &[PathBuf]) -> BTreeSet<&str> {
    files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect()
}

fn resources(json: &str) -> Resources {
    serde_json::from_str(json).unwrap()
}

/// Controllers that a group here can have.
fn controllers(test: &str) -> Option<BTreeSet<String>> {
    let ground = Ground::new(test, &[])?;
    let layout = Layout::of_this_process().unwrap();
    let all = layout.all().flat_map(|hierarchy| hierarchy.controllers.clone());
    Some(all.filter(|name| ground.group.controller(name).is_some()).collect())
}

#[test]
fn making_a_group() {
    let test = "making_a_group";
    let Some(controllers) = controllers(test) else { return };
    let layout = Layout::of_this_process().unwrap();
    let select = Select::Only(controllers.clone());
    let failed = each_write(|hit| {
        let plan = Plan::new(&layout, &GroupPath::new(format!("{}/a/b", name())).unwrap(), &select).unwrap();
        let directories = plan.directories();
        match (plan.make(Existing::Refuse), hit()) {
            (Err(error), Some(write)) => names(&error, &write),
            (Ok(group), None) => group.destroy(LONG).unwrap(),
            (made, hit) => panic!("{made:?} {hit:?}"),
        }
        assert!(directories.iter().all(|dir| !dir.exists()), "{directories:?}");
    });
    let v1 = |name: &str| layout.v1.iter().any(|one| one.controllers.iter().any(|own| own == name));
    let mut wanted = BTreeSet::new();
    if controllers.contains("cpuset") && v1("cpuset") {
        wanted.extend(["cpuset.cpus", "cpuset.mems"]);
    }
    if controllers.iter().any(|name| !v1(name)) {
        wanted.insert("cgroup.subtree_control");
    }
    assert!(last(&failed).is_superset(&wanted), "{failed:?}");
}

/// Everything that an update may touch, as text.
fn texts(group: &Group) -> Vec<(PathBuf, String)> {
    let files = [
        "memory.limit_in_bytes",
        "memory.memsw.limit_in_bytes",
        "memory.max",
        "memory.swap.max",
        "pids.max",
        "cpu.shares",
        "cpu.cfs_quota_us",
        "cpu.cfs_period_us",
        "cpu.weight",
        "cpu.max",
        "cpuset.cpus",
        "hugetlb.2MB.limit_in_bytes",
        "hugetlb.2MB.max",
        "cgroup.max.depth",
        "devices.list",
        "freezer.state",
    ];
    let places: BTreeSet<PathBuf> = group.paths().into_values().collect();
    let all = places.iter().flat_map(|place| files.map(|file| place.join(file)));
    all.filter_map(|file| Some((file.clone(), fs::read_to_string(&file).ok()?))).collect()
}

const FIRST: &str = r#"{"memory":{"limit":67108864},"pids":{"limit":50},"cpu":{"shares":512,"quota":40000,"period":80000},
    "devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":3,"access":"rw"}]}"#;
const SECOND: &str = r#"{"memory":{"limit":134217728},"pids":{"limit":60},"cpu":{"shares":700,"quota":25000,"period":50000,"cpus":"0"},
    "devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":5,"access":"rw"},
        {"allow":true,"type":"c","major":1,"minor":7,"access":"r"}]}"#;

#[test]
fn changing_limits_and_devices() {
    let test = "changing_limits_and_devices";
    let Some(ground) = Ground::new(test, &["memory", "pids", "cpu", "cpuset", "devices"]) else { return };
    let mut second = resources(SECOND);
    if ground.group.unified().is_some_and(|dir| dir.has("cgroup.max.depth").unwrap()) {
        second.unified.insert("cgroup.max.depth".to_owned(), "3".to_owned());
    }
    update(&ground.group, &resources(FIRST), OnRefusal::RollBack).unwrap();
    let before = texts(&ground.group);
    let mut done = false;
    let failed = each_write(|hit| match (update(&ground.group, &second, OnRefusal::RollBack), hit()) {
        (Err(error), Some(write)) => {
            names(&error, &write);
            assert_eq!(texts(&ground.group), before, "{error}");
        }
        (Ok(()), None) => done = true,
        (updated, hit) => panic!("{updated:?} {hit:?}"),
    });
    assert!(done && texts(&ground.group) != before);
    let v1 = ground.group.controller("devices").is_some();
    // Without swap accounting one less.
    let least = if v1 { 9 } else { 5 };
    assert!(failed.len() >= least && last(&failed).contains("pids.max"), "{failed:?}");
    assert_eq!(last(&failed).contains("devices.allow"), v1, "{failed:?}");
}

/// From one default of the filter to the other there is a gap, and the group is frozen meanwhile.
#[test]
fn changing_devices_while_the_group_runs() {
    let test = "changing_devices_while_the_group_runs";
    let Some(mut ground) = Ground::new(test, &["devices", "freezer"]) else { return };
    ground.run("exec sleep 1000");
    let deny = resources(
        r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":3,"access":"rw"}]}"#,
    );
    let allow = resources(
        r#"{"devices":[{"allow":true,"access":"rwm"},{"allow":false,"type":"c","major":1,"minor":3,"access":"w"}]}"#,
    );
    let failed = each_write(|hit| {
        let _ = update(&ground.group, &deny, OnRefusal::RollBack);
        if let (Err(error), Some(write)) = (update(&ground.group, &allow, OnRefusal::RollBack), hit()) {
            names(&error, &write);
        }
        until(|| ground.group.frozen_state().unwrap() == FreezerState::Thawed);
    });
    assert!(failed.is_empty() || last(&failed).contains("freezer.state"), "{failed:?}");
    ground.group.kill(LONG).unwrap();
}

#[test]
fn entering_a_group() {
    let Some(ground) = Ground::new("entering_a_group", &[]) else { return };
    let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let pid = libcontainer_cgroups::Pid::new(i32::try_from(child.id()).unwrap()).unwrap();
    let failed = each_write(|hit| match (ground.group.attach(pid), hit()) {
        (Err(error), Some(write)) => names(&error, &write),
        (Ok(()), None) => {}
        (attached, hit) => panic!("{attached:?} {hit:?}"),
    });
    assert_eq!(failed.len(), ground.group.places().len());
    ground.group.destroy(LONG).unwrap();
    child.wait().unwrap();
}

/// What can't be written can be done again, or be done without.
#[test]
fn taking_a_frozen_tree_down() {
    let test = "taking_a_frozen_tree_down";
    let failed = each_write(|hit| {
        let Some(ground) = apart(|| {
            let mut ground = Ground::new(test, &["freezer"])?;
            ground.run("exec sleep 1000");
            Some(ground)
        }) else {
            return;
        };
        let destroyed: Result<()> = ground.group.freeze(LONG).and_then(|()| ground.group.destroy(LONG));
        if let (Err(error), Some(write)) = (destroyed, hit()) {
            names(&error, &write);
            ground.group.destroy(LONG).unwrap();
        }
        assert!(ground.group.paths().values().all(|place| !place.exists()));
    });
    assert!(failed.is_empty() || failed.len() > 2, "{failed:?}");
}

/// In another thread, where no write fails.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

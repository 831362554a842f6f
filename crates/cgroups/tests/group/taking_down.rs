//! Killing and removing, against resistance.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::ground::{Ground, LONG, enter, name, until};
use libcontainer_cgroups::{Existing, Group, GroupPath, Layout, Pid, Plan, Select};

/// Makes groups below each other and returns them, the outermost first.
fn levels(test: &str, depth: usize) -> Option<(Ground, Vec<Group>)> {
    let top = name();
    let ground = Ground::at(test, &top, &["freezer"])?;
    let layout = Layout::of_this_process().unwrap();
    // No controllers of version 2: it would not take processes in groups that have groups below.
    let names = ["freezer", "unified"].into_iter().filter(|name| match *name {
        "unified" => layout.v2.is_some(),
        name => layout.hierarchy(name).is_some(),
    });
    let select = Select::Only(names.map(str::to_owned).collect());
    let mut path = top;
    let mut groups = Vec::new();
    for level in 1..depth {
        path = format!("{path}/level{level}");
        let plan = Plan::new(&layout, &GroupPath::new(&path).unwrap(), &select).unwrap();
        groups.push(plan.make(Existing::Refuse).unwrap());
    }
    Some((ground, groups))
}

fn spawn_in(group: &Group, script: &str) -> std::process::Child {
    let mut child = std::process::Command::new("sh")
        .args(["-c", &format!("read -r _; {script}")])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    enter(group, Pid::new(i32::try_from(child.id()).unwrap()).unwrap());
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"go\n").unwrap();
    child
}

#[test]
fn a_tree_that_forks_while_it_is_killed_ends_empty() {
    let test = "a_tree_that_forks_while_it_is_killed_ends_empty";
    let Some((ground, groups)) = levels(test, 5) else { return };
    let all: Vec<&Group> = std::iter::once(&ground.group).chain(&groups).collect();
    // Each keeps 100 that wait for a pipe and goes on forking short-lived ones.
    let script = "sleep 1000 | { exec 3<&0; i=0; while [ $i -lt 100 ]; do read -r _ <&3 & i=$((i+1)); done; \
        while :; do (sleep 0.01 &); done; }";
    let mut children: Vec<_> = all.iter().map(|group| spawn_in(group, script)).collect();
    until(|| ground.group.processes().unwrap().len() >= 500);
    ground.group.kill(LONG).unwrap();
    assert_eq!(ground.group.processes().unwrap(), []);
    for child in &mut children {
        child.wait().unwrap();
    }
    let places: Vec<PathBuf> = ground.group.paths().into_values().collect();
    ground.group.remove(LONG).unwrap();
    assert!(places.iter().all(|place| !place.exists()));
}

#[test]
fn a_frozen_tree_is_destroyed() {
    let Some((ground, groups)) = levels("a_frozen_tree_is_destroyed", 3) else { return };
    let mut children: Vec<_> = groups.iter().map(|group| spawn_in(group, "exec sleep 1000")).collect();
    // The container has frozen a group of its own, and then the whole was frozen.
    groups[1].freeze(LONG).unwrap();
    ground.group.freeze(LONG).unwrap();
    let start = Instant::now();
    ground.group.destroy(LONG).unwrap();
    assert!(start.elapsed() < LONG);
    for child in &mut children {
        child.wait().unwrap();
    }
    assert!(ground.group.paths().values().all(|place| !place.exists()));
}

/// On version 1 nobody can kill what a frozen group holds: who was put into one of others is brought back, and that group stays as it is.
#[test]
fn who_is_held_by_a_group_of_others_is_brought_back() {
    let test = "who_is_held_by_a_group_of_others_is_brought_back";
    let (Some(mut ground), Some(mut other)) =
        (Ground::new(test, &["freezer"]), Ground::new(test, &["freezer"]))
    else {
        return;
    };
    let (pid, stranger) = (ground.run("exec sleep 1000"), other.run("exec sleep 1000"));
    let Some((freezer, libcontainer_cgroups::stats::Version::V1)) = other.group.controller("freezer") else {
        return super::ground::skip(test, "on version 2 what is frozen dies");
    };
    // As somebody does who moves a process by hand, into a group below one that stands still.
    let below = freezer.make("below").and_then(|_| freezer.child("below")).unwrap();
    below.write("cgroup.procs", &pid.to_string()).unwrap();
    other.group.freeze(LONG).unwrap();
    ground.group.kill(LONG).unwrap();
    assert!(ground.wait().code().is_none());
    assert_eq!(freezer.read("freezer.state").unwrap(), "FROZEN");
    assert_eq!(freezer.read("cgroup.procs").unwrap(), stranger.to_string());
    other.group.thaw(LONG).unwrap();
    other.group.kill(LONG).unwrap();
    assert!(other.wait().code().is_none());
}

/// One above is not ours to thaw: the message says which one it is.
#[test]
fn the_group_above_that_holds_a_process_is_named() {
    let test = "the_group_above_that_holds_a_process_is_named";
    let Some((ground, groups)) = levels(test, 2) else { return };
    let Some((freezer, libcontainer_cgroups::stats::Version::V1)) = ground.group.controller("freezer") else {
        return super::ground::skip(test, "on version 2 what is frozen dies");
    };
    let mut child = spawn_in(&groups[0], "exec sleep 1000");
    until(|| ground.group.processes().unwrap().len() == 1);
    ground.group.freeze(LONG).unwrap();
    let error = groups[0].kill(Duration::from_millis(300)).unwrap_err().to_string();
    let said = format!("{} is held by the frozen group {}", child.id(), freezer.path().display());
    assert!(error.contains(&said), "{error}");
    ground.group.destroy(LONG).unwrap();
    child.wait().unwrap();
}

/// Trap 28: no wait for the freezer is longer than told, and a frozen tree can be looked at.
#[test]
fn a_freezer_is_waited_for_no_longer_than_told() {
    let Some((ground, groups)) = levels("a_freezer_is_waited_for_no_longer_than_told", 2) else { return };
    let mut child = spawn_in(&groups[0], "exec sleep 1000");
    until(|| ground.group.processes().unwrap().len() == 1);
    ground.group.freeze(LONG).unwrap();
    let start = Instant::now();
    assert_eq!(ground.group.processes().unwrap().len(), 1);
    // It stands still for as long as the group above does.
    let error = groups[0].thaw(Duration::from_millis(50)).unwrap_err().to_string();
    assert!(error.contains("thaw") || error.contains("50ms"), "{error}");
    assert!(start.elapsed() < LONG, "{:?}", start.elapsed());
    ground.group.destroy(LONG).unwrap();
    child.wait().unwrap();
}

#[test]
fn removal_waits_for_a_busy_group() {
    let Some(mut ground) = Ground::new("removal_waits_for_a_busy_group", &[]) else { return };
    let pid = ground.run("exec sleep 1000");
    let error = ground.group.remove(Duration::from_millis(30)).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EBUSY), "{error}");
    assert!(error.to_string().contains(&format!("pids {pid}")), "{error}");
    let group = &ground.group;
    std::thread::scope(|scope| {
        let removal = scope.spawn(|| group.remove(LONG));
        std::thread::sleep(Duration::from_millis(50));
        assert!(group.paths().values().any(|place| place.exists()), "removed with a process in it");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.get()), nix::sys::signal::SIGKILL).unwrap();
        removal.join().unwrap().unwrap();
    });
    assert!(group.paths().values().all(|place| !place.exists()));
}

/// Trap 27: the lowest directory goes first, and no file is unlinked.
#[test]
fn a_group_deep_below_is_removed() {
    let Some(ground) = Ground::new("a_group_deep_below_is_removed", &[]) else { return };
    let top = ground.group.paths().into_values().next().unwrap();
    let mut dir = libcontainer_cgroups::Dir::open(&top).unwrap();
    // 40 levels of 200 bytes: more than one lookup can name.
    let mut depth = 0;
    for _ in 0..40 {
        let long = "d".repeat(200);
        if dir.make(&long).is_err() {
            break;
        }
        dir = dir.child(&long).unwrap();
        depth += 1;
    }
    assert!(depth > 15, "only {depth} levels");
    assert_eq!(ground.group.processes().unwrap(), []);
    ground.group.remove(LONG).unwrap();
    assert!(!top.exists());
}

#[test]
fn a_replaced_directory_is_not_followed() {
    let Some(ground) = Ground::new("a_replaced_directory_is_not_followed", &["freezer"]) else { return };
    let group = &ground.group;
    // Only version 1 can rename.
    let renamed: Vec<PathBuf> = group.paths().into_values().collect();
    let renamed: Vec<(PathBuf, PathBuf)> = renamed
        .into_iter()
        .map(|path| (path.clone(), path.with_extension("away")))
        .filter(|(path, away)| fs::rename(path, away).is_ok())
        .collect();
    for (path, _) in &renamed {
        // A namesake with a process that must live on.
        fs::create_dir(path).unwrap();
    }
    assert!(group.processes().unwrap().is_empty());
    let reopened = Group::open(group.places()).unwrap();
    assert_eq!(reopened.places().len(), group.places().len());
    if renamed.is_empty() {
        return super::ground::skip("a_replaced_directory_is_not_followed", "version 2 renames no groups");
    }
    let error = group.remove(Duration::ZERO).unwrap_err().to_string();
    assert!(error.contains("another directory"), "{error}");
    for (path, _) in &renamed {
        assert!(path.is_dir(), "the namesake was removed");
        fs::remove_dir(path).unwrap();
    }
    // With the namesake gone the own directory is found under its new name.
    group.remove(LONG).unwrap();
    assert!(renamed.iter().all(|(_, away)| !away.exists()));
}

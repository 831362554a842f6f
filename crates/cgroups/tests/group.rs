//! Groups on this machine: made, entered, listed, frozen, killed, removed.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "group/ground.rs"]
mod ground;
#[path = "group/making.rs"]
mod making;
#[path = "group/marks.rs"]
mod marks;
#[path = "group/taking_down.rs"]
mod taking_down;
#[path = "group/unified.rs"]
mod unified;

use std::fs;
use std::time::Duration;

use ground::{Ground, LONG, enter, name, until};
use libcontainer_cgroups::{FreezerState, Pid};

#[test]
fn processes_are_listed_with_those_below() {
    let Some(mut ground) = Ground::new("processes_are_listed_with_those_below", &[]) else { return };
    assert_eq!(ground.group.processes().unwrap(), []);
    let first = ground.run("exec sleep 1000");
    let second = ground.run("exec sleep 1000");
    // The second moves into a group below.
    let path = name();
    for (controller, dir) in ground.group.paths() {
        fs::create_dir_all(dir.join(&path)).unwrap();
        // As a container with its own groups would do it; cpuset needs processors first.
        if controller != "cpuset" {
            fs::write(dir.join(&path).join("cgroup.procs"), second.to_string()).unwrap();
        }
    }
    let mut expected = vec![first, second];
    expected.sort();
    assert_eq!(ground.group.processes().unwrap(), expected);
    let mut again = vec![first; 64];
    let room = again.capacity();
    ground.group.processes_into(&mut again).unwrap();
    assert_eq!((&again, room), (&expected, 64));
    let reader = ground.group.process_reader().unwrap();
    for _ in 0..2 {
        reader.read_into(&mut again).unwrap();
        assert_eq!(again, expected);
    }
    ground.group.kill(LONG).unwrap();
    until(|| ground.group.processes().unwrap().is_empty());
    reader.read_into(&mut again).unwrap();
    assert_eq!(again, []);
    ground.group.destroy(LONG).unwrap();
    assert!(reader.read_into(&mut again).unwrap_err().is_gone());
    assert!(ground.group.processes().unwrap_err().is_gone());
}

#[test]
fn a_list_longer_than_a_page_is_read_whole() {
    let Some(mut ground) = Ground::new("a_list_longer_than_a_page_is_read_whole", &[]) else { return };
    // Numbers have two to seven digits: 900 lines are more than a page once there are five digits, or close to it before.
    // They read from a pipe in which nothing comes: a fork each, and no exec. With the shell, `sleep` and the loop's own shell.
    let wait =
        "sleep 1000 | { exec 3<&0; i=0; while [ $i -lt 900 ]; do read -r _ <&3 & i=$((i+1)); done; wait; }";
    ground.run(wait);
    until(|| ground.group.processes().unwrap().len() == 903);
    let mut found = Vec::new();
    ground.group.process_reader().unwrap().read_into(&mut found).unwrap();
    assert_eq!(found, ground.group.processes().unwrap());
    ground.group.kill(LONG).unwrap();
}

#[test]
fn attached_processes_are_in_every_hierarchy() {
    let test = "attached_processes_are_in_every_hierarchy";
    let (Some(mut from), Some(to)) = (Ground::new(test, &[]), Ground::new(test, &[])) else { return };
    let pid = from.run("exec sleep 1000");
    to.group.attach(pid).unwrap();
    let lines = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    for (controller, path) in to.group.paths() {
        let leaf = path.file_name().unwrap().to_str().unwrap().to_owned();
        let line = lines.lines().find(|line| {
            let controllers = line.split(':').nth(1).unwrap();
            controllers.split(',').any(|one| one == controller)
        });
        assert!(line.unwrap().ends_with(&leaf), "{controller}: {line:?}");
    }
    to.group.destroy(LONG).unwrap();
    let error = to.group.attach(Pid::new(i32::MAX).unwrap()).unwrap_err();
    assert!(error.is_gone() || error.errno() == Some(libc::ESRCH), "{error}");
}

#[test]
fn a_frozen_counter_stands_still() {
    let Some(mut ground) = Ground::new("a_frozen_counter_stands_still", &["freezer"]) else { return };
    let count = std::env::temp_dir().join(name());
    let pid = ground
        .run(&format!("i=0; while :; do i=$((i+1)); echo $i >> {}; sleep 0.001; done", count.display()));
    let size = || fs::metadata(&count).map_or(0, |file| file.len());
    until(|| size() > 20);
    assert_eq!(ground.group.frozen_state().unwrap(), FreezerState::Thawed);
    ground.group.freeze(LONG).unwrap();
    assert_eq!(ground.group.frozen_state().unwrap(), FreezerState::Frozen);
    let frozen_at = size();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(size(), frozen_at, "it went on while frozen");
    assert!(ground.group.processes().unwrap().contains(&pid));
    ground.group.freeze(LONG).unwrap();
    ground.group.thaw(LONG).unwrap();
    assert_eq!(ground.group.frozen_state().unwrap(), FreezerState::Thawed);
    until(|| size() > frozen_at);
    ground.group.thaw(LONG).unwrap();
    ground.group.kill(LONG).unwrap();
    fs::remove_file(&count).unwrap();
}

#[test]
fn a_group_with_this_process_is_neither_frozen_nor_killed() {
    let test = "a_group_with_this_process_is_neither_frozen_nor_killed";
    let Some(ground) = Ground::new(test, &["freezer"]) else { return };
    // The group itself is empty; a child of ours plays the part of this process in its own test run.
    let exe = std::env::current_exe().unwrap();
    let mut child = std::process::Command::new(exe)
        .args(["--exact", "inside_of_the_group", "--nocapture"])
        .env("LIBCONTAINER_TEST_GROUP", serde_json::to_string(ground.group.places()).unwrap())
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    enter_all(&ground, Pid::new(i32::try_from(child.id()).unwrap()).unwrap());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

fn enter_all(ground: &Ground, pid: Pid) {
    // More than one thread: all of them are moved.
    if ground.group.attach(pid).is_err() {
        enter(&ground.group, pid);
    }
}

/// The inner half of the test before; on its own it has nothing to do.
#[test]
fn inside_of_the_group() {
    let Some(places) = std::env::var_os("LIBCONTAINER_TEST_GROUP") else { return };
    std::io::Read::read_to_end(&mut std::io::stdin(), &mut Vec::new()).unwrap();
    let group = libcontainer_cgroups::Group::open(
        &serde_json::from_slice::<Vec<_>>(places.as_encoded_bytes()).unwrap(),
    )
    .unwrap();
    assert!(group.processes().unwrap().contains(&Pid::own()));
    for refused in [group.freeze(LONG), group.kill(LONG), group.destroy(Duration::ZERO)] {
        assert!(refused.unwrap_err().to_string().contains("this process is in the group"));
    }
    assert_eq!(group.frozen_state().unwrap(), FreezerState::Thawed);
}

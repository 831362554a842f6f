//! Two processes create, start, load, signal, pause and destroy the same container: no hang, no leak, only documented errors.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libcontainer::Factory;
use libcontainer_tests::{Place, World, able};

/// 5 s, or what `LIBCONTAINER_RACE_SECONDS` says.
fn seconds() -> u64 {
    std::env::var("LIBCONTAINER_RACE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

fn racer(place: &Place, seed: u32) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_racer"));
    command.arg(place.join("c")).arg(place.join("rootfs")).args([seconds().to_string(), seed.to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits, but not for ever; a racer that hangs is killed.
fn end_of(mut child: Child, end: Instant) -> BTreeMap<String, usize> {
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            let pid = child.id();
            let stack = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
            child.kill().unwrap();
            panic!("racer {pid} hangs in {stack:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Pids of processes whose root is in `place`.
fn inside(place: &Place) -> Vec<String> {
    let name = place.path().file_name().unwrap().to_string_lossy().into_owned();
    let pids = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.file_name());
    let pids = pids.filter_map(|pid| pid.into_string().ok());
    let root = |pid: &String| {
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
        let fields =
            mounts.lines().next().unwrap_or_default().split(' ').nth(3).unwrap_or_default().to_owned();
        fields.contains(&name)
    };
    pids.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit())).filter(root).collect()
}

#[test]
fn two_processes_handle_one_container() {
    if !able("two_processes_handle_one_container") {
        return;
    }
    let place = Place::new("racers");
    place.rootfs().unwrap();
    let before = World::look(place.path());
    let racers = [racer(&place, 1), racer(&place, 2)];
    let end = Instant::now() + Duration::from_secs(seconds() + 60);
    let mut all: BTreeMap<String, usize> = BTreeMap::new();
    for racer in racers {
        for (outcome, count) in end_of(racer, end) {
            *all.entry(outcome).or_default() += count;
        }
    }
    // They did meet, and each operation went well now and then.
    for operation in
        ["create", "run", "split", "exec", "state", "signal", "processes", "pause", "resume", "destroy"]
    {
        assert!(all.contains_key(&format!("{operation} ok")), "{operation}: {all:?}");
    }
    assert!(all.contains_key("create AlreadyExists") && all.contains_key("exec WrongState"), "{all:?}");
    Factory::new().unwrap().destroy(place.join("c")).unwrap();
    let end = Instant::now() + Duration::from_secs(10);
    while !inside(&place).is_empty() {
        assert!(Instant::now() < end, "left inside: {:?}", inside(&place));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(World::look(place.path()).more_than(&before), None);
}

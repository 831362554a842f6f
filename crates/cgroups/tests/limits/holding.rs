//! Limits that real programs run into.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use super::ground::{Ground, LONG, skip, until};
use libcontainer_cgroups::limits::{OnRefusal, update};

pub(crate) fn limit(ground: &Ground, json: &str) {
    update(&ground.group, &serde_json::from_str(json).unwrap(), OnRefusal::RollBack).unwrap();
}

#[test]
fn a_memory_hog_is_killed() {
    let Some(mut ground) = Ground::new("a_memory_hog_is_killed", &["memory"]) else { return };
    limit(&ground, r#"{"memory":{"limit":16777216,"swap":16777216}}"#);
    // tail keeps what has no newline.
    ground.run("exec tail /dev/zero");
    assert_eq!(ground.wait().signal(), Some(libc::SIGKILL));
    let events = ground.either("memory", "memory.oom_control", "memory.events");
    let events = ground.read("memory", events);
    assert!(events.lines().any(|line| line.starts_with("oom_kill ") && line != "oom_kill 0"), "{events}");
}

#[test]
fn a_fork_bomb_is_stopped() {
    let Some(mut ground) = Ground::new("a_fork_bomb_is_stopped", &["pids"]) else { return };
    limit(&ground, r#"{"pids":{"limit":20}}"#);
    ground.run("b() { b | b & }; while :; do b; sleep 0.01; done 2>/dev/null");
    until(|| {
        let events = ground.read("pids", "pids.events");
        events.lines().any(|line| line.starts_with("max ") && line != "max 0")
    });
    assert!(ground.group.processes().unwrap().len() <= 20);
    ground.group.kill(LONG).unwrap();
}

#[test]
fn a_busy_loop_is_throttled_and_the_quota_changes_live() {
    let test = "a_busy_loop_is_throttled_and_the_quota_changes_live";
    let Some(mut ground) = Ground::new(test, &["cpu"]) else { return };
    limit(&ground, r#"{"cpu":{"quota":5000,"period":50000}}"#);
    ground.run("while :; do :; done");
    let throttled = || {
        let stat = ground.read("cpu", "cpu.stat");
        stat.lines().find_map(|line| line.strip_prefix("nr_throttled ")?.parse::<u64>().ok()).unwrap()
    };
    until(|| throttled() > 2);
    limit(&ground, r#"{"cpu":{"quota":-1}}"#);
    // The period that was running may still count once, whenever the processor comes to it.
    until(|| {
        let free = throttled();
        std::thread::sleep(Duration::from_millis(300));
        throttled() == free
    });
    let quota = ground.read("cpu", ground.either("cpu", "cpu.cfs_quota_us", "cpu.max"));
    assert!(quota.starts_with("-1") || quota.starts_with("max "), "{quota}");
}

#[test]
fn a_refused_device_cannot_be_opened() {
    let Some(mut ground) = Ground::new("a_refused_device_cannot_be_opened", &["devices"]) else { return };
    let rules = r#"{"devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":1,"minor":3,"access":"rw"}]}"#;
    limit(&ground, rules);
    // /dev/null is 1:3 and /dev/zero 1:5.
    ground.run("head -c 1 /dev/null && ! head -c 1 /dev/zero");
    assert_eq!(ground.wait().code(), Some(0));
    // From "all denied but" to "all but denied" there is a gap; the group runs meanwhile.
    ground.run("while :; do sleep 0.01; done");
    let rules = r#"{"devices":[{"allow":true,"access":"rwm"},{"allow":false,"type":"c","major":1,"minor":3,"access":"w"}]}"#;
    limit(&ground, rules);
    ground.run("head -c 1 /dev/zero && ! (echo > /dev/null)");
    assert_eq!(ground.wait().code(), Some(0));
    ground.group.kill(LONG).unwrap();
}

#[test]
fn huge_pages_are_limited_where_the_controller_is() {
    let test = "huge_pages_are_limited_where_the_controller_is";
    let Some(ground) = Ground::new(test, &["hugetlb"]) else { return };
    let file = ground.either("hugetlb", "hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max");
    if !ground.group.controller("hugetlb").unwrap().0.has(file).unwrap() {
        return skip(test, "no huge pages of 2MB");
    }
    limit(&ground, r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4194304}]}"#);
    assert_eq!(ground.read("hugetlb", file), "4194304");
}

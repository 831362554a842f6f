//! Control groups of containers: limits that hold, measurements, pause and resume, and nothing left.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

#[path = "cgroups/changed.rs"]
mod changed;
#[path = "cgroups/descriptors.rs"]
mod descriptors;
#[path = "cgroups/joining.rs"]
mod joining;
#[path = "cgroups/refused.rs"]
mod refused;
#[path = "cgroups/resctrl.rs"]
mod resctrl;
#[path = "cgroups/room.rs"]
mod room;
#[path = "cgroups/shared.rs"]
mod shared;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use libcontainer::cgroups::stats::{Limit, Version};
use libcontainer::cgroups::{Layout, Resources};
use libcontainer::{Cgroup, Config, Container, ErrorKind, Factory, ProcessConfig, RunState};
use libcontainer_tests::{Place, able, config, skip, text};

/// A config with a control group of its own, named after the test.
fn limited(place: &Place, name: &str, resources: &str) -> Config {
    let resources: Resources = serde_json::from_str(resources).unwrap();
    let path = PathBuf::from(format!("lct-{}-{name}", std::process::id()));
    let block = Cgroup { path, resources, ..Cgroup::default() };
    Config { cgroups: Some(block), ..config(&place.rootfs().unwrap()) }
}

/// Whether the test can run; else says why not.
fn ready(name: &str, controllers: &[&str]) -> bool {
    if !able(name) {
        return false;
    }
    let layout = Layout::of_this_process().unwrap();
    for controller in controllers {
        // Version 2 has programs in place of the one, and the other in every group.
        let built_in = ["devices", "freezer"].contains(controller) && layout.v2.is_some();
        if layout.hierarchy(controller).is_none() && !built_in {
            skip(name, &format!("no {controller} controller"));
            return false;
        }
    }
    true
}

fn directories(container: &Container) -> Vec<PathBuf> {
    container.group().unwrap().places().iter().map(|place| place.path()).collect()
}

fn gone(directories: &[PathBuf]) {
    for directory in directories {
        assert!(!directory.exists(), "{}", directory.display());
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Trap 24: no process begins outside.
#[test]
fn every_process_is_in_the_group() {
    if !ready("every_process_is_in_the_group", &["memory"]) {
        return;
    }
    let place = Place::new("cg-in");
    let config = limited(&place, "in", "{}");
    let (container, process) = Factory::new()
        .unwrap()
        .run(
            place.join("c"),
            &config,
            ProcessConfig::new(["sh", "-c", "cat /proc/self/cgroup; sleep 100"]).piped(),
        )
        .unwrap();
    let made = directories(&container);
    assert!(!made.is_empty());
    let joined = container.start(ProcessConfig::new(["cat", "/proc/self/cgroup"]).piped()).unwrap();
    let found = text(&joined.output(10_000).unwrap());
    let name = format!("lct-{}-in", std::process::id());
    let layout = Layout::of_this_process().unwrap();
    for line in found.lines() {
        let named = layout.all().any(|hierarchy| {
            let own = hierarchy.controllers.iter().any(|one| {
                line.split(':').nth(1) == Some(&hierarchy.controllers.join(","))
                    || line.contains(&format!(":{one}:"))
            });
            own && !hierarchy.read_only
        });
        assert!(!named || line.ends_with(&name), "{line}");
    }
    assert!(found.contains(&name), "{found}");
    assert!(container.processes().unwrap().contains(&process.pid()));
    container.destroy().unwrap();
    gone(&made);
}

#[test]
fn a_memory_hog_is_killed_and_told() {
    if !ready("a_memory_hog_is_killed_and_told", &["memory"]) {
        return;
    }
    let place = Place::new("cg-hog");
    let config = limited(&place, "hog", r#"{"memory": {"limit": 8388608}}"#);
    // A shell variable that doubles until the limit.
    let hog = "x=0123456789; while true; do x=$x$x; done";
    let (container, mut process) =
        Factory::new().unwrap().run(place.join("c"), &config, ProcessConfig::new(["sh", "-c", hog])).unwrap();
    let status = process.wait().unwrap();
    assert_eq!((status.signal(), status.oom_killed()), (Some(9), Some(true)), "{status}");
    container.destroy().unwrap();
}

/// A busy creator may look for the first time when the program is dead already.
#[test]
fn a_hog_that_is_dead_before_its_start_returns_is_told_too() {
    if !ready("a_hog_that_is_dead_before_its_start_returns_is_told_too", &["memory"]) {
        return;
    }
    let place = Place::new("cg-early");
    let config = limited(&place, "early", r#"{"memory": {"limit": 8388608}}"#);
    let hog = ProcessConfig::new(["sh", "-c", "x=0123456789; while true; do x=$x$x; done"]);
    let late = Factory::new().unwrap().observe(|_| std::thread::sleep(Duration::from_millis(200)));
    let (container, mut process) = late.run(place.join("c"), &config, hog).unwrap();
    let status = process.wait().unwrap();
    assert_eq!((status.signal(), status.oom_killed()), (Some(9), Some(true)), "{status}");
    container.destroy().unwrap();
}

#[test]
fn an_update_that_cannot_be_written_down_changes_nothing() {
    if !ready("an_update_that_cannot_be_written_down_changes_nothing", &["pids"]) {
        return;
    }
    let place = Place::new("cg-record");
    let config = limited(&place, "record", r#"{"pids": {"limit": 50}}"#);
    let container = Factory::new().unwrap().create(place.join("c"), &config).unwrap();
    let limit = || container.stats().unwrap().cgroup.pids.limit;
    let old = limit();
    // In the place of the record to be: a directory, which is not removed as a file that was left there would be.
    fs::create_dir(place.join("c/.state.json.new")).unwrap();
    let error = container.update(&serde_json::from_str(r#"{"pids": {"limit": 60}}"#).unwrap()).unwrap_err();
    assert_eq!((limit(), error.to_string().contains("update")), (old, true), "{error}");
    fs::remove_dir(place.join("c/.state.json.new")).unwrap();
    container.update(&serde_json::from_str(r#"{"pids": {"limit": 60}}"#).unwrap()).unwrap();
    assert_ne!(limit(), old);
    container.destroy().unwrap();
}

#[test]
fn a_fork_bomb_is_stopped() {
    if !ready("a_fork_bomb_is_stopped", &["pids"]) {
        return;
    }
    let place = Place::new("cg-bomb");
    let config = limited(&place, "bomb", r#"{"pids": {"limit": 20}}"#);
    let bomb = "b() { b | b & }; b; sleep 1; echo over";
    let (container, process) = Factory::new()
        .unwrap()
        .run(place.join("c"), &config, ProcessConfig::new(["sh", "-c", bomb]).piped())
        .unwrap();
    let made = directories(&container);
    // The bomb may be over before anybody looks; what the kernel has refused it keeps in mind.
    until("a fork is refused", || container.stats().is_ok_and(|stats| stats.cgroup.pids.refused > Some(0)));
    assert!(container.processes().unwrap().len() <= 20);
    let stats = container.stats().unwrap();
    assert!(format!("{:?}", stats.cgroup.pids.limit).contains("20"), "{:?}", stats.cgroup.pids);
    container.destroy().unwrap();
    drop(process);
    gone(&made);
}

#[test]
fn a_quota_holds() {
    if !ready("a_quota_holds", &["cpu"]) {
        return;
    }
    let place = Place::new("cg-quota");
    let config = limited(&place, "quota", r#"{"cpu": {"quota": 5000, "period": 50000}}"#);
    let (container, process) = Factory::new()
        .unwrap()
        .run(place.join("c"), &config, ProcessConfig::new(["sh", "-c", "while true; do :; done"]))
        .unwrap();
    let throttling = || container.stats().unwrap().cgroup.cpu.throttling;
    until("it is throttled", || throttling().throttled_periods > Some(3));
    let found = throttling();
    assert!(found.periods >= found.throttled_periods && found.throttled_time > Some(0), "{found:?}");
    container.destroy().unwrap();
    drop(process);
}

#[test]
fn devices_are_refused() {
    if !ready("devices_are_refused", &["devices"]) {
        return;
    }
    let place = Place::new("cg-dev");
    let config = limited(&place, "dev", "{}");
    let script =
        "mknod /tmp/kmsg c 1 11 && cat /tmp/kmsg; head -c 3 /dev/zero | wc -c; : > /dev/null && echo null";
    let mut config = Config { capabilities: vec!["MKNOD".to_owned()], ..config };
    std::os::unix::fs::symlink("busybox", config.rootfs.join("bin/mknod")).unwrap();
    config.restrict_sys = false;
    let factory = Factory::new().unwrap();
    let (container, process) =
        factory.run(place.join("c"), &config, ProcessConfig::new(["sh", "-c", script]).piped()).unwrap();
    let found = text(&process.output(10_000).unwrap());
    assert!(found.contains("kmsg': Operation not permitted") && found.contains("3\nnull"), "{found}");
    container.destroy().unwrap();
}

#[test]
fn pause_stops_a_counter() {
    if !ready("pause_stops_a_counter", &["freezer"]) {
        return;
    }
    let place = Place::new("cg-pause");
    let config = limited(&place, "pause", "{}");
    let count = "i=0; while true; do i=$((i+1)); echo $i > /tmp/n; done";
    let (container, _process) = Factory::new()
        .unwrap()
        .run(place.join("c"), &config, ProcessConfig::new(["sh", "-c", count]))
        .unwrap();
    let file = config.rootfs.join("tmp/n");
    let counted = || fs::read_to_string(&file).ok().and_then(|text| text.trim().parse::<u64>().ok());
    until("it counts", || counted().is_some_and(|number| number > 10));
    container.pause().unwrap();
    until("it is paused", || container.run_state().unwrap() == RunState::Paused);
    container.pause().unwrap();
    let before = fs::read(&file).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(fs::read(&file).unwrap(), before);
    let refused = container.start(ProcessConfig::new(["true"])).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::WrongState, "{refused}");
    // From another handle, as another process would.
    let loaded = Factory::new().unwrap().load(place.join("c")).unwrap();
    assert_eq!(loaded.run_state().unwrap(), RunState::Paused);
    loaded.resume().unwrap();
    loaded.resume().unwrap();
    assert_eq!(container.run_state().unwrap(), RunState::Running);
    until("it goes on", || {
        counted().is_some_and(|number| {
            Some(number) != std::str::from_utf8(&before).ok().and_then(|text| text.trim().parse().ok())
        })
    });
    container.pause_within(Duration::from_secs(10)).unwrap();
    assert_eq!(container.run_state().unwrap(), RunState::Paused);
    created_and_killed(&place, &config);
    let made = directories(&container);
    container.destroy().unwrap();
    gone(&made);
}

/// One that waits for its start can be paused; SIGKILL ends one that is paused.
fn created_and_killed(place: &Place, config: &Config) {
    let mut config = config.clone();
    config.cgroups.as_mut().unwrap().path = format!("lct-{}-created", std::process::id()).into();
    let process = ProcessConfig::new(["sleep", "100"]);
    let (created, mut process) =
        Factory::new().unwrap().create_with(place.join("d"), &config, process).unwrap();
    created.pause_within(Duration::from_secs(10)).unwrap();
    assert!(created.run().unwrap_err().to_string().contains("paused"));
    created.resume().unwrap();
    created.run().unwrap();
    created.pause_within(Duration::from_secs(10)).unwrap();
    created.signal(9).unwrap();
    assert_eq!(process.wait().unwrap().signal(), Some(9));
    created.destroy().unwrap();
}

#[test]
fn limits_change_live_and_roll_back() {
    if !ready("limits_change_live_and_roll_back", &["memory", "pids"]) {
        return;
    }
    let place = Place::new("cg-update");
    let config = limited(&place, "update", r#"{"pids": {"limit": 20}, "memory": {"limit": 33554432}}"#);
    let container = Factory::new().unwrap().create(place.join("c"), &config).unwrap();
    let update = |text: &str| container.update(&serde_json::from_str(text).unwrap());
    let limit = || {
        let group = container.group().unwrap();
        let (dir, _) = group.controller("pids").unwrap();
        dir.read("pids.max").unwrap()
    };
    update(r#"{"pids": {"limit": 30}}"#).unwrap();
    assert_eq!(limit(), "30");
    let loaded = Factory::new().unwrap().load(place.join("c")).unwrap();
    assert_eq!(loaded.config().cgroups.unwrap().resources.pids.unwrap().limit, Some(30));
    let refused = update(r#"{"pids": {"limit": 40}, "cpu": {"cpus": "4000"}}"#).unwrap_err();
    assert!(refused.to_string().contains("4000"), "{refused}");
    assert_eq!(limit(), "30", "{refused}");
    assert_eq!(update(r#"{"cpu": {"quota": 5}}"#).unwrap_err().kind(), ErrorKind::InvalidConfig);
    container.destroy().unwrap();
    assert!(update(r#"{"pids": {"limit": 30}}"#).is_err());
}

#[test]
fn stats_agree_with_the_files() {
    if !ready("stats_agree_with_the_files", &["memory", "pids"]) {
        return;
    }
    let place = Place::new("cg-stats");
    let config = limited(&place, "stats", r#"{"memory": {"limit": 67108864}}"#);
    let container = Factory::new().unwrap().create(place.join("c"), &config).unwrap();
    let busy = container.start(ProcessConfig::new(["sh", "-c", "while true; do :; done"])).unwrap();
    let first = container.stats().unwrap();
    assert_eq!(first.cpu_percent, None);
    let mut second = first;
    until("it has run since the last look", || {
        std::thread::sleep(Duration::from_millis(300));
        second = container.stats().unwrap();
        second.cpu_percent.is_some_and(|percent| percent > 0.0)
    });
    let json = serde_json::to_value(&second).unwrap();
    assert!(json["cgroup_stats"].is_object(), "{json}");
    let group = container.group().unwrap();
    let number = |controller: &str, v1: &str, v2: &str| {
        let (dir, version) = group.controller(controller).unwrap();
        let text = dir.read(if version == Version::V1 { v1 } else { v2 }).unwrap();
        text.trim().parse::<u64>().ok()
    };
    assert_eq!(second.cgroup.pids.current, number("pids", "pids.current", "pids.current"));
    assert_eq!(second.cgroup.pids.current, Some(2));
    let limit = number("memory", "memory.limit_in_bytes", "memory.max");
    assert_eq!((limit, second.cgroup.memory.total.limit), (Some(64 << 20), Some(Limit::At(64 << 20))));
    // It grows and shrinks: the number lies between the peak and nothing.
    let peak = container.stats().unwrap().cgroup.memory.total.max_usage;
    assert!(
        second
            .cgroup
            .memory
            .total
            .usage
            .is_some_and(|usage| usage > 0 && peak.is_none_or(|peak| usage <= peak))
    );
    assert!(serde_json::to_value(second.legacy()).unwrap()["memory_stats"].is_object());
    // What stands still says the same in the file and here.
    container.pause_within(Duration::from_secs(10)).unwrap();
    let still = container.stats().unwrap().cgroup;
    let group = container.group().unwrap();
    let file = |controller: &str, v1: &str, v2: &str| {
        let (dir, version) = group.controller(controller).unwrap();
        dir.read(if version == Version::V1 { v1 } else { v2 }).unwrap().parse::<u64>().ok()
    };
    assert_eq!(still.pids.current, file("pids", "pids.current", "pids.current"));
    assert_eq!(still.memory.total.limit, Some(Limit::At(67_108_864)));
    assert_eq!(file("memory", "memory.limit_in_bytes", "memory.max"), Some(67_108_864));
    assert_eq!(still.memory.total.usage, file("memory", "memory.usage_in_bytes", "memory.current"));
    if group.controller("cpuacct").is_some() {
        assert_eq!(still.cpu.usage, file("cpuacct", "cpuacct.usage", ""));
    }
    container.resume().unwrap();
    drop(busy);
    container.destroy().unwrap();
    assert!(container.stats().is_err());
}

#[test]
fn without_a_group_the_calls_say_so() {
    if !able("without_a_group_the_calls_say_so") {
        return;
    }
    let place = Place::new("cg-none");
    let container =
        Factory::new().unwrap().create(place.join("c"), &config(&place.rootfs().unwrap())).unwrap();
    for error in
        [container.stats().unwrap_err(), container.pause().unwrap_err(), container.events().unwrap_err()]
    {
        assert!(error.to_string().contains("no control group"), "{error}");
    }
    container.destroy().unwrap();
}

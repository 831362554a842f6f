//! Against the systemd that runs the machine.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libcontainer::cgroups::Layout;
use libcontainer::cgroups::discovery::Mode;
use libcontainer::cgroups::stats::Limit;
use libcontainer::cgroups::systemd::is_running;
use libcontainer::{Cgroup, Config, ErrorKind, Factory, ProcessConfig};
use libcontainer_tests::{Place, able, config, skip};

/// Whether the test can run; else says why not.
pub(crate) fn ready(name: &str) -> bool {
    if able(name) && !is_running().unwrap() {
        skip(name, "systemd does not run this machine (in a guest: cargo xtask test --vm --cg systemd)");
    }
    able(name) && is_running().unwrap()
}

fn scoped(place: &Place) -> Config {
    let resources = r#"{"memory": {"limit": 67108864}, "pids": {"limit": 50}, "cpu": {"quota": 50000, "period": 100000}}"#;
    let resources = serde_json::from_str(resources).unwrap();
    let block = Cgroup { systemd: true, resources, ..Cgroup::default() };
    Config { cgroups: Some(block), ..config(&place.rootfs().unwrap()) }
}

fn sleeper() -> ProcessConfig {
    ProcessConfig::new(["sleep", "1000"])
}

/// What systemctl says of a property.
pub(crate) fn show(unit: &str, property: &str) -> String {
    let output = Command::new("systemctl").args(["show", "--value", "-p", property, unit]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Waits until systemd knows nothing of the unit.
fn forgotten(unit: &str) {
    let end = Instant::now() + Duration::from_secs(60);
    while show(unit, "LoadState") != "not-found" || show(unit, "ActiveState") != "inactive" {
        assert!(Instant::now() < end, "{unit}: {} {}", show(unit, "LoadState"), show(unit, "ActiveState"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn limits_are_properties_and_nothing_remains() {
    if !ready("limits_are_properties_and_nothing_remains") {
        return;
    }
    let place = Place::new("sd-life");
    let id = place.path().file_name().unwrap().to_str().unwrap().to_owned();
    let (container, _process) =
        Factory::new().unwrap().run(place.join(&id), &scoped(&place), sleeper()).unwrap();
    let unit = format!("libcontainer-{id}.scope");
    assert_eq!(show(&unit, "ActiveState"), "active");
    assert_eq!(show(&unit, "Slice"), "system.slice");
    assert_eq!(show(&unit, "Delegate"), "yes");
    let places = container.group().unwrap().places().to_vec();
    let memory = if places.iter().any(|one| one.controllers.contains(&"memory".to_owned()) && !one.unified) {
        "MemoryLimit"
    } else {
        "MemoryMax"
    };
    assert_eq!(show(&unit, memory), "67108864");
    assert_eq!(show(&unit, "TasksMax"), "50");
    assert_eq!(show(&unit, "CPUQuotaPerSecUSec"), "500ms");
    assert!(show(&unit, "ControlGroup").ends_with(&unit));
    assert_eq!(container.stats().unwrap().cgroup.pids.limit.unwrap(), Limit::At(50));

    let new = serde_json::from_str(
        r#"{"pids": {"limit": 60}, "memory": {"limit": 134217728}, "cpu": {"quota": 12345}}"#,
    )
    .unwrap();
    container.update(&new).unwrap();
    assert_eq!((show(&unit, memory).as_str(), show(&unit, "TasksMax").as_str()), ("134217728", "60"));
    // systemd rounds, and the control file has what the unit has.
    assert_eq!(show(&unit, "CPUQuotaPerSecUSec"), "130ms");
    let group = container.group().unwrap();
    let (cpu, version) = group.controller("cpu").unwrap();
    let agrees = || match version {
        libcontainer::cgroups::stats::Version::V1 => cpu.read("cpu.cfs_quota_us").unwrap() == "13000",
        libcontainer::cgroups::stats::Version::V2 => cpu.read("cpu.max").unwrap() == "13000 100000",
    };
    assert!(agrees());

    // systemd re-reads its units, and leaves the container alone.
    assert!(Command::new("systemctl").arg("daemon-reload").status().unwrap().success());
    assert!(agrees());
    assert_eq!(container.stats().unwrap().cgroup.pids.limit.unwrap(), Limit::At(60));
    container.pause_within(Duration::from_secs(20)).unwrap();
    container.resume().unwrap();
    container.start(ProcessConfig::new(["true"])).unwrap().wait().unwrap();
    container.destroy().unwrap();
    forgotten(&unit);
    for one in places {
        assert!(!one.path().exists(), "{}", one.path().display());
    }
}

#[test]
fn the_creator_is_killed() {
    if !ready("the_creator_is_killed") {
        return;
    }
    let place = Place::new("sd-kill");
    let id = place.path().file_name().unwrap().to_str().unwrap().to_owned();
    let program = std::env::current_exe().unwrap().parent().unwrap().parent().unwrap().join("nsinit");
    if !program.exists() {
        return skip("the_creator_is_killed", "nsinit is not built: cargo build -p nsinit");
    }
    let config = Config { args: vec!["sleep".into(), "1000".into()], ..scoped(&place) };
    std::fs::write(place.join("container.json"), config.to_json().unwrap()).unwrap();
    let mut child = Command::new(program)
        .arg("--root")
        .arg(place.join("root"))
        .args(["--systemd-cgroup", "run", "--bundle"])
        .arg(place.path())
        .arg(&id)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let unit = format!("libcontainer-{id}.scope");
    let end = Instant::now() + Duration::from_secs(60);
    while !runs(&place.join("root").join(&id)) {
        assert!(Instant::now() < end, "{unit} does not run");
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(show(&unit, "ActiveState"), "active");
    Factory::new().unwrap().destroy(place.join("root").join(&id)).unwrap();
    forgotten(&unit);
}

fn runs(path: &Path) -> bool {
    let container = Factory::new().unwrap().load(path);
    container.is_ok_and(|container| {
        container.run_state().is_ok_and(|state| state == libcontainer::RunState::Running)
    })
}

/// systemd takes a directory that is there for its unit, with all that is set in it.
#[test]
fn a_frozen_group_in_the_place_of_a_scope_is_refused() {
    let name = "a_frozen_group_in_the_place_of_a_scope_is_refused";
    if !ready(name) {
        return;
    }
    if Layout::of_this_process().unwrap().mode != Mode::Unified {
        return skip(name, "only version 2 freezes in the hierarchy that systemd uses");
    }
    let place = Place::new("sd-frozen");
    let id = place.path().file_name().unwrap().to_str().unwrap().to_owned();
    let group = Path::new("/sys/fs/cgroup/system.slice").join(format!("libcontainer-{id}.scope"));
    std::fs::create_dir(&group).unwrap();
    std::fs::write(group.join("cgroup.freeze"), "1").unwrap();
    let refused = Factory::new().unwrap().run(place.join(&id), &scoped(&place), sleeper()).unwrap_err();
    std::fs::remove_dir(&group).unwrap();
    assert_eq!(refused.kind(), ErrorKind::InvalidConfig, "{refused}");
    assert!(refused.to_string().contains("is frozen"), "{refused}");
}

//! Against the manager of straw: what is asked of systemd and when, and what a refusal leaves.

use std::process::{Command, Stdio};

use libcontainer::cgroups::stats::Limit;
use libcontainer::cgroups::systemd::Environment;
use libcontainer::cgroups::{Layout, Resources};
use libcontainer::{Cgroup, Config, ErrorKind, Factory, Intent, ProcessConfig, RunState};
use libcontainer_tests::{Place, able, config, skip, text};

use super::straw::Straw;

const LIMITS: &str = r#"{"pids": {"limit": 50}, "cpu": {"quota": 50000, "period": 100000}}"#;

fn ready(name: &str) -> bool {
    let usable = Layout::of_this_process()
        .is_ok_and(|layout| layout.hierarchy("pids").is_some_and(|one| !one.read_only));
    if able(name) && !usable {
        skip(name, "no pids controller that can be used");
    }
    able(name) && usable
}

fn scoped(place: &Place) -> Config {
    let resources: Resources = serde_json::from_str(LIMITS).unwrap();
    let block = Cgroup { systemd: true, slice: "lct-straw.slice".into(), resources, ..Cgroup::default() };
    Config { cgroups: Some(block), ..config(&place.rootfs().unwrap()) }
}

fn sleeper() -> ProcessConfig {
    ProcessConfig::new(["sh", "-c", "cat /proc/self/cgroup; exec sleep 1000"]).piped()
}

fn resources(text: &str) -> Resources {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_life_in_a_scope() {
    if !ready("a_life_in_a_scope") {
        return;
    }
    let place = Place::new("straw-life");
    let straw = Straw::new(&place, "done");
    let factory = Factory::new().unwrap().systemd(straw.environment());
    let config = scoped(&place);
    for _ in 0..2 {
        let (container, _process) = factory.run(place.join("c"), &config, sleeper()).unwrap();
        let places = container.group().unwrap().places().to_vec();
        assert!(
            places.iter().all(|one| one.below.ends_with("lct.slice/lct-straw.slice/libcontainer-c.scope")),
            "{places:?}"
        );
        let started = straw.calls().into_iter().rfind(|call| call.starts_with("StartTransientUnit")).unwrap();
        for part in [
            "\"libcontainer-c.scope\"",
            "(\"Slice\", \"lct-straw.slice\")",
            "(\"Delegate\", true)",
            "(\"TasksMax\", 50)",
            "(\"CPUQuotaPerSecUSec\", 500000)",
            "\"PIDs\"",
        ] {
            assert!(started.contains(part), "{part} in {started}");
        }
        let joined = container.start(ProcessConfig::new(["cat", "/proc/self/cgroup"]).piped()).unwrap();
        let joined = text(&joined.output(10_000).unwrap());
        let unified = places.iter().any(|one| one.unified && one.controllers.contains(&"pids".to_owned()));
        let of_pids = |line: &&str| if unified { line.starts_with("0::") } else { line.contains("pids") };
        assert!(joined.lines().find(of_pids).unwrap().ends_with("libcontainer-c.scope"), "{joined}");
        container.pause_within(std::time::Duration::from_secs(10)).unwrap();
        container.resume().unwrap();
        assert!(!container.processes().unwrap().is_empty());
        assert_eq!(container.stats().unwrap().cgroup.pids.limit.unwrap(), Limit::At(50));
        container.update(&resources(r#"{"pids": {"limit": 60}}"#)).unwrap();
        assert!(straw.calls().iter().any(|call| {
            call.starts_with("SetUnitProperties(\"libcontainer-c.scope\", true, [(\"TasksMax\", 60)])")
        }));
        assert_eq!(container.stats().unwrap().cgroup.pids.limit.unwrap(), Limit::At(60));
        // Another handle, as another process would have it.
        factory.load(place.join("c")).unwrap().destroy().unwrap();
        assert_eq!(container.run_state().unwrap(), RunState::Destroyed);
        assert!(!straw.has_units());
        assert_eq!(straw.scopes(), Vec::<std::path::PathBuf>::new());
    }
}

#[test]
fn a_refused_value_brings_the_property_back() {
    if !ready("a_refused_value_brings_the_property_back") {
        return;
    }
    if Layout::of_this_process().unwrap().hierarchy("cpuset").is_none() {
        return skip("a_refused_value_brings_the_property_back", "no cpuset controller");
    }
    let place = Place::new("straw-back");
    let straw = Straw::new(&place, "done");
    let factory = Factory::new().unwrap().systemd(straw.environment());
    let (container, _process) = factory.run(place.join("c"), &scoped(&place), sleeper()).unwrap();
    let refused = container.update(&resources(r#"{"pids": {"limit": 70}, "cpu": {"cpus": "4000"}}"#));
    assert!(refused.unwrap_err().to_string().contains("cpuset.cpus"));
    let sets: Vec<String> = straw.calls().into_iter().filter(|call| call.starts_with("SetUnit")).collect();
    assert!(sets[0].contains("(\"TasksMax\", 70)") && sets[1].contains("(\"TasksMax\", 50)"), "{sets:?}");
    assert_eq!(container.stats().unwrap().cgroup.pids.limit.unwrap(), Limit::At(50));
    container.destroy().unwrap();
    assert!(!straw.has_units() && straw.scopes().is_empty());
}

#[test]
fn a_job_that_fails() {
    if !ready("a_job_that_fails") {
        return;
    }
    let place = Place::new("straw-fails");
    let straw = Straw::new(&place, "failed");
    let factory = Factory::new().unwrap().systemd(straw.environment());
    let error = factory.run(place.join("c"), &scoped(&place), sleeper()).unwrap_err().to_string();
    assert!(error.contains("StartTransientUnit") && error.contains("failed"), "{error}");
    assert!(!place.join("c").exists() && straw.scopes().is_empty());
}

#[test]
fn no_systemd_is_one_clear_error() {
    if !ready("no_systemd_is_one_clear_error") {
        return;
    }
    let place = Place::new("straw-none");
    let nowhere = Some(format!("unix:path={}", place.join("nowhere").display()).into());
    let nowhere =
        Environment { system_address: nowhere.clone(), session_address: nowhere, ..Environment::default() };
    let factory = Factory::new().unwrap().systemd(nowhere);
    let error = factory.run(place.join("c"), &scoped(&place), sleeper()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let error = error.to_string();
    assert!(error.contains("no systemd") && error.contains("nowhere"), "{error}");
    assert!(!place.join("c").exists());
}

/// In its own pid namespace a process has a number that is another process to systemd, which would move that one.
#[test]
fn another_pid_namespace_is_refused() {
    if !ready("another_pid_namespace_is_refused") {
        return;
    }
    let place = Place::new("straw-pidns");
    let straw = Straw::new(&place, "done");
    let config = Config { args: vec!["true".into()], ..scoped(&place) };
    std::fs::write(place.join("container.json"), config.to_json().unwrap()).unwrap();
    // The program is built beside this test.
    let program = std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("nsinit");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc"]).arg(program).arg("--root").arg(place.join("state"));
    command.args(["run", "--bundle"]).arg(place.path()).arg("c");
    command.env("DBUS_SYSTEM_BUS_ADDRESS", straw.environment().system_address.unwrap());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("another pid namespace"), "{told}");
    assert_eq!(straw.calls(), Vec::<String>::new());
    assert!(!place.join("state/c").exists());
}

#[test]
fn whatever_fails_nothing_remains() {
    if !ready("whatever_fails_nothing_remains") {
        return;
    }
    let place = Place::new("straw-faults");
    let straw = Straw::new(&place, "done");
    let factory = Factory::new().unwrap().systemd(straw.environment());
    let config = scoped(&place);
    let plan = factory.explain(&config, Some(&sleeper())).unwrap();
    for step in plan.steps(libcontainer::plan::Lane::Host) {
        let fault = libcontainer::plan::Fault {
            lane: libcontainer::plan::Lane::Host,
            step: step.index,
            errno: libc::EIO,
        };
        let _ = factory
            .clone()
            .inject(fault)
            .create_with(place.join("c"), &config, sleeper())
            .map(|(container, _)| container.destroy().unwrap());
        assert!(!place.join("c").exists(), "{}", step.call);
        assert!(!straw.has_units() && straw.scopes().is_empty(), "{}", step.call);
    }
}

#[test]
fn the_record_names_the_unit_before_it_is_there() {
    if !ready("the_record_names_the_unit_before_it_is_there") {
        return;
    }
    let place = Place::new("straw-record");
    let straw = Straw::new(&place, "done");
    let file = place.join("c").join("state.json");
    let known = std::sync::Arc::clone(&straw.known);
    let watched = move |_| {
        let started = known.lock().unwrap().calls.iter().any(|call| call.starts_with("StartTransientUnit"));
        if started {
            let text = std::fs::read_to_string(&file).unwrap();
            let state: libcontainer::State = serde_json::from_str(&text).unwrap();
            assert!(
                state.intent.iter().any(
                    |intent| matches!(intent, Intent::Unit(unit) if unit.name == "libcontainer-c.scope")
                )
            );
        }
    };
    let factory = Factory::new().unwrap().systemd(straw.environment()).observe(watched);
    let (container, _process) = factory.run(place.join("c"), &scoped(&place), sleeper()).unwrap();
    container.destroy().unwrap();
}

/// Who removes its directory by hand has not ended the container, nor its unit.
#[test]
fn a_scope_whose_directory_somebody_took_away_is_ended_by_the_handle() {
    if !ready("a_scope_whose_directory_somebody_took_away_is_ended_by_the_handle") {
        return;
    }
    let place = Place::new("straw-taken");
    let straw = Straw::new(&place, "done");
    let factory = Factory::new().unwrap().systemd(straw.environment());
    let config = scoped(&place);
    let (container, process) = factory.run(place.join("c"), &config, sleeper()).unwrap();
    std::fs::remove_dir_all(container.path()).unwrap();
    container.destroy().unwrap();
    assert!(process.wait_timeout(std::time::Duration::from_secs(10)).unwrap().is_some());
    assert!(!straw.has_units(), "{:?}", straw.calls());
    assert_eq!(straw.scopes(), Vec::<std::path::PathBuf>::new());
    // A namesake in its directory is another container, whose unit has the same words.
    let (other, _process) = factory.run(place.join("c"), &config, sleeper()).unwrap();
    container.destroy().unwrap();
    assert_eq!(other.run_state().unwrap(), RunState::Running);
    assert!(straw.has_units());
    other.destroy().unwrap();
    assert!(!straw.has_units());
}

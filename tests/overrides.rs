//! What a process that joins says of itself holds over what the container's config says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use std::collections::BTreeMap;

use libcontainer::{CapabilitySets, Config, Container, Factory, ProcessConfig, Stdio};
use libcontainer_tests::{Place, able, config, text};

/// A container whose config says something else of everything that is looked at.
fn container(place: &Place) -> Container {
    let config = Config {
        additional_groups: vec!["77".into()],
        rlimits: serde_json::from_str(r#"[{"type":"NOFILE","soft":64,"hard":64}]"#).unwrap(),
        oom_score_adj: Some(400),
        umask: Some(0o27),
        scheduler: serde_json::from_str(r#"{"policy":"SCHED_BATCH","nice":3}"#).unwrap(),
        io_priority: serde_json::from_str(r#"{"class":"IOPRIO_CLASS_BE","priority":6}"#).unwrap(),
        cpu_affinity: serde_json::from_str(r#"{"final":"0"}"#).unwrap(),
        cgroups: Some(place.cgroup()),
        ..config(&place.rootfs().unwrap())
    };
    Factory::new().unwrap().create(place.join("c"), &config).unwrap()
}

fn output(container: &Container, process: ProcessConfig) -> String {
    text(&container.start(process.piped()).unwrap().output(1 << 20).unwrap())
}

fn sh(script: &str) -> ProcessConfig {
    ProcessConfig::new(["sh", "-c", script])
}

const LOOK: &str = "id -G; umask; ulimit -n; cat /proc/self/oom_score_adj; set -- $(cat /proc/$$/stat); echo nice ${19}; \
    busybox ionice -p $$; grep -E 'CapEff|NoNewPrivs' /proc/$$/status";

#[test]
fn a_process_is_what_it_says_of_itself() {
    if !able("a_process_is_what_it_says_of_itself") {
        return;
    }
    let place = Place::new("over");
    let container = container(&place);
    let found = output(&container, sh(LOOK));
    let wanted =
        "0 77\n0027\n64\n400\nnice 3\nbest-effort: prio 6\nCapEff:\t00000000000000e3\nNoNewPrivs:\t0\n";
    assert_eq!(found, wanted);
    let kill = vec!["KILL".to_owned()];
    let sets = CapabilitySets {
        bounding: kill.clone(),
        effective: kill.clone(),
        permitted: kill,
        ..CapabilitySets::default()
    };
    let process = ProcessConfig {
        additional_groups: Some(vec!["wheel".into()]),
        umask: Some(0o22),
        rlimits: Some(serde_json::from_str(r#"[{"type":"NOFILE","soft":32,"hard":32}]"#).unwrap()),
        oom_score_adj: Some(500),
        scheduler: Some(serde_json::from_str(r#"{"policy":"SCHED_OTHER","nice":5}"#).unwrap()),
        io_priority: Some(serde_json::from_str(r#"{"class":"IOPRIO_CLASS_BE","priority":1}"#).unwrap()),
        capability_sets: Some(sets),
        no_new_privileges: Some(true),
        ..sh(LOOK)
    };
    let wanted =
        "0 10\n0022\n32\n500\nnice 5\nbest-effort: prio 1\nCapEff:\t0000000000000020\nNoNewPrivs:\t1\n";
    assert_eq!(output(&container, process), wanted);
    container.destroy().unwrap();
}

#[test]
fn a_process_has_its_own_cpus() {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    if !able("a_process_has_its_own_cpus") || !online.starts_with("0-") {
        libcontainer_tests::skip("a_process_has_its_own_cpus", "needs two processors");
        return;
    }
    let place = Place::new("over-cpus");
    let container = container(&place);
    let look = || sh("grep Cpus_allowed_list /proc/self/status");
    assert_eq!(output(&container, look()), "Cpus_allowed_list:\t0\n");
    let cpu_affinity = Some(serde_json::from_str(r#"{"final":"1"}"#).unwrap());
    assert_eq!(output(&container, ProcessConfig { cpu_affinity, ..look() }), "Cpus_allowed_list:\t1\n");
    container.destroy().unwrap();
}

#[test]
fn a_subgroup_is_made_and_goes_with_the_container() {
    if !able("a_subgroup_is_made_and_goes_with_the_container") {
        return;
    }
    let place = Place::new("over-group");
    let container = container(&place);
    let groups: Vec<_> = container.group().unwrap().places().iter().map(|place| place.path()).collect();
    for subgroup in ["a/b", "a/b", "a"] {
        let process = ProcessConfig { subgroup: Some(subgroup.into()), stdin: Stdio::Pipe, ..sh("read x") };
        let mut process = container.start(process).unwrap();
        for group in &groups {
            let tasks = std::fs::read_to_string(group.join(subgroup).join("cgroup.procs")).unwrap();
            assert!(
                tasks.lines().any(|pid| pid == process.pid().to_string()),
                "{}: {tasks}",
                group.display()
            );
        }
        process.wait().unwrap();
    }
    assert!(container.start(ProcessConfig { subgroup: Some("../a".into()), ..sh("") }).is_err());
    container.destroy().unwrap();
    assert!(groups.iter().all(|group| !group.exists()));
}

#[test]
fn a_subgroup_of_a_controller_has_to_be_there() {
    if !able("a_subgroup_of_a_controller_has_to_be_there") {
        return;
    }
    let place = Place::new("over-groups");
    let container = container(&place);
    let places = container.group().unwrap().places().to_vec();
    let is_memory =
        |place: &libcontainer::cgroups::Place| place.controllers.iter().any(|name| name == "memory");
    let there = places.iter().find(|place| is_memory(place)).unwrap().path().join("there");
    std::fs::create_dir(&there).unwrap();
    let into = |name: &str, path: &str, script: &str| {
        let subgroups = BTreeMap::from([(name.to_owned(), path.into())]);
        ProcessConfig { subgroups, stdin: Stdio::Pipe, ..sh(script) }
    };
    let mut process = container.start(into("memory", "there", "read x")).unwrap();
    for place in &places {
        let group = if is_memory(place) { there.clone() } else { place.path() };
        let tasks = std::fs::read_to_string(group.join("cgroup.procs")).unwrap();
        assert!(tasks.lines().any(|pid| pid == process.pid().to_string()), "{}: {tasks}", group.display());
    }
    process.wait().unwrap();
    for (name, path, why) in [
        ("", "missing", "/missing/cgroup.procs: no such file or directory"),
        ("memory", "missing", "/missing/cgroup.procs: no such file or directory"),
        ("memory", "..", ".. is not a sub cgroup path"),
        ("whaaat", "", "unknown controller whaaat"),
    ] {
        let error = container.start(into(name, path, "")).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    container.destroy().unwrap();
}

#[test]
fn a_paused_container_takes_a_process_if_that_is_asked_for() {
    if !able("a_paused_container_takes_a_process_if_that_is_asked_for") {
        return;
    }
    let place = Place::new("over-paused");
    let container = container(&place);
    container.pause_within(std::time::Duration::from_secs(10)).unwrap();
    assert!(container.start(sh("true")).unwrap_err().to_string().contains("paused"));
    std::thread::scope(|scope| {
        let started = scope.spawn(|| {
            let process = ProcessConfig { ignore_paused: true, ..sh("echo in") };
            output(&container, process)
        });
        container.resume().unwrap();
        assert_eq!(started.join().unwrap(), "in\n");
    });
    container.destroy().unwrap();
}

/// Behind each step of the host once: the process may be in the group by then, and stand still.
#[test]
fn a_container_that_is_paused_while_a_process_joins_is_told_as_that() {
    if !able("a_container_that_is_paused_while_a_process_joins_is_told_as_that") {
        return;
    }
    let place = Place::new("over-pausing");
    let path = place.join("c");
    let first = container(&place).processes().unwrap();
    let mut told = 0;
    for number in 0..100 {
        let pausing = Factory::new().unwrap().load(&path).unwrap();
        let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let paused = std::sync::Arc::clone(&done);
        let factory = Factory::new().unwrap().observe(move |step| {
            if step == number {
                pausing.pause_within(std::time::Duration::from_secs(10)).unwrap();
                paused.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        });
        let container = factory.load(&path).unwrap();
        let started = container.start(sh("true"));
        container.resume().unwrap();
        match started {
            Ok(mut process) => drop(process.wait().unwrap()),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("was paused while the process was on its way in"), "{number}: {text}");
                assert_eq!(error.kind(), libcontainer::ErrorKind::WrongState, "{text}");
                told += 1;
            }
        }
        // On version 1 what stood still dies now.
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while container.processes().unwrap() != first && std::time::Instant::now() < until {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(container.processes().unwrap(), first, "{number}");
        if !done.load(std::sync::atomic::Ordering::Relaxed) {
            assert!(number > 3 && told > 0, "{number} {told}");
            break;
        }
    }
    Factory::new().unwrap().destroy(&path).unwrap();
}

#[test]
fn a_terminal_has_its_size_when_the_program_begins() {
    if !able("a_terminal_has_its_size_when_the_program_begins") {
        return;
    }
    let place = Place::new("over-size");
    let container = container(&place);
    let mut process = container
        .start(ProcessConfig {
            terminal: true,
            terminal_size: Some((33, 77)),
            ..ProcessConfig::new(["busybox", "stty", "size"])
        })
        .unwrap();
    process.wait().unwrap();
    let terminal = process.terminal.take().unwrap();
    let mut bytes = [0; 64];
    let count = std::io::Read::read(&mut terminal.file(), &mut bytes).unwrap();
    assert_eq!(String::from_utf8_lossy(bytes.get(..count).unwrap()), "33 77\r\n");
    container.destroy().unwrap();
}

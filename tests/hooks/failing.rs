//! Hooks that fail.

use std::time::{Duration, Instant};

use libcontainer::{Config, Error, ErrorKind, Factory, Hook, ProcessConfig, RunState};
use libcontainer_tests::{Place, World, able};

use super::{NAMES, all, lines, list, logging, sh, telling};

/// Makes and runs it in each way; the error of either.
fn failed(way: &str, place: &Place, config: &Config) -> Error {
    let factory = Factory::new().unwrap();
    let program = || ProcessConfig::new(["sh", "-c", "sleep 1000"]);
    let path = place.join("c");
    match way {
        "reaper" => factory.create(&path, config).map(drop).unwrap_err(),
        "run" => factory.run(&path, config, program()).map(drop).unwrap_err(),
        _ => match factory.create_with(&path, config, program()) {
            Err(error) => error,
            Ok((container, mut process)) => {
                let error = container.run().unwrap_err();
                assert_eq!(container.run_state().unwrap(), RunState::Destroyed);
                assert_eq!(process.wait().unwrap().signal(), Some(libc::SIGKILL));
                error
            }
        },
    }
}

/// The second hook of a list fails: the third is not run, nor any of a later list but `poststop`, and nothing remains.
#[test]
fn a_failing_hook_ends_the_container() {
    if !able("a_failing_hook_ends_the_container") {
        return;
    }
    for (at, name) in NAMES[..5].iter().enumerate() {
        for way in ["reaper", "run", "created"] {
            let place = Place::new("hooks-fail");
            let (config, log) = logging(&place);
            let order = log.join("order");
            let mut hooks = all(&format!("echo @ >> {}", order.display()));
            let good = list(&mut hooks, name)[0].clone();
            *list(&mut hooks, name) = vec![good.clone(), sh("echo out; echo err >&2; exit 3"), good];
            let config = Config { hooks, cgroups: Some(place.cgroup()), ..config };
            let text = failed(way, &place, &config).to_string();
            let wanted = format!("error running {name} hook #1: /bin/sh: exit status 3: out\nerr");
            assert!(text.contains(&wanted), "{way}: {text}");
            let mut wanted: Vec<_> = NAMES[..=at].to_vec();
            wanted.push("poststop");
            assert_eq!(lines(&order), wanted, "{way}, {name}");
            assert_eq!(World::look(place.path()).groups().count(), 0, "{way}, {name}");
            assert!(!place.join("c").exists());
        }
    }
}

#[test]
fn a_failing_poststop_is_a_warning() {
    if !able("a_failing_poststop_is_a_warning") {
        return;
    }
    let place = Place::new("hooks-stop");
    let (mut config, log) = logging(&place);
    let good = sh(&format!("echo x >> {}/ran", log.display()));
    config.hooks.poststop = vec![good.clone(), sh("echo no; false"), good];
    let (factory, heard) = telling();
    factory.create(place.join("c"), &config).unwrap().destroy().unwrap();
    assert_eq!(lines(&log.join("ran")).len(), 2, "the others run");
    let wanted = "destroy \"c\": error running poststop hook #1: /bin/sh: exit status 1: no";
    assert_eq!(*heard.lock().unwrap(), [wanted]);
    assert!(!place.join("c").exists());
}

/// By the second file, when the record is damaged.
#[test]
fn poststop_runs_with_a_damaged_record_too() {
    if !able("poststop_runs_with_a_damaged_record_too") {
        return;
    }
    let place = Place::new("hooks-damage");
    let (mut config, log) = logging(&place);
    config.labels.insert("a".into(), "b".into());
    config.hooks.poststop = vec![sh(&format!("cat > {}/state", log.display()))];
    let factory = Factory::new().unwrap();
    factory.create(place.join("c"), &config).unwrap();
    std::fs::write(place.join("c/state.json"), "{").unwrap();
    factory.destroy(place.join("c")).unwrap();
    let state: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(log.join("state")).unwrap()).unwrap();
    assert_eq!(state["annotations"]["a"], "b");
}

/// What can't be run, in each list.
#[test]
fn a_hook_that_is_not_there() {
    if !able("a_hook_that_is_not_there") {
        return;
    }
    let place = Place::new("hooks-none");
    let (config, log) = logging(&place);
    let closed = log.join("closed");
    std::fs::write(&closed, "#!/bin/sh\n").unwrap();
    let cases = [
        (
            "/no/such/hook".to_owned(),
            "/no/such/hook: ENOENT: No such file or directory",
            ErrorKind::StartFailed,
        ),
        (closed.display().to_string(), ": EACCES: Permission denied", ErrorKind::PermissionDenied),
    ];
    for name in &NAMES[..5] {
        for (path, wanted, kind) in &cases {
            let mut config = config.clone();
            *list(&mut config.hooks, name) = vec![Hook { path: path.into(), ..Hook::default() }];
            let error = failed("created", &place, &config);
            let text = error.to_string();
            assert!(text.contains(&format!("error running {name} hook #0: {path}")), "{text}");
            assert!(text.contains(wanted), "{text}");
            assert_eq!(error.kind(), *kind, "{text}");
        }
    }
}

/// The time is up: the hook and what it has started are killed.
#[test]
fn a_hook_that_hangs_is_killed_with_its_group() {
    if !able("a_hook_that_hangs_is_killed_with_its_group") {
        return;
    }
    for name in NAMES[..5].iter() {
        let place = Place::new("hooks-hang");
        let (mut config, log) = logging(&place);
        let script = format!("echo begun; sleep 1000 & echo $! > {}/pid; trap '' TERM; wait", log.display());
        *list(&mut config.hooks, name) = vec![Hook { timeout: Some(1), ..sh(&script) }];
        let begin = Instant::now();
        let text = failed("created", &place, &config).to_string();
        assert!(begin.elapsed() >= Duration::from_secs(1));
        let wanted = format!("error running {name} hook #0: /bin/sh: killed after its timeout of 1 s: begun");
        assert!(text.contains(&wanted), "{text}");
        // Inside it has another number.
        if !["createContainer", "startContainer"].contains(name) {
            let pid: i32 = lines(&log.join("pid"))[0].parse().unwrap();
            // It is on its way out: only the hook itself is waited for.
            let end = Instant::now() + Duration::from_secs(20);
            let lives = || {
                let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
                !(state.is_empty() || state.contains(") Z ") || state.contains(") X "))
            };
            while lives() {
                assert!(Instant::now() < end, "{name}: {pid} lives");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        assert!(!place.join("c").exists());
    }
}

#[test]
fn a_killed_hook_and_long_output_are_told() {
    if !able("a_killed_hook_and_long_output_are_told") {
        return;
    }
    let place = Place::new("hooks-killed");
    let (mut config, _) = logging(&place);
    config.hooks.create_runtime = vec![sh("printf 'a\\033[1m\\n'; kill -9 $$")];
    let text = failed("run", &place, &config).to_string();
    assert!(text.ends_with("hook #0: /bin/sh: ended by signal 9: a?[1m"), "{text}");
    config.hooks.create_runtime = vec![sh("head -c 1000000 /dev/zero | tr '\\0' x; exit 1")];
    let text = failed("run", &place, &config).to_string();
    assert!(text.ends_with("xxx (the first 64 KiB of more)"), "{}", text.len());
    assert!((65_536..66_000).contains(&text.len()));
}

/// Another process may start it, which knows the config alone.
#[test]
fn with_start_hooks_the_config_says_what_the_program_may() {
    if !able("with_start_hooks_the_config_says_what_the_program_may") {
        return;
    }
    let place = Place::new("hooks-user");
    let (mut config, _) = logging(&place);
    config.hooks.start_container = vec![sh("true")];
    let process = ProcessConfig { user: Some("u".into()), ..ProcessConfig::new(["true"]) };
    let error = Factory::new().unwrap().run(place.join("c"), &config, process).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("/user: with startContainer hooks"), "{error}");
}

/// While a hook runs the container's lock is let go: somebody else may end it.
#[test]
fn a_container_that_is_deleted_while_it_is_made_is_told_as_that() {
    if !able("a_container_that_is_deleted_while_it_is_made_is_told_as_that") {
        return;
    }
    let place = Place::new("hook-deleted");
    let (plain, log) = logging(&place);
    for name in &NAMES[..4] {
        let mut config = plain.clone();
        let begun = log.join("begun");
        let script = format!("echo > {0}; while [ -e {0} ]; do sleep 0.01; done", begun.display());
        *list(&mut config.hooks, name) = vec![sh(&script)];
        let error = std::thread::scope(|scope| {
            let process = libcontainer::ProcessConfig::new(["sleep", "1000"]);
            let making = scope.spawn(|| Factory::new().unwrap().run(place.join("c"), &config, process));
            let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
            while !begun.exists() && std::time::Instant::now() < until {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            assert!(begun.exists(), "{name}");
            let destroyed = Factory::new().unwrap().destroy(place.join("c"));
            std::fs::remove_file(&begun).unwrap();
            destroyed.unwrap();
            making.join().unwrap().map(drop).unwrap_err()
        });
        assert_eq!(error.to_string(), "create \"c\": another process has deleted the container meanwhile");
        assert_eq!(error.kind(), libcontainer::ErrorKind::NotFound);
        assert!(!place.join("c").exists(), "{name}");
    }
}

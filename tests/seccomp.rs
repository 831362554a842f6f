//! System call filters: in force in each program of a container, the last thing before exec, and nothing weaker if one can't be loaded.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use std::time::Duration;

use libcontainer::security::seccomp::{Action, Arg, Operator, Profile, Rule};
use libcontainer::{CapabilitySets, Config, ErrorKind, Factory, ProcessConfig, RunState, Seccomp};
use libcontainer_tests::{Place, able, config, text};

const PATIENCE: Duration = Duration::from_secs(20);

/// What a program can see of its confinement.
const LOOK: &str =
    "grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status; mkdir /tmp/d 2>&1 || echo refused";

fn profile(default: Action, rules: Vec<Rule>) -> Seccomp {
    let mut profile = Profile::new(default);
    profile.syscalls = rules;
    Seccomp::Profile(Box::new(profile))
}

/// Everything is allowed, but making directories.
fn no_mkdir() -> Seccomp {
    profile(Action::Allow, vec![Rule::new(&["mkdir", "mkdirat"], Action::Errno)])
}

fn shell(script: &str) -> ProcessConfig {
    ProcessConfig::new(["sh", "-c", script]).piped()
}

/// What `script` prints in a container of this config.
fn run(place: &Place, config: &Config, script: &str) -> String {
    let (container, process) = Factory::new().unwrap().run(place.join("c"), config, shell(script)).unwrap();
    let output = text(&process.output(1 << 20).unwrap());
    container.destroy().unwrap();
    output
}

/// A config with a directory that everybody can write to.
fn base(place: &Place) -> Config {
    let mut config = config(&place.rootfs().unwrap());
    config.mount_config = Some(
        serde_json::from_str(r#"{"mounts":[{"type":"tmpfs","destination":"/tmp","options":["mode=1777"]}]}"#)
            .unwrap(),
    );
    config
}

/// The filter changes nothing but what it filters: capabilities above all, one of which stays longer for it.
#[test]
fn a_filter_is_in_force_and_leaves_the_rest_alone() {
    if !able("a_filter_is_in_force_and_leaves_the_rest_alone") {
        return;
    }
    let place = Place::new("filter");
    let mut config = base(&place);
    let kill = || vec!["KILL".to_owned()];
    let sets = CapabilitySets {
        bounding: kill(),
        effective: kill(),
        permitted: kill(),
        inheritable: kill(),
        ambient: kill(),
    };
    for user in ["", "1000:1000"] {
        for no_new_privs in [false, true] {
            for sets in [None, Some(sets.clone())] {
                config.user = user.into();
                config.no_new_privileges = no_new_privs;
                config.capability_sets = sets;
                config.seccomp = Seccomp::Unconfined;
                let open = run(&place, &config, LOOK);
                assert!(open.contains("Seccomp:\t0") && !open.contains("refused"), "{open}");
                config.seccomp = no_mkdir();
                let filtered = run(&place, &config, LOOK);
                assert!(filtered.contains("not permitted") && filtered.ends_with("refused\n"), "{filtered}");
                let status = |text: &str| text.lines().take(6).map(str::to_owned).collect::<Vec<_>>();
                assert_eq!(status(&filtered), status(&open), "{user:?} {no_new_privs}");
                assert!(filtered.contains("Seccomp:\t2"), "{filtered}");
            }
        }
    }
}

/// The same for a program that waits, one that joins, and one that is handed to a container that stands by.
#[test]
fn each_way_to_a_program_has_the_filter() {
    if !able("each_way_to_a_program_has_the_filter") {
        return;
    }
    let place = Place::new("filter-ways");
    let config = Config { seccomp: no_mkdir(), ..base(&place) };
    let wanted = run(&place, &config, LOOK);
    assert!(wanted.ends_with("refused\n"), "{wanted}");
    let factory = Factory::new().unwrap();

    let (container, process) = factory.create_with(place.join("waits"), &config, shell(LOOK)).unwrap();
    container.run().unwrap();
    assert_eq!(text(&process.output(1 << 20).unwrap()), wanted);
    container.destroy().unwrap();

    let container = factory.create(place.join("joined"), &config).unwrap();
    let process = container.start(shell(LOOK)).unwrap();
    assert_eq!(text(&process.output(1 << 20).unwrap()), wanted);
    container.destroy().unwrap();

    std::fs::create_dir(place.join("t")).unwrap();
    let template = factory.template(place.join("t"), &config).unwrap();
    template.keep_ready(1).unwrap();
    assert!(template.settle(PATIENCE), "{:?}", template.stats());
    let (container, process) = template.start(shell(LOOK)).unwrap();
    assert_eq!(text(&process.output(1 << 20).unwrap()), wanted);
    assert_eq!(template.stats().handed_over, 1);
    container.destroy().unwrap();
}

/// The filter has to allow nothing for us but exec itself.
#[test]
fn exec_is_all_that_has_to_be_allowed() {
    if !able("exec_is_all_that_has_to_be_allowed") {
        return;
    }
    let place = Place::new("filter-least");
    let mut config = base(&place);
    config.seccomp = profile(Action::KillProcess, vec![Rule::new(&["execve", "brk"], Action::Allow)]);
    for (user, no_new_privs) in [("", false), ("1000:1000", false), ("", true)] {
        (config.user, config.no_new_privileges) = (user.into(), no_new_privs);
        // The program is killed by its own first call that is not allowed: it was executed.
        let factory = Factory::new().unwrap();
        let (container, mut process) =
            factory.run(place.join("c"), &config, ProcessConfig::new(["true"])).unwrap();
        assert_eq!(process.wait().unwrap().signal(), Some(libc::SIGSYS), "{user:?} {no_new_privs}");
        container.destroy().unwrap();
    }
}

/// A start whose program can't be executed under the filter says why, and nothing stays.
#[test]
fn a_filter_that_forbids_exec_is_an_error_of_the_start() {
    if !able("a_filter_that_forbids_exec_is_an_error_of_the_start") {
        return;
    }
    let place = Place::new("filter-noexec");
    let factory = Factory::new().unwrap();
    let mut config = base(&place);
    for (action, wanted) in [(Action::KillProcess, "seccomp"), (Action::Errno, "EPERM")] {
        let path = place.join("c");
        // Whatever its arguments: before anything is made.
        config.seccomp = profile(Action::Allow, vec![Rule::new(&["execve"], action)]);
        let error = factory.create_with(&path, &config, ProcessConfig::new(["true"])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error}");
        assert!(error.to_string().contains("/seccomp: execve always "), "{error}");
        // By what only the kernel sees.
        let mut rule = Rule::new(&["execve"], action);
        rule.args = vec![Arg { index: 0, value: 0, value_two: 0, op: Operator::Ne }];
        config.seccomp = profile(Action::Allow, vec![rule]);
        let error = factory.run(&path, &config, ProcessConfig::new(["true"])).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        assert!(!path.exists());
        let (container, _process) =
            factory.create_with(&path, &config, ProcessConfig::new(["true"])).unwrap();
        let error = container.run().unwrap_err().to_string();
        assert!(error.contains("execve") || error.contains(wanted), "{error}");
        assert_eq!(container.run_state().unwrap(), RunState::Stopped);
        container.destroy().unwrap();
    }
}

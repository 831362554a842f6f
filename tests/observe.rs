//! The observer: what a program did is enough for it to do the same again, and for nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use std::time::Duration;

use libcontainer::observe::{self, Draft};
use libcontainer::security::seccomp::{Arch, Data, Options, compile};
use libcontainer::{Config, Factory, Network, ProcessConfig};
use libcontainer_tests::operator::Operator;
use libcontainer_tests::{Place, able, config, text};

const PATIENCE: Option<Duration> = Some(Duration::from_secs(30));

fn base(place: &Place) -> Config {
    let mut config = config(&place.rootfs().unwrap());
    config.networks = vec![Network { kind: "loopback".to_owned(), ..Network::default() }];
    config.capabilities = ["CHOWN", "KILL", "SETUID"].map(str::to_owned).to_vec();
    config.mount_config = Some(
        serde_json::from_str(r#"{"mounts":[{"type":"tmpfs","destination":"/tmp","options":["mode=1777"]}]}"#)
            .unwrap(),
    );
    config
}

fn shell(script: &str) -> ProcessConfig {
    ProcessConfig::new(["sh", "-c", script]).piped()
}

/// What a script is confined to that did this without an error.
fn observed(place: &Place, config: &Config, script: &str) -> Draft {
    let process = ProcessConfig::new(["sh", "-c", script]);
    let observed =
        observe::run(&Factory::new().unwrap(), place.join("c"), config, process, PATIENCE).unwrap();
    assert_eq!(observed.status.unwrap().code(), Some(0), "{script}");
    assert!(!place.join("c").exists());
    assert_eq!((observed.seen.unread, observed.seen.unknown.len()), (0, 0), "{script}");
    Draft::of(&observed.seen, config)
}

/// Output and code of a script that is confined so.
fn under(place: &Place, config: &Config, draft: &Draft, script: &str) -> (String, Option<i32>) {
    let factory = Factory::new().unwrap();
    let (container, process) =
        factory.run(place.join("c"), &draft.confine(config).unwrap(), shell(script)).unwrap();
    let output = process.output(1 << 20).unwrap();
    container.destroy().unwrap();
    (text(&output) + &String::from_utf8_lossy(&output.stderr), output.status.code())
}

/// Whether the config takes rules on files and ports.
fn has_landlock(draft: &Draft, config: &Config) -> bool {
    let confined = serde_json::to_value(draft.confine(config).unwrap()).unwrap();
    confined.get("landlock").is_some()
}

#[test]
fn what_was_seen_is_allowed_again_and_nothing_else() {
    if !able("what_was_seen_is_allowed_again_and_nothing_else") {
        return;
    }
    let place = Place::new("observe");
    let config = base(&place);
    let first = observed(&place, &config, "true");
    assert_eq!(under(&place, &config, &first, "true").1, Some(0));

    let pipeline =
        "cat /etc/passwd | grep root | wc -l > /tmp/count; cat /tmp/count; mkdir /tmp/d && echo x > /tmp/d/f";
    let draft = observed(&place, &config, pipeline);
    assert_eq!(under(&place, &config, &draft, pipeline), ("1\n".to_owned(), Some(0)));
    let refused = |draft: &Draft, script: &str, word: &str| {
        let (output, code) = under(&place, &config, draft, script);
        assert!(code != Some(0) && output.contains(word), "{script}: {code:?} {output}");
    };
    // Another call, another file, another program, another directory.
    refused(&draft, "mount -t tmpfs none /tmp", "mount:");
    refused(&draft, "busybox ln -s a /tmp/l", "not permitted");
    if has_landlock(&draft, &config) {
        refused(&draft, "cat /etc/group", "Permission denied");
        refused(&draft, "echo x > /etc/passwd", "Permission denied");
        refused(&draft, "mkdir /home/u/d", "Permission denied");
    }
    // What the shorter one did not do.
    refused(&first, "cat /etc/passwd", "");
}

#[test]
fn a_server_has_its_port_and_its_family() {
    if !able("a_server_has_its_port_and_its_family") {
        return;
    }
    let place = Place::new("observe-server");
    let config = base(&place);
    // The client is a second process: it asks until the port is open, or the server has failed. That has nothing to say, and input without an end: the client would
    // leave at the end of what it hears, whether it has spoken or not.
    let server = |port: u16, to: &str| {
        format!(
            "busybox mkfifo /tmp/pipe; (busybox nc -l -p {port} <>/tmp/pipe > /tmp/got; echo > /tmp/over) & \
            until test -e /tmp/over || echo to | busybox nc {to} {port}; do busybox usleep 10000; done; wait; cat /tmp/got"
        )
    };
    let script = server(8080, "127.0.0.1");
    let draft = observed(&place, &config, &script);
    assert_eq!(draft.landlock.connect_tcp, [8080]);
    assert_eq!(draft.landlock.bind_tcp, [8080]);
    let (output, code) = under(&place, &config, &draft, &script);
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("to\n"), "{output}");
    if has_landlock(&draft, &config) {
        let (output, _) = under(&place, &config, &draft, &server(8081, "127.0.0.1"));
        assert!(output.contains("Permission denied") && !output.contains("to\n"), "{output}");
    }
    let filter = compile(&draft.seccomp, &Options::new(Arch::native().unwrap())).unwrap();
    let native = Arch::native().unwrap();
    let outcome = |family: i32| {
        let args = [u64::try_from(family).unwrap(), 1, 0, 0, 0, 0];
        let data = Data::new(native, native.number("socket").unwrap(), args);
        libcontainer::security::seccomp::run(filter.instructions(), &data).unwrap().outcome.to_string()
    };
    assert_eq!(outcome(libc::AF_NETLINK), "fails with EPERM");
    assert_eq!(outcome(libc::AF_PACKET), "fails with EPERM");
    assert_ne!(outcome(libc::AF_INET).replace("AF_INET6", ""), "fails with EPERM");
}

#[test]
fn capabilities_are_kept_that_are_missed() {
    if !able("capabilities_are_kept_that_are_missed") {
        return;
    }
    let place = Place::new("observe-caps");
    let config = base(&place);
    let script = "touch /tmp/f && busybox chown 5 /tmp/f && kill -0 $$";
    let draft = observed(&place, &config, script);
    assert_eq!(draft.capabilities, ["CHOWN", "KILL"]);
    let mut runs = 0;
    let mut same = |draft: &Draft| {
        runs += 1;
        Ok(under(&place, &config, draft, script).1 == Some(0))
    };
    let tried = observe::least(draft, &config, &mut same).unwrap();
    assert_eq!((tried.draft.capabilities.join(","), tried.sufficient), ("CHOWN".to_owned(), true));
    assert_eq!(tried.runs, runs);
    let (_, code) = under(&place, &config, &Draft { capabilities: Vec::new(), ..tried.draft }, script);
    assert_ne!(code, Some(0));
}

#[test]
fn one_that_does_not_end_is_seen_as_far_as_it_went() {
    if !able("one_that_does_not_end_is_seen_as_far_as_it_went") {
        return;
    }
    let place = Place::new("observe-hangs");
    let config = base(&place);
    let process = || ProcessConfig::new(["sleep", "1000"]);
    let factory = Factory::new().unwrap();
    let limit = Some(Duration::from_secs(1));
    let observed = observe::run(&factory, place.join("c"), &config, process(), limit).unwrap();
    assert!(observed.status.is_none() && !place.join("c").exists());
    let slept = |name: &str| name.ends_with("nanosleep");
    assert!(observed.seen.calls.keys().any(|(_, name)| slept(name)), "{:?}", observed.seen.calls);
    let draft = Draft::of(&observed.seen, &config);
    let (container, process) =
        factory.run(place.join("c"), &draft.confine(&config).unwrap(), process()).unwrap();
    assert!(process.wait_timeout(Duration::from_secs(1)).unwrap().is_none());
    container.destroy().unwrap();
    // Killed by a signal.
    let killed = ProcessConfig::new(["sh", "-c", "kill -9 $$"]);
    let observed = observe::run(&factory, place.join("c"), &config, killed, PATIENCE).unwrap();
    assert!(observed.seen.total > 0);
    let error = observe::run(&factory, place.join("c"), &config, ProcessConfig::new(["missing"]), PATIENCE);
    assert!(error.unwrap_err().to_string().contains("missing"));
    let left = std::fs::read_dir(std::env::temp_dir()).unwrap();
    let own = format!("libcontainer-observer-{}-", std::process::id());
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(names.filter(|name| name.starts_with(&own)).count(), 0);
}

#[test]
fn the_command_records_and_confirms() {
    let Some(mut operator) = Operator::new("the_command_records_and_confirms") else { return };
    operator.config.networks = Vec::new();
    operator.write();
    let run = |args: &[&str]| {
        let output = operator.command(&[&["seccomp", "record"], args].concat()).output().unwrap();
        let texts = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        (texts.concat(), output.status.code())
    };
    let (told, code) = run(&["--", "sh", "-c", "exit 7"]);
    assert!(told.contains("under it the command exits with 7, as when it was observed"), "{told}");
    assert_eq!(code, Some(0), "{told}");
    let written = std::fs::read_to_string(operator.place.join("confinement.json")).unwrap();
    let config: Config = serde_json::from_str(&written).unwrap();
    assert!(written.contains("\"landlock\": {") && config.capabilities.is_empty());

    let (told, code) = run(&["--bundle", ".", "-o", "state", "--", "cat", "/etc/passwd"]);
    assert!(told.contains("garbage") && told.contains("written: state/confinement.json"), "{told}");
    assert_eq!(code, Some(0), "{told}");
    let (told, code) = run(&["--bundle", ".", "--timeout", "1"]);
    assert!(told.contains("runs until it is killed by --timeout, as when it was observed"), "{told}");
    assert_eq!(code, Some(0), "{told}");
    let (told, code) = run(&["--", "nosuchcommand"]);
    assert!(told.contains("nosuchcommand"), "{told}");
    assert_eq!(code, Some(127), "{told}");
    let (told, code) = run(&["-o", "missing", "--", "true"]);
    assert!(told.contains("write missing/confinement.json"), "{told}");
    assert_eq!(code, Some(1), "{told}");
    assert_eq!(run(&[]).1, Some(2));
    assert_eq!(std::fs::read_dir(operator.place.join("state")).unwrap().count(), 1);
}

//! Landlock: what is allowed works and the rest is denied, for the first process and for one that joins; kernels that lack some or all of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use libcontainer::security::landlock::{Enforce, Landlock};
use libcontainer::{Config, ErrorKind, Factory, Probe, ProcessConfig};
use libcontainer_tests::{Place, able, config, skip, text};

/// The programs, what the shell looks at, and a place to write to.
const FILES: &str = r#"{"handled":["execute","read_file","read_dir","write_file","make_reg","remove_file"],"paths":[{"path":"/bin","access":["execute","read"]},
    {"path":"/home","access":["read","write_file","make_reg"]},{"path":"/etc/group","access":["read"]},{"path":"/dev/null","access":["read_file","write_file"]}]}"#;

fn rules(json: &str) -> Option<Landlock> {
    Some(serde_json::from_str(json).unwrap())
}

/// Whether this kernel has that version; says so if not.
fn has(name: &str, abi: u32) -> bool {
    if !able(name) {
        return false;
    }
    match Probe::current().unwrap().landlock {
        Ok(found) if found >= abi => true,
        Ok(found) => {
            skip(name, &format!("Landlock of this kernel is of ABI {found}, not {abi}"));
            false
        }
        Err(errno) => {
            skip(name, &format!("this kernel has no Landlock: {}", libcontainer::plan::errno_text(errno)));
            false
        }
    }
}

/// What the first process says, and one that joins.
fn seen(place: &Place, config: &Config, script: &str) -> [String; 2] {
    let factory = Factory::new().unwrap();
    let program = || ProcessConfig::new(["sh", "-c", script]).piped();
    let (first, process) = factory.run(place.join("a"), config, program()).unwrap();
    let one = text(&process.output(1 << 20).unwrap());
    first.destroy().unwrap();
    let reaper = factory.create(place.join("b"), config).unwrap();
    let other = text(&reaper.start(program()).unwrap().output(1 << 20).unwrap());
    reaper.destroy().unwrap();
    [one, other]
}

#[test]
fn files_outside_the_rules_are_denied() {
    if !has("files_outside_the_rules_are_denied", 1) {
        return;
    }
    let place = Place::new("landlock-files");
    let mut config = config(&place.rootfs().unwrap());
    config.landlock = rules(FILES);
    // With root's power over modes, and so without: Landlock asks neither.
    config.capabilities.push("DAC_READ_SEARCH".to_owned());
    let script = "cat /etc/group >/dev/null && echo group; cat /etc/passwd; ls /; ls /home | grep u; echo x >/home/f && cat /home/f; rm /home/f; \
        echo x >/tmp/f; busybox mount -t tmpfs none /tmp";
    for no_new_privileges in [false, true] {
        config.no_new_privileges = no_new_privileges;
        for found in seen(&place, &config, script) {
            let lines: Vec<_> = found.lines().collect();
            assert_eq!(lines[..3], ["group", "u", "x"], "{found}");
            for denied in ["/etc/passwd", "'/'", "/home/f", "/tmp/f"] {
                let line = |line: &&&str| line.contains(denied) && line.contains("ermission denied");
                assert_eq!(lines.iter().filter(line).count(), 1, "{denied}: {found}");
            }
            assert!(
                found.contains("permission denied") || found.contains("Operation not permitted"),
                "{found}"
            );
        }
    }
}

#[test]
fn a_user_of_its_own_namespace() {
    if !has("a_user_of_its_own_namespace", 1) {
        return;
    }
    let place = Place::new("landlock-user");
    let mut config = libcontainer_tests::config_with_mounts(&place.rootfs().unwrap());
    config.mount_config.as_mut().unwrap().masked_paths.clear();
    config.landlock = rules(FILES);
    for no_new_privileges in [false, true] {
        config.no_new_privileges = no_new_privileges;
        for found in
            seen(&place, &config, "cat /etc/passwd; ls /home; grep CapEff /bin/busybox | head -c 0; echo end")
        {
            assert_eq!(found.lines().take(2).collect::<Vec<_>>(), ["u", "end"], "{found}");
            assert!(found.contains("/etc/passwd': Permission denied"), "{found}");
        }
    }
}

#[test]
fn the_capability_that_landlock_needs_is_gone_at_exec() {
    if !has("the_capability_that_landlock_needs_is_gone_at_exec", 1) {
        return;
    }
    let place = Place::new("landlock-capabilities");
    let mut config = config(&place.rootfs().unwrap());
    config.landlock = rules(r#"{"handled":["make_block"]}"#);
    for (user, wanted) in [("", "00000000000000e3"), ("u", "0000000000000000")] {
        config.user = user.to_owned();
        for found in seen(&place, &config, "grep -E 'Cap(Prm|Eff)' /proc/self/status") {
            assert_eq!(found, format!("CapPrm:\t{wanted}\nCapEff:\t{wanted}\n"), "{user}");
        }
    }
}

#[test]
fn ports_outside_the_rules_are_denied() {
    if !has("ports_outside_the_rules_are_denied", 4) {
        return;
    }
    let place = Place::new("landlock-ports");
    let mut config = config(&place.rootfs().unwrap());
    config.landlock = rules(r#"{"bind_tcp":[8080],"connect_tcp":[81]}"#);
    let script = "busybox timeout 1 busybox nc -l -p 8081; busybox nc 127.0.0.1 81; busybox nc 127.0.0.1 82; busybox timeout 1 busybox nc -l -p 8080 & \
        while ! grep -q :1F90 /proc/net/tcp /proc/net/tcp6; do :; done; echo bound; wait";
    for found in seen(&place, &config, script) {
        let lines: Vec<_> = found.lines().collect();
        assert!(lines.contains(&"bound"), "{found}");
        let denied =
            |port: &str| lines.iter().any(|line| line.contains(port) && line.contains("Permission denied"));
        assert!(found.contains("bind: Permission denied"), "{found}");
        assert!(denied("127.0.0.1") && found.contains("Connection refused"), "{found}");
    }
}

#[test]
fn signals_stay_within_the_processes() {
    if !has("signals_stay_within_the_processes", 6) {
        return;
    }
    let place = Place::new("landlock-signals");
    let mut config = config(&place.rootfs().unwrap());
    let script = "sleep 1000 & kill $! && echo child; kill -0 1 && echo first";
    for (json, wanted) in
        [(r#"{"scopes":["signal"]}"#, false), (r#"{"scopes":["abstract_unix_socket"]}"#, true)]
    {
        config.landlock = rules(json);
        let container = Factory::new().unwrap().create(place.join("c"), &config).unwrap();
        let process = container.start(ProcessConfig::new(["sh", "-c", script]).piped()).unwrap();
        let found = text(&process.output(1 << 16).unwrap());
        container.destroy().unwrap();
        assert!(found.starts_with("child\n"), "{found}");
        assert_eq!(found.contains("first"), wanted, "{found}");
        assert_eq!(found.contains("Operation not permitted"), !wanted, "{found}");
    }
}

#[test]
fn paths_that_are_missing_or_are_no_directories() {
    if !has("paths_that_are_missing", 1) {
        return;
    }
    let place = Place::new("landlock-paths");
    let mut config = config(&place.rootfs().unwrap());
    let factory = Factory::new().unwrap();
    let run = |config: &Config| {
        let (container, mut process) = factory.run(place.join("c"), config, ProcessConfig::new(["true"]))?;
        let status = process.wait()?;
        drop(process);
        container.destroy().map(|()| status.code())
    };
    for (rule, wanted) in [
        (r#"{"path":"/nope","access":["read"]}"#, Err((libc::ENOENT, "openat2(AT_FDCWD, \"/nope\""))),
        (r#"{"path":"/nope","access":["read"],"if_exists":true}"#, Ok(())),
        (r#"{"path":"/etc/passwd","access":["read_dir"]}"#, Err((libc::EINVAL, "landlock_add_rule"))),
        (r#"{"path":"/etc/passwd/x","access":["read"],"if_exists":true}"#, Err((libc::ENOTDIR, "openat2"))),
        (r#"{"path":"/etc/passwd","access":["read"]}"#, Ok(())),
    ] {
        config.landlock = rules(&format!(
            r#"{{"paths":[{{"path":"/bin","access":["read","execute"]}},{rule}],"enforce":"best_effort"}}"#
        ));
        match (run(&config), wanted) {
            (Ok(code), Ok(())) => assert_eq!(code, Some(0), "{rule}"),
            (Err(error), Err((errno, call))) => {
                assert_eq!(error.errno(), Some(errno), "{rule}: {error}");
                assert!(error.to_string().contains(call), "{rule}: {error}");
            }
            (found, _) => panic!("{rule}: {found:?}"),
        }
        assert!(!place.join("c").exists(), "{rule}");
    }
    // A program that may not be run is an error of the start.
    config.landlock = rules(r#"{"paths":[]}"#);
    let error = run(&Config {
        landlock: config.landlock.clone().map(|rules| Landlock { enforce: Enforce::BestEffort, ..rules }),
        ..config.clone()
    });
    assert_eq!(error.unwrap_err().errno(), Some(libc::EACCES));
}

#[test]
fn kernels_that_lack_it() {
    if !able("kernels_that_lack_it") {
        return;
    }
    let place = Place::new("landlock-lacking");
    let mut config = config(&place.rootfs().unwrap());
    config.landlock = rules(r#"{"paths":[{"path":"/bin","access":["execute","read"]}],"scopes":["signal"]}"#);
    let probe = |landlock| Probe { landlock, ..Probe::current().unwrap() };
    let start = |landlock, config: &Config| {
        let factory = Factory::with_probe(probe(landlock));
        let (container, process) =
            factory.run(place.join("c"), config, ProcessConfig::new(["cat", "/etc/group"]).piped())?;
        let found = text(&process.output(1 << 16)?);
        container.destroy().map(|()| found)
    };
    for (landlock, wanted) in [
        (
            Err(libc::ENOSYS),
            "/landlock: Landlock of this kernel is missing or switched off: it lacks execute (ABI 1), ",
        ),
        (Err(libc::EOPNOTSUPP), "(EOPNOTSUPP: "),
        (
            Ok(4),
            "is of ABI 4: it lacks ioctl_dev (ABI 5), signal (ABI 6); \"enforce\": \"best_effort\" does without",
        ),
    ] {
        let error = start(landlock, &config).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(wanted), "{error}");
        assert_eq!(config.warnings(&probe(landlock)), Vec::<String>::new());
        let reaper = Factory::with_probe(probe(landlock)).create(place.join("c"), &config).unwrap_err();
        assert_eq!(reaper.to_string(), error.to_string());
        assert!(!place.join("c").exists());
    }
    config.landlock.as_mut().unwrap().enforce = Enforce::BestEffort;
    assert_eq!(start(Err(libc::ENOSYS), &config).unwrap(), "root:x:0:\nwheel:x:10:u\n");
    let warnings = config.warnings(&probe(Err(libc::ENOSYS)));
    assert!(
        warnings.len() == 1
            && warnings[0].starts_with("/landlock: left out, as this kernel has none (ENOSYS: "),
        "{warnings:?}"
    );
    let warnings = config.warnings(&probe(Ok(5)));
    assert_eq!(warnings, ["/landlock: left out, as this kernel has ABI 5: signal (ABI 6)"]);
    if Probe::current().unwrap().landlock.is_ok_and(|abi| abi >= 5) {
        assert!(start(Ok(5), &config).unwrap().contains("Permission denied"));
    }
}

/// A container of a template that stands by has no rules yet: its program gets them with the rest of the plan, whoever it is handed to.
#[test]
fn one_that_stood_by_is_restricted_as_any() {
    if !has("one_that_stood_by_is_restricted_as_any", 1) {
        return;
    }
    let place = Place::new("landlock-template");
    let mut config = config(&place.rootfs().unwrap());
    config.landlock = rules(FILES);
    let script = "cat /etc/group >/dev/null && echo group; cat /etc/passwd 2>/dev/null && echo passwd; echo x 2>/dev/null >/tmp/f && echo written; echo end";
    let program = || ProcessConfig::new(["sh", "-c", script]).piped();
    std::fs::create_dir(place.join("all")).unwrap();
    for no_new_privileges in [false, true] {
        config.no_new_privileges = no_new_privileges;
        let template = Factory::new().unwrap().template(place.join("all"), &config).unwrap();
        template.keep_ready(1).unwrap();
        assert!(template.settle(std::time::Duration::from_secs(60)), "{:?}", template.stats());
        let (container, process) = template.start(program()).unwrap();
        assert_eq!(template.stats().handed_over, 1);
        assert_eq!(text(&process.output(1 << 16).unwrap()), "group\nend\n", "the one handed over");
        container.destroy_now().unwrap();
        // And one that joins another that has stood by.
        assert!(template.settle(std::time::Duration::from_secs(60)), "{:?}", template.stats());
        let (container, _sleeper) = template.start(ProcessConfig::new(["sleep", "1000"])).unwrap();
        assert_eq!(template.stats().handed_over, 2);
        assert_eq!(
            text(&container.start(program()).unwrap().output(1 << 16).unwrap()),
            "group\nend\n",
            "a join"
        );
        container.destroy_now().unwrap();
    }
}

//! Bad input: each one clear error, and nothing left behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test ends by panicking"
)]

use std::path::Path;

use libcontainer::{Config, ErrorKind, Factory, ProcessConfig};
use libcontainer_tests::{Place, World, able, config};
use serde_json::{Value, json};

/// Key of the config, value, what the message must contain.
fn values() -> Vec<(&'static str, Value, &'static str)> {
    let lines = include_str!("bad_values.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| one_value(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

fn one_value(line: &'static str) -> Option<(&'static str, Value, &'static str)> {
    let mut parts = line.split(" | ");
    let (key, text, wanted) = (parts.next()?, parts.next()?, parts.next()?);
    let mut pieces = text.split('@');
    let mut full = pieces.next()?.to_owned();
    while let (Some(count), Some(rest)) = (pieces.next(), pieces.next()) {
        full += &"x".repeat(count.parse().ok()?);
        full += rest;
    }
    Some((key, serde_json::from_str(&full).ok()?, wanted))
}

#[test]
fn values_of_the_config() {
    if !able("values_of_the_config") {
        return;
    }
    let place = Place::new("bad");
    let good = serde_json::to_value(config(&place.rootfs().unwrap())).unwrap();
    let factory = Factory::new().unwrap();
    // The sealed image of the init is made once for each process, by the first start.
    let (config, _) = Config::from_json(good.to_string().as_bytes()).unwrap();
    factory.create(place.join("c"), &config).unwrap().destroy().unwrap();
    let (mut cases, mut confinement) = (0, 0);
    for (key, value, wanted) in values().into_iter() {
        let mut changed = good.clone();
        match (key, value.as_object()) {
            ("*", Some(all)) => all.iter().for_each(|(key, value)| changed[key] = value.clone()),
            _ => changed[key] = value.clone(),
        }
        let before = World::look(place.path());
        let shown: String = value.to_string().chars().take(80).collect();
        let error = Config::from_json(changed.to_string().as_bytes())
            .and_then(|(config, _)| factory.run(place.join("c"), &config, ProcessConfig::new(["true"])))
            .map(drop)
            .expect_err(&format!("{key}: {shown}"));
        assert!(error.to_string().contains(wanted), "{key}: {shown}: wanted {wanted:?}, found: {error}");
        assert!(error.to_string().lines().count() <= 6, "one clear error: {error}");
        let seen = |world: World| if key == "mount_config" { world.but_files() } else { world };
        let left: Option<String> = seen(World::look(place.path())).more_than(&seen(before));
        assert!(left.is_none(), "{key}: {shown}: {left:?}");
        assert!(!place.join("c").exists(), "{key}: {shown}");
        cases += 1;
        confinement +=
            usize::from(CONFINEMENT.contains(&key) || changed.pointer("/mount_config/mount_label").is_some());
    }
    assert!(confinement >= 60, "{confinement}");
    filters(&factory, &place, &good);
    loops(&factory, &place, &good);
    processes(&factory, &place, &good);
    places_of_the_state(&factory, &place, &good);
    assert!(cases >= 60, "{cases}");
}

/// What confines a program, beside the label of its mounts.
const CONFINEMENT: [&str; 18] = [
    "capabilities",
    "capability_sets",
    "securebits",
    "no_new_privileges",
    "rlimits",
    "oom_score_adj",
    "umask",
    "parent_death_signal",
    "seccomp",
    "apparmor_profile",
    "process_label",
    "landlock",
    "scheduler",
    "io_priority",
    "cpu_affinity",
    "memory_policy",
    "personality",
    "additional_groups",
];

/// Filters that can't be loaded, and an agent that has gone: its socket lies there, and nobody listens.
fn filters(factory: &Factory, place: &Place, good: &Value) {
    let rule = |number: u64| {
        json!({"names": ["ioctl"], "action": "SCMP_ACT_ERRNO", "errnoRet": number % 4095 + 1,
            "args": [{"index": 1, "value": u64::MAX - 1, "valueTwo": 2 * number, "op": "SCMP_CMP_MASKED_EQ"}]})
    };
    let long: Vec<_> = (0..2000).map(rule).collect();
    let long = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": long});
    let agent = place.join("agent");
    drop(std::os::unix::net::UnixListener::bind(&agent).unwrap());
    let notify = json!({"names": ["getppid"], "action": "SCMP_ACT_NOTIFY"});
    let gone = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": agent, "syscalls": [notify]});
    for (seccomp, wanted) in [(long, "12012 instructions, and the kernel takes 4096"), (gone, "ECONNREFUSED")]
    {
        let mut changed = good.clone();
        changed["seccomp"] = seccomp;
        let (config, _) = Config::from_json(changed.to_string().as_bytes()).unwrap();
        let before = World::look(place.path());
        let started = factory.run(place.join("c"), &config, ProcessConfig::new(["true"]));
        let error = started.map(drop).unwrap_err().to_string();
        assert!(error.contains(wanted), "wanted {wanted:?}, found: {error}");
        assert!(error.lines().count() <= 6, "one clear error: {error}");
        assert_eq!(World::look(place.path()).more_than(&before), None);
        assert!(!place.join("c").exists());
    }
}

/// Links that lead to themselves, wherever a path is looked up.
fn loops(factory: &Factory, place: &Place, good: &Value) {
    let (config, _) = Config::from_json(good.to_string().as_bytes()).unwrap();
    for link in [place.join("loop"), config.rootfs.join("loop")] {
        std::os::unix::fs::symlink("loop", link).unwrap();
    }
    let mount = |json: &str| serde_json::from_str(json).ok();
    let onto = r#"{"mounts":[{"type":"tmpfs","destination":"/loop/x"}]}"#;
    let from = format!(
        r#"{{"mounts":[{{"type":"bind","source":"{}","destination":"/x"}}]}}"#,
        place.join("loop").display()
    );
    let cases = [
        Config { rootfs: place.join("loop"), ..config.clone() },
        Config { mount_config: mount(onto), ..config.clone() },
        Config { mount_config: mount(&from), ..config.clone() },
        Config { working_dir: "/loop".into(), ..config.clone() },
        Config { args: vec!["/loop".into()], ..config.clone() },
    ];
    for config in cases {
        let program = config.args.first().map_or("true", String::as_str);
        let before = World::look(place.path()).but_files();
        let error = factory.run(place.join("c"), &config, ProcessConfig::new([program])).unwrap_err();
        assert_eq!(error.errno(), Some(libc::ELOOP), "{error}");
        assert_eq!(World::look(place.path()).but_files().more_than(&before), None);
    }
}

/// All tests of this file share the count of descriptors, so this is no test of its own.
fn processes(factory: &Factory, place: &Place, good: &Value) {
    let (config, _) = Config::from_json(good.to_string().as_bytes()).unwrap();
    let container = factory.create(place.join("c"), &config).unwrap();
    // Written by another process: see `copy_program`.
    libcontainer_tests::copy_program(Path::new("/etc/passwd"), &config.rootfs.join("bin/noexec")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(config.rootfs.join("bin/noexec"), mode).unwrap();
    let long = "x".repeat(140_000);
    let many: Vec<String> = (0..20).map(|_| "y".repeat(100_000)).collect();
    let args = |args: &[&str]| ProcessConfig::new(args.iter().copied());
    let cases = [
        (args(&[]), "/args: empty"),
        (args(&[""]), "/args: empty"),
        (args(&["a\0b"]), "/args/0: contains NUL"),
        (args(&["echo", &long]), "/args/1: 140000 bytes, limit 131071"),
        (ProcessConfig::new(std::iter::once("echo".to_owned()).chain(many)), "limit"),
        (args(&["no-such-program"]), "ENOENT"),
        (args(&["/etc/passwd"]), "EACCES"),
        (args(&["/bin"]), "EACCES"),
        (args(&["/bin/noexec"]), "ENOEXEC"),
        (ProcessConfig { cwd: Some("/proc/self/fd/3".into()), ..args(&["true"]) }, "/cwd"),
        (ProcessConfig { user: Some("nope".into()), ..args(&["true"]) }, "not in the container's"),
        (ProcessConfig { env: Some(vec!["X".into()]), ..args(&["true"]) }, "no '='"),
        (ProcessConfig { capabilities: Some(vec!["X".into()]), ..args(&["true"]) }, "unknown capability"),
    ];
    for (process, wanted) in cases {
        let error = container.start(process).unwrap_err();
        assert!(error.to_string().contains(wanted), "wanted {wanted:?}, found: {error}");
    }
    // Destroyed by another process meanwhile: each call of this handle says so.
    factory.load(place.join("c")).unwrap().destroy().unwrap();
    let gone = |error: libcontainer::Error| assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    gone(container.start(args(&["true"])).unwrap_err());
    gone(container.signal(libc::SIGTERM).unwrap_err());
    gone(container.run().unwrap_err());
    gone(container.stats().unwrap_err());
    container.destroy().unwrap();
}

fn places_of_the_state(factory: &Factory, place: &Place, good: &Value) {
    let (config, _) = Config::from_json(good.to_string().as_bytes()).unwrap();
    let cases: [(&str, Option<i32>); 4] = [
        ("/no/such/dir/c", Some(libc::ENOENT)),
        ("/proc/c", Some(libc::ENOENT)),
        ("/etc/passwd/c", Some(libc::ENOTDIR)),
        ("/", Some(libc::EINVAL)),
    ];
    for (path, errno) in cases {
        assert_eq!(factory.create(path, &config).unwrap_err().errno(), errno, "{path}");
    }
    std::fs::create_dir(place.join("taken")).unwrap();
    assert_eq!(factory.create(place.join("taken"), &config).unwrap_err().kind(), ErrorKind::AlreadyExists);
    full_disk(factory, place, &config);
    damaged(factory, place, &config);
}

/// A state directory without room: an error, and the container can't half exist.
fn full_disk(factory: &Factory, place: &Place, config: &Config) {
    let small = place.join("small");
    std::fs::create_dir(&small).unwrap();
    let none: Option<&str> = None;
    nix::mount::mount(
        Some("tmpfs"),
        &small,
        Some("tmpfs"),
        nix::mount::MsFlags::empty(),
        Some("size=4k,nr_inodes=3"),
    )
    .unwrap();
    let error = factory.create_with(small.join("c"), config, ProcessConfig::new(["true"])).unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENOSPC), "{error}");
    assert!(!small.join("c").exists());
    nix::mount::mount(
        none,
        &small,
        none,
        nix::mount::MsFlags::MS_REMOUNT | nix::mount::MsFlags::MS_RDONLY,
        none,
    )
    .unwrap();
    let error = factory.create(small.join("c"), config).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EROFS), "{error}");
    nix::mount::umount(&small).unwrap();
}

/// Records that are cut, empty, zeroed, newer or no files: load says so, destroy works.
fn damaged(factory: &Factory, place: &Place, config: &Config) {
    let path = place.join("c");
    let damages: [fn(&Path); 6] = [
        |record| std::fs::write(record, "").unwrap(),
        |record| std::fs::write(record, [0; 100]).unwrap(),
        |record| std::fs::write(record, &std::fs::read(record).unwrap()[..200]).unwrap(),
        |record| {
            std::fs::write(
                record,
                std::fs::read_to_string(record).unwrap().replace("\"version\":1", "\"version\":9"),
            )
            .unwrap();
        },
        |record| std::fs::remove_file(record).unwrap(),
        |record| {
            std::fs::remove_file(record).unwrap();
            nix::unistd::mkfifo(record, nix::sys::stat::Mode::S_IRUSR).unwrap();
        },
    ];
    for damage in damages {
        let container = factory.create(&path, config).unwrap();
        damage(&path.join("state.json"));
        let error = factory.load(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        container.destroy().unwrap();
        assert!(!path.exists());
    }
    let stale = factory.create(&path, config).unwrap();
    let mut state: Value = serde_json::from_slice(&std::fs::read(path.join("state.json")).unwrap()).unwrap();
    assert_eq!(state["boot_id"].take().as_str().map(str::len), Some(36));
    stale.destroy().unwrap();
    factory.destroy(&path).unwrap();
}

//! What the launcher promises: the init does what the plan says and nothing else, and the host stays as it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test ends by panicking"
)]

#[path = "launcher/arguments.rs"]
mod arguments;
#[path = "launcher/log.rs"]
mod log;
#[path = "launcher/trace.rs"]
mod trace;
#[path = "launcher/warm.rs"]
mod warm;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::{Duration, Instant};

use libcontainer::{Config, Factory, ProcessConfig};
use libcontainer_tests::{Place, able, config};

#[test]
fn a_waiting_init_is_small_sealed_and_alone() {
    if !able("a_waiting_init_is_small_sealed_and_alone") {
        return;
    }
    let place = Place::new("waiting");
    let config = Config { user: "u".into(), ..config(&place.rootfs().unwrap()) };
    let secret = std::hint::black_box(vec![0x5a_u8; 1 << 20]);
    let given = fs::File::open("/etc/passwd").unwrap();
    let with = ProcessConfig { preserved: vec![given.into()], ..ProcessConfig::new(["true"]) };
    let (container, process) = Factory::new().unwrap().create_with(place.join("c"), &config, with).unwrap();
    let pid = process.pid();
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    for line in read("maps").lines() {
        let known = ["memfd:libcontainer-init", "/board", "[stack]", "[vdso]", "[vvar", "[vsyscall]"];
        let anonymous = line.split_whitespace().count() == 5;
        assert!(anonymous || known.iter().any(|name| line.contains(name)), "mapped: {line}");
    }
    let rollup = read("smaps_rollup");
    let private: u64 = rollup
        .lines()
        .filter(|line| line.starts_with("Private"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum();
    assert!(private < 64, "{private} KiB private");
    // Standard descriptors, the preserved one, the socket to the host, the pipe for the start: in these places, and nothing else.
    let start = place.join("c/start").display().to_string();
    let null = "/dev/null".to_owned();
    let wanted = [&null, &null, &null, "/etc/passwd", "socket:", &start];
    settled_descriptors(pid.as_raw(), &wanted);
    belongs_to_root(pid.as_raw());
    let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert!(exe.to_string_lossy().contains("memfd:libcontainer-init"));
    assert!(
        fs::OpenOptions::new().write(true).open(format!("/proc/{pid}/exe")).is_err(),
        "the image can't be written"
    );
    container.destroy().unwrap();
    let reaper = Factory::new().unwrap().create(place.join("c"), &config).unwrap();
    settled_descriptors(reaper.init_pid().unwrap().unwrap().as_raw(), &[]);
    reaper.destroy().unwrap();
    drop(secret);
}

/// The init has exactly these descriptors from 0 on. It puts them in place while the host reads back, and may not be done with it
/// yet when the host is.
fn settled_descriptors(pid: i32, wanted: &[&str]) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let named = entries.filter_map(|entry| {
            let link = fs::read_link(entry.path()).ok()?.display().to_string();
            let link = if link.starts_with("socket:") { "socket:".to_owned() } else { link };
            Some((entry.file_name().to_str()?.parse().ok()?, link))
        });
        let found: BTreeMap<usize, String> = named.collect();
        if found.iter().map(|(number, link)| (*number, link.as_str())).eq(wanted.iter().copied().enumerate())
        {
            return;
        }
        assert!(Instant::now() < end, "wanted {wanted:?}, found {found:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The init runs as another user, and what could tell something of it in `/proc` is root's all the same: it is not dumpable, so
/// that no other process of that user may look into it.
fn belongs_to_root(pid: i32) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Uid:\t1000\t1000\t1000\t1000\n"), "{status}");
    for name in ["fd", "maps", "mem", "environ", "exe", "root", "cwd", "ns/mnt", "stat"] {
        let owner = fs::symlink_metadata(format!("/proc/{pid}/{name}")).unwrap().uid();
        assert_eq!(owner, 0, "{name}");
    }
    // By no other means either: a dumpable process of the same user could be read.
    let mut command = Command::new("setpriv");
    command.args(["--reuid=1000", "--clear-groups", "readlink"]).arg(format!("/proc/{pid}/exe"));
    let read = command.output().unwrap();
    assert!(!read.status.success(), "{read:?}");
}

#[test]
fn the_host_is_as_before() {
    if !able("the_host_is_as_before") {
        return;
    }
    let place = Place::new("host");
    let config = config(&place.rootfs().unwrap());
    let factory = Factory::new().unwrap();
    let status = || {
        let text = fs::read_to_string("/proc/thread-self/status").unwrap();
        let kept = |line: &&str| {
            ["Umask", "SigBlk", "SigIgn", "SigCgt", "Uid", "Gid", "Groups", "Cap", "NoNewPrivs"]
                .iter()
                .any(|name| line.starts_with(name))
        };
        let lines: Vec<_> = text.lines().filter(kept).map(str::to_owned).collect();
        let environment: Vec<_> = std::env::vars_os().collect();
        let own = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        let dumpable = nix::sys::prctl::get_dumpable().unwrap();
        let namespaces: Vec<_> = ["mnt", "pid_for_children", "net", "user"]
            .map(|name| fs::read_link(format!("/proc/thread-self/ns/{name}")).unwrap())
            .to_vec();
        (lines, environment, std::env::current_dir().unwrap(), own("oom_score_adj"), dumpable, namespaces)
    };
    let before = status();
    assert!(before.4, "a test is dumpable");
    for _ in 0..100 {
        let (container, mut process) =
            factory.run(place.join("c"), &config, ProcessConfig::new(["true"])).unwrap();
        process.wait().unwrap();
        container.destroy().unwrap();
    }
    assert_eq!(status(), before);
}

/// A start storm beside threads that hold the allocator's locks, with a single arena: the classic deadlock after fork.
#[test]
fn a_storm_of_starts_with_one_arena() {
    const INNER: &str = "LIBCONTAINER_STORM";
    if !able("a_storm_of_starts_with_one_arena") {
        return;
    }
    if std::env::var_os(INNER).is_some() {
        return storm();
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["a_storm_of_starts_with_one_arena", "--exact"])
        .env(INNER, "1")
        .env("MALLOC_ARENA_MAX", "1");
    // An emulated processor takes ten times as long.
    let limit = if std::env::var_os("LIBCONTAINER_EMULATED").is_some() { "280" } else { "120" };
    let output = Command::new("timeout")
        .arg(limit)
        .arg(command.get_program())
        .args(command.get_args())
        .env(INNER, "1")
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn storm() {
    let place = Place::new("storm");
    let config = config(&place.rootfs().unwrap());
    let factory = Factory::new().unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 1..9_usize {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    std::hint::black_box(vec![0_u8; seed * 1733]);
                }
            });
        }
        for number in 0..300 {
            let (container, mut process) =
                factory.run(place.join("c"), &config, ProcessConfig::new(["true"])).unwrap();
            assert!(process.wait().unwrap().success(), "{number}");
            container.destroy().unwrap();
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

//! Containers from birth to end, through the library.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test ends by panicking"
)]

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use libcontainer::{
    Container, ErrorKind, Factory, Listing, Namespace, NamespaceKind, ProcessConfig, RunState,
};
use libcontainer_tests::{Place, able, config, text};

fn output(container: &Container, args: &[&str]) -> String {
    let process = container.start(ProcessConfig::new(args.iter().copied()).piped()).unwrap();
    text(&process.output(1 << 20).unwrap())
}

#[test]
fn a_reaper_container_lives_until_destroyed() {
    if !able("a_reaper_container_lives_until_destroyed") {
        return;
    }
    let place = Place::new("reaper");
    let config = config(&place.rootfs().unwrap());
    let factory = Factory::new().unwrap();
    let container = factory.create(place.join("c"), &config).unwrap();
    assert_eq!(container.run_state().unwrap(), RunState::Running);
    assert_eq!(container.id(), "c");
    assert_eq!(output(&container, &["sh", "-c", "id -u; cat /proc/sys/kernel/hostname"]), "0\ninside\n");
    // Orphans end up with the reaper and vanish.
    assert_eq!(output(&container, &["sh", "-c", "(sleep 0.05 &) ; true"]), "");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(container.processes().unwrap(), [container.init_pid().unwrap().unwrap()]);
    let again = factory.create(place.join("c"), &config).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists, "{again}");
    let loaded = factory.load(place.join("c")).unwrap();
    assert_eq!(loaded.config(), config);
    assert_eq!(output(&loaded, &["echo", "x"]), "x\n");
    loaded.destroy().unwrap();
    container.destroy().unwrap();
    assert_eq!(container.run_state().unwrap(), RunState::Destroyed);
    assert_eq!(factory.load(place.join("c")).unwrap_err().kind(), ErrorKind::NotFound);
    factory.destroy(place.join("c")).unwrap();
}

#[test]
fn the_reaper_leaves_on_sigterm() {
    if !able("the_reaper_leaves_on_sigterm") {
        return;
    }
    let place = Place::new("term");
    let container =
        Factory::new().unwrap().create(place.join("c"), &config(&place.rootfs().unwrap())).unwrap();
    let mut sleeper = container.start(ProcessConfig::new(["sleep", "100"])).unwrap();
    container.signal(libc::SIGTERM).unwrap();
    assert_eq!(sleeper.wait().unwrap().signal(), Some(libc::SIGKILL), "the end of pid 1 ends them all");
    let pid_one = container.init_process().map(|process| process.wait_timeout(Duration::from_secs(10)));
    assert!(pid_one.is_err() || pid_one.unwrap().unwrap().is_some());
    assert_eq!(container.run_state().unwrap(), RunState::Stopped);
    assert_eq!(container.start(ProcessConfig::new(["true"])).unwrap_err().kind(), ErrorKind::WrongState);
    container.destroy().unwrap();
}

#[test]
fn create_and_start_are_apart() {
    if !able("create_and_start_are_apart") {
        return;
    }
    let place = Place::new("split");
    let config = config(&place.rootfs().unwrap());
    let factory = Factory::new().unwrap();
    let process = ProcessConfig::new(["sh", "-c", "echo ran; exit 3"]).piped();
    let (container, process) = factory.create_with(place.join("c"), &config, process).unwrap();
    assert_eq!(container.run_state().unwrap(), RunState::Created);
    assert!(process.try_wait().unwrap().is_none());
    // The start may come from anyone who can open the directory.
    factory.load(place.join("c")).unwrap().run().unwrap();
    assert_eq!(container.run().unwrap_err().kind(), ErrorKind::WrongState);
    let output = process.output(100).unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), b"ran\n".as_slice()));
    assert!(output.status.usage().is_some_and(|usage| usage.max_rss > 0));
    container.destroy().unwrap();
}

#[test]
fn what_was_let_go_runs_whoever_was_killed_then() {
    if !able("what_was_let_go_runs_whoever_was_killed_then") {
        return;
    }
    let place = Place::new("let-go");
    let config = config(&place.rootfs().unwrap());
    let process = ProcessConfig::new(["sh", "-c", "echo ran; exec sleep 300"]).piped();
    let factory = Factory::new().unwrap();
    let (container, mut process) = factory.create_with(place.join("c"), &config, process).unwrap();
    assert_eq!(container.run_state().unwrap(), RunState::Created);
    // As far as a start comes that is killed.
    std::fs::write(place.join("c/start"), "s").unwrap();
    let mut said = [0; 4];
    std::io::Read::read_exact(&mut process.stdout.take().unwrap(), &mut said).unwrap();
    assert_eq!((&said, container.run_state().unwrap()), (b"ran\n", RunState::Running));
    let listing = Listing::open(place.path()).unwrap();
    assert_eq!(listing.summary("c").unwrap().unwrap().state, RunState::Running);
    let error = container.run().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongState, "{error}");
    assert!(error.to_string().contains("is running, not created"), "{error}");
    container.destroy().unwrap();
}

#[test]
fn a_start_that_fails_is_told_by_its_step() {
    if !able("a_start_that_fails_is_told_by_its_step") {
        return;
    }
    let place = Place::new("fails");
    let config = config(&place.rootfs().unwrap());
    let factory = Factory::new().unwrap();
    let error = factory.create_with(place.join("c"), &config, ProcessConfig::new(["nope"])).unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENOENT), "{error}");
    assert!(error.to_string().contains("program \"nope\" (looked for at /bin/nope"), "{error}");
    assert!(!place.join("c").exists());
    // What is there and can't be executed is found out by execve(2).
    let text = config.rootfs.join("bin/text");
    std::fs::write(&text, "no program\n").unwrap();
    std::fs::set_permissions(&text, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (container, _process) =
        factory.create_with(place.join("c"), &config, ProcessConfig::new(["text"])).unwrap();
    let error = container.run().unwrap_err();
    assert_eq!(error.errno(), Some(libc::ENOEXEC), "{error}");
    assert!(error.to_string().contains("execve(\"/bin/text\""), "{error}");
    container.destroy().unwrap();
    let error = factory.run(place.join("d"), &config, ProcessConfig::new(["/etc/passwd"])).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EACCES), "{error}");
    assert!(!place.join("d").exists());
}

#[test]
fn namespaces_are_new_shared_or_joined() {
    if !able("namespaces_are_new_shared_or_joined") {
        return;
    }
    let place = Place::new("namespaces");
    let base = config(&place.rootfs().unwrap());
    let factory = Factory::new().unwrap();
    let first = factory.create(place.join("a"), &base).unwrap();
    let pid = first.init_pid().unwrap().unwrap();
    let mut joined = base.clone();
    for (kind, file) in
        [(NamespaceKind::Network, "net"), (NamespaceKind::Pid, "pid"), (NamespaceKind::Ipc, "ipc")]
    {
        joined.namespaces.set(kind, Namespace::Join(format!("/proc/{pid}/ns/{file}").into()));
    }
    joined.namespaces.share(NamespaceKind::Uts);
    joined.hostname.clear();
    joined.networks.clear();
    let (second, process) = factory
        .run(
            place.join("b"),
            &joined,
            ProcessConfig::new([
                "sh",
                "-c",
                "readlink /proc/self/ns/net; echo $$; cat /proc/sys/kernel/hostname",
            ])
            .piped(),
        )
        .unwrap();
    let found = text(&process.output(1000).unwrap());
    let mut lines = found.lines();
    let theirs = std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap();
    assert_eq!(lines.next(), theirs.to_str(), "{found}");
    assert_ne!(lines.next(), Some("1"), "inside the other's pid namespace");
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(lines.next(), Some(host.trim()));
    second.destroy().unwrap();
    first.destroy().unwrap();
}

#[test]
fn cgroup_and_time_namespaces() {
    if !able("cgroup_and_time_namespaces") {
        return;
    }
    let place = Place::new("time");
    let mut config = config(&place.rootfs().unwrap());
    config.namespaces.set(NamespaceKind::Cgroup, Namespace::New);
    config.namespaces.set(NamespaceKind::Time, Namespace::New);
    config.time_offsets.insert("boottime".into(), libcontainer::TimeOffset { secs: 7_000_000, nanosecs: 0 });
    let process = ProcessConfig::new(["sh", "-c", "cat /proc/uptime; readlink /proc/self/ns/cgroup"]).piped();
    let (container, process) = Factory::new().unwrap().run(place.join("c"), &config, process).unwrap();
    let found = text(&process.output(1000).unwrap());
    let uptime: f64 = found.split_whitespace().next().unwrap().parse().unwrap();
    assert!(uptime > 7_000_000.0, "{found}");
    let host = std::fs::read_link("/proc/self/ns/cgroup").unwrap();
    assert_ne!(found.lines().nth(1), host.to_str());
    container.destroy().unwrap();
}

#[test]
fn a_time_namespace_is_entered_on_older_kernels_too() {
    if !able("a_time_namespace_is_entered_on_older_kernels_too") {
        return;
    }
    let place = Place::new("older");
    let mut config = config(&place.rootfs().unwrap());
    config.namespaces.set(NamespaceKind::Time, Namespace::New);
    let current = Factory::new().unwrap().probe().clone();
    for offset in [7_000_000_u32, 0] {
        let offsets = libcontainer::TimeOffset { secs: offset.into(), nanosecs: 0 };
        config.time_offsets = (offset > 0).then(|| ("boottime".to_owned(), offsets)).into_iter().collect();
        for at_exec in [true, false] {
            let probe = libcontainer::Probe { time_namespace_at_exec: at_exec, ..current.clone() };
            let factory = Factory::with_probe(probe);
            let script =
                "cat /proc/uptime; readlink /proc/self/ns/time; readlink /proc/self/ns/time_for_children";
            let process = ProcessConfig::new(["sh", "-c", script]);
            let plan = factory.explain(&config, Some(&process)).unwrap().explain().to_string();
            assert_eq!(plan.contains("enter the time namespace"), !at_exec, "{plan}");
            let (container, process) = factory.run(place.join("c"), &config, process.piped()).unwrap();
            let found = text(&process.output(1000).unwrap());
            let lines: Vec<_> = found.split_whitespace().collect();
            assert!(lines[0].parse::<f64>().unwrap() > f64::from(offset), "{found}");
            assert_eq!(lines[2], lines[3], "{found}");
            let host = std::fs::read_link("/proc/self/ns/time").unwrap();
            assert_ne!(Some(lines[2]), host.to_str());
            container.destroy().unwrap();
        }
    }
}

#[test]
fn a_user_namespace_is_mapped_and_joined() {
    if !able("a_user_namespace_is_mapped_and_joined") {
        return;
    }
    let place = Place::new("user");
    let mut config = config(&place.rootfs().unwrap());
    config.namespaces.set(NamespaceKind::User, Namespace::New);
    let map = libcontainer::mount::IdMapping { container_id: 0, host_id: 100_000, size: 65_536 };
    (config.uid_mappings, config.gid_mappings) = (vec![map], vec![map]);
    open_up(place.path());
    let factory = Factory::new().unwrap();
    let container = factory.create(place.join("c"), &config).unwrap();
    let pid = container.init_pid().unwrap().unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Uid:\t100000\t100000"), "{status}");
    assert_eq!(
        output(
            &container,
            &[
                "sh",
                "-c",
                "id -u; cat /proc/self/uid_map | wc -l; echo x > /dev/null; grep CapEff /proc/self/status"
            ]
        ),
        "0\n1\nCapEff:\t00000000000000e3\n"
    );
    let mut as_user = ProcessConfig::new(["id"]).piped();
    as_user.user = Some("u".into());
    let seen = text(&container.start(as_user).unwrap().output(1000).unwrap());
    assert!(
        seen.contains("uid=1000(u) gid=100 groups=10(wheel)") || seen.contains("groups=10(wheel)"),
        "{seen}"
    );
    container.destroy().unwrap();
}

/// The mapped root must be able to reach the rootfs.
fn open_up(path: &std::path::Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_hundred_containers_beside_busy_threads() {
    if !able("a_hundred_containers_beside_busy_threads") {
        return;
    }
    use std::sync::atomic::{AtomicBool, Ordering};
    let place = Place::new("busy");
    let config = config(&place.rootfs().unwrap());
    let factory = Factory::new().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for seed in 0..8_usize {
            let stop = &stop;
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::black_box(vec![0_u8; 64 + seed * 997]);
                }
            });
        }
        for number in 0..100 {
            let process = ProcessConfig::new(["echo", &number.to_string()]).piped();
            let (container, process) =
                factory.run(place.join(&number.to_string()), &config, process).unwrap();
            assert_eq!(text(&process.output(100).unwrap()), format!("{number}\n"));
            container.destroy().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn two_handles_race_without_harm() {
    if !able("two_handles_race_without_harm") {
        return;
    }
    let place = Place::new("race");
    let config = config(&place.rootfs().unwrap());
    let factory = Factory::new().unwrap();
    let allowed = [
        ErrorKind::AlreadyExists,
        ErrorKind::NotFound,
        ErrorKind::WrongState,
        ErrorKind::StartFailed,
        ErrorKind::Os,
        ErrorKind::Corrupt,
    ];
    let end = std::time::Instant::now() + Duration::from_secs(seconds());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while std::time::Instant::now() < end {
                    let steps = [
                        factory.create(place.join("c"), &config).map(drop),
                        factory
                            .load(place.join("c"))
                            .and_then(|c| c.start(ProcessConfig::new(["true"])))
                            .map(drop),
                        factory.load(place.join("c")).and_then(|c| c.run_state()).map(drop),
                        factory.destroy(place.join("c")),
                    ];
                    for error in steps.into_iter().filter_map(Result::err) {
                        assert!(allowed.contains(&error.kind()), "{error:?}");
                    }
                }
            });
        }
    });
    factory.destroy(place.join("c")).unwrap();
    assert!(!place.join("c").exists());
}

fn seconds() -> u64 {
    std::env::var("LIBCONTAINER_RACE_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

/// A container that may trace what joins it can open what our inits run, and the kernel executes nothing that is open for writing.
#[test]
fn who_holds_the_inits_image_open_for_writing_stops_nobody() {
    if !able("who_holds_the_inits_image_open_for_writing_stops_nobody") {
        return;
    }
    let place = Place::new("image-busy");
    let config = config(&place.rootfs().unwrap());
    let factory = Factory::new().unwrap();
    let container = factory.create(place.join("a"), &config).unwrap();
    let pid = container.processes().unwrap()[0];
    let image = std::fs::File::open(format!("/proc/{pid}/exe")).unwrap();
    let again = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&image));
    container.destroy().unwrap();
    // Other tests of this program may run it at the moment.
    let open = || std::fs::File::options().write(true).open(&again).ok();
    let held = (0..2000).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(1));
        open()
    });
    if held.is_some() {
        factory.create(place.join("b"), &config).unwrap().destroy().unwrap();
    }
    let mut written = held.expect("nobody runs it for a moment");
    assert!(std::io::Write::write(&mut written, b"x").is_err(), "it is sealed");
}

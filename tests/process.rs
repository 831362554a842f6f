//! Processes: descriptors, terminals, users, capabilities, limits, environment.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test ends by panicking"
)]

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libcontainer::{Config, Factory, ProcessConfig, Stdio};
use libcontainer_tests::{Place, able, config, text};

fn run(name: &str, change: impl FnOnce(&mut Config), process: ProcessConfig) -> Option<String> {
    if !able(name) {
        return None;
    }
    let place = Place::new(name);
    let mut config = config(&place.rootfs().unwrap());
    change(&mut config);
    let (container, process) =
        Factory::new().unwrap().run(place.join("c"), &config, process.piped()).unwrap();
    let output = text(&process.output(1 << 20).unwrap());
    container.destroy().unwrap();
    Some(output)
}

fn check(name: &str, change: impl FnOnce(&mut Config), script: &str, wanted: &str) {
    if let Some(found) = run(name, change, ProcessConfig::new(["sh", "-c", script])) {
        assert_eq!(found, wanted, "{name}");
    }
}

#[test]
fn pipes_are_the_programs_own() {
    let script = "echo first >/dev/stdout; echo second >/dev/stderr; echo third >/proc/self/fd/1";
    check("own-pipes", |config| config.user = "u".into(), script, "first\nthird\nsecond\n");
    if !able("own-pipes-join") {
        return;
    }
    let place = Place::new("own-pipes-join");
    let container =
        Factory::new().unwrap().create(place.join("c"), &config(&place.rootfs().unwrap())).unwrap();
    let process = ProcessConfig::new(["sh", "-c", script]);
    let process = ProcessConfig { user: Some("1000:100".to_owned()), ..process.piped() };
    let output = container.start(process).unwrap().output(1 << 20).unwrap();
    assert_eq!(text(&output), "first\nthird\nsecond\n");
    container.destroy().unwrap();
}

#[test]
fn users_come_from_the_containers_own_files() {
    check(
        "user-name",
        |config| config.user = "u".into(),
        "id -u; id -g; id -G; echo $HOME",
        "1000\n100\n100 10\n/home/u\n",
    );
    check(
        "user-number",
        |config| config.user = "4242:77".into(),
        "id -u; id -g; id -G; pwd",
        "4242\n77\n77\n/\n",
    );
    check(
        "user-groups",
        |config| config.additional_groups = vec!["wheel".into(), "5".into()],
        "id -G",
        "0 5 10\n",
    );
}

#[test]
fn capabilities_are_those_of_the_list() {
    let script = "grep -E 'Cap|NoNew' /proc/self/status";
    let caps = |inh: &str, set: &str, bnd: &str, amb: &str, nnp: u8| {
        format!(
            "CapInh:\t{inh}\nCapPrm:\t{set}\nCapEff:\t{set}\nCapBnd:\t{bnd}\nCapAmb:\t{amb}\nNoNewPrivs:\t{nnp}\n"
        )
    };
    let none = "0000000000000000";
    check("caps-root", |_| {}, script, &caps(none, "00000000000000e3", "00000000000000e3", none, 0));
    check(
        "caps-user",
        |config| config.user = "u".into(),
        script,
        &caps(none, none, "00000000000000e3", none, 0),
    );
    check(
        "caps-none",
        |config| {
            config.capabilities.clear();
            config.no_new_privileges = true;
        },
        script,
        &caps(none, none, none, none, 1),
    );
    let ambient = |config: &mut Config| {
        config.user = "u".into();
        let kill = vec!["KILL".to_owned()];
        config.capability_sets = Some(libcontainer::CapabilitySets {
            bounding: kill.clone(),
            effective: kill.clone(),
            permitted: kill.clone(),
            inheritable: kill.clone(),
            ambient: kill,
        });
    };
    let kill = "0000000000000020";
    check("caps-ambient", ambient, script, &caps(kill, kill, kill, kill, 0));
}

#[test]
fn limits_mask_directory_environment() {
    let limit = |config: &mut Config| {
        config.rlimits = serde_json::from_str(r#"[{"type":"RLIMIT_NOFILE","soft":64,"hard":128}]"#).unwrap();
        config.umask = Some(0o077);
        config.working_dir = "home/u".into();
        config.environment = vec!["PATH=/bin".into(), "A=1".into(), "A=2".into()];
        config.oom_score_adj = Some(500);
    };
    check(
        "limits",
        limit,
        "ulimit -n; umask; pwd; env | grep A=2; cat /proc/self/oom_score_adj",
        "64\n0077\n/home/u\nA=2\n500\n",
    );
    check("umask", |_| {}, "umask; ls -l /dev/null | head -c 10", "0022\ncrw-rw-rw-");
    check(
        "sysctl",
        |config| drop(config.sysctl.insert("kernel.msgmax".into(), "4096".into())),
        "cat /proc/sys/kernel/msgmax",
        "4096\n",
    );
}

#[test]
fn the_process_has_the_descriptors_that_it_was_given() {
    let place = Place::new("descriptors");
    std::fs::write(place.join("x"), "kept").unwrap();
    let open = || std::fs::File::open(place.join("x")).unwrap();
    let leaked: Vec<_> = (0..50).map(|_| nix::unistd::dup(open()).unwrap()).collect();
    for fd in &leaked {
        nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    }
    // The last one is the directory that ls itself reads.
    let mut process = ProcessConfig::new(["sh", "-c", "cat <&3; cat <&4; exec ls /proc/self/fd"]);
    process.preserved = vec![open().into(), open().into()];
    if let Some(found) = run("descriptors", |_| {}, process) {
        assert_eq!(found, "keptkept0\n1\n2\n3\n4\n5\n");
    }
}

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn readers_and_writers_are_served() {
    if !able("readers_and_writers_are_served") {
        return;
    }
    let place = Place::new("objects");
    let container =
        Factory::new().unwrap().create(place.join("c"), &config(&place.rootfs().unwrap())).unwrap();
    let sink = Sink::default();
    let big = vec![b'x'; 300_000];
    let mut process = ProcessConfig::new(["sh", "-c", "cat; echo e >&2"]);
    process.stdin = Stdio::Reader(Box::new(std::io::Cursor::new(big.clone())));
    process.stdout = Stdio::Writer(Box::new(sink.clone()));
    process.stderr = Stdio::Stdout;
    assert!(container.start(process).unwrap().wait().unwrap().success());
    let found = sink.0.lock().unwrap().clone();
    assert_eq!(found.len(), big.len() + 2);
    let status = container
        .start(ProcessConfig::new(["sh", "-c", "cat; echo lost > /dev/stdout; exit 4"]))
        .unwrap()
        .wait()
        .unwrap();
    assert_eq!(status.code(), Some(4), "null is the default, for both directions");
    let mut wrong = ProcessConfig::new(["true"]);
    wrong.stdin = Stdio::Stdout;
    assert!(container.start(wrong).is_err());
    container.destroy().unwrap();
}

/// Pipes for all three, descriptors of the caller's, and the caller's own.
#[test]
fn pipes_files_and_what_is_inherited() {
    if !able("pipes_files_and_what_is_inherited") {
        return;
    }
    let place = Place::new("stdio");
    let container =
        Factory::new().unwrap().create(place.join("c"), &config(&place.rootfs().unwrap())).unwrap();
    let mut process = ProcessConfig::new(["sh", "-c", "read a; echo out $a; echo err $a >&2"]);
    (process.stdin, process.stdout, process.stderr) = (Stdio::Pipe, Stdio::Pipe, Stdio::Pipe);
    let mut process = container.start(process).unwrap();
    process.stdin.take().unwrap().write_all(b"x\n").unwrap();
    let output = process.output(1 << 10).unwrap();
    assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"out x\n"[..], &b"err x\n"[..]));
    std::fs::write(place.join("in"), "from a file").unwrap();
    let mut process = ProcessConfig::new(["cat"]);
    process.stdin = Stdio::Fd(std::fs::File::open(place.join("in")).unwrap().into());
    process.stdout = Stdio::Fd(std::fs::File::create(place.join("out")).unwrap().into());
    assert!(container.start(process).unwrap().wait().unwrap().success());
    assert_eq!(std::fs::read_to_string(place.join("out")).unwrap(), "from a file");
    // The caller's own: the very same files.
    let own = |number: u32| {
        let data = std::fs::metadata(format!("/proc/self/fd/{number}")).unwrap();
        format!(
            "{} {}\n",
            std::os::unix::fs::MetadataExt::dev(&data),
            std::os::unix::fs::MetadataExt::ino(&data)
        )
    };
    let script = "x=$(for n in 0 1 2; do stat -L -c '%d %i' /proc/$$/fd/$n; done); echo \"$x\" >&3";
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let mut process = ProcessConfig::new(["sh", "-c", script]).inherited();
    process.preserved = vec![writer];
    assert!(container.start(process).unwrap().wait().unwrap().success());
    let mut found = String::new();
    std::fs::File::from(reader).read_to_string(&mut found).unwrap();
    assert_eq!(found, (0..3).map(own).collect::<String>());
    container.destroy().unwrap();
}

/// The plan of a further process, without starting it: a user by name is the container's own.
#[test]
fn a_join_is_explained() {
    if !able("a_join_is_explained") {
        return;
    }
    let place = Place::new("explain-join");
    let container =
        Factory::new().unwrap().create(place.join("c"), &config(&place.rootfs().unwrap())).unwrap();
    let process = ProcessConfig { user: Some("u".into()), ..ProcessConfig::new(["id"]) };
    let text = container.explain(&process).unwrap().explain().to_string();
    for wanted in ["join the container", "setgroups(1, [10])", "setresuid(1000, 1000, 1000)", "/bin/id"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert_eq!(container.processes().unwrap().len(), 1, "nothing was started");
    container.destroy().unwrap();
}

#[test]
fn devices_and_links_of_dev() {
    let script = "cd /dev; for n in null zero full tty urandom random; do stat -c '%n %t:%T %a' $n; done; \
        for n in fd stdin stdout stderr ptmx core; do echo $n $(readlink $n); done; stat -c %a ptmx pts/ptmx; \
        head -c 3 zero | wc -c; echo x > full || true; : > ptmx; echo opened";
    let wanted = "null 1:3 666\nzero 1:5 666\nfull 1:7 666\ntty 5:0 666\nurandom 1:9 666\nrandom 1:8 666\n\
        fd /proc/self/fd\nstdin /proc/self/fd/0\nstdout /proc/self/fd/1\nstderr /proc/self/fd/2\nptmx pts/ptmx\n\
        core /proc/kcore\n777\n666\n3\nopened\nsh: write error: No space left on device\n";
    check("devices", |_| {}, script, wanted);
}

#[test]
fn a_terminal_is_the_containers_own() {
    if !able("a_terminal_is_the_containers_own") {
        return;
    }
    let place = Place::new("terminal");
    let config = config(&place.rootfs().unwrap());
    let script = "tty; stat -c '%t:%T' /dev/console; sleep 0.2; stty size; read line; echo got $line";
    let with = || ProcessConfig { terminal: true, ..ProcessConfig::new(["sh", "-c", script]) };
    std::os::unix::fs::symlink("busybox", config.rootfs.join("bin/stty")).unwrap();
    let (container, mut process) = Factory::new().unwrap().run(place.join("c"), &config, with()).unwrap();
    let terminal = process.terminal.take().unwrap();
    terminal.resize(33, 99).unwrap();
    terminal.file().write_all(b"typed\n").unwrap();
    let mut seen = Vec::new();
    // EIO is the end: nobody has the terminal open any more.
    let _ = terminal.file().read_to_end(&mut seen);
    let seen = String::from_utf8_lossy(&seen).replace('\r', "");
    assert!(process.wait().unwrap().success());
    assert!(
        seen.contains("/dev/pts/0")
            && seen.contains("88:0")
            && seen.contains("33 99")
            && seen.contains("got typed"),
        "{seen}"
    );
    container.destroy().unwrap();
}

/// Without a `/dev` of ours the terminal comes from the config's own devpts; without that the step that misses it is named.
#[test]
fn a_terminal_without_a_dev_of_ours() {
    if !able("a_terminal_without_a_dev_of_ours") {
        return;
    }
    let place = Place::new("bare-terminal");
    let mut config = config(&place.rootfs().unwrap());
    std::fs::create_dir_all(config.rootfs.join("dev/pts")).unwrap();
    let mounts = |json: &str| Some(serde_json::from_str(json).unwrap());
    let with = || ProcessConfig { terminal: true, ..ProcessConfig::new(["sh", "-c", "tty <&1; echo done"]) };
    let factory = Factory::new().unwrap();
    config.restrict_sys = false;
    config.mount_config = mounts(r#"{"bare":true}"#);
    let error = factory.run(place.join("c"), &config, with()).unwrap_err().to_string();
    assert!(error.contains("open a terminal") && error.contains("ptmx"), "{error}");
    config.mount_config = mounts(
        r#"{"bare":true,"mounts":[{"type":"proc","destination":"/proc"},
        {"type":"devpts","destination":"/dev/pts","options":["ptmxmode=0666","mode=620"]}]}"#,
    );
    let (container, mut process) = factory.run(place.join("c"), &config, with()).unwrap();
    let mut seen = Vec::new();
    let _ = process.terminal.take().unwrap().file().read_to_end(&mut seen);
    assert!(process.wait().unwrap().success());
    assert_eq!(String::from_utf8_lossy(&seen), "/dev/pts/0\r\ndone\r\n");
    container.destroy().unwrap();
}

#[test]
fn fifty_processes_are_polled() {
    if !able("fifty_processes_are_polled") {
        return;
    }
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let place = Place::new("poll");
    let container =
        Factory::new().unwrap().create(place.join("c"), &config(&place.rootfs().unwrap())).unwrap();
    let start =
        |number: i32| container.start(ProcessConfig::new(["sh", "-c", &format!("exit {number}")])).unwrap();
    let mut left: Vec<_> = (0..50).map(|number| (number, start(number))).collect();
    while !left.is_empty() {
        let mut polled: Vec<_> =
            left.iter().map(|(_, process)| PollFd::new(process.as_fd(), PollFlags::POLLIN)).collect();
        assert!(poll(&mut polled, PollTimeout::from(10_000_u16)).unwrap() > 0, "no progress");
        left.retain(|(number, process)| match process.try_wait().unwrap() {
            Some(status) => {
                assert_eq!(status.code(), Some(*number));
                false
            }
            None => true,
        });
    }
    let sleeper = container.start(ProcessConfig::new(["sleep", "100"])).unwrap();
    assert!(sleeper.wait_timeout(Duration::from_millis(50)).unwrap().is_none());
    let channel = sleeper.exit_channel().unwrap();
    sleeper.signal(libc::SIGTERM).unwrap();
    assert_eq!(channel.recv_timeout(Duration::from_secs(10)).unwrap().signal(), Some(libc::SIGTERM));
    container.destroy().unwrap();
}

#[test]
fn signals_of_the_host_are_not_inherited() {
    // A Rust program ignores SIGPIPE; the container's process must not.
    let program = ProcessConfig::new(["grep", "-E", "SigBlk|SigIgn", "/proc/self/status"]);
    if let Some(found) = run("signals", |_| {}, program) {
        assert_eq!(found, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    }
}

#[test]
fn a_join_whose_container_ends_meanwhile_says_so() {
    if !able("a_join_whose_container_ends_meanwhile_says_so") {
        return;
    }
    let place = Place::new("join-ended");
    let config = config(&place.rootfs().unwrap());
    let path = place.join("c");
    // It may still get in before the kernel has closed the namespace: then it has begun.
    let start = |at: usize| {
        let (container, process) =
            Factory::new().unwrap().run(&path, &config, ProcessConfig::new(["sleep", "100"])).unwrap();
        let first = nix::unistd::Pid::from_raw(process.pid().as_raw());
        let killer = Factory::new().unwrap().observe(move |step| {
            if step == at {
                nix::sys::signal::kill(first, nix::sys::signal::Signal::SIGKILL).unwrap();
            }
        });
        let error = killer.load(&path).unwrap().start(ProcessConfig::new(["true"])).err();
        container.destroy().unwrap();
        error.map(|error| error.to_string())
    };
    for at in 0..3 {
        let error = (0..50).find_map(|_| start(at)).unwrap();
        assert!(error.contains("the container has ended"), "{at}: {error}");
    }
}

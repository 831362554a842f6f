//! Plans that run on this kernel: hooks and filters, what the programs see of them, and the errors.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use std::fs::File as HostFile;
use std::io::Read;

use libcontainer_plan::{
    At, Builder, Cause, File, Hook, HostStep, How, Lane, Launch, LaunchError, Slot, signal_pidfd,
};
use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;

/// Input and output of the programs, as presets of a plan.
struct Streams {
    input: Slot<File>,
    output: Slot<File>,
}

/// Runs a plan of what `build` adds; returns how its program ended, and what was written.
fn run(build: impl FnOnce(&mut Builder, &Streams)) -> (Result<WaitStatus, Box<LaunchError>>, String) {
    let mut plan = Builder::new();
    let streams = Streams { input: plan.preset("input"), output: plan.preset("output") };
    plan.start_init();
    build(&mut plan, &streams);
    plan.await_exec();
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC).unwrap();
    let mut launch = Launch::new(plan.seal().unwrap());
    launch.give(streams.input, HostFile::open("/dev/null").unwrap().into());
    launch.give(streams.output, writer);
    let ended = launch.run().map(|launched| launched.wait().unwrap());
    let mut text = String::new();
    HostFile::from(reader).read_to_string(&mut text).unwrap();
    (ended, text)
}

fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn shell(plan: &mut Builder, streams: &Streams, script: &str) {
    plan.dup_to(streams.output, 1).dup_to(streams.output, 2);
    plan.exec(&["/bin/sh".into()], &words(&["sh", "-c", script]), &words(&["PATH=/usr/bin:/bin"]));
}

fn hook(script: &str) -> Hook {
    Hook {
        path: "/bin/sh".into(),
        args: words(&["sh", "-c", script]),
        env: words(&["GREETING=from the hook"]),
    }
}

fn run_hook(hook: &Hook) -> (Result<WaitStatus, Box<LaunchError>>, String) {
    run(|plan, streams| {
        plan.purpose("run the hook").hook(hook, streams.input, streams.output);
        plan.purpose("run the program");
        shell(plan, streams, "echo program");
    })
}

#[test]
fn a_hook_runs_before_the_program() {
    let (ended, text) = run_hook(&hook("echo $GREETING"));
    assert!(matches!(ended.unwrap(), WaitStatus::Exited(_, 0)));
    assert_eq!(text, "from the hook\nprogram\n");
}

#[test]
fn a_hook_has_the_standard_descriptors_only() {
    let script = "n=0; while [ $n -lt 64 ]; do [ -e /proc/self/fd/$n ] && echo $n; n=$((n + 1)); done; cat";
    let (ended, text) = run_hook(&hook(script));
    assert!(matches!(ended.unwrap(), WaitStatus::Exited(_, 0)));
    assert_eq!(text, "0\n1\n2\nprogram\n");
}

#[test]
fn a_hook_that_fails_ends_the_plan() {
    let missing = Hook { path: "/not/there".into(), ..hook("") };
    let forbidden = Hook { path: "/etc/passwd".into(), ..hook("") };
    for (hook, wanted) in [
        (hook("exit 3"), "the hook ended with status 3"),
        (hook("kill -TERM $$"), "the hook was killed by signal 15"),
        (missing, "the hook ended with status 127"),
        (forbidden, "the hook ended with status 126"),
    ] {
        let (ended, text) = run_hook(&hook);
        let error = ended.unwrap_err();
        let failure = &error.failure;
        assert!(matches!(failure.cause, Cause::Hook(_)), "{error}");
        assert_eq!((failure.lane, failure.index, failure.purpose.as_str()), (Lane::Child, 0, "run the hook"));
        let shown = error.to_string();
        let path = hook.path.display().to_string();
        assert!(shown.contains(wanted) && shown.contains("run hook") && shown.contains(&path), "{shown}");
        assert_eq!((text.as_str(), error.undo_errors.len()), ("", 0), "{shown}");
    }
}

const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const KILL_PROCESS: u32 = 0x8000_0000;

/// `struct sock_filter` four times: the call `number` gets `answer`, all others are let through.
fn filter(number: libc::c_long, answer: u32) -> Vec<u8> {
    let number = u32::try_from(number).unwrap();
    let lines: [(u16, u8, u8, u32); 4] =
        [(LOAD, 0, 0, 0), (JUMP_IF_EQUAL, 0, 1, number), (RETURN, 0, 0, answer), (RETURN, 0, 0, ALLOW)];
    let line = |(code, yes, no, value): (u16, u8, u8, u32)| {
        let mut bytes = code.to_ne_bytes().to_vec();
        bytes.extend([yes, no]);
        bytes.extend(value.to_ne_bytes());
        bytes
    };
    lines.into_iter().flat_map(line).collect()
}

fn filtered(program: &[u8]) -> (Result<WaitStatus, Box<LaunchError>>, String) {
    run(|plan, streams| {
        plan.dup_to(streams.output, 1).dup_to(streams.output, 2).no_new_privs();
        plan.purpose("load the filter").seccomp(program, 0);
        plan.purpose("run the program");
        let script = "uname || echo refused; grep -e ^Seccomp: -e ^NoNewPrivs: /proc/self/status; echo end";
        plan.exec(
            &["/bin/sh".into()],
            &words(&["sh", "-c", script]),
            &words(&["PATH=/usr/bin:/bin", "LC_ALL=C"]),
        );
    })
}

#[test]
fn a_filter_answers_for_the_kernel() {
    let (ended, text) = filtered(&filter(libc::SYS_uname, ERRNO | u32::try_from(libc::EPERM).unwrap()));
    assert!(matches!(ended.unwrap(), WaitStatus::Exited(_, 0)), "{text}");
    assert!(text.contains("Operation not permitted") && text.contains("refused"), "{text}");
    assert!(text.contains("NoNewPrivs:\t1\nSeccomp:\t2\nend\n"), "{text}");
}

#[test]
fn a_filter_that_is_none_or_kills_the_init_is_told() {
    let (ended, text) = filtered(&[]);
    let error = ended.unwrap_err();
    assert_eq!(
        (error.failure.errno(), error.failure.purpose.as_str()),
        (Some(libc::EINVAL), "load the filter")
    );
    assert!(error.to_string().contains("seccomp(SECCOMP_SET_MODE_FILTER, 0, <filter>): EINVAL"), "{error}");
    assert_eq!(text, "");
    // Killed in the very call that replaces it.
    let (ended, text) = filtered(&filter(libc::SYS_execve, KILL_PROCESS));
    let error = ended.unwrap_err();
    assert!(matches!(error.failure.cause, Cause::Signal(libc::SIGSYS)), "{error}");
    assert_eq!((error.failure.purpose.as_str(), text.as_str()), ("run the program", ""));
    let (ended, _) = filtered(&filter(libc::SYS_execve, ERRNO | u32::try_from(libc::EACCES).unwrap()));
    assert!(ended.unwrap_err().to_string().contains("EACCES"));
}

/// A program that is killed at once has been started all the same.
#[test]
fn a_program_that_is_killed_at_once_was_started() {
    for _ in 0..100 {
        let (ended, _) = run(|plan, streams| shell(plan, streams, "kill -KILL $$"));
        assert!(matches!(ended.unwrap(), WaitStatus::Signaled(_, Signal::SIGKILL, _)));
    }
    // The loader's first calls: the program itself does nothing yet.
    for _ in 0..100 {
        let (ended, _) = filtered(&filter(libc::SYS_brk, KILL_PROCESS));
        assert!(matches!(ended.unwrap(), WaitStatus::Signaled(_, Signal::SIGSYS, _)));
    }
}

/// Looks at a file on the kernel, then runs a program. Whether it was as expected.
fn looked_at(path: &str, magic: u32, content: &[u8]) -> bool {
    let (ended, _) = run(|plan, streams| {
        let how = How { flags: libc::O_RDONLY, ..How::TRUSTED };
        let file: Slot<File> = plan.openat2(At::Cwd, path, how);
        plan.expect_filesystem(file, magic).expect_content(file, content).close(file);
        shell(plan, streams, "true");
    });
    match ended {
        Ok(_) => true,
        Err(error) if matches!(error.failure.cause, Cause::Mismatch) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_a_file_begins_with_is_looked_at() {
    for (beginning, wanted) in [("Lin", true), ("Linux\n", true), ("Linux\n\n", false), ("LiX", false)] {
        let (ended, _) = run(|plan, streams| {
            let how = How { flags: libc::O_RDONLY, ..How::TRUSTED };
            let file: Slot<File> = plan.openat2(At::Cwd, "/proc/sys/kernel/ostype", how);
            plan.expect_beginning(file, beginning.as_bytes()).close(file);
            shell(plan, streams, "true");
        });
        let differs = ended.is_err_and(|error| matches!(error.failure.cause, Cause::Mismatch));
        assert_eq!(!differs, wanted, "{beginning:?}");
    }
}

#[test]
fn the_type_of_a_filesystem_and_what_a_file_holds_are_looked_at() {
    const PROC: u32 = 0x9fa0;
    let path = "/proc/sys/kernel/ostype";
    assert!(looked_at(path, PROC, b"Linux\n"));
    for (path, magic, content) in [
        ("/etc/passwd", PROC, &b"Linux\n"[..]),
        (path, 0x0102_1994, b"Linux\n"),
        (path, PROC, b"Linux"),
        (path, PROC, b"Linux\n\n"),
        (path, PROC, b"Minix\n"),
        (path, PROC, b""),
    ] {
        assert!(!looked_at(path, magic, content), "{path}");
    }
}

/// What the host meets of an init that was killed comes of that: the message of the step would lead astray.
#[test]
fn a_host_step_that_fails_because_the_init_was_killed_says_so() {
    let (ended, _) = run(|plan, streams| {
        plan.notify_host("the init is there");
        plan.host(HostStep::new("look at the init", "", |context| {
            signal_pidfd(context.pidfd()?, libc::SIGKILL)?;
            Err(std::io::Error::from_raw_os_error(libc::ENOENT))
        }));
        plan.purpose("wait for the host").await_host("go on");
        shell(plan, streams, "echo program");
    });
    let failure = ended.unwrap_err().failure;
    assert!(matches!(failure.cause, Cause::Signal(libc::SIGKILL)), "{failure}");
    assert_eq!(failure.lane, Lane::Child, "{failure}");
}

/// One that lives has nothing to do with it, and what the host says stays.
#[test]
fn a_host_step_that_fails_beside_a_living_init_is_told() {
    let (ended, _) = run(|plan, streams| {
        plan.notify_host("the init is there");
        let fail = |_: &mut _| Err(std::io::Error::from_raw_os_error(libc::EPIPE));
        plan.host(HostStep::new("look at something", "", fail));
        plan.await_host("go on");
        shell(plan, streams, "echo program");
    });
    let failure = ended.unwrap_err().failure;
    assert_eq!((failure.lane, failure.errno()), (Lane::Host, Some(libc::EPIPE)), "{failure}");
}

/// Nor has a program that has begun, however it ends.
#[test]
fn a_host_step_that_fails_behind_the_exec_is_told() {
    let (ended, _) = run(|plan, streams| {
        shell(plan, streams, "exit 3");
        plan.await_exec();
        plan.host(HostStep::new("look at the program", "", |context| {
            let exited = nix::sys::wait::WaitPidFlag::WEXITED | nix::sys::wait::WaitPidFlag::WNOWAIT;
            nix::sys::wait::waitid(nix::sys::wait::Id::PIDFd(context.pidfd()?), exited)?;
            Err(std::io::Error::from_raw_os_error(libc::EPROTO))
        }));
    });
    let failure = ended.unwrap_err().failure;
    assert_eq!((failure.lane, failure.errno()), (Lane::Host, Some(libc::EPROTO)), "{failure}");
}

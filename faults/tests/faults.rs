//! The injector on a real command: the call that is named fails, and what is said of it is what the command says.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

const FAULTS: &str = env!("CARGO_BIN_EXE_faults");

/// Whether there can be trials here; says why not.
fn able(test: &str) -> bool {
    let nsinit = Path::new(FAULTS).with_file_name("nsinit");
    let reasons = [
        (nix::unistd::geteuid().is_root(), "needs root"),
        (Path::new("/usr/bin/busybox").exists(), "busybox is not installed"),
        (nsinit.exists(), "nsinit is not built: cargo build -p nsinit"),
    ];
    if let Some((_, reason)) = reasons.iter().find(|(there, _)| !there) {
        skip(test, reason);
        return false;
    }
    if let Err(error) = libcontainer::Probe::current() {
        skip(test, &error.to_string());
        return false;
    }
    true
}

fn skip(test: &str, reason: &str) {
    let line = format!("{test}: {reason}\n");
    let _ = std::io::stderr().write_all(format!("SKIP: {line}").as_bytes());
    if let Some(path) = std::env::var_os("LIBCONTAINER_SKIP_FILE") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

fn faults(args: &[&str]) -> (Output, String) {
    let output = Command::new(FAULTS).args(args).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

/// What the report says of one trial.
fn trial(point: &str) -> String {
    let (output, text) = faults(&["--verbose", "--jobs", "1", "--only", point]);
    assert!(text.contains(&format!("--only {point}")), "{output:?}");
    text
}

#[test]
fn the_call_that_is_named_fails_and_nothing_else() {
    if !able("the_call_that_is_named_fails_and_nothing_else") {
        return;
    }
    for (point, said) in [
        ("run:init:1:pivot_root:EPERM", "pivot_root(\".\", \".\"): EPERM"),
        ("run:tool:1:memfd_create:EMFILE", "EMFILE"),
        ("run:child:1:execveat:EIO", "EIO"),
        ("run:tool:1:clone3:KILL", "Signal(SIGKILL)"),
        // A filter of the caller's may answer so: then it is no child.
        ("run:tool:1:clone3:SKIP", "clone3 was answered with 0"),
        ("run:child:1:execveat:SKIP", "execveat was answered with success"),
        ("run:init:1:pivot_root:KILL", "Code(1)"),
    ] {
        let text = trial(point);
        assert!(text.contains(said), "{point}: {text}");
    }
}

/// Under a filter that answers in the kernel's place with success, each time that a call of this name comes.
#[test]
fn answers_that_are_not_the_kernel_s_end_no_program_and_let_none_wait() {
    if !able("answers_that_are_not_the_kernel_s_end_no_program_and_let_none_wait") {
        return;
    }
    for (point, said) in [
        ("run:tool:0:socketpair:SKIP", "has made no sockets"),
        ("run:tool:0:mkdirat:SKIP", "it is gone each time"),
        ("run:tool:0:recvfrom:SKIP", "EPROTO"),
        ("run:tool:0:sendto:SKIP", "EPROTO"),
        ("run:tool:0:bind:SKIP", "bind(AF_NETLINK): EPROTO"),
        ("run:tool:0:signalfd4:SKIP", "signals are not forwarded any more"),
        ("exec:tool:0:recvmsg:SKIP", "start a process in"),
        ("library:tool:0:pipe2:SKIP", "has made no pipe"),
        ("exec:tool:0:readlinkat:SKIP", "names no namespace"),
    ] {
        let text = trial(point);
        assert!(text.contains(said), "{point}: {text}");
        let all = text.lines().find(|line| line.starts_with("all")).unwrap();
        let counts: Vec<_> = all.split_whitespace().collect();
        assert_eq!(counts[4..7], ["0"; 3], "leaked, fail-open, panics: {point}: {text}");
        assert_eq!(counts[7], "0", "hangs: {point}: {text}");
    }
}

#[test]
fn a_call_that_does_not_come_is_no_success() {
    if !able("a_call_that_does_not_come_is_no_success") {
        return;
    }
    let text = trial("config:tool:100000:getpid:KILL");
    let all = text.lines().find(|line| line.starts_with("all")).unwrap();
    assert!(all.ends_with('1') && all.split_whitespace().nth(3) == Some("0"), "{text}");
}

#[test]
fn calls_are_told_by_whom_they_are_made() {
    if !able("calls_are_told_by_whom_they_are_made") {
        return;
    }
    let (output, text) = faults(&["--calls", "--command", "run"]);
    for wanted in ["run:tool:1:clone3", "run:child:1:execveat", "run:init:1:pivot_root", "run:init:1:execve"]
    {
        assert!(text.lines().any(|line| line.starts_with(wanted)), "{wanted}: {output:?}");
    }
    assert!(!text.contains("run:tool:1:pivot_root") && !text.contains(":loader:"), "{text}");
}

/// One of each kind that once was bad. Their numbers may have moved on to neighbours.
const MENDED: [&str; 27] = [
    "check:tool:18:statx:ENOMEM",
    "create:init:11:rt_sigaction:KILL",
    "create+user:init:4:read:ENOMEM",
    "create:tool:16:mkdirat:LOST-EIO",
    "create:tool:3:mprotect:ENOMEM",
    "delete:tool:13:unlinkat:EBUSY",
    "exec:init:1:mmap:EPERM",
    "exec+user:init:1:sendmsg:ENOBUFS",
    "library+class:tool:20:close:KILL",
    "library+listened:tool:57:openat:EMFILE",
    "ps:child:2:rt_sigprocmask:KILL",
    "record:init:14:mkdirat:ENOSPC",
    "record:tool:1:socketpair:KILL-AFTER",
    "record:tool:12:openat2:EIO",
    "record:tool:16:ioctl:ENOMEM",
    "record:tool:34:openat:ENFILE",
    "run:tool:3:mmap:EPERM",
    SHIM,
    SHIM_THREAD,
    SHIM_JOINED,
    SHIM_PLACE,
    SHIM_CUT_OFF,
    "start:init:1:read:EIO",
    "start:init:1:execve:KILL",
    "start+user:init:1:rt_sigprocmask:KILL",
    "try:tool:42:close:LOST-EIO",
    "try:tool:4:mkdir:KILL",
];

/// A process that was to join and has not kept the end of the first one from being told.
const SHIM: &str = "shim:init:2:setresgid:EPERM";

/// The first thread of the shim's own that can't be, and a process that has joined and can't be waited for.
const SHIM_THREAD: &str = "shim:tool:1:clone3:EAGAIN";
const SHIM_PLACE: &str = "shim:tool:1:statx:EIO";
/// Who had a task made is cut off, comes back while it is made, and ends it.
const SHIM_CUT_OFF: &str = "shim:tool:3:recvfrom:ENOBUFS";
const SHIM_JOINED: &str = "shim:tool:279:fcntl:EPERM";

/// Whether the shim is there to be tried; says so if not.
fn has_shim(name: &str) -> bool {
    let built = Path::new(FAULTS).with_file_name("containerd-shim-nsinit-v2").exists();
    if !built {
        skip(name, "those of the shim alone: it is not built: cargo build -p containerd-shim-nsinit");
    }
    built
}

/// A process that was killed in its exec and reaped by somebody else has ended, and that is all that an older kernel tells.
const UNKNOWN: &str = "start:init:1:execve:KILL";

fn tells_the_end(name: &str) -> bool {
    // KERNEL(6.15): PIDFD_GET_INFO with the exit code.
    let tells = libcontainer::Probe::current().is_ok_and(|probe| probe.version >= (6, 15));
    if !tells {
        skip(
            name,
            &format!(
                "{UNKNOWN} alone: this kernel does not tell how a process ended that others have reaped"
            ),
        );
    }
    tells
}

#[test]
fn what_was_mended_survives() {
    if !able("what_was_mended_survives") {
        return;
    }
    let name = "what_was_mended_survives";
    let known = |point: &&&str| match **point {
        UNKNOWN => tells_the_end(name),
        SHIM | SHIM_THREAD | SHIM_JOINED | SHIM_PLACE | SHIM_CUT_OFF => has_shim(name),
        _ => true,
    };
    let args: Vec<_> = MENDED.iter().filter(known).flat_map(|point| ["--only", point]).collect();
    let (output, text) = faults(&args);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    // Calls move on as the code does; if most have, the list is to be made anew.
    let row = text.lines().find_map(|line| line.strip_prefix("all ")).unwrap_or_default();
    let numbers: Vec<usize> = row.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let (tried, survived) = (numbers[1], numbers[2]);
    assert!(tried == args.len() / 2 && 2 * survived > tried, "most did not come: {text}");
}

/// The step that is taken out, and whether the init finds out by itself: then no program runs.
const WITHOUT: [(&str, bool); 10] = [
    ("run:init:1:pivot_root:SKIP", true),
    ("run:init:1:seccomp:SKIP", false),
    ("start+guarded:init:1:seccomp:SKIP", false),
    ("run+guarded:init:1:landlock_restrict_self:SKIP", false),
    ("exec+guarded:init:1:landlock_restrict_self:SKIP", false),
    ("library+guarded:init:1:landlock_restrict_self:SKIP", false),
    ("record:init:1:landlock_restrict_self:SKIP", false),
    ("run+listened:init:1:seccomp:SKIP", true),
    ("run+guarded:init:1:set_mempolicy:SKIP", true),
    ("exec+guarded:init:1:sched_setaffinity:SKIP", true),
];

/// That nothing is found must not be for want of eyes: a step of ours that does nothing shows, or is no start.
#[test]
fn a_step_that_is_missing_is_seen() {
    let name = "a_step_that_is_missing_is_seen";
    if !able(name) {
        return;
    }
    if !libcontainer::Probe::current().is_ok_and(|probe| probe.landlock.is_ok()) {
        return skip(name, "this kernel has no Landlock");
    }
    let args: Vec<_> = WITHOUT.iter().flat_map(|(point, _)| ["--only", point]).collect();
    let (_, text) = faults(&[&["--verbose"], args.as_slice()].concat());
    for (point, found_out) in WITHOUT {
        let of = |part: &&str| part.starts_with(&format!("{point} "));
        let trial = text.split("cargo xtask faults --only ").find(of).unwrap_or_default();
        assert_eq!(trial.contains("fail-open: without"), !found_out, "{point}: {text}");
        assert_eq!(trial.contains("Code(0)"), !found_out, "{point}: {text}");
    }
}

#[test]
fn a_selection_survives() {
    if !able("a_selection_survives") {
        return;
    }
    // The commands that depend most on the kernel and its layout of control groups.
    let emulated = std::env::var_os("LIBCONTAINER_EMULATED").is_some();
    let mut args = vec!["--count", if emulated { "24" } else { "40" }];
    for command in ["run", "update", "delete", "run+systemd", "delete+systemd"] {
        args.extend(["--command", command]);
    }
    let (output, text) = faults(&args);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

/// Each place in the code is found and tried, and what is told of it is that the call came from there.
#[test]
fn each_place_is_tried_once() {
    if !able("each_place_is_tried_once") {
        return;
    }
    let args = ["--sites", "--jobs", "1", "--command", "state", "--command", "list", "--call", "openat"];
    let (output, text) = faults(&args);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let number = |before: &str, of: usize| -> usize {
        let line = text.lines().find_map(|line| line.strip_prefix(before)).unwrap();
        line.split_whitespace().nth(of).unwrap().parse().unwrap()
    };
    let (places, calls) = (number("refused: ", 2), number("all ", 0));
    assert!(places > 5 && number("refused: ", 0) == places && number("killed: ", 0) == places, "{text}");
    assert!(text.contains(" places, 0 of them calls of which that is not known"), "{text}");
    // Both commands look for the same records by the same code.
    assert!(calls > 3 * places && number("all ", 1) == 2 * places, "{text}");
}

//! `nsinit` whose standard output or error can't be written to: no panic, the right exit code, and no process is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::process::{Child, Command, Stdio};

use libcontainer::mount::Mount;
use libcontainer::network::netlink::{Address, Bridge, Name, Netlink, NewLink};
use libcontainer_tests::operator::{Operator, until};

/// A command line, what has to be done before and after it, its code, and whether it prints.
struct Case {
    before: &'static [&'static str],
    args: &'static [&'static str],
    after: &'static [&'static str],
    code: i32,
    prints: bool,
}

const fn silent(args: &'static [&'static str], code: i32) -> Case {
    Case { before: &[], args, after: &[], code, prints: false }
}

const fn prints(args: &'static [&'static str]) -> Case {
    Case { before: &[], args, after: &[], code: 0, prints: true }
}

const CASES: &[Case] = &[
    prints(&["--version"]),
    prints(&["--help"]),
    prints(&["help", "run"]),
    prints(&["try"]),
    silent(&["try", "--", "sh", "-c", "exit 7"], 7),
    silent(&["try", "--", "no-such-program"], 127),
    silent(&["run", "x", "sh", "-c", "exit 7"], 7),
    silent(&["run", "x", "no-such-program"], 127),
    Case { after: &["delete", "--force", "made"], ..silent(&["create", "made"], 0) },
    Case {
        before: &["create", "made"],
        after: &["delete", "--force", "made"],
        ..silent(&["start", "made"], 0)
    },
    silent(&["exec", "web", "sh", "-c", "exit 7"], 7),
    silent(&["exec", "none", "true"], 1),
    prints(&["list"]),
    prints(&["list", "--format", "json"]),
    prints(&["state", "web"]),
    silent(&["state", "none"], 1),
    silent(&["kill", "web", "CONT"], 0),
    Case { after: &["resume", "web"], ..silent(&["pause", "web"], 0) },
    Case { before: &["pause", "web"], ..silent(&["resume", "web"], 0) },
    silent(&["checkpoint", "none"], 1),
    silent(&["restore", "--image-path", "/nope", "restored"], 1),
    prints(&["stats", "web"]),
    prints(&["stats", "--format", "json", "web"]),
    prints(&["ps", "web"]),
    prints(&["ps", "--format", "json", "web"]),
    prints(&["net", "web"]),
    prints(&["net", "--format", "json", "web"]),
    prints(&["mounts", "list", "web"]),
    prints(&["mounts", "list", "--format", "json", "web"]),
    prints(&["validate"]),
    silent(&["update", "--memory", "300m", "web"], 0),
    prints(&["events", "--stats", "web"]),
    Case { before: &["create", "made"], ..silent(&["delete", "--force", "made"], 0) },
    silent(&["spec", "--bundle", "/nope"], 1),
    prints(&["features"]),
    prints(&["config"]),
    prints(&["explain"]),
    prints(&["check"]),
    prints(&["check", "--json"]),
    prints(&["completion", "bash"]),
    prints(&["completion", "zsh"]),
    prints(&["completion", "fish"]),
    prints(&["seccomp", "check", "default"]),
    prints(&["seccomp", "explain", "default"]),
    prints(&["apparmor", "show"]),
    silent(&["bogus"], 2),
];

/// A running container with a control group, and a config with a key that every command that reads it has to complain of.
fn operator(name: &str) -> Option<Operator> {
    let mut operator = Operator::new(name)?;
    operator.config.cgroups = Some(operator.place.cgroup());
    operator.write();
    operator.check(&["run", "--detach", "web"], 0, "");
    // The group is that of the first container alone.
    operator.config.cgroups = None;
    let text = operator.config.to_json().unwrap().replacen('{', "{\"bogus\": 1,", 1);
    fs::write(operator.place.join("container.json"), text).unwrap();
    Some(operator)
}

/// Runs a case with its streams as a shell would redirect them; the code, and what came on standard error.
fn run(operator: &Operator, case: &Case, redirection: &str) -> (Option<i32>, String) {
    let step = |args: &[&str]| assert!(args.is_empty() || operator.run(args).status.success(), "{args:?}");
    step(case.before);
    let err = operator.place.join("err");
    let plain = operator.command(case.args);
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("exec \"$0\" \"$@\" {redirection}")).arg(plain.get_program());
    command.args(plain.get_args()).current_dir(operator.place.path()).stdin(Stdio::null());
    let out = if redirection.is_empty() {
        unread()
    } else {
        File::create(operator.place.join("out")).unwrap().into()
    };
    let status = command.stdout(out).stderr(File::create(&err).unwrap()).status().unwrap();
    step(case.after);
    (status.code(), fs::read_to_string(err).unwrap())
}

/// A pipe that nobody reads.
fn unread() -> Stdio {
    let (_, write): (OwnedFd, OwnedFd) = nix::unistd::pipe().unwrap();
    write.into()
}

#[test]
fn every_command_with_streams_that_fail() {
    let Some(operator) = operator("streams") else { return };
    for redirection in [">/dev/full", ">&-", "", "2>&-", "2>/dev/full", ">/dev/full 2>/dev/full", ">&- 2>&-"]
    {
        for case in CASES {
            let fails = case.prints && redirection.starts_with(">/dev/full");
            let (code, err) = run(&operator, case, redirection);
            let what = format!("{:?} {redirection}: {err}", case.args);
            assert_eq!(code, Some(if fails { 1 } else { case.code }), "{what}");
            assert!(!err.contains("panicked"), "{what}");
            let told = "write standard output: ENOSPC";
            assert_eq!(err.contains(told), fails && !redirection.contains("2>"), "{what}");
            // Nothing but the first container is left.
            assert_eq!(fs::read_dir(operator.place.join("state")).unwrap().count(), 1, "{what}");
        }
    }
    assert_eq!(operator.inside().len(), 1);
    operator.check(&["delete", "--force", "web"], 0, "");
}

/// A command without a row would not be tested.
#[test]
fn every_command_has_its_rows() {
    let Some(operator) = Operator::new("rows") else { return };
    let help = String::from_utf8(operator.run(&["--help"]).stdout).unwrap();
    let rows: BTreeSet<_> = CASES.iter().map(|case| case.args[0]).collect();
    let commands =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // Names are indented less than what goes on in the next line.
    let names: Vec<_> = commands
        .filter_map(|line| line.strip_prefix("  ")?.split_once("  ")?.0.split(' ').next())
        .filter(|name| !name.is_empty())
        .collect();
    assert!(names.len() > 15, "{help}");
    assert_eq!(names.iter().filter(|name| !rows.contains(*name)).collect::<Vec<_>>(), Vec::<&&str>::new());
}

fn ends(mut child: Child) -> Option<i32> {
    let mut status = None;
    until("the end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap().code()
}

/// What would go on for ever ends with its reader.
#[test]
fn watchers_end_with_their_reader() {
    let Some(operator) = operator("watchers") else { return };
    for args in [&["stats", "--watch=1", "web"][..], &["events", "--interval", "1", "web"]] {
        let err = operator.place.join("watched");
        let mut command = operator.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(File::create(&err).unwrap()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "{args:?}");
        assert_eq!(ends(child), Some(0), "{args:?}");
        assert_eq!(fs::read_to_string(err).unwrap(), "", "{args:?}");
    }
    operator.check(&["delete", "--force", "web"], 0, "");
}

/// The output of a terminal is ours to write: a full disk is told, and the program goes on to its end; without a reader the terminal hangs up.
#[test]
fn terminals_whose_output_goes_nowhere() {
    let Some(operator) = operator("nowhere") else { return };
    let full = || Stdio::from(fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let exec = |script: &str, out: Stdio| {
        let err = operator.place.join("told");
        let mut command = operator.command(&["exec", "-t", "web", "sh", "-c", script]);
        let child = command.stdout(out).stderr(File::create(&err).unwrap()).spawn().unwrap();
        (ends(child), fs::read_to_string(err).unwrap())
    };
    let told = "nsinit: write standard output: ENOSPC: No space left on device\n".to_owned();
    // More than the terminal holds.
    let much = "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i + 1)); done";
    assert_eq!(exec(&format!("{much}; exit 3"), full()), (Some(3), told.clone()));
    assert_eq!(exec(much, full()), (Some(1), told));
    assert_eq!(exec("while :; do echo y; done", unread()), (Some(129), String::new()));
    assert_eq!(exec("exit 4", unread()), (Some(4), String::new()));
    operator.check(&["delete", "--force", "web"], 0, "");
}

/// A process whose number can't be told is ended.
#[test]
fn a_pid_file_that_cant_be_written() {
    let Some(operator) = operator("pid-file") else { return };
    for (args, detach) in [
        (&["exec"][..], "--detach"),
        (&["exec"], "--cwd=/"),
        (&["run"], "--detach"),
        (&["create"], "--strict"),
    ] {
        let name = if args == ["exec"] { "web" } else { "x" };
        let all: Vec<_> =
            args.iter().copied().chain([detach, "--pid-file", "/no/dir/pid", name, "sleep", "300"]).collect();
        let all: Vec<_> = all.into_iter().filter(|arg| *arg != "--strict").collect();
        operator.check(&all, 1, "--pid-file /no/dir/pid: ENOENT");
        until("it is gone", || operator.inside().len() == 1);
    }
    operator.check(&["state", "x"], 1, "does not exist");
    // A name that is taken by a directory: nothing is left beside it.
    fs::create_dir(operator.place.join("taken")).unwrap();
    operator.check(&["exec", "--pid-file", "taken", "web", "sleep", "300"], 1, "--pid-file taken: EISDIR");
    let beside = fs::read_dir(operator.place.path()).unwrap().flatten();
    assert_eq!(beside.filter(|entry| entry.file_name().to_string_lossy().starts_with("taken")).count(), 1);
    operator.check(&["delete", "--force", "web"], 0, "");
}

/// Who is killed has left nothing beside it.
#[test]
fn a_pid_file_of_one_who_was_killed() {
    let Some(mut operator) = Operator::new("killed-pid-file") else { return };
    let begun = operator.place.join("begun");
    let script = format!("touch {}; exec sleep 3", begun.display());
    let hook = serde_json::json!({"create_runtime": [{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin"]}]});
    operator.config.hooks = serde_json::from_value(hook).unwrap();
    operator.write();
    let names = || -> Vec<_> {
        let all = fs::read_dir(operator.place.path()).unwrap().flatten();
        all.map(|entry| entry.file_name().into_string().unwrap())
            .filter(|name| name.starts_with("pid"))
            .collect()
    };
    let mut child = operator.command(&["run", "--pid-file", "pid", "web", "true"]).spawn().unwrap();
    until("the hook runs", || begun.exists());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(names().is_empty(), "{:?}", names());
    operator.check(&["delete", "--force", "web"], 0, "");
    operator.config.hooks = Default::default();
    operator.write();
    operator.check(&["run", "--detach", "--pid-file", "pid", "web", "sleep", "300"], 0, "");
    let first = fs::read_to_string(operator.place.join("pid")).unwrap();
    // One that is there is replaced.
    operator.check(&["exec", "--detach", "--pid-file", "pid", "web", "sleep", "300"], 0, "");
    assert_ne!(fs::read_to_string(operator.place.join("pid")).unwrap(), first);
    assert_eq!(names(), ["pid"]);
    operator.check(&["delete", "--force", "web"], 0, "");
}

/// Directories of the state are read whatever close(2) says of them: the standard library's and nix's would panic.
#[test]
fn directories_that_can_not_be_closed() {
    let Some(operator) = Operator::new("closed") else { return };
    if !std::path::Path::new("/usr/bin/strace").exists() {
        return libcontainer_tests::skip("directories_that_can_not_be_closed", "strace is not installed");
    }
    for errno in ["EIO", "EBADF"] {
        operator.check(&["run", "--detach", "web"], 0, "");
        for (args, wanted) in [(&["list"][..], "web"), (&["delete", "--force", "web"], "")] {
            let state = operator.place.join("state");
            let mut command = Command::new("strace");
            command.args(["-o", "/dev/null", "-e", &format!("inject=close:error={errno}")]);
            command.arg("-P").arg(&state).arg("-P").arg(state.join("web"));
            let plain = operator.command(args);
            command.arg(plain.get_program()).args(plain.get_args());
            let output = command.output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && text.contains(wanted), "{errno} {args:?}: {output:?}");
        }
        operator.check(&["list", "--quiet"], 0, "");
        assert_eq!(operator.inside(), [0; 0]);
    }
}

/// Whoever looks at a container does so from a terminal, and what it shows is named by the container.
#[test]
fn names_of_a_container_tell_a_terminal_nothing() {
    let Some(mut operator) = Operator::new("harmless") else { return };
    let mount = |destination: &str| Mount {
        kind: "tmpfs".to_owned(),
        destination: destination.into(),
        ..Mount::default()
    };
    let mounts = &mut operator.config.mount_config.get_or_insert_default().mounts;
    mounts.extend(["/tmp/\u{1b}]0;mine\u{7}", "/tmp/a\n/forged\tproc"].map(mount));
    operator.write();
    operator.check(&["run", "--detach", "web"], 0, "");
    let shown = operator.ok(&["mounts", "list", "web"]);
    assert!(shown.contains("/tmp/\\u{1b}]0;mine\\u{7}") && !shown.contains('\u{1b}'), "{shown:?}");
    // A cell is no line of its own.
    assert!(shown.contains("\n/tmp/a\\n/forged\\tproc "), "{shown:?}");
    let output = operator.run(&["mounts", "remove", "web", "/tmp/\u{1b}[2J"]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("[2J") && !told.contains('\u{1b}'), "{told:?}");
    operator.check(&["delete", "--force", "web"], 0, "");
}

/// ESC and CSI, the latter as one letter.
const COMMAND: &str = "a\u{1b}[2J\u{9b}m";
const ESCAPED: &str = "a\\u{1b}[2J\\u{9b}m";

#[test]
fn names_of_links_tell_a_terminal_nothing() {
    let Some(operator) = Operator::new("harmless-links") else { return };
    operator.check(&["run", "--detach", "web"], 0, "");
    let pid = operator.json(&["state", "web"])["pid"].as_i64().unwrap();
    let namespace = File::open(format!("/proc/{pid}/ns/net")).unwrap();
    let mut inside = Netlink::in_namespace(namespace.as_fd()).unwrap();
    inside.add(&NewLink::bridge(Name::new(COMMAND).unwrap(), Bridge::default()).up()).unwrap();
    let index = inside.index(COMMAND).unwrap();
    inside.add(&Address::new(index, "10.9.0.1/24".parse().unwrap())).unwrap();
    let shown = operator.ok(&["net", "web"]);
    assert!(shown.contains(&format!("\n{ESCAPED} ")), "{shown:?}");
    assert!(shown.contains(&format!("\n10.9.0.0/24 dev {ESCAPED}\n")), "{shown:?}");
    assert!(!shown.contains(['\u{1b}', '\u{9b}']), "{shown:?}");
    operator.check(&["delete", "--force", "web"], 0, "");
}

/// As this program's own table has them, and as a ps(1) has them that escapes nothing.
#[test]
fn names_of_processes_tell_a_terminal_nothing() {
    let Some(mut operator) = Operator::new("harmless-processes") else { return };
    let script =
        format!("printf %s '{COMMAND}' > /proc/self/comm; echo > /tmp/named; read never < /tmp/fifo");
    operator.config.args = ["sh", "-c", &script, COMMAND].map(str::to_owned).to_vec();
    let tmp = operator.config.rootfs.join("tmp");
    nix::unistd::mkfifo(&tmp.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    operator.write();
    operator.check(&["run", "--detach", "web"], 0, "");
    until("it has its name", || tmp.join("named").exists());
    let pid = operator.json(&["state", "web"])["pid"].as_i64().unwrap();
    let bin = operator.place.join("bin");
    fs::create_dir(&bin).unwrap();
    let shown = |options: &[&str]| {
        let output =
            operator.command(&[&["ps", "web"], options].concat()).env("PATH", &bin).output().unwrap();
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        assert!(output.status.success() && !text.contains(['\u{1b}', '\u{9b}']), "{output:?}");
        text
    };
    assert!(shown(&[]).trim_end().ends_with("a\\x1b[2J\\xc2\\x9bm"), "{}", shown(&[]));
    forget_arguments(pid);
    assert!(shown(&[]).trim_end().ends_with(&format!("[{ESCAPED}]")), "{}", shown(&[]));
    let ps = bin.join("ps");
    fs::write(&ps, format!("#!/bin/sh\necho PID CMD\necho '{pid} {COMMAND}'\n")).unwrap();
    fs::set_permissions(&ps, fs::Permissions::from_mode(0o755)).unwrap();
    for options in [&[][..], &["--", "-e"]] {
        assert_eq!(shown(options), format!("PID CMD\n{pid} {ESCAPED}\n"));
    }
    operator.check(&["delete", "--force", "web"], 0, "");
}

/// A process may write over its arguments.
fn forget_arguments(pid: i64) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let [start, end] = [45, 46].map(|field| fields[field].parse::<u64>().unwrap());
    let memory = File::options().write(true).open(format!("/proc/{pid}/mem")).unwrap();
    memory.write_all_at(&vec![0; usize::try_from(end - start).unwrap()], start).unwrap();
}

//! `nsinit` in the foreground: terminals, signals, exit codes, and what remains when it is killed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test ends by panicking"
)]

#[path = "foreground/terminal.rs"]
mod terminal;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use libcontainer::Config;
use libcontainer_tests::{Place, able, config, skip};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// A bundle with a state directory, and the program beside the tests' own directory.
struct Operator {
    place: Place,
    program: PathBuf,
    config: Config,
}

impl Operator {
    fn new(name: &str) -> Option<Self> {
        let program = std::env::current_exe().unwrap().parent()?.parent()?.join("nsinit");
        if !able(name) {
            return None;
        }
        if !program.exists() {
            skip(name, "nsinit is not built: cargo build -p nsinit");
            return None;
        }
        let place = Place::new(name);
        let mut config = config(&place.rootfs().unwrap());
        symlink("busybox", config.rootfs.join("bin/stty")).unwrap();
        config.args = ["sleep", "300"].map(str::to_owned).to_vec();
        let operator = Self { place, program, config };
        operator.write();
        Some(operator)
    }

    fn write(&self) {
        fs::write(self.place.join("container.json"), self.config.to_json().unwrap()).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.place.join("state")).args(args).current_dir(self.place.path());
        command.stdin(Stdio::null());
        command
    }

    /// Output goes to files: a container that goes on keeps what it was given open.
    fn run(&self, args: &[&str]) -> Output {
        let (out, err) = (self.place.join("out"), self.place.join("err"));
        let file = |path: &PathBuf| fs::File::create(path).unwrap();
        let status = self.command(args).stdout(file(&out)).stderr(file(&err)).status().unwrap();
        Output { status, stdout: fs::read(out).unwrap(), stderr: fs::read(err).unwrap() }
    }

    fn check(&self, args: &[&str], code: i32, wanted: &str) {
        let found = self.run(args);
        let text =
            format!("{}{}", String::from_utf8_lossy(&found.stdout), String::from_utf8_lossy(&found.stderr));
        assert_eq!(found.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(wanted), "{args:?}: wanted {wanted:?}, found {text}");
    }

    /// Starts one that stays in the foreground, and waits until what it runs has made the file `tmp/ready`.
    fn started(&self, args: &[&str]) -> Child {
        let _ = fs::remove_file(self.config.rootfs.join("tmp/ready"));
        let child = self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("the program runs", || self.config.rootfs.join("tmp/ready").exists());
        child
    }

    /// Pids of processes whose root is this test's rootfs.
    fn inside(&self) -> Vec<i32> {
        let dir = self.place.path().file_name().unwrap().to_string_lossy().into_owned();
        let root = |pid: i32| {
            let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
            let first = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"));
            first.is_some_and(|line| line.split(' ').nth(3).is_some_and(|root| root.contains(&dir)))
        };
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| root(*pid)).collect()
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < end, "{what}: not within 20 s");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The exit code of a command that must end by itself.
fn code_of(mut child: Child) -> Option<i32> {
    let end = Instant::now() + Duration::from_secs(20);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait().unwrap().code()
}

fn send(child: &Child, signal: Signal) {
    nix::sys::signal::kill(Pid::from_raw(child.id() as i32), signal).unwrap();
}

const SLEEP: &str = "touch /tmp/ready; exec sleep 300";

#[test]
fn exit_codes_are_the_programs_own_or_tell_what_failed() {
    let Some(operator) = Operator::new("codes") else { return };
    let shell = |script: &'static str| ["run", "x", "sh", "-c", script];
    operator.check(&shell("exit 0"), 0, "");
    operator.check(&shell("exit 255"), 255, "");
    // The first process of a pid namespace survives its own signals, so that a child tells.
    for (script, code) in
        [("sh -c 'kill -9 $$'; exit $?", 137), ("sh -c 'kill -TERM $$'; exit $?", 143), ("exit 64", 64)]
    {
        operator.check(&shell(script), code, "");
    }
    operator.check(&["run", "-d", "web"], 0, "");
    for (script, code) in [("exit 3", 3), ("kill -9 $$", 137), ("kill -INT $$", 130), ("kill -63 $$", 191)] {
        operator.check(&["exec", "web", "sh", "-c", script], code, "");
    }
    // As runc: 1 where a container can't be made, 255 where a process can't be started.
    operator.check(&["run", "x", "foo"], 1, "exec: \"foo\": executable file not found in $PATH");
    operator.check(&["exec", "web", "foo"], 255, "exec: \"foo\": executable file not found in $PATH");
    operator.check(&["run", "x", "/bin/foo"], 1, "No such file or directory");
    operator.check(&["exec", "web", "/etc/passwd"], 255, "Permission denied");
    operator.check(&["create", "y", "foo"], 0, "");
    operator.check(&["start", "y"], 1, "exec: \"foo\": executable file not found in $PATH");
    operator.check(&["delete", "--force", "y"], 0, "");
    operator.check(&["delete", "--force", "web"], 0, "");
    // As shells, for what stands in place of a shell's command.
    operator.check(&["try", "--", "foo"], 127, "exec: \"foo\": executable file not found in $PATH");
    operator.check(&["try", "--", "/bin/foo"], 127, "No such file or directory");
    operator.check(&["try", "--", "/etc/passwd"], 126, "Permission denied");
    operator.check(&["try", "--timeline", "/no/such/file.svg", "--", "true"], 125, "/no/such/file.svg");
    operator.check(&["try", "--", "sh", "-c", "sh -c 'kill -TERM $$'; exit $?"], 143, "");
    assert_eq!(fs::read_dir(operator.place.join("state")).unwrap().count(), 0, "nothing is left");
}

#[test]
fn signals_reach_the_program() {
    let Some(operator) = Operator::new("signals") else { return };
    operator.check(&["run", "-d", "web"], 0, "");
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGUSR1, 138)] {
        let child = operator.started(&["exec", "web", "sh", "-c", SLEEP]);
        send(&child, signal);
        assert_eq!(code_of(child), Some(code), "exec, {signal}");
        let script =
            format!("trap 'exit {code}' {}; touch /tmp/ready; while :; do sleep 0.01; done", signal as i32);
        let child = operator.started(&["run", "x", "sh", "-c", &script]);
        send(&child, signal);
        assert_eq!(code_of(child), Some(code), "run, {signal}");
    }
    operator.check(&["delete", "--force", "web"], 0, "");
    assert!(operator.inside().is_empty());
}

#[test]
fn a_container_outlives_its_command_and_is_deleted() {
    let Some(operator) = Operator::new("outlives") else { return };
    let mut child = operator.started(&["run", "web", "sh", "-c", SLEEP]);
    child.kill().unwrap();
    child.wait().unwrap();
    operator.check(&["state", "web"], 0, "\"status\": \"running\"");
    until("one process is inside", || operator.inside().len() == 1);
    // So does a process that was started by exec.
    let mut child = operator.started(&["exec", "web", "sh", "-c", SLEEP]);
    child.kill().unwrap();
    child.wait().unwrap();
    until("two processes are inside", || operator.inside().len() == 2);
    operator.check(&["delete", "web"], 1, "kill it first");
    operator.check(&["kill", "web", "KILL"], 0, "");
    until("the container has stopped", || {
        String::from_utf8_lossy(&operator.run(&["state", "web"]).stdout).contains("stopped")
    });
    operator.check(&["delete", "web"], 0, "");
    until("all are gone", || operator.inside().is_empty());
    assert_eq!(fs::read_dir(operator.place.join("state")).unwrap().count(), 0);
}

#[test]
fn the_parent_death_signal_ends_a_container_with_its_command() {
    let Some(mut operator) = Operator::new("parent-death") else { return };
    operator.config.parent_death_signal = Signal::SIGKILL as u32;
    operator.write();
    let mut child = operator.started(&["run", "web", "sh", "-c", SLEEP]);
    until("one process is inside", || operator.inside().len() == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    until("the container is gone", || operator.inside().is_empty());
    operator.check(&["state", "web"], 0, "\"status\": \"stopped\"");
    operator.check(&["delete", "web"], 0, "");
    // A trial is thrown away with its command, and what is left of it can be deleted.
    let script = "echo > /run/ready; echo ready; exec sleep 300";
    let mut child =
        operator.command(&["try", "--", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = [0; 6];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
    let name = format!("try-{}", child.id());
    let inside = inside_of(&operator, &name);
    child.kill().unwrap();
    child.wait().unwrap();
    until("the trial is gone", || !PathBuf::from(format!("/proc/{inside}/root/run/ready")).exists());
    operator.check(&["delete", &name], 0, "");
    assert_eq!(fs::read_dir(operator.place.join("state")).unwrap().count(), 0);
}

fn inside_of(operator: &Operator, name: &str) -> i64 {
    let state: serde_json::Value = serde_json::from_slice(&operator.run(&["state", name]).stdout).unwrap();
    assert_eq!(state["status"], "running");
    state["pid"].as_i64().unwrap()
}

/// The setting belongs to a pid namespace since Linux 6.3: that of the test's own is changed here.
#[test]
fn a_host_that_forbids_executable_memory() {
    let Some(operator) = Operator::new("noexec") else { return };
    if !PathBuf::from("/proc/sys/vm/memfd_noexec").exists() {
        return skip("a_host_that_forbids_executable_memory", "Linux 6.3 has vm.memfd_noexec first");
    }
    let program = operator.program.display();
    let inside = "readlink /proc/1/exe; (: > /proc/1/exe) 2>&1; exit 3";
    let run = format!("{program} --root state run web sh -c '{inside}'");
    // Without the right to mount there is no other place for the init.
    let weak = format!("{program} check > checked; exec setpriv --bounding-set -sys_admin {run}");
    for (value, command, code, wanted) in [
        ("1", &run, 3, "/bin/busybox\nsh: can't create /proc/1/exe: Text file busy\n"),
        ("2", &run, 3, "/bin/busybox\nsh: can't create /proc/1/exe: Text file busy\n"),
        ("2", &weak, 1, "vm.memfd_noexec=2 forbids executable memory files, and without CAP_SYS_ADMIN"),
    ] {
        let script = format!("echo {value} > /proc/sys/vm/memfd_noexec || exit 99\n{command}");
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "sh", "-c", &script]);
        let found = command.current_dir(operator.place.path()).stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&found.stdout) + String::from_utf8_lossy(&found.stderr);
        assert_eq!(found.status.code(), Some(code), "{value}: {text}");
        assert!(text.contains(wanted), "{value}: {text}");
        assert_eq!(fs::read_dir(operator.place.join("state")).unwrap().count(), 0);
    }
    let checked = fs::read_to_string(operator.place.join("checked")).unwrap();
    assert!(checked.contains("sysctl vm.memfd_noexec=1"), "{checked}");
}

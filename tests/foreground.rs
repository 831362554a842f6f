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

#[path = "foreground/surroundings.rs"]
mod surroundings;
#[path = "foreground/terminal.rs"]
mod terminal;

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libcontainer_tests::operator::{Operator, until};
use libcontainer_tests::skip;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

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

/// There is no program yet that the signal could be for; what was made is taken back.
#[test]
fn a_signal_breaks_off_a_hook_that_hangs() {
    let Some(mut operator) = Operator::new("hangs") else { return };
    let (began, ended) = (operator.place.join("began"), operator.place.join("ended"));
    let hook = |script: String| libcontainer::Hook {
        path: "/bin/sh".into(),
        args: ["sh", "-c", &script].map(str::to_owned).to_vec(),
        ..libcontainer::Hook::default()
    };
    operator.config.hooks.create_runtime = vec![hook(format!("echo > {}; exec sleep 300", began.display()))];
    operator.config.hooks.poststop = vec![hook(format!("sleep 0.3; echo > {}", ended.display()))];
    operator.write();
    for (signal, detach) in [(Signal::SIGINT, &[][..]), (Signal::SIGTERM, &["-d"])] {
        let args = [&["run"], detach, &["web", "true"]].concat();
        let mut child = operator.command(&args).stderr(Stdio::piped()).spawn().unwrap();
        until("the hook runs", || began.exists());
        // This one asks for nothing.
        send(&child, Signal::SIGWINCH);
        std::thread::sleep(Duration::from_millis(300));
        assert!(child.try_wait().unwrap().is_none());
        send(&child, signal);
        let mut text = String::new();
        std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut text).unwrap();
        assert_eq!(code_of(child), Some(1), "{signal}: {text}");
        let wanted = "hook #0: /bin/sh: killed, as its caller was asked to break off";
        assert!(text.contains(wanted), "{signal}: {text}");
        assert_eq!(fs::read_dir(operator.place.join("state")).unwrap().count(), 0, "{signal}");
        fs::remove_file(&began).unwrap();
        fs::remove_file(&ended).expect("the hook of the end has run, and to its end");
    }
}

/// A config that is a pipe comes when somebody writes it.
#[test]
fn a_signal_ends_who_waits_for_a_config() {
    let Some(operator) = Operator::new("pipe") else { return };
    fs::remove_file(operator.place.join("container.json")).unwrap();
    nix::unistd::mkfifo(&operator.place.join("config.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut child = operator.command(&["run", "web", "true"]).spawn().unwrap();
    let waits = || {
        let stack = fs::read_to_string(format!("/proc/{}/wchan", child.id())).unwrap_or_default();
        stack.contains("partner") || stack.contains("fifo")
    };
    until("it waits for the other end", waits);
    // What runs in the background has SIGINT ignored, and so have its children.
    send(&child, Signal::SIGTERM);
    until("it ends", || child.try_wait().unwrap().is_some());
    let ended = std::os::unix::process::ExitStatusExt::signal(&child.wait().unwrap());
    assert_eq!(ended, Some(Signal::SIGTERM as i32));
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

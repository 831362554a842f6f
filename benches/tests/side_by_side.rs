//! The benchmark of starts leaves nothing behind when it is interrupted and when it fails.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends by panicking")]

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libcontainer::cgroups::Layout;
use libcontainer_tests::operator::until;
use libcontainer_tests::{Place, able, copy_program, skip};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_side_by_side");

fn command(program: &Path, temporary: &Place) -> Command {
    let mut command = Command::new(program);
    // A process group of its own, as a shell gives it one.
    command.args(["1", "--short"]).env("TMPDIR", temporary.path()).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Control groups of a run, by the number of its process.
fn groups(pid: u32) -> Vec<PathBuf> {
    let layout = Layout::of_this_process().unwrap();
    let entries = layout.all().flat_map(|one| fs::read_dir(&one.mountpoint).unwrap().flatten());
    let ours = |path: &PathBuf| path.to_string_lossy().ends_with(&format!("-{pid}"));
    entries.map(|entry| entry.path()).filter(ours).collect()
}

fn is_empty(place: &Place) -> bool {
    fs::read_dir(place.path()).unwrap().count() == 0
}

#[test]
fn an_interrupted_benchmark_leaves_nothing() {
    if !able("an_interrupted_benchmark_leaves_nothing") {
        return;
    }
    if !Path::new(PROGRAM).with_file_name("nsinit").exists() {
        return skip("an_interrupted_benchmark_leaves_nothing", "nsinit is not built: cargo build -p nsinit");
    }
    if Layout::of_this_process().unwrap().all().next().is_none() {
        return skip("an_interrupted_benchmark_leaves_nothing", "no control groups are mounted");
    }
    let place = Place::new("interrupted");
    for whole_group in [true, false] {
        let mut child = command(Path::new(PROGRAM), &place).stderr(Stdio::null()).spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        until("it makes control groups", || !groups(child.id()).is_empty());
        if whole_group { killpg(pid, Signal::SIGINT) } else { kill(pid, Signal::SIGTERM) }.unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(1));
        assert_eq!(groups(child.id()), Vec::<PathBuf>::new());
        assert!(is_empty(&place));
    }
}

#[test]
fn a_failing_benchmark_says_why_and_leaves_nothing() {
    if !able("a_failing_benchmark_says_why_and_leaves_nothing") {
        return;
    }
    let (programs, place) = (Place::new("alone"), Place::new("failing"));
    // The floor is not beside it.
    copy_program(Path::new(PROGRAM), &programs.join("side_by_side")).unwrap();
    let output = command(&programs.join("side_by_side"), &place).stderr(Stdio::piped()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("/floor: No such file or directory"), "{told}");
    assert!(is_empty(&place));
}

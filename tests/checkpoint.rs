//! Checkpoints and restores, by a real criu.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

#[path = "checkpoint/failing.rs"]
mod failing;
#[path = "checkpoint/groups.rs"]
mod groups;
#[path = "checkpoint/joined.rs"]
mod joined;
#[path = "checkpoint/options.rs"]
mod options;
#[path = "checkpoint/programs.rs"]
mod programs;
#[path = "checkpoint/surroundings.rs"]
mod surroundings;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use libcontainer::mount::{Mount, MountConfig};
use libcontainer_tests::operator::{Operator, until};
use libcontainer_tests::{copy_program, skip};

/// A criu that works on this machine: the one that `cargo xtask test` has fetched, or the system's.
fn criu(name: &str) -> Option<PathBuf> {
    // It lies in the workspace, wherever the tests are built.
    let fetched = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/criu/criu");
    let fetched = || Some(&fetched).filter(|path| path.exists());
    let program = fetched().map_or_else(|| OsString::from("criu"), Into::into);
    match Command::new(&program).arg("check").output() {
        Err(error) => skip(name, &format!("criu can't be run: {error}")),
        Ok(found) if found.status.success() => return which(&program),
        Ok(found) => {
            let text = String::from_utf8_lossy(&found.stderr).into_owned();
            skip(name, &format!("criu check: {}", text.lines().next().unwrap_or("fails")));
        }
    }
    None
}

fn which(program: &OsString) -> Option<PathBuf> {
    let path = PathBuf::from(program);
    if path.is_absolute() {
        return Some(path);
    }
    let all = std::env::var_os("PATH")?;
    std::env::split_paths(&all).map(|dir| dir.join(&path)).find(|path| path.is_file())
}

/// An operator with a criu.
struct Saver {
    tool: Operator,
    criu: PathBuf,
}

/// Counts in memory, and writes each number down.
const COUNT: &str = "i=0; while :; do i=$((i+1)); echo $i >> /tmp/count; sleep 0.02; done";

/// The last number that was written down. The program may be stopped in the midst of anything, so the file only grows.
fn count(tool: &Operator) -> u64 {
    let text = std::fs::read_to_string(tool.config.rootfs.join("tmp/count")).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    whole.lines().last().and_then(|line| line.parse().ok()).unwrap_or(0)
}

impl Saver {
    fn new(name: &str) -> Option<Self> {
        let mut tool = Operator::new(name)?;
        let criu = criu(name)?;
        tool.config.cgroups = Some(tool.place.cgroup());
        tool.config.args = ["sh", "-c", COUNT].map(str::to_owned).to_vec();
        tool.write();
        Some(Self { tool, criu })
    }

    /// The program that holds what busybox can't, with these arguments. It may need the host's libraries.
    fn holding(name: &str, args: &[&str]) -> Option<Self> {
        let mut saver = Self::new(name)?;
        let config = &mut saver.tool.config;
        copy_program(Path::new(env!("CARGO_BIN_EXE_holder")), &config.rootfs.join("bin/holder")).unwrap();
        config.args = ["holder"].iter().chain(args).map(|&word| word.to_owned()).collect();
        let libraries = ["/lib", "/lib64", "/usr/lib"].map(Path::new);
        let bind = |path: &&Path| Mount {
            kind: "bind".to_owned(),
            source: path.to_path_buf(),
            destination: path.to_path_buf(),
            ..Mount::default()
        };
        let binds = libraries.iter().filter(|path| path.is_dir()).map(bind);
        config.mount_config.get_or_insert_with(MountConfig::default).mounts.extend(binds);
        saver.tool.write();
        Some(saver)
    }

    fn with<'a>(&'a self, command: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut args = vec![command, "--criu", self.criu.to_str().unwrap()];
        args.extend(more);
        args
    }

    fn checkpoint(&self, more: &[&str]) -> String {
        self.tool.ok(&self.with("checkpoint", more))
    }

    fn restore(&self, more: &[&str]) -> String {
        self.tool.ok(&self.with("restore", more))
    }

    fn run_with(&self, command: &str, more: &[&str]) -> Output {
        self.tool.run(&self.with(command, more))
    }

    /// Without files of the host's, which are not a mapped root's to open.
    fn quietly(&self, args: &[&str]) {
        let mut command = self.tool.command(args);
        assert!(command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success(), "{args:?}");
    }

    /// The number that it has come to.
    fn count(&self) -> u64 {
        count(&self.tool)
    }

    fn counts_on(&self, from: u64) {
        until("it counts on", || self.count() > from);
    }

    fn status(&self, id: &str) -> String {
        self.tool.json(&["state", id])["status"].as_str().unwrap().to_owned()
    }
}

/// What was in memory is there again, and the container is one like any other.
#[test]
fn a_count_goes_on() {
    let Some(saver) = Saver::new("goes-on") else { return };
    let tool = &saver.tool;
    tool.ok(&["run", "--detach", "web"]);
    saver.counts_on(10);
    saver.checkpoint(&["--image-path", "images", "web"]);
    assert!(tool.inside().is_empty());
    // As runc has it, nothing is left.
    assert!(tool.fails(&["state", "web"]).contains("does not exist"));
    let there = saver.count();
    assert!(there > 10);
    saver.restore(&["--image-path", "images", "--detach", "--pid-file", "pid", "web"]);
    saver.counts_on(there + 5);
    assert_eq!(saver.status("web"), "running");
    let state = tool.json(&["state", "web"]);
    assert_eq!(std::fs::read_to_string(tool.place.join("pid")).unwrap(), state["pid"].to_string());
    assert_eq!(tool.ok(&["exec", "web", "echo", "within"]), "within\n");
    let pids = tool.json(&["ps", "--format", "json", "web"]);
    assert!(pids.as_array().unwrap().contains(&state["pid"]), "{pids}");
    tool.ok(&["pause", "web"]);
    assert_eq!(saver.status("web"), "paused");
    tool.ok(&["resume", "web"]);
    tool.ok(&["kill", "web", "KILL"]);
    until("it has ended", || saver.status("web") == "stopped");
    tool.ok(&["delete", "web"]);
    assert!(tool.inside().is_empty());
}

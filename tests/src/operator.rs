//! `nsinit` as an operator uses it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::missing_panics_doc, reason = "a test ends by panicking")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use libcontainer::Config;

use crate::{Place, able, config, skip};

/// A bundle with a state directory, and the program beside the tests' own directory.
#[derive(Debug)]
pub struct Operator {
    /// Its directory, which is the bundle.
    pub place: Place,
    /// `nsinit`.
    pub program: PathBuf,
    /// What [`Operator::write`] writes.
    pub config: Config,
}

impl Operator {
    /// None, and the reason is told, if the test can't run here.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
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

    /// Writes container.json.
    pub fn write(&self) {
        fs::write(self.place.join("container.json"), self.config.to_json().unwrap()).unwrap();
    }

    /// The program with its state in the place, and these arguments; the bundle is its working directory.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.place.join("state")).args(args).current_dir(self.place.path());
        command.stdin(Stdio::null());
        command
    }

    /// Output goes to files: a container that goes on keeps what it was given open.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Output {
        let (out, err) = (self.place.join("out"), self.place.join("err"));
        let file = |path: &PathBuf| fs::File::create(path).unwrap();
        let status = self.command(args).stdout(file(&out)).stderr(file(&err)).status().unwrap();
        Output { status, stdout: fs::read(out).unwrap(), stderr: fs::read(err).unwrap() }
    }

    /// Runs it, and compares its exit code and a part of what it prints.
    pub fn check(&self, args: &[&str], code: i32, wanted: &str) {
        let found = self.run(args);
        let text =
            format!("{}{}", String::from_utf8_lossy(&found.stdout), String::from_utf8_lossy(&found.stderr));
        assert_eq!(found.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(wanted), "{args:?}: wanted {wanted:?}, found {text}");
    }

    /// Standard output of a command that does it.
    #[allow(clippy::must_use_candidate, reason = "what a step prints is not always wanted")]
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same as JSON.
    #[must_use]
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        serde_json::from_str(&self.ok(args)).unwrap()
    }

    /// Standard error of one that doesn't.
    #[allow(clippy::must_use_candidate, reason = "what a step prints is not always wanted")]
    pub fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert!(!output.status.success(), "{args:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Starts one that stays in the foreground, and waits until what it runs has made the file `tmp/ready`.
    #[must_use]
    pub fn started(&self, args: &[&str]) -> Child {
        let _ = fs::remove_file(self.config.rootfs.join("tmp/ready"));
        let child = self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        until("the program runs", || self.config.rootfs.join("tmp/ready").exists());
        child
    }

    /// Pids of processes whose root is this test's rootfs.
    #[must_use]
    pub fn inside(&self) -> Vec<i32> {
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

/// Waits for what has to happen soon.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < end, "{what}: not within 60 s");
        std::thread::sleep(Duration::from_millis(2));
    }
}

//! Groups of this machine, made for one test below the group of the test itself, and processes in them.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use libcontainer_cgroups::{Existing, Group, GroupPath, Layout, Pid, Plan, Select};

pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Notes that a test does not run, and why: on standard error, and in the file that counts skips.
pub(crate) fn skip(name: &str, reason: &str) {
    let line = format!("{name}: {reason}\n");
    eprint!("SKIP: {line}");
    if let Some(path) = std::env::var_os("LIBCONTAINER_SKIP_FILE") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// A path that no other test has.
pub(crate) fn name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("libcontainer-test-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed))
}

/// A group that is destroyed at the end.
pub(crate) struct Ground {
    pub(crate) group: Group,
    children: Vec<Child>,
}

impl Ground {
    /// None, with the reason noted, where a controller of `needs` can't be used.
    pub(crate) fn new(test: &str, needs: &[&str]) -> Option<Self> {
        Self::at(test, &name(), needs)
    }

    pub(crate) fn at(test: &str, path: &str, needs: &[&str]) -> Option<Self> {
        let layout = Layout::of_this_process().unwrap();
        let plan = Plan::new(&layout, &GroupPath::new(path).unwrap(), &Select::Usable).unwrap();
        let group = plan.make(Existing::Refuse).unwrap();
        let ground = Self { group, children: Vec::new() };
        if ground.group.is_gone() {
            skip(test, "no hierarchy can be written");
            return None;
        }
        for need in needs {
            let there = match *need {
                "freezer" => ground.group.frozen_state().is_ok(),
                // Version 2 has no such controller, but programs.
                "devices" => ground.group.controller("devices").is_some() || ground.group.unified().is_some(),
                name => ground.group.controller(name).is_some(),
            };
            if !there {
                skip(test, &format!("no usable controller {need}"));
                return None;
            }
        }
        Some(ground)
    }

    /// Starts `sh -c script` in the group: it is there before the first word of the script.
    pub(crate) fn run(&mut self, script: &str) -> Pid {
        let script = format!("read -r _; {script}");
        let mut child = Command::new("sh")
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let pid = Pid::new(i32::try_from(child.id()).unwrap()).unwrap();
        enter(&self.group, pid);
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        self.children.push(child);
        pid
    }

    /// How the last process that was started ended.
    pub(crate) fn wait(&mut self) -> std::process::ExitStatus {
        self.children.pop().unwrap().wait().unwrap()
    }

    /// The text of a control file.
    pub(crate) fn read(&self, controller: &str, file: &str) -> String {
        self.group.controller(controller).unwrap().0.read(file).unwrap()
    }

    /// The file that the version in use has.
    pub(crate) fn either(&self, controller: &str, v1: &'static str, v2: &'static str) -> &'static str {
        match self.group.controller(controller).unwrap().1 {
            libcontainer_cgroups::stats::Version::V1 => v1,
            libcontainer_cgroups::stats::Version::V2 => v2,
        }
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let destroyed = self.group.destroy(LONG);
        for child in &mut self.children {
            let _ = child.wait();
        }
        if !std::thread::panicking() {
            destroyed.unwrap();
        }
    }
}

/// Directories that are made without a [`Ground`]: what a test that fails has left of them is removed.
pub(crate) struct Swept(pub(crate) Vec<std::path::PathBuf>);

impl Drop for Swept {
    fn drop(&mut self) {
        // From the deepest on.
        self.0.sort();
        for directory in self.0.iter().rev() {
            // Mostly it has gone.
            let _ = std::fs::remove_dir(directory);
        }
    }
}

/// Brings a process with one thread into the group as a starting container gets there, only from outside.
pub(crate) fn enter(group: &Group, pid: Pid) {
    let join = group.join_files().unwrap();
    for tasks in join.tasks {
        nix::unistd::write(&tasks, pid.to_string().as_bytes()).unwrap();
    }
    if let Some(unified) = group.unified() {
        unified.write("cgroup.procs", &pid.to_string()).unwrap();
    }
}

/// Waits until `what` holds.
pub(crate) fn until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        // Emulated machines are slow, and forking on them is slowest.
        assert!(start.elapsed() < LONG * 3, "waited in vain");
        std::thread::sleep(Duration::from_millis(2));
    }
}

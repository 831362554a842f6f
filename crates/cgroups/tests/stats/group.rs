//! Groups of this machine, made for one test.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use libcontainer_cgroups::Dir;
use libcontainer_cgroups::stats::Sources;

/// Notes that a test does not run, and why: on standard error, and in the file that counts skips.
pub(crate) fn skip(name: &str, reason: &str) {
    let line = format!("{name}: {reason}\n");
    eprint!("SKIP: {line}");
    if let Some(path) = std::env::var_os("LIBCONTAINER_SKIP_FILE") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// A group in every hierarchy that can be written, removed at the end with the process in it.
pub(crate) struct Live {
    paths: Vec<(String, PathBuf)>,
    child: Option<Child>,
}

impl Live {
    /// In version 1, or in version 2 where that is alone. None, with the reason noted, where neither has the controllers.
    pub(crate) fn of(test: &str, controllers: &[&str]) -> Option<Self> {
        let top = Path::new("/sys/fs/cgroup");
        let Ok(given) = std::fs::read_to_string(top.join("cgroup.subtree_control")) else {
            return Self::new(test, controllers);
        };
        let unified = |name: &str| match name {
            "blkio" => "io".to_owned(),
            "cpuacct" => "cpu".to_owned(),
            name => name.to_owned(),
        };
        let mut wanted = controllers.iter().filter(|name| **name != "unified").map(|name| unified(name));
        if let Some(name) = wanted.find(|name| !given.split_whitespace().any(|one| one == name)) {
            skip(test, &format!("version 2 gives no controller {name}"));
            return None;
        }
        Self::new(test, &["unified"])
    }

    /// None, with the reason noted, where a hierarchy can't be written.
    pub(crate) fn new(test: &str, controllers: &[&str]) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("libcontainer-stats-{}-{number}", std::process::id());
        let mut live = Self { paths: Vec::new(), child: None };
        for controller in controllers {
            let root = root(controller);
            let has_it = root.join("cgroup.procs").exists();
            let made = has_it && std::fs::create_dir(root.join(&name)).is_ok();
            // A kernel without the controller, or a hierarchy of others. Where two controllers share one, it is made already.
            if made || live.paths.iter().any(|(_, path)| *path == root.join(&name)) {
                live.paths.push((controller.to_string(), root.join(&name)));
            } else {
                skip(test, &format!("no writable hierarchy {controller}"));
                return None;
            }
        }
        Some(live)
    }

    pub(crate) fn sources(&self) -> Sources {
        let mut sources = Sources::default();
        for (controller, path) in &self.paths {
            let dir = Arc::new(Dir::open(path).unwrap());
            match controller.as_str() {
                "unified" => sources.v2 = Some(dir),
                _ => drop(sources.v1.insert(controller.clone(), dir)),
            }
        }
        sources
    }

    pub(crate) fn path(&self, controller: &str) -> &Path {
        &self.paths.iter().find(|(name, _)| name == controller).unwrap().1
    }

    /// Runs a shell that enters the groups and then executes `script`.
    pub(crate) fn run(&mut self, script: &str) {
        let enter = self.paths.iter().map(|(_, path)| format!("echo $$ > {}/cgroup.procs; ", path.display()));
        let script = format!("{}{script}", enter.collect::<String>());
        self.child = Some(Command::new("sh").args(["-c", &script]).spawn().unwrap());
    }

    pub(crate) fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    pub(crate) fn remove(&mut self) {
        self.stop();
        for (_, path) in self.paths.drain(..) {
            // Children of the process that was killed may go on for a moment.
            let start = Instant::now();
            while std::fs::remove_dir(&path).is_err_and(|error| error.raw_os_error() == Some(16)) {
                assert!(start.elapsed().as_secs() < 20, "{} stays busy", path.display());
                std::thread::yield_now();
            }
        }
    }
}

/// Where a hierarchy is mounted; version 2 may be the only one.
fn root(controller: &str) -> PathBuf {
    let top = Path::new("/sys/fs/cgroup");
    let alone = controller == "unified" && top.join("cgroup.controllers").exists();
    if alone {
        return top.to_owned();
    }
    let shared = std::fs::read_dir(top).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut shared = shared.filter_map(|name| name.into_string().ok()).filter(|name| name.contains(','));
    let shared = shared.find(|name| name.split(',').any(|one| one == controller));
    shared.map_or_else(|| top.join(controller), |name| top.join(name))
}

impl Drop for Live {
    fn drop(&mut self) {
        self.remove();
    }
}

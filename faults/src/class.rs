//! What stands in for a mounted resctrl: a group of version 2, whose directories bring their files too, take members by their numbers, and go by rmdir(2).

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::watch::patience;
use crate::world;

/// How long somebody may take to leave.
const LEAVE: Duration = Duration::from_millis(300);

/// Where groups of version 2 are made here.
pub(crate) fn hierarchy() -> Option<PathBuf> {
    world::hierarchies().into_iter().find(|root| root.join("cgroup.controllers").exists())
}

/// The one of a worker.
pub(crate) fn root(tag: &str) -> Option<PathBuf> {
    hierarchy().map(|root| root.join(format!("{tag}-classes")))
}

/// Makes it, where it can be.
pub(crate) fn make(tag: &str) -> Result<()> {
    let Some(root) = root(tag) else { return Ok(()) };
    match fs::create_dir(&root) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.with_context(|| root.display().to_string()),
    }
}

/// Waits until nobody is in a class any more, or for what is to end only now: a class goes by rmdir(2) with who is in it, a group does not.
pub(crate) fn settle(tag: &str) {
    let until = Instant::now() + patience(LEAVE);
    let classes = || root(tag).and_then(|root| fs::read_dir(root).ok()).into_iter().flatten().flatten();
    let is_in = |class: fs::DirEntry| {
        fs::read_to_string(class.path().join("cgroup.procs")).is_ok_and(|members| !members.is_empty())
    };
    while classes().any(is_in) && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Removes it.
pub(crate) fn remove(tag: &str) {
    // It is empty, or what is in it is told.
    let _ = root(tag).map(fs::remove_dir);
}

//! What stands in for a mounted resctrl: a group of version 2, whose directories bring their files too, take members by their numbers, and go by rmdir(2).

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::world;

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

/// Removes it.
pub(crate) fn remove(tag: &str) {
    // It is empty, or what is in it is told.
    let _ = root(tag).map(fs::remove_dir);
}

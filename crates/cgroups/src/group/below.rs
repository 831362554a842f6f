//! A group below one that there is.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::make::{inherit_cpuset, refuse_threaded};
use super::{Group, Node};
use crate::dir::Dir;
use crate::error::{Error, Result};

impl Group {
    /// The group `path` below this one, in each hierarchy in which this one is: opened, or made if it is missing. Version 1's `cpuset` gets the processors
    /// and nodes of the group above; on version 2 no controller is switched on for it.
    ///
    /// What is made goes with this group: [`Group::remove`] takes away what is below it. So it stays when this fails half-way.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `path` is empty or has more than plain names, or the group is threaded; [`Error::Directory`], [`Error::Write`].
    pub fn below(&self, path: &Path) -> Result<Self> {
        if path.as_os_str().is_empty() || !is_plain(path) {
            let problem = format!("{}: not a relative path of plain names", path.display());
            return Err(Error::invalid("cgroupsPath", problem));
        }
        let nodes = self.present()?.iter().map(|node| node.below(path)).collect::<Result<Vec<_>>>()?;
        Ok(self.with(nodes))
    }

    /// Groups below this one that are there: each controller's in its hierarchy, that of the empty name in all others. An empty path, and a hierarchy that
    /// nothing is said of, is this group.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a path of more than plain names, one that is not there, a controller in none of the hierarchies, or a threaded group;
    /// [`Error::Directory`], [`Error::Read`].
    pub fn open_below(&self, paths: &BTreeMap<String, PathBuf>) -> Result<Self> {
        let nodes = self.present()?;
        for (name, path) in paths {
            if !is_plain(path) {
                return Err(refused(format!("{} is not a sub cgroup path", path.display())));
            }
            if !name.is_empty() && !nodes.iter().any(|node| node.place.has(name)) {
                return Err(refused(format!("unknown controller {name}")));
            }
        }
        let nodes = nodes.iter().map(|node| node.open_below(paths)).collect::<Result<Vec<_>>>()?;
        Ok(self.with(nodes))
    }

    fn with(&self, nodes: Vec<Node>) -> Self {
        let places = nodes.iter().map(|node| node.place.clone()).collect();
        Self { nodes, places, missing: self.missing.clone(), unmarked: None }
    }
}

fn is_plain(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

fn refused(problem: String) -> Error {
    Error::invalid("subgroup", problem)
}

impl Node {
    fn below(&self, path: &Path) -> Result<Self> {
        let mut place = self.place.clone();
        place.below.push(path);
        (place.new, place.inode) = (0, None);
        let mut dir: Arc<Dir> = Arc::clone(&self.dir);
        for name in path {
            dir.make(name)?;
            let next = Arc::new(dir.child(name)?);
            if place.has("cpuset") && !place.unified {
                inherit_cpuset(&place, &dir, &next)?;
            }
            dir = next;
        }
        refuse_threaded(&place, &dir)?;
        Self::new(place, dir)
    }

    fn open_below(&self, paths: &BTreeMap<String, PathBuf>) -> Result<Self> {
        let named = paths.iter().find(|(name, _)| self.place.has(name));
        let path = named.map(|(_, path)| path).or_else(|| paths.get(""));
        let mut place = self.place.clone();
        let mut dir: Arc<Dir> = Arc::clone(&self.dir);
        for name in path.map(|path| path.iter()).into_iter().flatten() {
            place.below.push(name);
            dir = Arc::new(dir.child(name).map_err(|error| not_there(error, &place.path()))?);
            (place.new, place.inode) = (0, None);
        }
        refuse_threaded(&place, &dir)?;
        Self::new(place, dir)
    }
}

/// The words are runc's.
fn not_there(error: Error, path: &Path) -> Error {
    if error.errno() != Some(libc::ENOENT) {
        return error;
    }
    refused(format!(
        "adding pid of a new process to {}/cgroup.procs: no such file or directory",
        path.display()
    ))
}

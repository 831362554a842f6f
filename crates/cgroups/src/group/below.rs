//! A group below one that there is.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
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

    /// Whether a group below has controllers of this one: then this one takes no further processes, by version 2's rule, unless it is threaded.
    ///
    /// # Errors
    /// [`Error::Directory`], [`Error::Read`].
    pub fn gives_controllers(&self) -> Result<bool> {
        let mut unified = self.present()?.iter().filter(|node| node.place.unified);
        unified.next().map_or(Ok(false), |node| Ok(!node.dir.read("cgroup.subtree_control")?.is_empty()))
    }

    /// The group below this one, in version 2 alone, in which a process is by the text of its `/proc/PID/cgroup`. `None` if it is in this very group or
    /// elsewhere, if that group takes no processes, and in further hierarchies.
    ///
    /// # Errors
    /// [`Error::Directory`], [`Error::Read`].
    pub fn below_with(&self, text: &[u8]) -> Result<Option<Self>> {
        let [Node { place, .. }] = self.present()? else { return Ok(None) };
        let Some(path) = way_to(text, &place.below).filter(|_| place.unified) else { return Ok(None) };
        match self.open_below(&BTreeMap::from([(String::new(), path)])) {
            // RACE: the process has gone on, and the group has been removed.
            Err(Error::Invalid { .. }) => Ok(None),
            group => group.map(Some),
        }
    }

    fn with(&self, nodes: Vec<Node>) -> Self {
        let places = nodes.iter().map(|node| node.place.clone()).collect();
        Self { nodes, places, missing: self.missing.clone(), unmarked: None }
    }
}

/// The rest of version 2's path behind `below`, if there is one. What is mounted may be a part of the hierarchy: then the path has more in front.
fn way_to(text: &[u8], below: &Path) -> Option<PathBuf> {
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"0::/"))?;
    let mut whole = Path::new(OsStr::from_bytes(line));
    loop {
        if let Ok(rest) = whole.strip_prefix(below) {
            return Some(rest.to_owned()).filter(|rest| !rest.as_os_str().is_empty());
        }
        let mut parts = whole.components();
        parts.next()?;
        whole = parts.as_path();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_a_process_is_what_follows_the_group() {
        let way = |text: &str| way_to(text.as_bytes(), Path::new("a/b"));
        for (text, wanted) in [
            ("0::/a/b/init.scope\n", Some("init.scope")),
            ("4:pids:/x\n0::/outer/a/b/c/d\n", Some("c/d")),
            ("0::/a/b/c: d (deleted)\n", Some("c: d (deleted)")),
            ("0::/a/b\n", None),
            ("0::/a\n", None),
            ("0::/\n", None),
            ("0::/a/bc/d\n", None),
            ("4:pids:/a/b/c\n", None),
            ("", None),
        ] {
            assert_eq!(way(text).as_deref(), wanted.map(Path::new), "{text}");
        }
    }
}

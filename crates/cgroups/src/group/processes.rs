//! Which processes are in a group and below it.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::{Group, Node, Pid, walk};
use crate::dir::Dir;
use crate::error::{Error, Result};

/// Where to look first: what every container is in comes before what may be left out.
const PREFERRED: &[&str] = &["freezer", "pids", "devices", "memory"];

impl Group {
    /// All processes of the group and of those below it, sorted, each once. Read from one hierarchy, since a process is in
    /// all of them. May be outdated when it returns unless the group is frozen.
    ///
    /// Processes of an outer pid namespace can't be named and are left out.
    ///
    /// # Errors
    /// [`Error::Directory`] and [`Error::Read`]; [`Error::is_gone`] when the group was removed.
    pub fn processes(&self) -> Result<Vec<Pid>> {
        let mut found = Vec::new();
        self.processes_into(&mut found)?;
        Ok(found)
    }

    /// [`Self::processes`] into `found`, which is cleared first. Allocates only when `found` is too small or when there are
    /// groups below this one.
    ///
    /// # Errors
    /// As [`Self::processes`].
    pub fn processes_into(&self, found: &mut Vec<Pid>) -> Result<()> {
        found.clear();
        if let Some(dir) = self.listed()? {
            add(dir, &mut |number| named(found, number))?;
        }
        tidy(found);
        Ok(())
    }

    /// Opens the list of processes for [`ProcessReader::read_into`].
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Directory`] when the group was removed, or is in no hierarchy.
    pub fn process_reader(&self) -> Result<ProcessReader> {
        let dir = self.listed()?.ok_or_else(|| Error::directory("open", self.name(), Errno::ENOENT))?;
        Ok(ProcessReader { file: dir.file("cgroup.procs", OFlag::O_RDONLY)?, dir: Arc::clone(dir) })
    }

    /// The directory whose processes are those of the group.
    fn listed(&self) -> Result<Option<&Arc<Dir>>> {
        let nodes = self.present()?;
        let best = PREFERRED.iter().find_map(|name| nodes.iter().find(|node| node.place.has(name)));
        Ok(best.or(nodes.first()).map(|node| &node.dir))
    }

    /// Looks for processes in every hierarchy. What is gone has none; what can't be read doesn't keep the rest from being seen.
    pub(crate) fn look(&self) -> Seen {
        let mut seen = Seen::default();
        for node in &self.nodes {
            let Seen { pids, others, .. } = &mut seen;
            let looked = add(&node.dir, &mut |number| match Pid::new(number) {
                Ok(pid) => pids.push(pid),
                Err(_) => *others = true,
            });
            seen.unseen.extend(looked.err().filter(|error| !error.is_gone()));
        }
        tidy(&mut seen.pids);
        seen
    }
}

/// Which processes are in a group, as far as that can be known.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Those that were found.
    pub(super) pids: Vec<Pid>,
    /// There are some of an outer pid namespace, which have no number here.
    pub(super) others: bool,
    /// Why there may be more.
    pub(super) unseen: Vec<Error>,
}

impl Seen {
    /// True only if it is known that there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.pids.is_empty() && !self.others && self.unseen.is_empty()
    }

    /// The first few, for messages.
    pub(super) fn list(&self) -> String {
        let others = if self.others { "some of an outer pid namespace" } else { "" };
        match self.pids.is_empty() {
            true => others.to_owned(),
            false if self.others => format!("{} and {others}", list(&self.pids)),
            false => list(&self.pids),
        }
    }

    /// All processes, or why that can't be said.
    pub(crate) fn all(self) -> Result<Vec<Pid>> {
        Error::any_of(self.unseen).map(|()| self.pids)
    }
}

impl Node {
    /// The processes in this hierarchy.
    pub(super) fn processes(&self) -> Result<Vec<Pid>> {
        below(&self.dir)
    }
}

/// Lists the processes of one group again and again. Keeps two descriptors open.
#[derive(Debug)]
pub struct ProcessReader {
    dir: Arc<Dir>,
    file: OwnedFd,
}

impl ProcessReader {
    /// As [`Group::processes_into`]. Syscalls: pread and fstat; more only while there are groups below this one, or more
    /// processes than fit into a page.
    ///
    /// # Errors
    /// As [`Group::processes`].
    pub fn read_into(&self, found: &mut Vec<Pid>) -> Result<()> {
        found.clear();
        let read = walk::numbers_in(&self.file, |number| named(found, number));
        let path = || self.dir.path().join("cgroup.procs");
        unless_threaded(read.map_err(|errno| Error::Read { path: path(), source: errno.into() }))?;
        add_below(&self.dir, &mut |number| named(found, number))?;
        tidy(found);
        Ok(())
    }
}

/// The processes of `dir` and of the groups below it.
pub(super) fn below(dir: &Dir) -> Result<Vec<Pid>> {
    let mut found = Vec::new();
    add(dir, &mut |number| named(&mut found, number))?;
    tidy(&mut found);
    Ok(found)
}

/// Takes what has a number in this pid namespace.
fn named(found: &mut Vec<Pid>, number: i32) {
    found.extend(Pid::new(number).ok());
}

fn add(dir: &Dir, each: &mut dyn FnMut(i32)) -> Result<()> {
    own(dir, each)?;
    add_below(dir, each)
}

fn add_below(dir: &Dir, each: &mut dyn FnMut(i32)) -> Result<()> {
    if !walk::has_groups(dir)? {
        return Ok(());
    }
    for path in walk::tree(dir)? {
        match walk::descend(dir, &path).and_then(|group| own(&group, each)) {
            Err(error) if !error.is_gone() => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn own(dir: &Dir, each: &mut dyn FnMut(i32)) -> Result<()> {
    unless_threaded(walk::numbers(dir, "cgroup.procs", each))
}

/// A threaded group has no list: its processes are listed by the domain above it.
fn unless_threaded(read: Result<()>) -> Result<()> {
    match read {
        Err(Error::Read { source, .. }) if source.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
        other => other,
    }
}

fn tidy(found: &mut Vec<Pid>) {
    found.sort_unstable();
    found.dedup();
}

/// The first few, for messages.
pub(super) fn list(pids: &[Pid]) -> String {
    let mut shown: Vec<String> = pids.iter().take(8).map(ToString::to_string).collect();
    if pids.len() > shown.len() {
        shown.push("...".to_owned());
    }
    format!("pids {}", shown.join(", "))
}

//! Making the directories of a [`Plan`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use nix::errno::Errno;

use super::place::Place;
use super::plan::{Plan, Select};
use super::wait::Patience;
use super::way::Way;
use super::{Group, Node, walk};
use crate::dir::Dir;
use crate::error::{Error, Result};

/// What to do about a group that is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// Use it if it has no processes and isn't frozen; refuse it otherwise.
    #[default]
    Refuse,
    /// Use it as it is.
    Adopt,
}

/// How often a way is gone again, when others remove its directories while we make ours.
const ATTEMPTS: u32 = 128;

impl Plan {
    /// Makes the directories. Version 1's `cpuset` gets the processors and nodes of the group above, from the top down; on
    /// version 2 the controllers are switched on in `cgroup.subtree_control` of each group above, and stay on later.
    ///
    /// All or nothing: on error what was made is removed again, for which no descriptor is needed.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a group that has processes or is frozen ([`Existing::Refuse`]), that somebody else made since the
    /// plan, or that is threaded; [`Error::Directory`], [`Error::Write`] (EBUSY: a group above has processes of its own). [`Error::is_gone`] if a directory above
    /// has vanished that was there when it was planned: see [`Plan::renew`].
    /// [`Error::NotRolledBack`] when a directory that was made couldn't be removed again: [`Group::open`] and [`Group::destroy`]
    /// find it by [`Plan::places`].
    pub fn make(mut self, existing: Existing) -> Result<Group> {
        let mut group =
            Group { nodes: Vec::new(), places: Vec::new(), missing: BTreeMap::new(), unmarked: None };
        let (mut ways, mut refused) = (Vec::new(), None);
        let (places, mounts) = (std::mem::take(&mut self.places), std::mem::take(&mut self.mounts.0));
        let mut mounts = mounts.into_iter();
        for place in places {
            let controllers = place.controllers.clone();
            let mount = mounts.next().map_or_else(|| place.open_mount().map(Arc::new), Ok);
            match mount.and_then(|mount| self.make_place(&place, &mount, existing)) {
                Ok((node, mut way)) => {
                    group.places.push(node.place.clone());
                    group.nodes.push(node);
                    if group.unmarked.is_none() {
                        group.unmarked = way.unmarked();
                    }
                    ways.push(way);
                }
                Err(error) if self.select.is_refusal(&error) => {
                    self.leave_out(&controllers, &error.to_string());
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(take_back(ways, error)),
            }
        }
        if self.required && group.nodes.is_empty() {
            return Err(refused.unwrap_or_else(|| self.nowhere()));
        }
        group.missing = self.missing;
        Ok(group)
    }

    /// Why there is nothing to be made, if nothing was refused.
    fn nowhere(&self) -> Error {
        let why = self.missing.values().next().map_or("no hierarchy is mounted", String::as_str);
        Error::invalid("cgroupsPath", format!("the group can be in no hierarchy: {why}"))
    }

    /// As [`Existing::Refuse`], before anything is made: for a group that somebody else makes, as systemd does.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a group that has processes or is frozen, [`Error::Directory`], [`Error::Read`].
    pub(crate) fn check_unused(&self) -> Result<()> {
        for (place, mount) in self.places.iter().zip(&self.mounts.0).filter(|(place, _)| place.new == 0) {
            let used = walk::descend(mount, &place.below).and_then(|dir| refuse_used(place, &dir, false));
            used.or_else(|error| if error.is_gone() { Ok(()) } else { Err(error) })?;
        }
        Ok(())
    }

    fn make_place(&mut self, place: &Place, mount: &Arc<Dir>, existing: Existing) -> Result<(Node, Way)> {
        let levels = place.below.components().count();
        let mut again = 1..ATTEMPTS;
        loop {
            let mut way = Way::new(Arc::clone(mount), levels, self.mark.clone());
            match self.make_node(place.clone(), &mut way, existing) {
                Ok(node) => return Ok((node, way)),
                Err(error) => match take_back(vec![way], error) {
                    // RACE: whoever shares a directory above may remove it when the last group below goes.
                    error if error.is_gone() && again.next().is_some() => {}
                    error => return Err(error),
                },
            }
        }
    }

    fn make_node(&mut self, mut place: Place, way: &mut Way, existing: Existing) -> Result<Node> {
        let components: Vec<OsString> = place.below.iter().map(ToOwned::to_owned).collect();
        let old = components.len() - place.new.min(components.len());
        let mut is_new = false;
        for (level, name) in components.iter().enumerate() {
            let above = Arc::clone(way.dir());
            if place.unified {
                self.enable(&above)?;
            }
            is_new = way.down(name, level >= old)?;
            if place.has("cpuset") && !place.unified {
                inherit_cpuset(&place, &above, way.dir())?;
            }
        }
        if existing == Existing::Refuse && !is_new {
            refuse_used(&place, way.dir(), place.new > 0)?;
        }
        refuse_threaded(&place, way.dir())?;
        if self.of_unit {
            way.mark();
            place.new = way.made().max(1);
        }
        Node::new(place, Arc::clone(way.dir()))
    }

    /// Switches version 2's controllers on for the groups below `dir`.
    fn enable(&mut self, dir: &Dir) -> Result<()> {
        let (available, enabled) = (dir.read("cgroup.controllers")?, dir.read("cgroup.subtree_control")?);
        // Some controllers could be switched on in spite of processes, but that makes this group a threaded one, in which no
        // container can be. The root of the hierarchy, which alone has no type, may have processes.
        let used = dir.has("cgroup.type")? && has_processes(dir)?;
        for name in available.split_whitespace() {
            let wanted = match &self.select {
                Select::Usable | Select::All => true,
                Select::Only(names) => names.contains(name),
            };
            if !wanted || enabled.split_whitespace().any(|one| one == name) {
                continue;
            }
            let value = format!("+{name}");
            let written = if used {
                Err(dir.refused("cgroup.subtree_control", &value, Errno::EBUSY))
            } else {
                dir.write("cgroup.subtree_control", &value)
            };
            match written.map_err(explain) {
                Ok(()) => {}
                Err(error) if !matches!(self.select, Select::Only(_)) => {
                    self.missing.entry(name.to_owned()).or_insert_with(|| error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn has_processes(dir: &Dir) -> Result<bool> {
    match dir.read("cgroup.procs") {
        // That of a threaded group can't be read; what is written next says so.
        Err(error) if error.errno() == Some(libc::EOPNOTSUPP) => Ok(false),
        processes => Ok(!processes?.is_empty()),
    }
}

/// Says what EBUSY and EOPNOTSUPP mean in `cgroup.subtree_control`.
fn explain(mut error: Error) -> Error {
    if let Error::Write { source, hint, .. } = &mut error {
        match source.raw_os_error() {
            Some(libc::EBUSY) => {
                "; this group has processes of its own, so no group below it can have controllers"
                    .clone_into(hint);
            }
            Some(libc::EOPNOTSUPP) => {
                "; this group is threaded or can't be used until it is".clone_into(hint);
            }
            _ => {}
        }
    }
    error
}

/// Copies the sets of processors and memory nodes that are still empty from the group above.
pub(super) fn inherit_cpuset(place: &Place, parent: &Dir, dir: &Dir) -> Result<()> {
    for file in ["cpuset.cpus", "cpuset.mems"].map(|file| place.file(file)) {
        if dir.read(file)?.is_empty() {
            dir.write(file, &parent.read(file)?)?;
        }
    }
    Ok(())
}

fn refuse_used(place: &Place, dir: &Dir, planned_as_new: bool) -> Result<()> {
    let refuse =
        |problem: String| Err(Error::invalid("cgroupsPath", format!("{} {problem}", place.path().display())));
    if planned_as_new {
        return refuse("was made by somebody else meanwhile".to_owned());
    }
    // The last words of both refusals are runc's.
    let pids = super::processes::below(dir)?;
    if !pids.is_empty() {
        let list = super::processes::list(&pids);
        return refuse(format!("has processes ({list}): container's cgroup is not empty"));
    }
    // One of them at most is there: a hierarchy of version 1 without a freezer has neither.
    let states = [dir.read_if_there("cgroup.freeze")?, dir.read_if_there("freezer.state")?];
    match states.iter().flatten().any(|state| matches!(state.as_str(), "1" | "FROZEN" | "FREEZING")) {
        true => refuse("is frozen: container's cgroup unexpectedly frozen".to_owned()),
        false => Ok(()),
    }
}

/// A threaded group takes threads of one process only; a process can't be born into it.
pub(super) fn refuse_threaded(place: &Place, dir: &Dir) -> Result<()> {
    let kind = if place.unified { dir.read_if_there("cgroup.type")? } else { None };
    match kind.as_deref() {
        Some(kind @ ("threaded" | "domain invalid")) => {
            let problem =
                format!("{} is of the type {kind}, which takes no processes", place.path().display());
            Err(Error::invalid("cgroupsPath", problem))
        }
        _ => Ok(()),
    }
}

/// Takes back what was made on these ways, the last first, and returns why with what is left.
fn take_back(ways: Vec<Way>, cause: Error) -> Error {
    let mut patience = Patience::to_undo();
    let left = ways.into_iter().rev().filter_map(|way| way.take_back(&mut patience));
    cause.with_left(left.collect())
}

impl Node {
    /// The group in `dir`.
    pub(super) fn new(mut place: Place, dir: Arc<Dir>) -> Result<Self> {
        place.inode = Some(dir.inode_and_links()?.0);
        let usable = if place.unified {
            dir.read("cgroup.controllers")?.split_whitespace().map(str::to_owned).collect()
        } else {
            place.controllers.clone()
        };
        Ok(Self { place, dir, usable })
    }
}

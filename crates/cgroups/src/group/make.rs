//! Making the directories of a [`Plan`].

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

use nix::errno::Errno;

use super::place::Place;
use super::plan::{Plan, Select, may_leave_out};
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
const ATTEMPTS: u32 = 16;

/// Directories made, with what is needed to take each away again.
type Made = Vec<(Arc<Dir>, OsString)>;

impl Plan {
    /// Makes the directories. Version 1's `cpuset` gets the processors and nodes of the group above, from the top down; on
    /// version 2 the controllers are switched on in `cgroup.subtree_control` of each group above, and stay on later.
    ///
    /// All or nothing: on error what was made is removed again.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a group that has processes or is frozen ([`Existing::Refuse`]), that somebody else made since the
    /// plan, or that is threaded; [`Error::Directory`], [`Error::Write`] (EBUSY: a group above has processes of its own).
    pub fn make(mut self, existing: Existing) -> Result<Group> {
        let mut made = Made::new();
        let mut group = Group { nodes: Vec::new(), places: Vec::new(), missing: BTreeMap::new() };
        for (place, mount) in
            std::mem::take(&mut self.places).into_iter().zip(std::mem::take(&mut self.mounts.0))
        {
            let before = made.len();
            let controllers = place.controllers.clone();
            match self.make_place(place, &mount, existing, &mut made) {
                Ok(node) => {
                    group.places.push(node.place.clone());
                    group.nodes.push(node);
                }
                Err(error) if self.select == Select::Usable && is_refusal(&error) => {
                    unmake(&mut made, before);
                    self.leave_out(&controllers, &error.to_string());
                }
                Err(error) => {
                    unmake(&mut made, 0);
                    return Err(error);
                }
            }
        }
        group.missing = self.missing;
        Ok(group)
    }

    fn make_place(
        &mut self,
        mut place: Place,
        mount: &Arc<Dir>,
        existing: Existing,
        made: &mut Made,
    ) -> Result<Node> {
        let before = made.len();
        for attempt in 1.. {
            // RACE: whoever shares a directory above may remove it when the last group below goes.
            match self.make_way(&place, mount, existing, made) {
                Err(error) if error.is_gone() && attempt < ATTEMPTS => unmake(made, before),
                Err(error) => return Err(error),
                Ok((parent, dir)) => {
                    place.inode = Some(walk::inode(&dir)?);
                    if self.of_unit {
                        place.new = (made.len() - before).max(1);
                    }
                    return Node::new(place, parent, dir);
                }
            }
        }
        Err(Error::invalid("cgroupsPath", "the directories above vanish again and again"))
    }

    fn make_way(
        &mut self,
        place: &Place,
        mount: &Arc<Dir>,
        existing: Existing,
        made: &mut Made,
    ) -> Result<(Arc<Dir>, Dir)> {
        let mut parent = Arc::clone(mount);
        let components: Vec<&OsStr> = place.below.iter().collect();
        let old = components.len() - place.new.min(components.len());
        for (index, name) in components.iter().enumerate() {
            if place.unified {
                self.enable(&parent)?;
            }
            let is_new = index >= old && parent.make(name)?;
            let dir = parent.child(name)?;
            if is_new {
                made.push((Arc::clone(&parent), (*name).to_owned()));
            }
            if place.has("cpuset") && !place.unified {
                inherit_cpuset(place, &parent, &dir)?;
            }
            if index + 1 == components.len() {
                if existing == Existing::Refuse && !is_new {
                    refuse_used(place, &dir, index >= old)?;
                }
                refuse_threaded(place, &dir)?;
                return Ok((parent, dir));
            }
            parent = Arc::new(dir);
        }
        Err(Error::invalid("cgroupsPath", "the root of a hierarchy is no group to make"))
    }

    /// Switches version 2's controllers on for the groups below `dir`.
    fn enable(&mut self, dir: &Dir) -> Result<()> {
        let (available, enabled) = (dir.read("cgroup.controllers")?, dir.read("cgroup.subtree_control")?);
        // Some controllers could be switched on in spite of processes, but that makes this group a threaded one, in which no
        // container can be. The root of the hierarchy, which alone has no type, may have processes.
        let used = dir.has("cgroup.type") && has_processes(dir)?;
        for name in available.split_whitespace() {
            let wanted = match &self.select {
                Select::Usable => true,
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
                Err(error) if self.select == Select::Usable => {
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
fn inherit_cpuset(place: &Place, parent: &Dir, dir: &Dir) -> Result<()> {
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
    let pids = super::processes::below(dir)?;
    if !pids.is_empty() {
        return refuse(format!("has processes ({})", super::processes::list(&pids)));
    }
    let state = |file: &str| if dir.has(file) { dir.read(file) } else { Ok(String::new()) };
    if state("cgroup.freeze")? == "1" || matches!(state("freezer.state")?.as_str(), "FROZEN" | "FREEZING") {
        return refuse("is frozen".to_owned());
    }
    Ok(())
}

/// A threaded group takes threads of one process only; a process can't be born into it.
fn refuse_threaded(place: &Place, dir: &Dir) -> Result<()> {
    if !place.unified || !dir.has("cgroup.type") {
        return Ok(());
    }
    match dir.read("cgroup.type")?.as_str() {
        kind @ ("threaded" | "domain invalid") => {
            let problem =
                format!("{} is of the type {kind}, which takes no processes", place.path().display());
            Err(Error::invalid("cgroupsPath", problem))
        }
        _ => Ok(()),
    }
}

fn is_refusal(error: &Error) -> bool {
    !matches!(error, Error::Invalid { .. } | Error::Content { .. }) && may_leave_out(error)
}

/// Removes what was made from `from` on, the last first. Errors are passed over: this is on the way of another one.
fn unmake(made: &mut Made, from: usize) {
    for (parent, name) in made.drain(from..).rev() {
        let _ = parent.remove(name);
    }
}

impl Node {
    pub(super) fn new(place: Place, parent: Arc<Dir>, dir: Dir) -> Result<Self> {
        let usable = if place.unified {
            dir.read("cgroup.controllers")?.split_whitespace().map(str::to_owned).collect()
        } else {
            place.controllers.clone()
        };
        let name = walk::last(&place.below)?.to_owned();
        Ok(Self { place, parent, name, dir: Arc::new(dir), usable })
    }
}

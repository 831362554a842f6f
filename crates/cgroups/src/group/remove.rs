//! Taking a group down.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::place::Place;
use super::wait::{Patience, is_forbidden};
use super::way::{is_used, remove_shared};
use super::{Group, Node, processes, walk};
use crate::error::{Error, Result};

impl Group {
    /// Removes the group's directories in all hierarchies: what is below them first, then those that are ours, from the
    /// bottom up. A directory that we didn't make stays. Ours above the group stay while others use them.
    ///
    /// Goes on past errors; may be called again, and by another process from the recorded places. While a directory is busy
    /// (a process that is still dying, a group that was made meanwhile) it is tried again until the time is up.
    ///
    /// # Errors
    /// The one error, or [`Error::Several`]: [`Error::Directory`] with EBUSY and the processes that are left, [`Error::Invalid`] when
    /// the directory was replaced by another one.
    pub fn remove(&self, timeout: Duration) -> Result<()> {
        let (mut patience, mut short) = (Patience::new(timeout), Patience::to_undo());
        let mut errors = Vec::new();
        for node in &self.nodes {
            errors.extend(node.remove(&mut patience, &mut short).err());
        }
        for place in &self.places {
            errors.extend(short.again(|| remove_above(place), is_settled).err());
        }
        Error::any_of(errors)
    }

    /// [`Self::kill`], then [`Self::remove`], each with `timeout`.
    ///
    /// # Errors
    /// As these two; removal is tried after a failed kill too.
    pub fn destroy(&self, timeout: Duration) -> Result<()> {
        match (self.kill(timeout), self.remove(timeout)) {
            (Ok(()), removed) => removed,
            (Err(error), Ok(())) => {
                // Everything is gone after all.
                if matches!(error, Error::Timeout { .. }) { Ok(()) } else { Err(error) }
            }
            (Err(killed), Err(removed)) => Err(Error::Several(vec![killed, removed])),
        }
    }
}

/// Removes a group at `places` that is known to be at its end, by one rmdir in each hierarchy. False when that is not enough: something
/// is in it or below it, or it isn't what was recorded, or a rmdir failed; then [`Group::open`] and [`Group::destroy`] are the way.
///
/// # Errors
/// Those of the directories above.
pub fn remove_empty(places: &[Place]) -> Result<bool> {
    for place in places {
        if place.new == 0 || !remove_one(place)? {
            return Ok(false);
        }
        remove_above(place)?;
    }
    Ok(true)
}

fn remove_one(place: &Place) -> Result<bool> {
    let name = walk::last(&place.below)?;
    let parent = match place.open_parent() {
        // Without a directory above there is none below it.
        Err(error) if error.is_gone() => return Ok(true),
        parent => parent?,
    };
    // RACE: as in `remove_once`.
    match parent.inode_above(0, name)? {
        None => Ok(true),
        // Whatever the rmdir answers, the long way finds out and tells.
        Some(found) if place.inode == Some(found) => Ok(parent.remove(name).is_ok()),
        Some(_) => Ok(false),
    }
}

impl Node {
    /// Removes the group: for as long as `patience` lasts while it is busy, and as `short` does after other errors.
    fn remove(&self, patience: &mut Patience, short: &mut Patience) -> Result<()> {
        let once = || short.again(|| self.remove_once(), |error| is_used(error) || is_settled(error));
        let removed = patience.again(once, |error| !is_used(error));
        removed.map_err(|error| if is_used(&error) { self.busy(error) } else { error })
    }

    fn remove_once(&self) -> Result<()> {
        let mut failed = Ok(());
        for path in walk::tree(&self.dir)?.iter().rev() {
            let (above, name) = (path.parent().unwrap_or(Path::new("")), walk::last(path)?);
            match walk::descend(&self.dir, above).and_then(|above| above.remove(name)) {
                Err(error) if !error.is_gone() => failed = Err(error),
                _ => {}
            }
        }
        if failed.is_err() || self.place.new == 0 {
            return failed;
        }
        let name = walk::last(&self.place.below)?;
        // RACE: between the look and the rmdir a namesake could be put in place; rmdir takes only an empty group of it.
        match self.dir.inode_above(1, name)? {
            Some(found) if Some(found) == self.place.inode => self.dir.remove_above(1, name).map(drop),
            Some(_) => {
                let problem =
                    format!("{} is another directory than the one that was made", self.dir.path().display());
                Err(Error::invalid("cgroupsPath", problem))
            }
            None => self.gone_or_renamed(),
        }
    }

    /// The name is gone; if the directory isn't, somebody has renamed it (version 1 only).
    fn gone_or_renamed(&self) -> Result<()> {
        match walk::numbers(&self.dir, "cgroup.procs", drop) {
            Err(error) if error.is_gone() => Ok(()),
            Err(error) => Err(error),
            Ok(()) => self.find_renamed(),
        }
    }

    fn find_renamed(&self) -> Result<()> {
        for name in self.dir.above()?.groups()? {
            if self.dir.inode_above(1, &name)? == self.place.inode {
                return self.dir.remove_above(1, &name).map(drop);
            }
        }
        let problem = format!("{} was moved away and isn't found", self.place.path().display());
        Err(Error::invalid("cgroupsPath", problem))
    }

    /// Says who is in the way.
    fn busy(&self, error: Error) -> Error {
        // What can't be listed is not named: that the group is busy is told all the same.
        let pids = self.processes().unwrap_or_default();
        match error {
            Error::Directory { call, mut path, source } if !pids.is_empty() => {
                path.as_mut_os_string().push(format!(" ({})", processes::list(&pids)));
                Error::Directory { call, path, source }
            }
            other => other,
        }
    }
}

/// Whether what has failed so would fail again: it is forbidden, or the kernel has no part in it.
fn is_settled(error: &Error) -> bool {
    is_forbidden(error) || error.errno().is_none()
}

/// Removes our directories above the group, as far as nobody else uses them.
fn remove_above(place: &Place) -> Result<()> {
    let names: Vec<&OsStr> = place.below.iter().collect();
    let ours = place.new.min(names.len());
    if ours < 2 {
        return Ok(());
    }
    let mount = place.open_mount()?;
    for kept in (names.len() - ours..names.len() - 1).rev() {
        let above: PathBuf = names.iter().take(kept).collect();
        let Some(name) = names.get(kept) else { return Ok(()) };
        match walk::descend(&mount, &above).and_then(|dir| remove_shared(&dir, 0, name)) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            // Without a directory above there is none below it.
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

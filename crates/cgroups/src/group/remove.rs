//! Taking a group down.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::fstatat;

use super::place::Place;
use super::wait::Patience;
use super::{Group, Node, processes, walk};
use crate::dir::Dir;
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
        let mut patience = Patience::new(timeout);
        let mut errors = Vec::new();
        for node in &self.nodes {
            errors.extend(node.remove(&mut patience).err());
        }
        for place in &self.places {
            errors.extend(remove_above(place).err());
        }
        match errors.len() {
            0 | 1 => errors.pop().map_or(Ok(()), Err),
            _ => Err(Error::Several(errors)),
        }
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
/// is in it or below it, or it isn't what was recorded; then [`Group::open`] and [`Group::destroy`] are the way.
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
        Err(error) if error.is_gone() => return Ok(true),
        parent => parent?,
    };
    // RACE: as in `remove_once`.
    match fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => Ok(true),
        Ok(found) if place.inode == Some(found.st_ino) => Ok(parent.remove(name).is_ok()),
        _ => Ok(false),
    }
}

impl Node {
    fn remove(&self, patience: &mut Patience) -> Result<()> {
        loop {
            match self.remove_once() {
                Err(error) if error.errno() == Some(libc::EBUSY) => {
                    if !patience.pause() {
                        return Err(self.busy(error));
                    }
                }
                Err(error) if error.is_gone() => return Ok(()),
                other => return other,
            }
        }
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
        // RACE: between the look and the rmdir a namesake could be put in place; rmdir takes only an empty group of it.
        match self.parent.child(&self.name) {
            Ok(found) if Some(walk::inode(&found)?) != self.place.inode => {
                let problem =
                    format!("{} is another directory than the one that was made", found.path().display());
                Err(Error::invalid("cgroupsPath", problem))
            }
            Ok(_) => self.parent.remove(&self.name).map(drop),
            Err(error) if error.is_gone() => self.gone_or_renamed(),
            Err(error) => Err(error),
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
        for name in self.parent.groups()? {
            let found = self.parent.child(&name);
            if found.is_ok_and(|found| walk::inode(&found).ok() == self.place.inode) {
                return self.parent.remove(&name).map(drop);
            }
        }
        let problem = format!("{} was moved away and isn't found", self.place.path().display());
        Err(Error::invalid("cgroupsPath", problem))
    }

    /// Says who is in the way.
    fn busy(&self, error: Error) -> Error {
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

/// Removes our directories above the group, as far as nobody else uses them.
fn remove_above(place: &Place) -> Result<()> {
    let names: Vec<&OsStr> = place.below.iter().collect();
    let ours = place.new.min(names.len());
    for kept in (names.len() - ours..names.len().saturating_sub(1)).rev() {
        let above: std::path::PathBuf = names.iter().take(kept).collect();
        let Some(name) = names.get(kept) else { return Ok(()) };
        let removed = open_above(place, &above).and_then(|dir| dir.remove(name));
        match removed {
            Ok(_) => {}
            Err(error) if error.is_gone() => {}
            Err(error) if matches!(error.errno(), Some(libc::EBUSY | libc::ENOTEMPTY)) => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn open_above(place: &Place, above: &Path) -> Result<Dir> {
    walk::descend(&place.open_mount()?, above)
}

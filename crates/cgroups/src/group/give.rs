//! Giving a group to a user, who makes groups below it then: cgroups(7), "Cgroups delegation".

use std::fs;
use std::io::ErrorKind;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::unistd::{Uid, fchown, fchownat};

use super::Group;
use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::faults;

/// What is to be given, by the kernel's own list (4.15).
const LIST: &str = "/sys/kernel/cgroup/delegate";
const USUAL: &str = "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\n";

impl Group {
    /// Makes a user the owner of the directory in version 2 and of those files of it by which groups below are made and entered; limits stay whose they are.
    /// Nothing in version 1, where that would be no safe thing to do.
    ///
    /// # Errors
    /// [`Error::Read`] of the kernel's list of these files, [`Error::Directory`] of fchown and fchownat.
    pub fn give(&self, uid: u32) -> Result<()> {
        let Some(dir) = self.unified() else { return Ok(()) };
        let uid = Uid::from_raw(uid);
        let given = faults::of("fchown", dir.path(), "").and_then(|()| fchown(dir.as_ref(), Some(uid), None));
        given.map_err(|errno| Error::directory("fchown", dir.path(), errno))?;
        list()?.lines().try_for_each(|name| give(dir, name, uid))
    }
}

fn list() -> Result<String> {
    match fs::read_to_string(LIST) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(USUAL.to_owned()),
        text => text.map_err(|source| Error::Read { path: LIST.into(), source }),
    }
}

/// A file that a group has only where a controller is on may be missing.
fn give(dir: &Dir, name: &str, uid: Uid) -> Result<()> {
    let given = faults::of("fchownat", dir.path(), name)
        .and_then(|()| fchownat(dir, name, Some(uid), None, AtFlags::AT_SYMLINK_NOFOLLOW));
    match given {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(Error::directory("fchownat", dir.path().join(name), errno)),
    }
}

//! A container's directory is claimed by mkdir(2), and given back.

use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::dir::{ignore_missing, look_at, open_child, open_dir, split};
use super::lock::Lock;
use super::store::Store;
use crate::error::named;

/// How often a directory may be gone again before it is locked.
const ATTEMPTS: u32 = 1000;

impl Store {
    /// Makes the directory, mode 0700, and locks it: of two processes one succeeds.
    ///
    /// An error other than `EEXIST` does not say that nothing was made: see [`Store::unclaim`].
    pub(crate) fn claim(path: &Path) -> io::Result<(Self, Lock)> {
        let text = |call: &str| format!("{call} {}", path.display());
        let (parent, name) = split(path)?;
        let parent = open_dir(parent).map_err(|error| named("open the directory above", error))?;
        for _ in 0..ATTEMPTS {
            mkdirat(&parent, name, Mode::S_IRWXU)?;
            let dir = match open_child(&parent, name) {
                Err(Errno::ENOENT) => continue,
                dir => dir.map_err(|errno| named(text("open"), errno.into()))?,
            };
            let store = Self::new(path, dir);
            let lock = match Lock::take(store.fd(), true) {
                // RACE: another process may have destroyed what we made.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => continue,
                lock => lock.map_err(|error| named(text("lock"), error))?,
            };
            // RACE: before we had the lock another process may have destroyed what we made, and a third made it anew.
            let (recorded, stands) = (store.is_recorded(), store.stands());
            if !recorded.map_err(|error| named(text("look into"), error))?
                && stands.map_err(|error| named(text("fstat"), error))?
            {
                return Ok((store, lock));
            }
        }
        let why = "it is gone each time that it was made: somebody removes it, or a seccomp filter of the caller's answers in the kernel's place";
        Err(named(text("mkdir"), io::Error::other(why)))
    }

    /// Gives back what a claim that failed may have made. Nothing in a directory means that nobody has it: who makes one claims it anew
    /// if it is gone before it is locked.
    pub(crate) fn unclaim(path: &Path) -> io::Result<()> {
        let (parent, name) = split(path)?;
        let parent = open_dir(parent)?;
        let own = nix::unistd::geteuid().as_raw();
        let ours = |data: nix::sys::stat::FileStat| data.st_uid == own && data.st_mode & 0o7777 == 0o700;
        if !look_at(&parent, name)?.is_some_and(ours) {
            return Ok(());
        }
        match unlinkat(&parent, name, UnlinkatFlags::RemoveDir) {
            // Another process has made it meanwhile, or it is no directory at all.
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => Ok(()),
            result => ignore_missing(result),
        }
    }
}

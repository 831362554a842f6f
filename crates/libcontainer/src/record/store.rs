//! The container's directory: claimed by mkdir, locked by flock, described by `state.json`.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{Mode, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::bytes::{self, StateError};
use super::state::State;
use crate::error::{Error, ErrorKind, Result};
use crate::process::reap_ended;

/// Name of the pipe on which a created container waits for its start.
pub(crate) const START: &str = "start";
/// Name of the file in which a start in another process leaves its trace.
pub(crate) const BOARD: &str = "board";
const BUSY: Duration = Duration::from_secs(10);
/// How long a directory may stand without a record before it counts as damaged.
const SETTLE: Duration = Duration::from_secs(1);

/// An open container directory.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    dir: OwnedFd,
    /// The record as it was read or written last: equal bytes need no second decoding.
    seen: Mutex<Option<(Vec<u8>, Arc<State>)>>,
}

/// The lock on a container directory; the kernel lets it go when the process ends.
pub(crate) type Lock = Flock<File>;

impl Store {
    /// Makes the directory, mode 0700, and locks it: of two processes one succeeds.
    pub(crate) fn claim(path: &Path) -> io::Result<(Self, Lock)> {
        let (parent, name) = split(path)?;
        let parent = open_dir(parent)?;
        loop {
            mkdirat(&parent, name, Mode::S_IRWXU)?;
            let dir = match openat(&parent, name, dir_flags() | OFlag::O_NOFOLLOW, Mode::empty()) {
                Err(Errno::ENOENT) => continue,
                dir => dir?,
            };
            let store = Self { path: path.to_owned(), dir, seen: Mutex::default() };
            let lock = store.lock(true).map_err(|error| {
                // Ours if it is empty.
                let _ = unlinkat(&parent, name, UnlinkatFlags::RemoveDir);
                io::Error::other(error.to_string())
            })?;
            // RACE: before we had the lock another process may have destroyed what we made, and a third made it anew.
            if !store.is_recorded() && store.stands() {
                return Ok((store, lock));
            }
        }
    }

    /// Whether there is a record.
    fn is_recorded(&self) -> bool {
        let found = nix::sys::stat::fstatat(&self.dir, bytes::FILE, AtFlags::AT_SYMLINK_NOFOLLOW);
        found != Err(Errno::ENOENT)
    }

    /// Opens the directory of an existing container.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let what = || format!("open container {}", path.display());
        let io = |error: io::Error| match error.raw_os_error() {
            Some(libc::ENOENT) => {
                Error::new(ErrorKind::NotFound, format!("container {} does not exist", path.display()))
            }
            _ => Error::io(what(), error),
        };
        let (parent, name) = split(path).map_err(io)?;
        let parent = open_dir(parent).map_err(io)?;
        let flags = dir_flags() | OFlag::O_NOFOLLOW;
        let dir = openat(&parent, name, flags, Mode::empty()).map_err(|errno| io(errno.into()))?;
        let store = Self { path: path.to_owned(), dir, seen: Mutex::default() };
        store.is_ours()?;
        Ok(store)
    }

    /// A directory that others can write to may hold anything.
    fn is_ours(&self) -> Result<()> {
        let data = fstat(&self.dir)
            .map_err(|errno| Error::io(format!("stat {}", self.path.display()), errno.into()))?;
        let own = data.st_uid == nix::unistd::geteuid().as_raw() || data.st_uid == 0;
        if own && data.st_mode & 0o022 == 0 {
            return Ok(());
        }
        let text = format!(
            "{}: belongs to user {} with mode {:o}; it must be ours alone",
            self.path.display(),
            data.st_uid,
            data.st_mode & 0o7777
        );
        Err(Error::new(ErrorKind::PermissionDenied, text))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Locks the directory: shared to read, exclusive to change. Waits for at most 10 s.
    pub(crate) fn lock(&self, exclusive: bool) -> Result<Lock> {
        let name = self.path.display();
        let failed = |errno: Errno| Error::io(format!("lock {name}"), errno.into());
        let kind = if exclusive { FlockArg::LockExclusiveNonblock } else { FlockArg::LockSharedNonblock };
        let end = Instant::now() + BUSY;
        // A descriptor of its own: flock belongs to the open file, and threads must exclude each other too.
        let mut file = File::from(openat(&self.dir, ".", dir_flags(), Mode::empty()).map_err(failed)?);
        loop {
            match Flock::lock(file, kind) {
                Ok(lock) => return Ok(lock),
                Err((again, Errno::EWOULDBLOCK)) if Instant::now() < end => file = again,
                Err((_, Errno::EWOULDBLOCK)) => {
                    return Err(Error::new(
                        ErrorKind::Timeout,
                        format!("container {name} is busy: another process holds its lock"),
                    ));
                }
                Err((again, Errno::EINTR)) => file = again,
                Err((_, errno)) => return Err(failed(errno)),
            }
            // Who holds the lock may be waiting for a container to end, which our zombies in it would prevent.
            reap_ended();
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Whether the directory still stands under its name: another process may have destroyed the container.
    pub(crate) fn stands(&self) -> bool {
        fstat(&self.dir).is_ok_and(|data| data.st_nlink > 0)
    }

    fn seen(&self) -> MutexGuard<'_, Option<(Vec<u8>, Arc<State>)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read(&self) -> Result<Arc<State>> {
        self.try_read().map_err(|error| self.unread(&error))
    }

    fn unread(&self, error: &StateError) -> Error {
        let name = self.path.display();
        if error.is_not_found() && !self.stands() {
            return Error::new(ErrorKind::NotFound, format!("container {name} does not exist"));
        }
        Error::new(ErrorKind::Corrupt, format!("container {name}: {error}"))
    }

    fn try_read(&self) -> std::result::Result<Arc<State>, StateError> {
        let bytes = bytes::read(self.dir.as_fd())?;
        let mut seen = self.seen();
        if let Some((_, state)) = seen.as_ref().filter(|(known, _)| *known == bytes) {
            return Ok(Arc::clone(state));
        }
        let state = Arc::new(bytes::decode(&bytes)?);
        *seen = Some((bytes, Arc::clone(&state)));
        Ok(state)
    }

    /// As [`Store::read`], for one who comes from outside: a directory without a record may be on its way in or out.
    pub(crate) fn read_settled(&self) -> Result<Arc<State>> {
        let end = Instant::now() + SETTLE;
        loop {
            match self.try_read() {
                Err(error) if error.is_not_found() && self.stands() && Instant::now() < end => {}
                result => return result.map_err(|error| self.unread(&error)),
            }
            // RACE: whoever makes or removes the container holds the lock but for a moment behind mkdir and before rmdir.
            drop(self.lock(false)?);
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Writes the record and makes it the one that holds.
    pub(crate) fn write(&self, state: &State) -> io::Result<Arc<State>> {
        let bytes = bytes::write(self.dir.as_fd(), state)?;
        Ok(self.remember(bytes, state))
    }

    fn remember(&self, bytes: Vec<u8>, state: &State) -> Arc<State> {
        let state = Arc::new(State { version: bytes::VERSION, checksum: String::new(), ..state.clone() });
        *self.seen() = Some((bytes, Arc::clone(&state)));
        state
    }

    /// Removes every file that we make, the record last, then the directory.
    pub(crate) fn remove(&self) -> io::Result<()> {
        let mut names = names(&self.dir)?;
        names.sort_by_key(|name| name.as_bytes() == bytes::FILE.as_bytes());
        for name in names {
            ignore_missing(unlinkat(&self.dir, name.as_os_str(), UnlinkatFlags::NoRemoveDir))?;
        }
        let (parent, name) = split(&self.path)?;
        let parent = open_dir(parent)?;
        // RACE: another process may have destroyed the container and made a new one of that name: only ours is removed.
        let still = nix::sys::stat::fstatat(&parent, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        let ours = fstat(&self.dir)?;
        if still.is_ok_and(|data| (data.st_dev, data.st_ino) == (ours.st_dev, ours.st_ino)) {
            ignore_missing(unlinkat(&parent, name, UnlinkatFlags::RemoveDir))?;
        }
        Ok(())
    }
}

fn ignore_missing(result: nix::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::ENOENT) => Ok(()),
        result => Ok(result?),
    }
}

fn names(dir: &OwnedFd) -> io::Result<Vec<std::ffi::OsString>> {
    let fd = openat(dir, ".", dir_flags(), Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::from_fd(fd)?.iter() {
        let name = std::ffi::OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

fn dir_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    Ok(nix::fcntl::open(path, dir_flags(), Mode::empty())?)
}

fn split(path: &Path) -> io::Result<(&Path, &std::ffi::OsStr)> {
    let name = path.file_name().ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok((parent, name))
}

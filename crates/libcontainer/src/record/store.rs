//! The container's directory: locked by flock, described by `state.json`.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libcontainer_network::{HELD, let_go};
use libcontainer_plan::names;
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::brief;
use super::bytes::{self, StateError};
use super::dir::{ignore_missing, look_at, open_child, open_dir, split};
use super::lock::{Idle, Lock};
use super::state::State;
use crate::error::{Error, ErrorKind, Result, named};

/// Name of the pipe on which a created container waits for its start.
pub(crate) const START: &str = "start";
/// Name of the file in which a start in another process leaves its trace.
pub(crate) const BOARD: &str = "board";
/// Name of the file with the mark of a criu that is at work.
const CRIU: &str = "criu";
/// Bytes that it may have.
const LONGEST: u64 = 256;
/// What is to be done about half a record.
const BROKEN_OFF: &str = "; whoever made or deleted it was broken off: nsinit delete --force (Factory::destroy) takes away what is left";
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

impl Store {
    pub(super) fn new(path: &Path, dir: OwnedFd) -> Self {
        Self { path: path.to_owned(), dir, seen: Mutex::default() }
    }

    /// Opens the directory of an existing container.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let (parent, _) = split(path).map_err(|error| unopened(path, error))?;
        let parent = open_dir(parent).map_err(|error| unopened(path, error))?;
        Ok(Self::open_in(&parent, path)?.0)
    }

    /// As [`Store::open`], with the directory above open; also the user whose it is.
    pub(crate) fn open_in(parent: &OwnedFd, path: &Path) -> Result<(Self, u32)> {
        let (_, name) = split(path).map_err(|error| unopened(path, error))?;
        let dir = open_child(parent, name).map_err(|errno| unopened(path, errno.into()))?;
        let store = Self::new(path, dir);
        let owner = store.is_ours()?;
        Ok((store, owner))
    }

    /// A directory that others can write to may hold anything.
    fn is_ours(&self) -> Result<u32> {
        let data = fstat(&self.dir)
            .map_err(|errno| Error::io(format!("stat {}", self.path.display()), errno.into()))?;
        let own = data.st_uid == nix::unistd::geteuid().as_raw() || data.st_uid == 0;
        if own && data.st_mode & 0o022 == 0 {
            return Ok(data.st_uid);
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

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.dir
    }

    /// Locks the directory: shared to read, exclusive to change. Waits for at most 10 s.
    pub(crate) fn lock(&self, exclusive: bool) -> Result<Lock> {
        self.locked(Lock::take(&self.dir, exclusive))
    }

    /// Locks it to change it, by the descriptor of a lock that it had before.
    pub(crate) fn lock_again(&self, idle: Idle) -> Result<Lock> {
        self.locked(idle.take(true))
    }

    fn locked(&self, taken: io::Result<Lock>) -> Result<Lock> {
        let name = self.path.display();
        taken.map_err(|error| match error.raw_os_error() {
            Some(libc::ETIMEDOUT) => Error::new(
                ErrorKind::Timeout,
                format!("container {name} is busy: another process holds its lock"),
            ),
            // A directory that was removed can't be opened anew.
            Some(libc::ENOENT) => not_there(&self.path),
            _ => Error::io(format!("lock {name}"), error),
        })
    }

    /// Keeps others from starting it, who can look at it all the same; `None` if somebody has that lock.
    pub(crate) fn lock_start(&self) -> Result<Option<Lock>> {
        Lock::try_take_file(&self.dir, BOARD)
            .map_err(|error| Error::io(format!("lock {}/{BOARD}", self.path.display()), error))
    }

    /// Keeps others from making a checkpoint of it, who can do everything else; `None` if somebody has that lock.
    pub(crate) fn lock_checkpoint(&self) -> Result<Option<Lock>> {
        Lock::try_take_file(&self.dir, bytes::ENDING)
            .map_err(|error| Error::io(format!("lock {}/{}", self.path.display(), bytes::ENDING), error))
    }

    /// Locks it to change it; `None` if somebody has the lock.
    pub(crate) fn try_lock(&self) -> Result<Option<Lock>> {
        Lock::try_take(&self.dir, true)
            .map_err(|error| Error::io(format!("lock {}", self.path.display()), error))
    }

    /// Whether the first process of a created container waits on its pipe, as it does until it begins its program or fails.
    pub(crate) fn has_waiting(&self) -> Result<bool> {
        let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        match openat(&self.dir, START, flags, Mode::empty()) {
            // RACE: who looks without a lock may find that somebody has begun to remove it.
            Ok(_) | Err(Errno::ENOENT) => Ok(true),
            Err(Errno::ENXIO) => Ok(false),
            Err(errno) => Err(Error::io(format!("open {}", self.path.join(START).display()), errno.into())),
        }
    }

    /// Whether the directory still stands under its name: another process may have destroyed the container.
    pub(crate) fn stands(&self) -> io::Result<bool> {
        Ok(fstat(&self.dir)?.st_nlink > 0)
    }

    /// Whether there is a record.
    pub(super) fn is_recorded(&self) -> io::Result<bool> {
        Ok(look_at(&self.dir, bytes::FILE)?.is_some() || look_at(&self.dir, bytes::ENDING)?.is_some())
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Option<(Vec<u8>, Arc<State>)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn read(&self) -> Result<Arc<State>> {
        self.try_read().map_err(|error| self.unread(error))
    }

    fn unread(&self, error: StateError) -> Error {
        // What is not known is not gone: then the record is what can't be read.
        if error.is_not_found() && matches!(self.stands(), Ok(false)) {
            return not_there(&self.path);
        }
        let what = format!("container {}: {}", self.path.display(), bytes::FILE);
        let rest = if error.is_broken_off() { BROKEN_OFF } else { "" };
        match error {
            StateError::Io(error) if StateError::is_unknown(&error) => Error::io(what, error),
            error => Error::new(error.kind(), format!("{what}: {error}{rest}")),
        }
    }

    pub(crate) fn try_read(&self) -> std::result::Result<Arc<State>, StateError> {
        let bytes = bytes::read(self.dir.as_fd(), bytes::FILE)?;
        let mut seen = self.seen();
        if let Some((_, state)) = seen.as_ref().filter(|(known, _)| *known == bytes) {
            return Ok(Arc::clone(state));
        }
        let state = Arc::new(self.decode(&bytes)?);
        *seen = Some((bytes, Arc::clone(&state)));
        Ok(state)
    }

    fn decode(&self, bytes: &[u8]) -> std::result::Result<State, StateError> {
        self.named(bytes::decode(bytes)?)
    }

    /// What another record names is not ours to end.
    fn named(&self, state: State) -> std::result::Result<State, StateError> {
        if self.path.file_name().is_none_or(|name| name.to_string_lossy() != state.id) {
            return Err(StateError::Another(state.id));
        }
        Ok(state)
    }

    /// What ending the container takes, where the record can't be read.
    pub(crate) fn read_ending(&self) -> std::result::Result<State, StateError> {
        self.decode(&bytes::read(self.dir.as_fd(), bytes::ENDING)?)
    }

    /// Whether there are files beside those of the record.
    pub(crate) fn has_files(&self) -> io::Result<bool> {
        let of_record = |name: &std::ffi::OsString| {
            let name = name.to_string_lossy();
            let name = name.strip_prefix('.').and_then(|name| name.strip_suffix(".new")).unwrap_or(&name);
            [bytes::FILE, bytes::ENDING].contains(&name)
        };
        Ok(!names(&self.dir)?.iter().all(of_record))
    }

    /// As [`Store::read`], for one who comes from outside: a directory without a record may be on its way in or out.
    pub(crate) fn read_settled(&self) -> Result<Arc<State>> {
        self.settled(|| self.try_read())
    }

    /// As [`Store::read_settled`], but only what a list shows: nothing may be done by it.
    pub(crate) fn read_brief(&self) -> Result<State> {
        self.settled(|| self.named(brief::decode(&bytes::read(self.dir.as_fd(), bytes::FILE)?)?))
    }

    fn settled<T>(&self, read: impl Fn() -> std::result::Result<T, StateError>) -> Result<T> {
        let end = Instant::now() + SETTLE;
        loop {
            match read() {
                Err(error)
                    if error.is_not_found() && matches!(self.stands(), Ok(true)) && Instant::now() < end => {}
                result => return result.map_err(|error| self.unread(error)),
            }
            // RACE: whoever makes or removes the container holds the lock but for a moment behind mkdir and before rmdir.
            drop(self.lock(false)?);
            libcontainer_plan::rest(Duration::from_millis(1));
        }
    }

    /// Writes the record and makes it the one that holds.
    pub(crate) fn write(&self, state: &State) -> io::Result<Arc<State>> {
        let old = self.seen().as_ref().map(|(_, state)| Arc::clone(state));
        // ORDER: whatever the record names is in the second file already.
        if old.is_none_or(|old| !bytes::ends_alike(&old, state)) {
            let ending = bytes::encode_ending(state).map_err(io::Error::other)?;
            bytes::write_ending(self.dir.as_fd(), &ending)
                .map_err(|error| self.unwritten(bytes::ENDING, error))?;
        }
        let bytes = bytes::encode(state).map_err(io::Error::other)?;
        bytes::write(self.dir.as_fd(), &bytes).map_err(|error| self.unwritten(bytes::FILE, error))?;
        Ok(self.remember(bytes, state))
    }

    /// Writes the next record beside the one that holds: for who can't go back once he has begun. It ends like that one.
    pub(crate) fn prepare(&self, state: &State) -> io::Result<Next<'_>> {
        let bytes = bytes::encode(state).map_err(io::Error::other)?;
        bytes::prepare(self.dir.as_fd(), &bytes).map_err(|error| self.unwritten(bytes::FILE, error))?;
        Ok(Next { store: self, bytes, state: state.clone(), holds: Cell::new(false) })
    }

    pub(super) fn unwritten(&self, name: &str, error: io::Error) -> io::Error {
        named(format!("write {}", self.path.join(name).display()), error)
    }

    fn remember(&self, bytes: Vec<u8>, state: &State) -> Arc<State> {
        let state = Arc::new(bytes::as_written(state));
        *self.seen() = Some((bytes, Arc::clone(&state)));
        state
    }

    /// Notes the mark of a criu that is about to be started, or more of one that is noted: an empty file says that none was started, so it is not emptied in between.
    pub(crate) fn note_criu(&self, mark: &str) -> io::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let written = openat(&self.dir, CRIU, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(io::Error::from)
            .and_then(|file| bytes::overwrite(&mut File::from(file), mark.as_bytes()));
        written.map_err(|error| self.unwritten(CRIU, error))
    }

    /// The mark of a criu that is at work, or was when who had started it was killed.
    pub(crate) fn criu(&self) -> io::Result<Option<String>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mut text = String::new();
        let read = match openat(&self.dir, CRIU, flags, Mode::empty()) {
            Err(Errno::ENOENT) => return Ok(None),
            file => file
                .map_err(io::Error::from)
                .and_then(|file| File::from(file).take(LONGEST).read_to_string(&mut text)),
        };
        let failed = |error| named(format!("read {}", self.path.join(CRIU).display()), error);
        read.map(|_| Some(text)).map_err(failed)
    }

    /// Notes that it has ended.
    pub(crate) fn forget_criu(&self) -> io::Result<()> {
        ignore_missing(unlinkat(&self.dir, CRIU, UnlinkatFlags::NoRemoveDir))
    }

    /// Removes every file, the record last, then the directory.
    pub(crate) fn remove(&self) -> io::Result<()> {
        // ORDER: what can fail before anything is removed fails with the record in place.
        let (parent, name) = split(&self.path)?;
        let parent = open_dir(parent)?;
        // RACE: another process may have destroyed the container and made a new one of that name: only ours is removed.
        let ours = fstat(&self.dir)?;
        let is_ours =
            |data: nix::sys::stat::FileStat| (data.st_dev, data.st_ino) == (ours.st_dev, ours.st_ino);
        let stands = look_at(&parent, name)?.is_some_and(is_ours);
        let mut names = names(&self.dir)?;
        names.sort_by_key(|name| name == bytes::FILE);
        if names.iter().any(|name| name == HELD) {
            let dir = format!("/proc/thread-self/fd/{}", self.dir.as_raw_fd());
            let_go(Path::new(&dir)).map_err(|error| named(format!("unmount {HELD}"), error))?;
        }
        for name in names {
            ignore_missing(unlinkat(&self.dir, name.as_os_str(), UnlinkatFlags::NoRemoveDir))?;
        }
        if stands { ignore_missing(unlinkat(&parent, name, UnlinkatFlags::RemoveDir)) } else { Ok(()) }
    }
}

/// A record that is written and does not hold yet. Without a commit it is taken away.
#[derive(Debug)]
pub(crate) struct Next<'a> {
    store: &'a Store,
    bytes: Vec<u8>,
    state: State,
    holds: Cell<bool>,
}

impl Next<'_> {
    /// Makes it the one that holds.
    pub(crate) fn commit(&self) -> io::Result<Arc<State>> {
        let renamed = bytes::commit(self.store.dir.as_fd());
        renamed.map_err(|error| self.store.unwritten(bytes::FILE, error))?;
        self.holds.set(true);
        Ok(self.store.remember(self.bytes.clone(), &self.state))
    }
}

impl Drop for Next<'_> {
    fn drop(&mut self) {
        if !self.holds.get() {
            bytes::discard(self.store.dir.as_fd());
        }
    }
}

/// The directory in which containers stand.
pub(crate) fn open_parent(path: &Path) -> io::Result<OwnedFd> {
    open_dir(path)
}

fn unopened(path: &Path, error: io::Error) -> Error {
    match error.raw_os_error() {
        Some(libc::ENOENT) => not_there(path),
        _ => Error::io(format!("open container {}", path.display()), error),
    }
}

fn not_there(path: &Path) -> Error {
    Error::new(ErrorKind::NotFound, format!("container {} does not exist", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn the_mark_of_a_criu_is_the_last_that_was_noted() {
        let path = std::env::temp_dir().join(format!("libcontainer-store-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let store = Store::open(&path).unwrap();
        assert_eq!(store.criu().unwrap(), None);
        for text in ["a-b", "a-b 7 44", "c-d", ""] {
            store.note_criu(text).unwrap();
            assert_eq!(store.criu().unwrap().as_deref(), Some(text));
        }
        store.forget_criu().unwrap();
        assert_eq!(store.criu().unwrap(), None);
        std::fs::remove_dir(&path).unwrap();
    }
}

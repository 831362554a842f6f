//! The lock on a container's directory, by flock(2).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FlockArg, OFlag, openat};
use nix::sys::stat::Mode;

use super::dir::dir_flags;
use crate::process::reap_ended;

const BUSY: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(2);

/// The lock on a container directory; the kernel lets it go when the process ends.
#[derive(Debug)]
pub(crate) struct Lock {
    fd: OwnedFd,
}

impl Lock {
    /// Takes it, shared or exclusive; `None` if somebody else has it.
    pub(super) fn try_take(dir: &OwnedFd, exclusive: bool) -> io::Result<Option<Self>> {
        // A descriptor of its own: flock belongs to the open file, and threads must exclude each other too.
        let lock = Self { fd: openat(dir, ".", dir_flags(), Mode::empty())? };
        Ok(lock.attempt(exclusive)?.then_some(lock))
    }

    /// That on a file in the directory, alone; `None` if somebody else has it.
    pub(super) fn try_take_file(dir: &OwnedFd, name: &str) -> io::Result<Option<Self>> {
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let lock = Self { fd: openat(dir, name, flags, Mode::empty())? };
        Ok(lock.attempt(true)?.then_some(lock))
    }

    /// Waits for it for at most 10 s, then fails with `ETIMEDOUT`.
    pub(super) fn take(dir: &OwnedFd, exclusive: bool) -> io::Result<Self> {
        Self { fd: openat(dir, ".", dir_flags(), Mode::empty())? }.waited_for(exclusive)
    }

    fn waited_for(self, exclusive: bool) -> io::Result<Self> {
        let end = Instant::now() + BUSY;
        while !self.attempt(exclusive)? {
            if Instant::now() >= end {
                return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
            }
            // Who holds the lock may be waiting for a container to end, which our zombies in it would prevent.
            reap_ended();
            libcontainer_plan::rest(PAUSE);
        }
        Ok(self)
    }

    /// Lets it go, for who is going to take it again. `None` if that fails: then it has gone with its descriptor.
    pub(crate) fn let_go(self) -> Option<Idle> {
        self.flock(FlockArg::Unlock).ok().map(|()| Idle(self))
    }

    fn attempt(&self, exclusive: bool) -> io::Result<bool> {
        let how = if exclusive { FlockArg::LockExclusiveNonblock } else { FlockArg::LockSharedNonblock };
        loop {
            match self.flock(how) {
                Err(Errno::EINTR) => {}
                Err(Errno::EWOULDBLOCK) => return Ok(false),
                result => return Ok(result.map(|()| true)?),
            }
        }
    }

    #[allow(deprecated, reason = "nix's Flock panics if it is dropped and unlocking fails")]
    fn flock(&self, how: FlockArg) -> nix::Result<()> {
        nix::fcntl::flock(self.fd.as_raw_fd(), how)
    }
}

/// The descriptor of a lock that nobody has by it.
#[derive(Debug)]
pub(crate) struct Idle(Lock);

impl Idle {
    /// As [`Lock::take`].
    pub(super) fn take(self, exclusive: bool) -> io::Result<Lock> {
        self.0.waited_for(exclusive)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // A child that was cloned a moment ago has a copy of the descriptor until its exec. If this fails the lock goes with the last copy.
        let _ = self.flock(FlockArg::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use super::super::dir::open_dir;
    use super::*;

    fn place(name: &str) -> (std::path::PathBuf, OwnedFd) {
        let path = std::env::temp_dir().join(format!("lc-lock-{name}-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        (path.clone(), open_dir(&path).unwrap())
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn it_excludes_and_is_let_go() {
        let (path, dir) = place("let-go");
        let first = Lock::try_take(&dir, true).unwrap().unwrap();
        assert!(Lock::try_take(&dir, true).unwrap().is_none());
        assert!(Lock::try_take(&dir, false).unwrap().is_none());
        drop(first);
        let shared = Lock::try_take(&dir, false).unwrap().unwrap();
        assert!(Lock::try_take(&dir, false).unwrap().is_some());
        assert!(Lock::try_take(&dir, true).unwrap().is_none());
        drop(shared);
        assert!(Lock::take(&dir, true).is_ok());
        std::fs::remove_dir(path).unwrap();
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn it_is_taken_again_by_the_descriptor_that_it_had() {
        let (path, dir) = place("again");
        let idle = Lock::take(&dir, true).unwrap().let_go().unwrap();
        let other = Lock::try_take(&dir, true).unwrap().unwrap();
        assert!(!idle.0.attempt(true).unwrap(), "another has it");
        drop(other);
        let again = idle.take(true).unwrap();
        assert!(Lock::try_take(&dir, false).unwrap().is_none());
        drop(again);
        assert!(Lock::try_take(&dir, true).unwrap().is_some());
        std::fs::remove_dir(path).unwrap();
    }

    /// A lock whose unlocking fails does not end the program.
    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_failing_unlock_is_no_panic() {
        let (path, dir) = place("unlock");
        // flock(2) of a descriptor that was opened with O_PATH fails: EBADF.
        let flags = nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_CLOEXEC;
        let lock = Lock { fd: openat(&dir, ".", flags, Mode::empty()).unwrap() };
        assert_eq!(lock.flock(FlockArg::Unlock), Err(Errno::EBADF));
        // Nobody keeps a descriptor by which it may still be locked.
        assert!(lock.let_go().is_none());
        std::fs::remove_dir(path).unwrap();
    }
}

//! A control file of version 2 that wakes its pollers when its content changes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::uio::pread;

use crate::Dir;
use crate::error::{Error, Result};

/// The open file, and an epoll around it: the file itself is always readable and tells a change as POLLPRI, the epoll is
/// readable if and only if there is a change. No inotify, of which a user has 128 instances.
#[derive(Debug)]
pub(super) struct Watch {
    file: OwnedFd,
    epoll: Epoll,
    path: PathBuf,
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

impl Watch {
    pub(super) fn new(dir: &Dir, name: &str) -> Result<Self> {
        let path = dir.path().join(name);
        let file = dir.file(name, OFlag::O_RDONLY)?;
        let registered = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).and_then(|epoll| {
            epoll.add(&file, EpollEvent::new(EpollFlags::EPOLLPRI, 0))?;
            Ok(epoll)
        });
        match registered {
            Ok(epoll) => Ok(Self { file, epoll, path }),
            Err(errno) => Err(Error::Read { path, source: errno.into() }),
        }
    }

    /// The numbers of the `key value` lines, handed to `each`, and the end of readiness until the next change.
    /// False when the group is gone.
    pub(super) fn read(&self, each: impl FnMut(&[u8], u64)) -> Result<bool> {
        read_pairs(&self.file, &self.path, each)
    }
}

/// Reads a file of `key value` lines from its start. False when its group is gone (ENODEV).
pub(super) fn read_pairs(
    file: &OwnedFd,
    path: &std::path::Path,
    mut each: impl FnMut(&[u8], u64),
) -> Result<bool> {
    let mut buffer = [0; 1024];
    let text = loop {
        match pread(file, &mut buffer, 0) {
            Ok(length) => break buffer.get(..length).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::ENODEV) => return Ok(false),
            Err(errno) => return Err(Error::Read { path: path.into(), source: errno.into() }),
        }
    };
    match crate::stats::scan::pairs(text, &mut each) {
        Ok(()) => Ok(true),
        Err(wrong) => Err(Error::Content { path: path.into(), problem: wrong.0 }),
    }
}

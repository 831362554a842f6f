//! Version 1's notifications: an eventfd(2) that is made known through `cgroup.event_control`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::watch::read_numbers;
use crate::Dir;
use crate::error::{Error, Result};

/// An eventfd that counts the notifications of one control file.
#[derive(Debug)]
pub(super) struct Notifier {
    counter: EventFd,
    /// `memory.oom_control`, which also tells whether the group still exists.
    state: OwnedFd,
    path: PathBuf,
}

impl AsFd for Notifier {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.counter.as_fd()
    }
}

impl Notifier {
    /// Asks for the notifications of `name`, with `arguments` in the kernel's words.
    pub(super) fn new(dir: &Dir, name: &str, arguments: &str) -> Result<Self> {
        let path = dir.path().join(STATE);
        let counter = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
            .map_err(|errno| Error::Read { path: path.clone(), source: errno.into() })?;
        let state = dir.file(STATE, OFlag::O_RDONLY)?;
        let source = dir.file(name, OFlag::O_RDONLY)?;
        let order = format!("{} {} {arguments}", counter.as_fd().as_raw_fd(), source.as_raw_fd());
        // The kernel holds on to the eventfd until it is closed, and needs `source` only during this write.
        dir.write("cgroup.event_control", order.trim_end())?;
        Ok(Self { counter, state, path })
    }

    /// Notifications since the last call. The kernel sends one more when the group is removed.
    pub(super) fn take(&self) -> Result<u64> {
        loop {
            match self.counter.read() {
                Ok(count) => return Ok(count),
                Err(Errno::EAGAIN) => return Ok(0),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::Read { path: self.path.clone(), source: errno.into() }),
            }
        }
    }

    /// Processes killed for lack of memory (KERNEL(4.13)). None when the group is gone.
    pub(super) fn kills(&self) -> Result<Option<u64>> {
        Ok(read_numbers(&self.state, &self.path, ["oom_kill"])?.map(|[kills]| kills))
    }
}

const STATE: &str = "memory.oom_control";

//! A control file of version 2 that wakes its pollers when its content changes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::uio::pread;

use crate::Dir;
use crate::dir::patient;
use crate::error::{Error, Result};
use crate::faults;

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

    /// The numbers of the lines with these keys, and the end of readiness until the next change. None when the group is gone.
    pub(super) fn read<const N: usize>(&self, keys: [&str; N]) -> Result<Option<[u64; N]>> {
        read_numbers(&self.file, &self.path, keys)
    }
}

/// Reads a file of `key value` lines from its start. None when its group is gone (ENODEV). A key that is missing is no zero, but an error.
pub(super) fn read_numbers<const N: usize>(
    file: &OwnedFd,
    path: &Path,
    keys: [&str; N],
) -> Result<Option<[u64; N]>> {
    let mut buffer = [0; 1024];
    let read = faults::of("pread64", path, "").and_then(|()| patient(|| pread(file, &mut buffer, 0)));
    let text = match read {
        Ok(length) => buffer.get(..length).unwrap_or_default(),
        Err(Errno::ENODEV) => return Ok(None),
        Err(errno) => return Err(Error::Read { path: path.into(), source: errno.into() }),
    };
    match numbers(text, keys) {
        Ok(found) => Ok(Some(found)),
        Err(problem) => Err(Error::Content { path: path.into(), problem }),
    }
}

fn numbers<const N: usize>(text: &[u8], keys: [&str; N]) -> std::result::Result<[u64; N], String> {
    let mut found = keys.map(|_| None);
    crate::stats::scan::pairs(text, |key, value| {
        let at = keys.iter().position(|own| own.as_bytes() == key);
        if let Some(place) = at.and_then(|at| found.get_mut(at)) {
            *place = Some(value);
        }
    })
    .map_err(|wrong| wrong.0)?;
    match keys.iter().zip(&found).find(|(_, found)| found.is_none()) {
        Some((key, _)) => Err(format!("no line {key}")),
        // All are there.
        None => Ok(found.map(|number| number.unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_line_is_no_zero() {
        let text = b"low 0\noom 3\noom_kill 1\n";
        assert_eq!(numbers(text, ["oom", "oom_kill"]), Ok([3, 1]));
        assert_eq!(numbers(text, ["oom_kill", "oom"]), Ok([1, 3]));
        assert_eq!(numbers(text, ["frozen"]), Err("no line frozen".to_owned()));
        assert!(numbers(b"oom x\n", ["oom"]).is_err());
        assert!(numbers(b"", ["oom"]).is_err());
    }
}

//! How a process ended, and waiting for that, by its pidfd.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::launch::raw;

/// Resources that a process and its waited-for children have used: getrusage(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time in user mode.
    pub user_time: Duration,
    /// Time in the kernel.
    pub system_time: Duration,
    /// Largest resident set, in bytes.
    pub max_rss: u64,
}

/// What ended a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It left with this code.
    Exited(i32),
    /// This signal killed it.
    Killed(i32),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// By itself or by a signal.
    pub end: End,
    /// What it used; `None` if it was not the caller's child.
    pub usage: Option<Usage>,
}

/// Takes the status of a child by waitid(2). `Ok(None)` if it still runs and `block` is not set.
///
/// # Errors
/// That of the call: `ECHILD` if the process is not a child of the caller, or its status was taken.
pub fn wait_pidfd(pidfd: BorrowedFd<'_>, block: bool) -> io::Result<Option<Ended>> {
    look(pidfd, if block { 0 } else { libc::WNOHANG })
}

/// How a child has ended, by waitid(2) with `WNOWAIT`: it stays to be waited for. `Ok(None)` if it still runs.
///
/// # Errors
/// As [`wait_pidfd`].
pub fn end_of_child(pidfd: BorrowedFd<'_>) -> io::Result<Option<Ended>> {
    look(pidfd, libc::WNOHANG | libc::WNOWAIT)
}

fn look(pidfd: BorrowedFd<'_>, flags: i32) -> io::Result<Option<Ended>> {
    loop {
        match raw::wait_with_usage(pidfd, libc::WEXITED | libc::__WALL | flags) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return Ok(result?.map(|(code, status, usage)| ended(code, status, &usage))),
        }
    }
}

fn ended(code: i32, status: i32, usage: &libc::rusage) -> Ended {
    let time = |value: libc::timeval| {
        let seconds = u64::try_from(value.tv_sec).unwrap_or(0);
        Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(value.tv_usec).unwrap_or(0))
    };
    let usage = Usage {
        user_time: time(usage.ru_utime),
        system_time: time(usage.ru_stime),
        max_rss: u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024),
    };
    let end = if code == libc::CLD_EXITED { End::Exited(status) } else { End::Killed(status) };
    Ended { end, usage: Some(usage) }
}

/// How a process that is no child of the caller ended, as far as the kernel still knows.
///
/// KERNEL(6.15): older kernels answer `ENOTTY` or leave the exit code out.
#[must_use]
pub fn end_of_pidfd(pidfd: BorrowedFd<'_>) -> Option<Ended> {
    // An error means the same as no answer: nobody can tell any more.
    let status = raw::exit_code(pidfd).ok()??;
    let end = if libc::WIFSIGNALED(status) {
        End::Killed(libc::WTERMSIG(status))
    } else {
        End::Exited(libc::WEXITSTATUS(status))
    };
    Some(Ended { end, usage: None })
}

/// Waits until `fd` is readable, as a pidfd is when its process has ended; false if `limit` passed first.
///
/// # Errors
/// That of poll(2).
pub fn wait_readable(fd: BorrowedFd<'_>, limit: Option<Duration>) -> io::Result<bool> {
    let end = limit.map(|limit| Instant::now() + limit);
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let timeout = left.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(0) if left.is_some_and(|left| left.is_zero()) => return Ok(false),
            Ok(0) => {}
            Ok(_) => return Ok(true),
        }
    }
}

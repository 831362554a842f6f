//! The listener as it appears in the process that has loaded the filter.

use std::ffi::OsStr;
use std::os::fd::{BorrowedFd, RawFd};
use std::time::{Duration, Instant};

use libcontainer_plan::{Pid, has_init_name, names, wait_readable};
use nix::fcntl::{OFlag, open, readlinkat};
use nix::sys::stat::Mode;
use rustix::process::{PidfdGetfdFlags, pidfd_getfd};

use super::error::NotifyError;
use super::give::until;
use super::listener::Listener;

const LISTENER: &str = "anon_inode:seccomp notify";

/// Takes a copy of the listener of an init that is about to load its filter, once it is there: a descriptor of `least` or more, and its number there.
pub(super) fn take(
    pid: Pid,
    pidfd: BorrowedFd<'_>,
    least: RawFd,
    end: Instant,
) -> Result<(RawFd, Listener), NotifyError> {
    let mut found = None;
    let done = until(end, || {
        found = listener_in(pid, least)?;
        match found {
            Some(_) => Ok(true),
            None => still_to_come(pid, pidfd).map(|()| false),
        }
    })?;
    let number = found.filter(|_| done).ok_or_else(|| {
        let call = format!("wait for the seccomp listener of process {pid}");
        NotifyError::Call { call, errno: libc::ETIMEDOUT }
    })?;
    // RACE: the process may be another one of the same number by now; a pidfd's never is.
    let taken = pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty()).map_err(|error| {
        let call = format!("pidfd_getfd: take descriptor {number}, a seccomp listener, from process {pid}");
        closed(call, &error.into())
    })?;
    Ok((number, Listener::from(taken)))
}

/// Whether the init may still get one: not if it is gone, or a program already.
pub(super) fn still_to_come(pid: Pid, pidfd: BorrowedFd<'_>) -> Result<(), NotifyError> {
    let failed = |call: String| move |error| NotifyError::call(call, &error);
    let what = "before the host had its seccomp listener";
    if wait_readable(pidfd, Some(Duration::ZERO))
        .map_err(failed(format!("poll the pidfd of process {pid}")))?
    {
        return Err(NotifyError::Unexpected(format!("process {pid} has ended {what}")));
    }
    match has_init_name(pid) {
        Ok(true) => Ok(()),
        Ok(false) => Err(NotifyError::Unexpected(format!("process {pid} has become its program {what}"))),
        Err(error) => Err(failed(format!("read /proc/{pid}/comm"))(error)),
    }
}

/// The number of its listener, the highest if there are several: a listener that was given to it has a lower one.
pub(super) fn listener_in(pid: Pid, least: RawFd) -> Result<Option<RawFd>, NotifyError> {
    let mut numbers = descriptors(pid)?;
    numbers.retain(|(number, link)| *number >= least && link == OsStr::new(LISTENER));
    Ok(numbers.into_iter().map(|(number, _)| number).max())
}

/// One more than the highest number among the descriptors of a process.
///
/// # Errors
/// Those of open(2) and readlinkat(2) on `/proc/PID/fd`.
pub fn first_free(pid: Pid) -> Result<RawFd, NotifyError> {
    let highest = descriptors(pid)?.into_iter().map(|(number, _)| number).max();
    Ok(highest.map_or(0, |number| number.saturating_add(1)))
}

/// An init that joins is of the host's user namespace and not dumpable.
fn closed(mut call: String, error: &std::io::Error) -> NotifyError {
    if matches!(error.raw_os_error(), Some(libc::EACCES | libc::EPERM)) {
        call += " (it asks for CAP_SYS_PTRACE)";
    }
    NotifyError::call(call, error)
}

fn descriptors(pid: Pid) -> Result<Vec<(RawFd, std::ffi::OsString)>, NotifyError> {
    let path = format!("/proc/{pid}/fd");
    let failed = |call: &str| {
        let call = format!("{call} {path}");
        move |error: std::io::Error| NotifyError::call(call, &error)
    };
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let dir = open(path.as_str(), flags, Mode::empty())
        .map_err(|error| closed(format!("open {path}"), &error.into()))?;
    let mut all = Vec::new();
    for name in names(&dir).map_err(failed("list"))? {
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        match readlinkat(&dir, name.as_os_str()) {
            Ok(link) => all.push((number, link)),
            // RACE: it may be closed meanwhile.
            Err(nix::errno::Errno::ENOENT) => {}
            Err(error) => return Err(failed("read a link in")(error.into())),
        }
    }
    Ok(all)
}

//! Calls on pidfds and mounts that nix does not wrap.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use crate::ids::Pid;

/// Sends a signal by pidfd: never to a process that has taken over the number. See pidfd_send_signal(2).
///
/// # Errors
/// That of the call; `ESRCH` if the process is gone.
pub fn signal_pidfd(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    let fd = pidfd.as_fd().as_raw_fd();
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open for the length of the call; a null siginfo is allowed.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, none, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Opens a pidfd: a process that it holds is never taken for another one. See pidfd_open(2).
///
/// # Errors
/// That of the call: `ESRCH` if there is no such process, `EINVAL` if the number is that of a thread.
pub fn open_pidfd(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: no pointer.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) })
}

/// Waits until the child is gone and takes its status.
///
/// # Errors
/// That of waitid(2).
pub(crate) fn reap(pidfd: impl AsFd) -> io::Result<WaitStatus> {
    loop {
        match waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::__WALL) {
            Err(nix::errno::Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

/// The status of the child if it is gone, left for the real wait.
///
/// # Errors
/// That of waitid(2).
pub(crate) fn peek(pidfd: impl AsFd) -> io::Result<WaitStatus> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::__WALL | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    Ok(waitid(Id::PIDFd(pidfd.as_fd()), flags)?)
}

/// Owns a descriptor that fcntl(F_DUPFD_CLOEXEC) has just returned.
pub(super) fn own(number: i32) -> std::os::fd::OwnedFd {
    // SAFETY: the number is new and nothing else owns it.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(number) }
}

/// `fsopen(fstype, FSOPEN_CLOEXEC)`.
pub(super) fn fsopen(fstype: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: the string lives across the call.
    owned(unsafe { libc::syscall(libc::SYS_fsopen, fstype.as_ptr(), 1) })
}

/// `fsconfig(context, FSCONFIG_CMD_CREATE)`.
pub(super) fn fsconfig_create(context: &OwnedFd) -> io::Result<()> {
    let none = std::ptr::null::<libc::c_char>();
    // SAFETY: the descriptor is open for the length of the call; the command takes neither key nor value.
    let result = unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), 6, none, none, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `fsmount(context, FSMOUNT_CLOEXEC, 0)`: a mount that is attached nowhere.
pub(super) fn fsmount(context: &OwnedFd) -> io::Result<OwnedFd> {
    // SAFETY: no pointer.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), 1, 0) })
}

/// `mount_setattr(mount, "", AT_EMPTY_PATH, {set})`.
pub(super) fn mount_setattr(mount: &OwnedFd, set: u64) -> io::Result<()> {
    let attributes: [u64; 4] = [set, 0, 0, 0];
    let (fd, empty) = (mount.as_raw_fd(), c"".as_ptr());
    let size = size_of_val(&attributes);
    // SAFETY: `struct mount_attr` of the first version is these four words; both pointers live across the call.
    let result = unsafe {
        libc::syscall(libc::SYS_mount_setattr, fd, empty, libc::AT_EMPTY_PATH, attributes.as_ptr(), size)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn owned(result: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(result) {
        Ok(number) if number >= 0 => Ok(own(number)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Waits until the process is dead, at most `limit`; its status stays to be taken.
pub(super) fn wait_dead(pidfd: impl AsFd, limit: std::time::Duration) {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut polled = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    while poll(&mut polled, limit) == Err(nix::errno::Errno::EINTR) {}
}

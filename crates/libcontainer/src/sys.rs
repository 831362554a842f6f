//! Calls that nix does not wrap: waiting with resource usage, exit information of a pidfd, terminal sizes.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::process::{ExitStatus, Usage};

// _IOWR(0xff, 11, struct pidfd_info), whose first version has 64 bytes: linux/pidfd.h.
const PIDFD_GET_INFO: libc::c_ulong = 0xc040_ff0b;
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// `struct pidfd_info` of linux/pidfd.h, first version.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// `waitid(P_PIDFD)` with resource usage. `Ok(None)` if the process still runs and `block` is not set.
///
/// # Errors
/// That of waitid(2): `ECHILD` if the process is not a child of the caller, or its status was taken.
pub(crate) fn wait(pidfd: BorrowedFd<'_>, block: bool) -> io::Result<Option<ExitStatus>> {
    let flags = libc::WEXITED | libc::__WALL | if block { 0 } else { libc::WNOHANG };
    loop {
        let (mut info, mut usage) =
            (MaybeUninit::<libc::siginfo_t>::zeroed(), MaybeUninit::<libc::rusage>::zeroed());
        let (place, used) = (info.as_mut_ptr(), usage.as_mut_ptr());
        // SAFETY: both structures are writable and of the sizes that the kernel writes.
        let result =
            unsafe { libc::syscall(libc::SYS_waitid, libc::P_PIDFD, pidfd.as_raw_fd(), place, flags, used) };
        if result != 0 {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        }
        // SAFETY: zeroed at least, and all bit patterns are valid.
        let info = unsafe { info.assume_init() };
        // SAFETY: likewise.
        let usage = unsafe { usage.assume_init() };
        // SAFETY: waitid fills the fields of SIGCHLD, or leaves them zero.
        let pid = unsafe { info.si_pid() };
        // SAFETY: likewise.
        let status = unsafe { info.si_status() };
        return Ok((pid != 0).then(|| status_of(info.si_code, status, &usage)));
    }
}

fn status_of(code: i32, status: i32, usage: &libc::rusage) -> ExitStatus {
    let time = |value: libc::timeval| {
        let seconds = u64::try_from(value.tv_sec).unwrap_or(0);
        std::time::Duration::from_secs(seconds)
            + std::time::Duration::from_micros(u64::try_from(value.tv_usec).unwrap_or(0))
    };
    let usage = Usage {
        user_time: time(usage.ru_utime),
        system_time: time(usage.ru_stime),
        max_rss: u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024),
    };
    if code == libc::CLD_EXITED {
        ExitStatus::new(Some(status), None, Some(usage))
    } else {
        ExitStatus::new(None, Some(status), Some(usage))
    }
}

/// How a process that is no child of the caller ended, as far as the kernel still knows.
///
/// KERNEL(6.15): older kernels answer `ENOTTY` or leave the exit code out.
pub(crate) fn exit_information(pidfd: BorrowedFd<'_>) -> Option<ExitStatus> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the structure has the size that the request number carries.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    if result != 0 || info.mask & PIDFD_INFO_EXIT == 0 {
        return None;
    }
    let status = info.exit_code;
    if libc::WIFSIGNALED(status) {
        return Some(ExitStatus::new(None, Some(libc::WTERMSIG(status)), None));
    }
    Some(ExitStatus::new(Some(libc::WEXITSTATUS(status)), None, None))
}

/// `ioctl(TIOCSWINSZ)`.
///
/// # Errors
/// That of ioctl_tty(2).
pub(crate) fn resize(terminal: BorrowedFd<'_>, rows: u16, columns: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the structure is the one that TIOCSWINSZ reads.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The `CLONE_NEW…` bit of the namespace behind a descriptor: ioctl_ns(2), `NS_GET_NSTYPE`. `None` if it is no namespace.
pub(crate) fn namespace_type(fd: BorrowedFd<'_>) -> Option<u32> {
    const NS_GET_NSTYPE: libc::c_ulong = 0xb703;
    // SAFETY: the request takes no argument.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) };
    u32::try_from(result).ok().filter(|kind| *kind != 0)
}

/// Rows and columns of a terminal: `ioctl(TIOCGWINSZ)`. `None` if it is none.
#[must_use]
pub fn terminal_size(terminal: BorrowedFd<'_>) -> Option<(u16, u16)> {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the structure is the one that TIOCGWINSZ writes.
    let result = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    (result == 0).then_some((size.ws_row, size.ws_col))
}

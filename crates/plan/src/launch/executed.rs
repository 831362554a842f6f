//! Exec or death: both close the control socket.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::sys::wait::WaitStatus;

use super::raw;
use crate::ids::Pid;
use crate::wire::INIT_NAME;

/// How long a process that still has the init's name may live before it counts as a program of that name.
const PATIENCE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_micros(50);

/// Whether the process was killed while it had the init's name, so in no other program.
///
/// Exec replaces the name in the same call that closes the socket; death does not: a zombie has the name that it died with.
///
/// # Errors
/// Those of reading `/proc/PID/comm`: then it is not known.
pub(super) fn died_as_init(pid: Pid, pidfd: BorrowedFd<'_>) -> io::Result<bool> {
    let end = Instant::now() + PATIENCE;
    loop {
        // ORDER: first, as the name of one that is dead does not change any more.
        let status = raw::peek(pidfd.as_fd());
        match has_init_name(pid) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            // A caller that ignores SIGCHLD: the kernel has reaped it, and its name with it. An init says on the board why it leaves.
            Err(_) if left_by_itself(pidfd) => return Ok(false),
            Err(error) => return Err(crate::errno::named(format!("read /proc/{pid}/comm"), error)),
        }
        match status {
            Ok(WaitStatus::StillAlive) if Instant::now() < end => crate::rest::rest(PAUSE),
            // The init itself never leaves without a word on the board.
            Ok(status) => return Ok(matches!(status, WaitStatus::Signaled(..))),
            // The status was taken: it has ended under the init's name.
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(true),
            Err(error) => return Err(error),
        }
    }
}

/// KERNEL(6.15): none before tells of one that was reaped.
fn left_by_itself(pidfd: BorrowedFd<'_>) -> bool {
    raw::exit_code(pidfd).ok().flatten().is_some_and(|status| libc::WIFEXITED(status))
}

/// Whether the process has the name of an init. A program that the init has become has its own, also when it has ended, until it is reaped.
///
/// # Errors
/// Those of reading `/proc/PID/comm`: `ENOENT` or `ESRCH` if there is no such process.
pub fn has_init_name(pid: Pid) -> io::Result<bool> {
    let mut name = Vec::with_capacity(64);
    File::open(format!("/proc/{pid}/comm"))?.take(64).read_to_end(&mut name)?;
    Ok(name.trim_ascii_end() == INIT_NAME.to_bytes())
}

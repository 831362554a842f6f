//! Exec or death: both close the control socket.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::sys::wait::WaitStatus;

use super::raw;
use crate::ids::Pid;
use crate::wire::INIT_NAME;

/// How long a process that still has the init's name may live before it counts as a program of that name.
const PATIENCE: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_micros(50);

/// The name of a process, `/proc/PID/comm`: a file that is that process's as long as it is open.
pub(super) struct Name {
    file: File,
    pid: Pid,
}

impl Name {
    /// Opens it.
    ///
    /// # Errors
    /// Those of open(2): `ENOENT` or `ESRCH` if there is no such process.
    pub(super) fn of(pid: Pid) -> io::Result<Self> {
        Ok(Self { file: File::open(format!("/proc/{pid}/comm"))?, pid })
    }

    /// Whether it is that of an init, at this moment.
    ///
    /// # Errors
    /// Those of pread(2): `ESRCH` once the process is reaped.
    pub(super) fn is_inits(&self) -> io::Result<bool> {
        // The kernel's names have at most 16 bytes, those of its own threads 64.
        let mut name = [0; 64];
        let length = loop {
            match self.file.read_at(&mut name, 0) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        Ok(name.get(..length).is_some_and(|name| name.trim_ascii_end() == INIT_NAME.to_bytes()))
    }
}

/// Whether the process was killed while it had the init's name, so in no other program.
///
/// Exec replaces the name in the same call that closes the socket; death does not: a zombie has the name that it died with.
///
/// # Errors
/// Those of reading `/proc/PID/comm`: then it is not known.
pub(super) fn died_as_init(name: &Name, pidfd: BorrowedFd<'_>) -> io::Result<bool> {
    // Whatever has become of it since: it has another name, so it was another program.
    if matches!(name.is_inits(), Ok(false)) {
        return Ok(false);
    }
    let end = Instant::now() + PATIENCE;
    loop {
        // ORDER: first, as the name of one that is dead does not change any more.
        let status = raw::peek(pidfd.as_fd());
        match name.is_inits() {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            // A caller that ignores SIGCHLD: the kernel has reaped it, and its name with it. An init says on the board why it leaves.
            Err(_) if left_by_itself(pidfd) => return Ok(false),
            Err(error) => return Err(unread(name.pid, error)),
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

/// The same of one whose name was not opened before.
///
/// # Errors
/// As [`died_as_init`].
pub(super) fn died_unread(pid: Pid, pidfd: BorrowedFd<'_>) -> io::Result<bool> {
    match Name::of(pid) {
        Ok(name) => died_as_init(&name, pidfd),
        Err(_) if left_by_itself(pidfd) => Ok(false),
        Err(error) => Err(unread(pid, error)),
    }
}

fn unread(pid: Pid, error: io::Error) -> io::Error {
    crate::errno::named(format!("read /proc/{pid}/comm"), error)
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
    Name::of(pid)?.is_inits()
}

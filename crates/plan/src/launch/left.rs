//! Children of failed launches that can't be reaped at once. One in a frozen control group dies when that is thawed, which may be
//! much later and somebody else's business.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use super::raw;

/// How long a launch waits for a child that was killed.
const PATIENCE: Duration = Duration::from_secs(2);

const ATTEMPTS: u32 = 3;

static LEFT: Mutex<Vec<OwnedFd>> = Mutex::new(Vec::new());

/// Reaps the children of failed launches that have ended meanwhile: as zombies they would keep the pid 1 of their namespace from
/// going. A launch does it too; a program that seldom launches may call it whenever a container does not end. Returns how many are left.
#[allow(clippy::must_use_candidate, reason = "who does it on the way does not wait for the rest")]
pub fn reap_left() -> usize {
    let mut left = LEFT.lock().unwrap_or_else(PoisonError::into_inner);
    left.retain(|pidfd| !is_reaped(pidfd));
    left.len()
}

/// Kills a child and reaps it.
///
/// # Errors
/// That of pidfd_send_signal(2): then it may live on. Gone already is no error.
pub(super) fn end(pidfd: OwnedFd) -> io::Result<()> {
    let killed = kill(&pidfd);
    reap(pidfd);
    killed
}

fn kill(pidfd: &OwnedFd) -> io::Result<()> {
    let mut attempt = 0;
    loop {
        match raw::signal_pidfd(pidfd, libc::SIGKILL) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(()),
            // The call has nothing to wait for and needs no rights over a child: whatever it says may pass.
            Err(_) if attempt < ATTEMPTS => attempt += 1,
            result => return result,
        }
    }
}

/// Reaps a child that is on its way out; if it isn't gone soon, [`reap_left`] does it.
pub(super) fn reap(pidfd: OwnedFd) {
    raw::wait_dead(&pidfd, PATIENCE);
    if !is_reaped(&pidfd) {
        LEFT.lock().unwrap_or_else(PoisonError::into_inner).push(pidfd);
    }
}

/// Whether there is nothing more to reap.
fn is_reaped(pidfd: &OwnedFd) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
    loop {
        match waitid(Id::PIDFd(std::os::fd::AsFd::as_fd(pidfd)), flags) {
            Err(Errno::EINTR) => {}
            // ECHILD means no child of ours, or its status was taken already.
            found => return found != Ok(WaitStatus::StillAlive),
        }
    }
}

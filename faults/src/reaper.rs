//! Children of a worker's, its commands' leavings among them.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::tracer::{self, End};
use crate::watch::Watch;

/// How long a command may take, also on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(25);

/// Runs a command to its end, and reaps whatever else ends meanwhile. Tells where it stood if it had to be killed.
pub(crate) fn reap(command: &mut Command, watch: &Watch) -> Result<(End, Option<String>)> {
    let child = command.spawn().with_context(|| format!("{command:?}"))?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let guard = watch.begin(pid, LIMIT);
    loop {
        let end = match waitpid(None, Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::Exited(ended, code)) if ended == pid => End::Code(code),
            Ok(WaitStatus::Signaled(ended, signal, _)) if ended == pid => End::Signal(signal),
            Ok(status) => {
                tracer::release(status);
                continue;
            }
            Err(Errno::EINTR | Errno::EINVAL) => continue,
            Err(errno) => return Err(errno).context("wait for a command"),
        };
        return Ok((end, guard.end()));
    }
}

/// Reaps all that has ended.
pub(crate) fn drain() {
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            return;
        }
        tracer::release(status);
    }
}

/// Sealed inits among our descendants.
pub(crate) fn waiting_inits() -> Vec<Pid> {
    let is_init = |(pid, name): (i32, String)| (name == "(libcontainer)").then_some(Pid::from_raw(pid));
    crate::world::processes().into_iter().filter_map(is_init).collect()
}

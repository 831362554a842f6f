//! A launch that failed: the step to name, and the way back.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::WaitStatus;

use super::executed::has_init_name;
use super::run::{Failure, Run};
use super::{image, left, raw};
use crate::board::{Board, Snapshot};
use crate::error::{Cause, Lane, LaunchError, StepFailure};
use crate::interpret::errno as interpreted;
use crate::undo::Undone;

/// How long an init that is on its way out may take.
const MOMENT: Duration = Duration::from_millis(50);
/// How long one may take whose namespaces are gone.
const LONG: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_micros(200);

/// The status of a child that ends within `limit`, left for the real wait.
fn status(pidfd: &OwnedFd, limit: Duration) -> io::Result<WaitStatus> {
    raw::wait_dead(pidfd, limit);
    told(&mut || raw::peek(pidfd), limit)
}

/// RACE: who traces the init hears of its end first, and until then its parent is told of none.
fn told(peek: &mut dyn FnMut() -> io::Result<WaitStatus>, limit: Duration) -> io::Result<WaitStatus> {
    let end = Instant::now() + limit;
    loop {
        match peek()? {
            WaitStatus::StillAlive if Instant::now() < end => crate::rest::rest(PAUSE),
            status => return Ok(status),
        }
    }
}

impl Run {
    /// What the board says; an empty one before there is a board.
    pub(super) fn snapshot(&self) -> io::Result<Snapshot> {
        self.state.board.as_ref().map_or_else(|| Ok(Snapshot::default()), Board::read)
    }

    /// How the init ended, from the board if it says so, else from its status.
    pub(super) fn end(&self) -> Cause {
        let seen = match self.snapshot() {
            Ok(seen) => seen,
            Err(error) => return Cause::Os(error),
        };
        if seen.failed {
            return match seen.errno {
                interpreted::EBADE => Cause::Mismatch,
                interpreted::ECANCELED => Cause::Hook(seen.aux),
                errno => Cause::Os(io::Error::from_raw_os_error(errno)),
            };
        }
        let status = self.state.context.pidfd.as_ref().map(|pidfd| {
            // The socket closes a moment before the process is a zombie, so it is mostly gone: what remains to be told is its status.
            let _ = raw::signal_pidfd(pidfd, libc::SIGKILL);
            status(pidfd, self.launch.limit)
        });
        match status.unwrap_or_else(|| Err(Errno::ESRCH.into())) {
            Ok(WaitStatus::Signaled(_, signal, _)) => Cause::Signal(signal as i32),
            Ok(WaitStatus::Exited(_, code)) => Cause::Left(code),
            Ok(_) => Cause::Unknown(Errno::ETIMEDOUT.into()),
            Err(error) => Cause::Unknown(error),
        }
    }

    /// Takes everything back and makes the error.
    pub(super) fn fail(mut self, index: usize, text: String, failure: Failure) -> LaunchError {
        // What can't be read says nothing; the failure itself is told all the same.
        let seen = self.snapshot().unwrap_or_default();
        let failure = match failure {
            Failure::Init(cause) => self.child_failure(&seen, cause),
            // The host stumbled because the init was gone: the init's step is the one to name.
            Failure::Host(_) | Failure::Mismatch if seen.failed => self.child_failure(&seen, self.end()),
            Failure::Host(_) if self.has_ended(seen.born == 0) => self.child_failure(&seen, self.end()),
            Failure::Mismatch => self.child_failure(&seen, Cause::Mismatch),
            Failure::Host(error) => self.host_failure(index, text, error),
        };
        let Undone { errors: undo_errors, record_kept } = self.take_back();
        LaunchError { failure, undo_errors, record_kept }
    }

    /// Whether the init has left by itself, or was killed; what can't be known is not told.
    fn has_ended(&self, unbegun: bool) -> bool {
        // What the host finds of a program that has begun is not for want of an init, however it has ended by now.
        let is_init =
            unbegun || self.state.context.pid.is_some_and(|pid| matches!(has_init_name(pid), Ok(true)));
        if !is_init {
            return false;
        }
        let limit = match () {
            () if self.is_ending() => LONG,
            () if unbegun => MOMENT,
            // It says by itself why it leaves, so only one that was killed is waited for.
            () => MOMENT / 5,
        };
        match self.state.context.pidfd.as_ref().map(|pidfd| status(pidfd, limit)) {
            // With 0 leaves one that has respawned.
            Some(Ok(WaitStatus::Exited(_, code))) => code != 0,
            Some(Ok(WaitStatus::Signaled(..))) => true,
            _ => false,
        }
    }

    /// RACE: the namespaces of a process go before it is known to have ended, on a busy machine long before.
    fn is_ending(&self) -> bool {
        let look = |pid| std::fs::read_link(format!("/proc/{pid}/ns/net"));
        let look = self.state.context.pid.map(look);
        look.is_some_and(|link| link.is_err_and(|error| error.kind() == io::ErrorKind::NotFound))
    }

    fn host_failure(&self, index: usize, call: String, error: io::Error) -> StepFailure {
        let log = image::reason(&call, &error);
        let (purpose, cause) = (String::new(), Cause::Os(error));
        StepFailure { lane: Lane::Host, index, total: self.total, purpose, call, cause, log }
    }

    fn child_failure(&self, seen: &Snapshot, cause: Cause) -> StepFailure {
        let view = self.launch.plan.step_view(Lane::Child, seen.step);
        StepFailure {
            lane: Lane::Child,
            index: seen.step,
            total: self.launch.plan.len(Lane::Child),
            purpose: view.purpose,
            call: view.call,
            cause,
            log: if seen.failed { seen.log.clone() } else { String::new() },
        }
    }

    pub(super) fn take_back(&mut self) -> Undone {
        self.end_unadopted();
        // ORDER: what is open may be just what there is too little of.
        self.state.control = None;
        self.launch.given.clear();
        (self.launch.cgroup, self.launch.board) = (None, None);
        let killed = self.state.context.pidfd.take().map_or(Ok(()), left::end);
        let errors = killed.err().map(|error| ("kill the init".to_owned(), error));
        self.state.undo.run(errors.into_iter().collect())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use nix::unistd::Pid;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn an_end_that_somebody_else_hears_of_first_is_waited_for() {
        let mut answers =
            vec![WaitStatus::Exited(Pid::from_raw(1), 7), WaitStatus::StillAlive, WaitStatus::StillAlive];
        let status = told(&mut || Ok(answers.pop().unwrap_or(WaitStatus::StillAlive)), MOMENT).unwrap();
        assert_eq!(status, WaitStatus::Exited(Pid::from_raw(1), 7));
        assert_eq!(told(&mut || Ok(WaitStatus::StillAlive), MOMENT).unwrap(), WaitStatus::StillAlive);
        let error = told(&mut || Err(Errno::ECHILD.into()), MOMENT).unwrap_err();
        assert_eq!(
            Cause::Unknown(error).to_string(),
            "how the init ended is not known: ECHILD: No child processes"
        );
    }
}

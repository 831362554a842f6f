//! A launch that failed: the step to name, and the way back.

use std::io;
use std::time::Duration;

use nix::sys::wait::WaitStatus;

use super::run::{Failure, Run};
use super::{image, left, raw};
use crate::board::{Board, Snapshot};
use crate::error::{Cause, Lane, LaunchError, StepFailure};
use crate::interpret::errno as interpreted;
use crate::undo::Undone;

/// How long an init that is on its way out may take.
const MOMENT: Duration = Duration::from_millis(50);

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
            raw::wait_dead(pidfd, self.launch.limit);
            raw::peek(pidfd)
        });
        match status {
            Some(Ok(WaitStatus::Signaled(_, signal, _))) => Cause::Signal(signal as i32),
            Some(Ok(WaitStatus::Exited(_, code))) => Cause::Left(code),
            _ => Cause::Left(-1),
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
            Failure::Host(_) if seen.born == 0 && self.has_ended() => self.child_failure(&seen, self.end()),
            Failure::Mismatch => self.child_failure(&seen, Cause::Mismatch),
            Failure::Host(error) => self.host_failure(index, text, error),
        };
        let Undone { errors: undo_errors, record_kept } = self.take_back();
        LaunchError { failure, undo_errors, record_kept }
    }

    /// Whether the init, which had not begun, has left by itself; what can't be known is not told.
    fn has_ended(&self) -> bool {
        // RACE: its files in /proc go a moment before it is known to have ended.
        self.state.context.pidfd.iter().for_each(|pidfd| raw::wait_dead(pidfd, MOMENT));
        let status = self.state.context.pidfd.as_ref().map(raw::peek);
        match status {
            // With 0 leaves one that has respawned.
            Some(Ok(WaitStatus::Exited(_, code))) => code != 0,
            Some(Ok(WaitStatus::Signaled(..))) => true,
            _ => false,
        }
    }

    fn host_failure(&self, index: usize, call: String, error: io::Error) -> StepFailure {
        let log = image::forbidden(&call, &error);
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

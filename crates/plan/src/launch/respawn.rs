//! The child by which an init goes on in a pid namespace: taken over, or ended.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use super::control::Message;
use super::run::{Failure, Run};
use super::{left, raw};
use crate::ids::Pid;

const PATIENCE: Duration = Duration::from_secs(1);

impl Run {
    /// Takes over the child of the init, and reaps the init.
    pub(super) fn adopt(&mut self) -> Result<(), Failure> {
        let (bytes, fd) = match self.receive()? {
            Message::Closed => return Err(Failure::Init(self.end())),
            Message::Data(bytes, fd) => (bytes, fd.ok_or(Failure::Mismatch)?),
        };
        let [a, b, c, d, ..] = bytes;
        let pid = Pid::new(i32::from_le_bytes([a, b, c, d])).ok_or(Failure::Mismatch)?;
        self.state.context.pid = Some(pid);
        self.state.unadopted = false;
        if let Some(first) = self.state.context.pidfd.replace(fd) {
            left::reap(first);
        }
        Ok(())
    }

    /// Ends the child by which the init wanted to go on in a pid namespace. It is a child of this process too
    /// (`CLONE_PARENT`): unless it is reaped here it stays a zombie for as long as this process lives.
    pub(super) fn end_unadopted(&self) {
        let Some(control) = self.state.control.as_ref().filter(|_| self.state.unadopted) else { return };
        // RACE: the init may be anywhere between the clone and the message with the pidfd, so it must not be killed yet. It leaves
        // at its next wait for us, and so does its child.
        control.close_writing();
        let init = self.state.context.pidfd.as_ref().map(AsFd::as_fd);
        let end = Instant::now() + PATIENCE;
        let mut told = false;
        while let Ok(Some(Message::Data(_, fd))) =
            control.receive(end.saturating_duration_since(Instant::now()), init)
        {
            if let Some(pidfd) = fd {
                told = true;
                // Gone already (ESRCH) is all that is wanted.
                let _ = raw::signal_pidfd(&pidfd, libc::SIGKILL);
                left::reap(pidfd);
            }
        }
        if !told {
            self.reap_untold();
        }
    }

    /// RACE: whoever kills the container may kill the init between the clone and the message, for sure if it was frozen there. The
    /// kernel has noted the child's number on the board by then.
    fn reap_untold(&self) {
        let Ok(Some(pid)) = self.snapshot().map(|seen| seen.child) else { return };
        // The board is a claim: who it names is waited for if it is a child of ours, and never signalled. The true one leaves by
        // itself: it waits for us.
        if let Ok(pidfd) = raw::open_pidfd(pid) {
            left::reap(pidfd);
        }
    }
}

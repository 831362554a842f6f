//! The child by which an init goes on in a pid namespace: taken over, or ended.

use std::time::{Duration, Instant};

use super::control::Message;
use super::{Failure, Run, raw};
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
        let first = self.state.context.pidfd.replace(fd);
        Ok(first.map(|first| raw::reap(&first)).transpose().map(drop)?)
    }

    /// Ends the child by which the init wanted to go on in a pid namespace. It is a child of this process too
    /// (`CLONE_PARENT`): unless it is reaped here it stays a zombie for as long as this process lives.
    pub(super) fn end_unadopted(&mut self) {
        let Some(control) = self.state.control.as_ref().filter(|_| self.state.unadopted) else { return };
        // RACE: the init may be anywhere between the clone and the message with the pidfd, so it must not be killed yet. It leaves
        // at its next wait for us, and so does its child.
        control.close_writing();
        let end = Instant::now() + PATIENCE;
        while let Ok(Some(Message::Data(_, fd))) =
            control.receive(end.saturating_duration_since(Instant::now()))
        {
            if let Some(pidfd) = fd {
                // ESRCH or ECHILD: it is gone, which is all that is wanted.
                let _ = raw::signal_pidfd(&pidfd, libc::SIGKILL);
                let _ = raw::reap(&pidfd);
            }
        }
    }
}

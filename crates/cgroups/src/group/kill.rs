//! Killing everything in a group.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};

use super::freeze::again;
use super::wait::Patience;
use super::{Group, Pid, processes};
use crate::error::{Error, Result};

/// How long a round may wait for a group to freeze: freezing only makes it certain that nothing is born while we kill.
const FREEZE_AT_MOST: Duration = Duration::from_millis(200);

impl Group {
    /// Sends SIGKILL to every process of the group and of those below it until none is left. Frozen groups, also ones
    /// that the container froze below its own, are thawed.
    ///
    /// By `cgroup.kill` where there is version 2; besides, in rounds: freeze, so that nothing is born and no number is given to
    /// another process, then signal, then thaw.
    ///
    /// # Errors
    /// [`Error::Invalid`] when this process is in the group, [`Error::Timeout`], [`Error::Read`], [`Error::Write`].
    pub fn kill(&self, timeout: Duration) -> Result<()> {
        let mut patience = Patience::new(timeout);
        loop {
            let pids = self.everywhere()?;
            if pids.is_empty() {
                return Ok(());
            }
            if pids.contains(&Pid::own()) {
                return Err(Error::invalid("kill", "this process is in the group"));
            }
            self.kill_round(&patience)?;
            if !self.await_deaths(&mut patience)? {
                let left = self.everywhere()?;
                if left.is_empty() {
                    return Ok(());
                }
                let mut error = patience.timeout("kill", self.name());
                if let Error::Timeout { path, .. } = &mut error {
                    path.as_mut_os_string().push(format!(" ({} left)", processes::list(&left)));
                }
                return Err(error);
            }
        }
    }

    fn kill_round(&self, patience: &Patience) -> Result<()> {
        let unified = self.unified();
        let by_kernel = unified.is_some_and(|dir| dir.write("cgroup.kill", "1").is_ok());
        // A frozen process of version 1 dies only once it is thawed.
        let freezer = self.freezer().ok();
        if by_kernel {
            if let Some(freezer) = &freezer {
                again(|| freezer.release_all())?;
            }
            if self.everywhere()?.is_empty() {
                return Ok(());
            }
        }
        if let Some(freezer) = &freezer {
            // Killing goes on when it doesn't freeze in time: the next round finds who was born meanwhile.
            let _ = freezer.freeze(patience.left().min(FREEZE_AT_MOST));
        }
        let signalled = self.signal_all(Signal::SIGKILL);
        // ORDER: thaw before any error is told: nothing stays frozen behind a failed kill.
        if let Some(freezer) = &freezer {
            again(|| freezer.release_all())?;
        }
        signalled
    }

    /// Sends `signal` to every process there is now.
    fn signal_all(&self, signal: Signal) -> Result<()> {
        let own = Pid::own();
        // RACE: only a frozen group keeps its numbers. Where there is no freezer, or it was too slow, a process may die and its
        // number be given away between this look and the signal: they follow each other at once.
        for pid in self.everywhere()?.into_iter().filter(|pid| *pid != own) {
            match kill(nix::unistd::Pid::from_raw(pid.get()), signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => {
                    return Err(Error::Directory { call: "kill", path: self.name(), source: errno.into() });
                }
            }
        }
        Ok(())
    }

    /// Waits a while for the group to get empty. False when all time is up.
    fn await_deaths(&self, patience: &mut Patience) -> Result<bool> {
        for _ in 0..6 {
            if self.everywhere()?.is_empty() {
                return Ok(true);
            }
            if !patience.pause() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

//! Killing everything in a group.

use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};

use super::freeze::{Freezer, again};
use super::wait::Patience;
use super::{Group, Pid, held};
use crate::error::{Error, Result};
use crate::faults;

/// How long a round may wait for a group to freeze: freezing only makes it certain that nothing is born while we kill.
const FREEZE_AT_MOST: Duration = Duration::from_millis(200);

impl Group {
    /// Sends SIGKILL to every process of the group and of those below it until none is left. Frozen groups, also ones
    /// that the container froze below its own, are thawed.
    ///
    /// By `cgroup.kill` where there is version 2; besides, in rounds: freeze, so that nothing is born and no number is given to
    /// another process, then signal, then thaw. Who was put into a frozen group of others, where version 1 lets nobody die, is brought back.
    ///
    /// # Errors
    /// [`Error::Invalid`] when this process is in the group, [`Error::Timeout`], [`Error::Read`], [`Error::Write`].
    pub fn kill(&self, timeout: Duration) -> Result<()> {
        let (mut patience, mut short) = (Patience::new(timeout), Patience::to_undo());
        let mut was_tried = false;
        loop {
            let seen = self.look();
            if seen.is_empty() {
                return Ok(());
            }
            if seen.pids.contains(&Pid::own()) {
                return Err(Error::invalid("kill", "this process is in the group"));
            }
            if std::mem::replace(&mut was_tried, true) {
                self.bring_back(&seen.pids);
            }
            let mut errors = self.kill_round(&patience);
            if !self.await_deaths(&mut patience) {
                return self.survived(&patience);
            }
            // What can't be seen, or not be killed, is tried again for a while, and not for all the time that dying may take.
            if seen.pids.is_empty() {
                errors.extend(seen.unseen);
                errors.extend(seen.others.then(|| unnamed(&self.name())));
            }
            if !errors.is_empty() && !short.pause() && !self.look().is_empty() {
                return Error::any_of(errors);
            }
        }
    }

    /// Moves those of `pids` that a frozen group of others holds into this group of the freezer, which runs. What stays frozen, such as by a group above, is told in the end.
    fn bring_back(&self, pids: &[Pid]) {
        let Some(node) = self.nodes.iter().find(|node| !node.place.unified && node.place.has("freezer"))
        else {
            return;
        };
        // RACE: what is frozen does not end, and so keeps its number.
        for pid in pids.iter().filter(|pid| held::is_held(**pid)) {
            // Whoever is not moved is still there in the next round.
            let _ = node.dir.write("cgroup.procs", &pid.to_string());
        }
    }

    /// The end of a kill whose time is up.
    fn survived(&self, patience: &Patience) -> Result<()> {
        let left = self.look();
        if left.is_empty() {
            return Ok(());
        }
        let mut name = self.name();
        name.as_mut_os_string().push(format!(" ({} left{})", left.list(), held::why(&left.pids)));
        let timeout = patience.timeout("kill", name);
        Error::any_of(std::iter::once(timeout).chain(left.unseen).collect())
    }

    /// Kills who is there. Goes on past errors, and returns them.
    fn kill_round(&self, patience: &Patience) -> Vec<Error> {
        let mut errors = Vec::new();
        // KERNEL(5.14): without it, or when it fails, what is left is killed one by one.
        let by_kernel = self.unified().is_some_and(|dir| dir.write("cgroup.kill", "1").is_ok());
        // A frozen process of version 1 dies only once it is thawed.
        let freezer = match self.freezer() {
            Ok(freezer) => Some(freezer),
            Err(Error::NotFound { .. }) => None,
            Err(error) => {
                errors.push(error);
                None
            }
        };
        if by_kernel {
            errors.extend(thaw(freezer.as_ref()).err());
            if self.look().is_empty() {
                return errors;
            }
        }
        if let Some(freezer) = &freezer {
            // Killing goes on when it doesn't freeze, or not in time: the next round finds who was born meanwhile.
            let _ = freezer.freeze(patience.left().min(FREEZE_AT_MOST));
        }
        errors.extend(self.signal_all(Signal::SIGKILL));
        // ORDER: thaw whatever the errors: nothing stays frozen behind a failed kill.
        errors.extend(thaw(freezer.as_ref()).err());
        errors
    }

    /// Sends `signal` to every process there is now, and returns what kept it from being sent.
    fn signal_all(&self, signal: Signal) -> Vec<Error> {
        let (own, seen, name) = (Pid::own(), self.look(), self.name());
        let mut errors = seen.unseen;
        // RACE: only a frozen group keeps its numbers. Where there is no freezer, or it was too slow, a process may die and its
        // number be given away between this look and the signal: they follow each other at once.
        for pid in seen.pids.into_iter().filter(|pid| *pid != own) {
            let sent = faults::of("kill", &name, "")
                .and_then(|()| kill(nix::unistd::Pid::from_raw(pid.get()), signal));
            match sent {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => errors.push(Error::directory("kill", &name, errno)),
            }
        }
        errors
    }

    /// Waits a while for the group to get empty. False when all time is up.
    fn await_deaths(&self, patience: &mut Patience) -> bool {
        for _ in 0..6 {
            if self.look().is_empty() {
                return true;
            }
            if !patience.pause() {
                return false;
            }
        }
        true
    }
}

fn unnamed(group: &Path) -> Error {
    let problem = "has processes of an outer pid namespace, which can't be signalled from here".to_owned();
    Error::Content { path: group.join("cgroup.procs"), problem }
}

/// Lets everything run, and tries that again for a while.
fn thaw(freezer: Option<&Freezer<'_>>) -> Result<()> {
    freezer.map_or(Ok(()), |freezer| again(|| freezer.release_all()))
}

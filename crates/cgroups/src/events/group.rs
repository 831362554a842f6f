//! Empty or not, frozen or not.

use std::os::fd::{AsFd, BorrowedFd};

use super::watch::Watch;
use super::{EventSource, Next, following};
use crate::error::{Error, Result};
use crate::stats::Sources;

/// State of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupState {
    /// The group or one below it has a process.
    pub populated: bool,
    /// All processes are frozen (KERNEL(5.2)).
    pub frozen: bool,
}

/// Changes of `cgroup.events`. Changes that undo each other between two looks are not told.
#[derive(Debug)]
pub struct GroupEvents {
    watch: Watch,
    seen: GroupState,
    ended: bool,
}

impl GroupEvents {
    /// Watches the version 2 group of `sources`.
    ///
    /// # Errors
    /// [`Error::Invalid`] without one: version 1 has no such notification (`release_agent` starts a program of the whole
    /// machine and is no substitute). [`Error::Read`] of the file, which the root group lacks.
    pub fn new(sources: &Sources) -> Result<Self> {
        let Some(dir) = &sources.v2 else {
            return Err(Error::invalid(
                "events.populated",
                "control groups of version 1 don't tell when they become empty",
            ));
        };
        let watch = Watch::new(dir, "cgroup.events")?;
        let mut new = Self { watch, seen: GroupState::default(), ended: false };
        match new.state()? {
            Some(state) => new.seen = state,
            None => new.ended = true,
        }
        Ok(new)
    }

    /// The state now; None when the group is gone.
    ///
    /// # Errors
    /// As [`EventSource::try_next`].
    pub fn state(&self) -> Result<Option<GroupState>> {
        let found = self.watch.read(["populated", "frozen"])?;
        Ok(found.map(|[populated, frozen]| GroupState { populated: populated != 0, frozen: frozen != 0 }))
    }
}

impl AsFd for GroupEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

impl EventSource for GroupEvents {
    type Event = GroupState;

    fn try_next(&mut self) -> Result<Next<GroupState>> {
        if self.ended {
            return Ok(Next::Ended);
        }
        match self.state()? {
            Some(state) if state == self.seen => Ok(Next::Pending),
            Some(state) => {
                self.seen = state;
                Ok(Next::Event(state))
            }
            None => {
                self.ended = true;
                Ok(Next::Ended)
            }
        }
    }
}

impl Iterator for GroupEvents {
    type Item = Result<GroupState>;

    fn next(&mut self) -> Option<Self::Item> {
        following(self)
    }
}

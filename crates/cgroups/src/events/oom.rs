//! Out of memory.

use std::os::fd::{AsFd, BorrowedFd};

use super::notify::Notifier;
use super::watch::Watch;
use super::{EventSource, Next, following};
use crate::error::{Error, Result};
use crate::stats::Sources;

/// What happened since the last event (or, from [`OomEvents::total`], since the source was made).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Oom {
    /// Times an allocation failed at the limit.
    pub ooms: u64,
    /// Processes killed for that. Version 1 announces the failure before the kill, which then comes with the next event or
    /// shows in [`OomEvents::total`].
    pub kills: u64,
}

/// Out of memory in a group or below it, and the kills.
#[derive(Debug)]
pub struct OomEvents {
    origin: Origin,
    /// The kernel's counters when the source was made.
    first: Oom,
    /// The kernel's counters (version 1: the sum of notifications) at the last event.
    seen: Oom,
    ended: bool,
}

#[derive(Debug)]
enum Origin {
    V1(Notifier),
    V2(Watch),
}

impl OomEvents {
    /// Watches the memory controller, version 1's if `sources` has it there.
    ///
    /// # Errors
    /// [`Error::NotFound`] without a memory controller, [`Error::Read`] and [`Error::Write`] of the files.
    pub fn new(sources: &Sources) -> Result<Self> {
        let origin = match (sources.v1.get("memory"), &sources.v2) {
            (Some(dir), _) => Origin::V1(Notifier::new(dir, "memory.oom_control", "")?),
            (None, Some(dir)) if dir.has("memory.events")? => Origin::V2(Watch::new(dir, "memory.events")?),
            _ => return Err(Error::NotFound { controller: "memory".to_owned() }),
        };
        let mut new = Self { origin, first: Oom::default(), seen: Oom::default(), ended: false };
        // Of a group that is gone by now there is nothing to come: the next look ends it.
        new.first = new.counters()?.unwrap_or_default();
        new.seen = new.first;
        Ok(new)
    }

    /// All since the source was made, read now; None when the group is gone.
    ///
    /// After the death of a process this tells if it was killed for lack of memory.
    ///
    /// # Errors
    /// As [`EventSource::try_next`].
    pub fn total(&self) -> Result<Option<Oom>> {
        Ok(self.counters()?.map(|now| now.since(self.first)))
    }

    /// The kernel's counters; on version 1 with the notifications already taken.
    fn counters(&self) -> Result<Option<Oom>> {
        match &self.origin {
            Origin::V1(notifier) => Ok(notifier.kills()?.map(|kills| Oom { ooms: self.seen.ooms, kills })),
            Origin::V2(watch) => {
                let found = watch.read(["oom", "oom_kill"])?;
                Ok(found.map(|[ooms, kills]| Oom { ooms, kills }))
            }
        }
    }
}

impl Oom {
    fn since(self, before: Self) -> Self {
        Self { ooms: self.ooms.saturating_sub(before.ooms), kills: self.kills.saturating_sub(before.kills) }
    }
}

impl AsFd for OomEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.origin {
            Origin::V1(notifier) => notifier.as_fd(),
            Origin::V2(watch) => watch.as_fd(),
        }
    }
}

impl EventSource for OomEvents {
    type Event = Oom;

    fn try_next(&mut self) -> Result<Next<Oom>> {
        if self.ended {
            return Ok(Next::Ended);
        }
        let notified = match &self.origin {
            Origin::V1(notifier) => notifier.take()?,
            Origin::V2(_) => 0,
        };
        let Some(mut now) = self.counters()? else {
            self.ended = true;
            return Ok(Next::Ended);
        };
        now.ooms += notified;
        let news = now.since(self.seen);
        self.seen = now;
        Ok(if news == Oom::default() { Next::Pending } else { Next::Event(news) })
    }
}

impl Iterator for OomEvents {
    type Item = Result<Oom>;

    fn next(&mut self) -> Option<Self::Item> {
        following(self)
    }
}

//! Version 1's levels of memory pressure.

use std::os::fd::{AsFd, BorrowedFd};

use super::notify::Notifier;
use super::{EventSource, Next, following};
use crate::error::{Error, Result};
use crate::stats::Sources;

/// How hard memory is to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReclaimLevel {
    /// Memory is reclaimed, mostly page cache.
    Low,
    /// Some 60 % of what reclaim looks at can't be had: swapping, much page cache written back.
    Medium,
    /// Some 95 %: out of memory is near.
    Critical,
}

/// Whether pressure in groups below counts (KERNEL(4.13)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Propagation {
    /// Until a group on the way up has a listener of its own.
    #[default]
    Default,
    /// Always.
    Hierarchy,
    /// Never.
    Local,
}

/// Notifications since the last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scarcity {
    /// How many.
    pub count: u64,
}

/// Notifications of `memory.pressure_level` at one level or above it.
#[derive(Debug)]
pub struct ReclaimEvents {
    notifier: Notifier,
    ended: bool,
}

impl ReclaimEvents {
    /// Watches version 1's memory controller.
    ///
    /// # Errors
    /// [`Error::Invalid`] on version 2, where [`StallEvents`](super::StallEvents) tells more; [`Error::NotFound`] without a
    /// memory controller; [`Error::Read`] and [`Error::Write`] of the files.
    pub fn new(sources: &Sources, level: ReclaimLevel, propagation: Propagation) -> Result<Self> {
        let Some(dir) = sources.v1.get("memory") else {
            return Err(match sources.v2 {
                Some(_) => Error::invalid(
                    "events.pressure_level",
                    "control groups of version 2 have pressure triggers instead",
                ),
                None => Error::NotFound { controller: "memory".to_owned() },
            });
        };
        let level = match level {
            ReclaimLevel::Low => "low",
            ReclaimLevel::Medium => "medium",
            ReclaimLevel::Critical => "critical",
        };
        // The default goes without saying, also to kernels which don't know the word.
        let mode = match propagation {
            Propagation::Default => "",
            Propagation::Hierarchy => ",hierarchy",
            Propagation::Local => ",local",
        };
        let notifier = Notifier::new(dir, "memory.pressure_level", &format!("{level}{mode}"))?;
        Ok(Self { notifier, ended: false })
    }
}

impl AsFd for ReclaimEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notifier.as_fd()
    }
}

impl EventSource for ReclaimEvents {
    type Event = Scarcity;

    fn try_next(&mut self) -> Result<Next<Scarcity>> {
        if self.ended {
            return Ok(Next::Ended);
        }
        let count = self.notifier.take()?;
        // ORDER: after the count, since the removal itself notifies.
        self.ended = self.notifier.kills()?.is_none();
        Ok(match (self.ended, count) {
            (true, _) => Next::Ended,
            (false, 0) => Next::Pending,
            (false, count) => Next::Event(Scarcity { count }),
        })
    }
}

impl Iterator for ReclaimEvents {
    type Item = Result<Scarcity>;

    fn next(&mut self) -> Option<Self::Item> {
        following(self)
    }
}

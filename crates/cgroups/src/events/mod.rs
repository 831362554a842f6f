//! What happens to a group, as descriptors to poll.
//!
//! | Value | Tells | Kernel interface |
//! |---|---|---|
//! | [`OomEvents`] | out of memory, kills for it | version 1: eventfd(2) on `memory.oom_control`; version 2: poll(2) on `memory.events` |
//! | [`GroupEvents`] | empty or not, frozen or not | version 2: poll(2) on `cgroup.events` |
//! | [`ReclaimEvents`] | memory gets scarce in the group | version 1: eventfd(2) on `memory.pressure_level` |
//! | [`StallEvents`] | tasks waited too long (PSI) | poll(2) on a trigger in `*.pressure` |
//!
//! Each is an [`EventSource`] and an [`Iterator`] that blocks, and ends when the group is removed. To wait in a loop of
//! your own: poll [`AsFd::as_fd`] for [`EventSource::interest`], then call [`EventSource::try_next`] until it is
//! [`Next::Pending`].
//!
//! The kernel tells no poller of `cgroup.events` and `memory.events` that the group was removed. [`EventSource::wait`] and the
//! iterators therefore look once a second; a loop of your own should call `try_next` after the group was destroyed.
//!
//! ```no_run
//! use std::sync::Arc;
//! use libcontainer_cgroups::Dir;
//! use libcontainer_cgroups::events::{GroupEvents, Next, EventSource};
//! use libcontainer_cgroups::stats::Sources;
//!
//! let group = Arc::new(Dir::open("/sys/fs/cgroup/mine")?);
//! let mut events = GroupEvents::new(&Sources { v2: Some(group), ..Sources::default() })?;
//! while let Next::Event(state) = events.wait(None)? {
//!     println!("populated: {}", state.populated);
//! }
//! # Ok::<(), libcontainer_cgroups::Error>(())
//! ```

mod group;
mod kills;
mod notify;
mod oom;
mod reclaim;
mod stall;
mod watch;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

pub use group::{GroupEvents, GroupState};
pub use kills::OomKills;
pub use oom::{Oom, OomEvents};
pub use reclaim::{Propagation, ReclaimEvents, ReclaimLevel, Scarcity};
pub use stall::{Resource, StallEvents, Trigger, Who};

use crate::error::{Error, Result};

/// Outcome of a look for an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<T> {
    /// It happened.
    Event(T),
    /// Not yet.
    Pending,
    /// Never again: the group was removed.
    Ended,
}

/// Something that happens to a group now and then.
pub trait EventSource: AsFd {
    /// What is told.
    type Event;

    /// What to poll the descriptor for.
    fn interest(&self) -> PollFlags {
        PollFlags::POLLIN
    }

    /// Looks for an event without waiting.
    ///
    /// # Errors
    /// [`Error::Read`] or [`Error::Content`] of the control file.
    fn try_next(&mut self) -> Result<Next<Self::Event>>;

    /// Waits for an event, at most for `timeout` (None: without limit). Syscall: poll(2).
    ///
    /// # Errors
    /// As [`EventSource::try_next`].
    fn wait(&mut self, timeout: Option<Duration>) -> Result<Next<Self::Event>> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            match self.try_next()? {
                Next::Pending => {}
                found => return Ok(found),
            }
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Next::Pending);
            }
            pause(self, left.map_or(LOOK, |left| left.min(LOOK)))?;
        }
    }
}

/// How often the end of the group is looked for where the kernel doesn't tell it.
const LOOK: Duration = Duration::from_secs(1);

/// Sleeps until the descriptor is ready or the time is up.
fn pause(source: &(impl EventSource + ?Sized), longest: Duration) -> Result<()> {
    // Rounded up: a last fraction of a millisecond must not become a busy loop.
    let millis = longest.as_micros().div_ceil(1000);
    let timeout = PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX);
    let mut fds = [PollFd::new(source.as_fd(), source.interest())];
    match poll(&mut fds, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Error::Read { path: "poll".into(), source: errno.into() }),
    }
}

/// The iterators' `next`.
fn following<S: EventSource>(source: &mut S) -> Option<Result<S::Event>> {
    loop {
        match source.wait(None) {
            Ok(Next::Event(event)) => return Some(Ok(event)),
            Ok(Next::Pending) => {}
            Ok(Next::Ended) => return None,
            Err(error) => return Some(Err(error)),
        }
    }
}

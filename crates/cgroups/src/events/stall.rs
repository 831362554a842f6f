//! Triggers of pressure stall information.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::uio::pread;

use super::{EventSource, Next, following};
use crate::error::{Error, Result};
use crate::stats::{Pressure, Sources};

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// A processor.
    Cpu,
    /// Memory.
    Memory,
    /// Block devices.
    Io,
}

/// Who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// At least one task.
    Some,
    /// All tasks at the same time.
    Full,
}

/// When to tell: tasks waited for `stall` in total within any `window`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// Who waits.
    pub who: Who,
    /// How long, at most the window.
    pub stall: Duration,
    /// 500 ms to 10 s; without `CAP_SYS_RESOURCE` a multiple of 2 s (KERNEL(6.5); before, it is refused).
    pub window: Duration,
}

/// Tells when tasks waited too long, at most once per window, with the pressure at that time.
///
/// The descriptor is to be polled for POLLPRI. The kernel forgets an event as soon as *any* poll has reported it: after a poll
/// of your own call [`StallEvents::pressure`], not [`EventSource::try_next`]. POLLERR means that the group is gone.
#[derive(Debug)]
pub struct StallEvents {
    file: OwnedFd,
    path: PathBuf,
    ended: bool,
}

impl StallEvents {
    /// Sets a trigger in the version 2 group of `sources`.
    ///
    /// # Errors
    /// [`Error::Invalid`] without such a group, [`Error::Read`] when the kernel has no PSI, [`Error::Write`] when it refuses the
    /// trigger.
    pub fn new(sources: &Sources, resource: Resource, trigger: Trigger) -> Result<Self> {
        let Some(dir) = &sources.v2 else {
            return Err(Error::invalid(
                "events.pressure",
                "control groups of version 1 have no pressure stall information",
            ));
        };
        let name = format!("{}.pressure", resource.name());
        let path = dir.path().join(&name);
        Self::set(dir.file(&name, OFlag::O_RDWR)?, path, trigger)
    }

    /// Sets a trigger for the whole machine, in `/proc/pressure`.
    ///
    /// # Errors
    /// As [`StallEvents::new`].
    pub fn of_machine(resource: Resource, trigger: Trigger) -> Result<Self> {
        let path = Path::new("/proc/pressure").join(resource.name());
        match nix::fcntl::open(&path, OFlag::O_RDWR | OFlag::O_CLOEXEC, nix::sys::stat::Mode::empty()) {
            Ok(file) => Self::set(file, path, trigger),
            Err(errno) => Err(Error::Read { path, source: errno.into() }),
        }
    }

    fn set(file: OwnedFd, path: PathBuf, trigger: Trigger) -> Result<Self> {
        let who = match trigger.who {
            Who::Some => "some",
            Who::Full => "full",
        };
        let value = format!("{who} {} {}", trigger.stall.as_micros(), trigger.window.as_micros());
        // The kernel takes the last byte for the end of the string: a trigger of the machine would lose a digit of its window.
        match nix::unistd::write(&file, [value.as_bytes(), b"\0"].concat().as_slice()) {
            Ok(_) => Ok(Self { file, path, ended: false }),
            Err(errno) => Err(Error::Write { path, value, source: errno.into(), hint: hint(errno, trigger) }),
        }
    }

    /// The pressure now; None when the group is gone.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Content`].
    pub fn pressure(&self) -> Result<Option<Pressure>> {
        let mut buffer = [0; 512];
        let text = loop {
            match pread(&self.file, &mut buffer, 0) {
                Ok(length) => break buffer.get(..length).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(Errno::ENODEV) => return Ok(None),
                Err(errno) => return Err(Error::Read { path: self.path.clone(), source: errno.into() }),
            }
        };
        match crate::stats::pressure(text) {
            Ok(pressure) => Ok(Some(pressure)),
            Err(wrong) => Err(Error::Content { path: self.path.clone(), problem: wrong.0 }),
        }
    }

    /// Polls for at most `longest`, and takes the event.
    fn take(&mut self, longest: Duration) -> Result<Next<Pressure>> {
        if self.ended {
            return Ok(Next::Ended);
        }
        let timeout = PollTimeout::try_from(longest.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(self.file.as_fd(), PollFlags::POLLPRI)];
        let ready = match poll(&mut fds, timeout) {
            Ok(count) => count > 0,
            Err(Errno::EINTR) => false,
            Err(errno) => return Err(Error::Read { path: self.path.clone(), source: errno.into() }),
        };
        if !ready {
            return Ok(Next::Pending);
        }
        // Of a removed group the file answers POLLERR at once, and no read.
        Ok(match self.pressure()? {
            Some(pressure) => Next::Event(pressure),
            None => {
                self.ended = true;
                Next::Ended
            }
        })
    }
}

impl Resource {
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Io => "io",
        }
    }
}

fn hint(errno: Errno, trigger: Trigger) -> String {
    let whole = trigger.window.as_micros() % 2_000_000 == 0;
    match errno {
        Errno::EINVAL if !whole => {
            "; without CAP_SYS_RESOURCE the window must be a multiple of 2 s".to_owned()
        }
        Errno::EINVAL => "; the window is 500 ms to 10 s, and the stall no longer than the window".to_owned(),
        _ => String::new(),
    }
}

impl AsFd for StallEvents {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl EventSource for StallEvents {
    type Event = Pressure;

    fn interest(&self) -> PollFlags {
        PollFlags::POLLPRI
    }

    fn try_next(&mut self) -> Result<Next<Pressure>> {
        self.take(Duration::ZERO)
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<Next<Pressure>> {
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            match self.take(left.map_or(super::LOOK, |left| left.min(super::LOOK)))? {
                Next::Pending if left.is_none_or(|left| !left.is_zero()) => {}
                found => return Ok(found),
            }
        }
    }
}

impl Iterator for StallEvents {
    type Item = Result<Pressure>;

    fn next(&mut self) -> Option<Self::Item> {
        following(self)
    }
}

//! What is to be launched, and what comes of it.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::wait::WaitStatus;

use super::raw;
use super::timeline::Stamp;
use crate::fault::Fault;
use crate::ids::Pid;
use crate::plan::Plan;
use crate::slot::{Kind, Slot, SlotId};

pub(super) type Observer = Box<dyn FnMut(usize) + Send>;
pub(super) type Make = Box<dyn FnOnce() -> io::Result<OwnedFd> + Send>;
pub(super) type InVain = Box<dyn Fn() -> bool + Send>;
pub(super) type MakeBoard = Box<dyn FnOnce(&[u8]) -> io::Result<OwnedFd> + Send>;

/// A descriptor for the init, or how to get it when the init is about to be started.
pub(super) enum Gift {
    Fd(OwnedFd),
    Make(Make),
}

impl Gift {
    pub(super) fn open(self) -> io::Result<OwnedFd> {
        match self {
            Self::Fd(fd) => Ok(fd),
            Self::Make(make) => make(),
        }
    }
}

pub(super) type MakeCgroup = Box<dyn FnOnce() -> io::Result<Option<OwnedFd>> + Send>;

/// A plan about to be launched, with what it needs from outside.
pub struct Launch {
    pub(super) plan: Plan,
    pub(super) given: BTreeMap<SlotId, Gift>,
    pub(super) cgroup: Option<MakeCgroup>,
    pub(super) board: Option<MakeBoard>,
    pub(super) limit: Duration,
    pub(super) in_vain: Option<InVain>,
    pub(super) trace: bool,
    pub(super) fault: Option<Fault>,
    pub(super) observer: Option<Observer>,
    /// The plan ends behind its base, and the rest comes later.
    pub(super) stands_by: bool,
}

/// A container process that runs (or the reaper, or an init that waits to be started).
#[derive(Debug)]
pub struct Launched {
    /// Its pid in the host's pid namespace.
    pub pid: Pid,
    /// Its pidfd.
    pub pidfd: OwnedFd,
    /// Descriptors that the init has sent, by name.
    pub received: BTreeMap<String, OwnedFd>,
    /// When each step began, if that was asked for.
    pub timeline: Vec<Stamp>,
    /// What the launch needs no more.
    pub leftover: Leftover,
}

/// What a launch has used and needs no more: dropping it closes descriptors and frees memory. Whoever starts a program in a hurry drops it behind that, or
/// on another thread.
#[derive(Default)]
pub struct Leftover {
    /// Only to be dropped.
    pub(super) _held: Option<Box<dyn Send>>,
}

impl fmt::Debug for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leftover").finish_non_exhaustive()
    }
}

impl Launched {
    /// Waits until the process is gone, and takes its status.
    ///
    /// # Errors
    /// That of waitid(2): `ECHILD` if someone else took the status.
    pub fn wait(&self) -> io::Result<WaitStatus> {
        raw::reap(&self.pidfd)
    }
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Launch").field("plan", &self.plan).finish_non_exhaustive()
    }
}

impl Launch {
    /// A launch of `plan`, with nothing given yet, no trace, and a limit of 10 s.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            given: BTreeMap::new(),
            cgroup: None,
            board: None,
            limit: Duration::from_secs(10),
            in_vain: None,
            trace: false,
            fault: None,
            observer: None,
            stands_by: false,
        }
    }

    /// Fills a preset slot. The descriptor is closed here once the init has it; the number in the init lies above those of the program.
    pub fn give<K: Kind>(&mut self, slot: Slot<K>, fd: OwnedFd) -> &mut Self {
        self.given.insert(slot.id(), Gift::Fd(fd));
        self
    }

    /// Fills a preset slot with what `make` returns; called right before the init is started.
    pub fn give_with<K: Kind>(
        &mut self,
        slot: Slot<K>,
        make: impl FnOnce() -> io::Result<OwnedFd> + Send + 'static,
    ) -> &mut Self {
        self.given.insert(slot.id(), Gift::Make(Box::new(make)));
        self
    }

    /// The cgroup v2 directory in which the init is born: what `make` returns, called right before the init is started. If that
    /// is `None`, it is born where this process is.
    pub fn cgroup_with(
        &mut self,
        make: impl FnOnce() -> io::Result<Option<OwnedFd>> + Send + 'static,
    ) -> &mut Self {
        self.cgroup = Some(Box::new(make));
        self
    }

    /// Keeps board and plan in the file that `make` fills with these bytes, and returns, instead of a memfd, so that another process can read how a start
    /// ended. The init maps the file: all of it has to be written, or a page that the disk has no room for kills it.
    pub fn board_with(
        &mut self,
        make: impl FnOnce(&[u8]) -> io::Result<OwnedFd> + Send + 'static,
    ) -> &mut Self {
        self.board = Some(Box::new(make));
        self
    }

    /// How long the init may make no progress: 10 s unless set.
    pub fn limit(&mut self, limit: Duration) -> &mut Self {
        self.limit = limit;
        self
    }

    /// Asked now and then while the init makes no progress: whether it is not going to, as somebody holds it. Then it is waited for no longer.
    pub fn in_vain(&mut self, asked: impl Fn() -> bool + Send + 'static) -> &mut Self {
        self.in_vain = Some(Box::new(asked));
        self
    }

    /// Records when each step begins: [`Launched::timeline`]. One word of the board for each step.
    pub fn trace(&mut self, yes: bool) -> &mut Self {
        self.trace = yes;
        self
    }

    /// Makes one step fail, or leaves it out: for tests.
    pub fn inject(&mut self, fault: Fault) -> &mut Self {
        self.fault = Some(fault);
        self
    }

    /// Calls `observer` after each host step with its index.
    pub fn observe(&mut self, observer: impl FnMut(usize) + Send + 'static) -> &mut Self {
        self.observer = Some(Box::new(observer));
        self
    }
}

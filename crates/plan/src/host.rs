//! The host lane: what the parent does for a container, each step with its undo.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ids::Pid;
use crate::step::Point;
use crate::undo::{Undo, UndoList};

type Run = Work<io::Result<Option<Undo>>>;
type Source = Work<io::Result<OwnedFd>>;

type Once<T> = Box<dyn FnOnce(&mut HostContext) -> T + Send>;

/// What a step does: for one launch, or for every launch of a base.
enum Work<T> {
    /// The lock is never taken: it lets a step be looked at from several threads.
    Once(Mutex<Once<T>>),
    Shared(Arc<dyn Fn(&mut HostContext) -> T + Send + Sync>),
}

impl<T> Work<T> {
    fn run(self, context: &mut HostContext) -> T {
        match self {
            Self::Once(work) => work.into_inner().unwrap_or_else(PoisonError::into_inner)(context),
            Self::Shared(work) => work(context),
        }
    }

    fn again(&self) -> Option<Self> {
        match self {
            Self::Once(_) => None,
            Self::Shared(work) => Some(Self::Shared(Arc::clone(work))),
        }
    }
}

/// One step of the host lane.
pub struct HostStep {
    text: String,
    undo: String,
    run: Run,
    guard: Option<Mutex<Undo>>,
    last: bool,
}

impl HostStep {
    /// A step called `text`, whose undo is called `undo` (empty if there is nothing to take back).
    ///
    /// `run` is called once. It returns what takes the step back; on an error it must itself have taken back what it did.
    pub fn new(
        text: impl Into<String>,
        undo: impl Into<String>,
        run: impl FnOnce(&mut HostContext) -> io::Result<Option<Undo>> + Send + 'static,
    ) -> Self {
        let run = Work::Once(Mutex::new(Box::new(run)));
        Self { text: text.into(), undo: undo.into(), run, guard: None, last: false }
    }

    /// A step without an undo that may be run by many launches: the only kind that a [`crate::Base`] can have.
    pub fn shared(
        text: impl Into<String>,
        run: impl Fn(&mut HostContext) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let run = Work::Shared(Arc::new(move |context: &mut HostContext| run(context).map(|()| None)));
        Self { text: text.into(), undo: String::new(), run, guard: None, last: false }
    }

    /// A step whose undo is known before it runs, and runs also if the step itself fails: for what the kernel may have done although its
    /// answer was an error, or was lost.
    pub fn guarded(
        text: impl Into<String>,
        undo_text: impl Into<String>,
        run: impl FnOnce(&mut HostContext) -> io::Result<()> + Send + 'static,
        undo: impl FnMut() -> io::Result<()> + Send + 'static,
    ) -> Self {
        let guard: Undo = Box::new(undo);
        Self {
            guard: Some(Mutex::new(guard)),
            ..Self::new(text, undo_text, move |context| run(context).map(|()| None))
        }
    }

    /// The undo of this step takes away what the others are found by, such as the record of what is to be made: it runs when all others
    /// have succeeded, and else not at all.
    #[must_use]
    pub fn last_undo(self) -> Self {
        Self { last: true, ..self }
    }

    /// What the step does, as `explain` and errors print it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What takes it back; empty if nothing does.
    #[must_use]
    pub fn undo_text(&self) -> &str {
        &self.undo
    }

    /// Runs the step apart from a launch. Nothing is kept of what takes it back: that is for callers who know by other means what there is to be taken back.
    ///
    /// # Errors
    /// That of the step.
    pub fn run_apart(self, context: &mut HostContext) -> io::Result<()> {
        self.run(context, &mut UndoList::default())
    }

    /// Runs the step. What takes it back goes to `list`, if it must, before the step does anything.
    pub(crate) fn run(self, context: &mut HostContext, list: &mut UndoList) -> io::Result<()> {
        let Self { text: _, undo: name, run, guard, last } = self;
        if let Some(guard) = guard {
            list.push(name.clone(), guard.into_inner().unwrap_or_else(PoisonError::into_inner), last);
        }
        if let Some(undo) = run.run(context)? {
            list.push(name, undo, last);
        }
        Ok(())
    }
}

impl fmt::Debug for HostStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostStep").field("text", &self.text).field("undo", &self.undo).finish_non_exhaustive()
    }
}

/// Makes a descriptor for the init while it runs.
pub struct FdSource {
    pub(crate) text: String,
    make: Source,
}

impl FdSource {
    /// A source called `text`, as `explain` and errors print it. `make` runs on the launching thread when the lanes meet there; its error is
    /// that of the host step. The host's copy of the descriptor is closed once it is sent.
    pub fn new(
        text: impl Into<String>,
        make: impl FnOnce(&mut HostContext) -> io::Result<OwnedFd> + Send + 'static,
    ) -> Self {
        Self { text: text.into(), make: Work::Once(Mutex::new(Box::new(make))) }
    }

    /// A source that makes a new descriptor for each launch of a [`crate::Base`].
    pub fn shared(
        text: impl Into<String>,
        make: impl Fn(&mut HostContext) -> io::Result<OwnedFd> + Send + Sync + 'static,
    ) -> Self {
        Self { text: text.into(), make: Work::Shared(Arc::new(make)) }
    }

    pub(crate) fn make(self, context: &mut HostContext) -> io::Result<OwnedFd> {
        self.make.run(context)
    }
}

impl fmt::Debug for FdSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FdSource").field("text", &self.text).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) enum HostOp {
    Step(HostStep),
    Clone,
    Await(Point),
    Notify(Point),
    Receive(Point),
    Send(Point, FdSource),
    Respawn(Point),
    AwaitExec,
    /// Steps that each launch of a base brings.
    Place(&'static str),
}

impl HostOp {
    /// The same for another launch; `None` if it is for one only.
    pub(crate) fn again(&self) -> Option<Self> {
        Some(match self {
            Self::Step(step) => {
                let run = step.run.again().filter(|_| step.guard.is_none())?;
                let (text, undo) = (step.text.clone(), step.undo.clone());
                Self::Step(HostStep { text, undo, run, guard: None, last: step.last })
            }
            Self::Send(point, source) => {
                Self::Send(*point, FdSource { text: source.text.clone(), make: source.make.again()? })
            }
            Self::Clone => Self::Clone,
            Self::Await(point) => Self::Await(*point),
            Self::Notify(point) => Self::Notify(*point),
            Self::Receive(point) => Self::Receive(*point),
            Self::Respawn(point) => Self::Respawn(*point),
            Self::AwaitExec => Self::AwaitExec,
            Self::Place(name) => Self::Place(name),
        })
    }
}

/// What a host step can see: the init, and descriptors that came from it.
#[derive(Debug, Default)]
pub struct HostContext {
    pub(crate) pid: Option<Pid>,
    pub(crate) pidfd: Option<OwnedFd>,
    pub(crate) received: BTreeMap<String, OwnedFd>,
}

impl HostContext {
    /// What steps see that are run apart from a launch, for this process.
    #[must_use]
    pub fn of(pid: Pid, pidfd: OwnedFd) -> Self {
        Self { pid: Some(pid), pidfd: Some(pidfd), received: BTreeMap::new() }
    }

    /// The init's pid in the host's pid namespace.
    ///
    /// # Errors
    /// `ESRCH` before the init was started.
    pub fn pid(&self) -> io::Result<Pid> {
        self.pid.ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
    }

    /// The init's pidfd.
    ///
    /// # Errors
    /// `ESRCH` before the init was started.
    pub fn pidfd(&self) -> io::Result<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd).ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))
    }

    /// Takes a descriptor that the init has sent by [`crate::Builder::send_fd`] under that name; `None` if it has not, or it was taken before.
    pub fn take(&mut self, name: &str) -> Option<OwnedFd> {
        self.received.remove(name)
    }
}

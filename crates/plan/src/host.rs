//! The host lane: what the parent does for a container, each step with its undo.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::ids::Pid;
use crate::step::Point;
use crate::undo::UndoList;

/// Takes back what a host step did. Runs when a later step fails, in reverse order and on past errors, which [`crate::LaunchError`] collects.
///
/// After an error it is called again, so it works from what is there: what is missing already is no error.
pub type Undo = Box<dyn FnMut() -> io::Result<()> + Send>;

type Run = Box<dyn FnOnce(&mut HostContext) -> io::Result<Option<Undo>> + Send>;
type Source = Box<dyn FnOnce(&mut HostContext) -> io::Result<OwnedFd> + Send>;

/// One step of the host lane.
pub struct HostStep {
    text: String,
    undo: String,
    run: Run,
    guard: Option<Undo>,
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
        Self { text: text.into(), undo: undo.into(), run: Box::new(run), guard: None, last: false }
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
        Self { guard: Some(guard), ..Self::new(text, undo_text, move |context| run(context).map(|()| None)) }
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

    /// Runs the step. What takes it back goes to `list`, if it must, before the step does anything.
    pub(crate) fn run(self, context: &mut HostContext, list: &mut UndoList) -> io::Result<()> {
        let Self { text: _, undo: name, run, guard, last } = self;
        if let Some(guard) = guard {
            list.push(name.clone(), guard, last);
        }
        if let Some(undo) = run(context)? {
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
    pub(crate) make: Source,
}

impl FdSource {
    /// A source called `text`, as `explain` and errors print it. `make` runs on the launching thread when the lanes meet there; its error is
    /// that of the host step. The host's copy of the descriptor is closed once it is sent.
    pub fn new(
        text: impl Into<String>,
        make: impl FnOnce(&mut HostContext) -> io::Result<OwnedFd> + Send + 'static,
    ) -> Self {
        Self { text: text.into(), make: Box::new(make) }
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
}

/// What a host step can see: the init, and descriptors that came from it.
#[derive(Debug, Default)]
pub struct HostContext {
    pub(crate) pid: Option<Pid>,
    pub(crate) pidfd: Option<OwnedFd>,
    pub(crate) received: BTreeMap<String, OwnedFd>,
}

impl HostContext {
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

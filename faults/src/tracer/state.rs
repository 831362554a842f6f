//! A command that is traced: its threads, what was counted, and what has happened.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::Duration;

use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::unistd::Pid;

use crate::fault::{EACH, How, Point, Who};
use crate::probe::Probe;
use crate::stack::Walker;

/// What to run, and what to do to it.
pub(crate) struct Job<'a> {
    /// Stops itself before it executes the tool.
    pub(crate) command: Command,
    pub(crate) fault: Option<&'a Point>,
    /// Inits that are there already and wait.
    pub(crate) inits: Vec<Pid>,
    pub(crate) limit: Duration,
    /// If the tool succeeds, a program of the container begins.
    pub(crate) begins: bool,
    /// What it is asked there.
    pub(crate) probes: &'static [Probe],
    /// The first is not asked: its calls are the tool's to answer.
    pub(crate) first_watched: bool,
    /// Finds where calls come from; without it that is not asked.
    pub(crate) walker: Option<&'a mut Walker>,
    /// Looks at that program at its first instruction; with its answers.
    pub(crate) look: &'a mut dyn FnMut(Pid, Vec<String>),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Code(i32),
    Signal(Signal),
}

/// One call that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) who: Who,
    pub(crate) call: i64,
    pub(crate) number: u32,
    /// What it is about: a path, a descriptor.
    pub(crate) object: String,
    /// Its answer can be lost: it makes something, not only by its name but by its flags.
    pub(crate) makes: bool,
    /// The place in the code that makes it, if it was looked for and found.
    pub(crate) site: Option<String>,
}

impl Seen {
    /// What is said of a fault can't be heard.
    pub(crate) fn mutes(&self) -> bool {
        self.object.ends_with("/stderr")
    }
}

/// What happened.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    pub(crate) seen: Vec<Seen>,
    /// The call that was hit.
    pub(crate) hit: Option<Seen>,
    /// Where the tool stood when its time was over.
    pub(crate) hung: Option<String>,
    /// A program of the container began.
    pub(crate) began: bool,
    /// The tool's descriptors at its end.
    pub(crate) descriptors: Vec<String>,
}

/// A thread that is traced.
#[derive(Debug)]
pub(super) struct Tracee {
    /// Nobody before the tool is executed.
    pub(super) who: Option<Who>,
    pub(super) group: Pid,
    pub(super) in_call: Option<InCall>,
}

/// A call between its entry and its exit.
#[derive(Clone, Copy, Debug)]
pub(super) struct InCall {
    pub(super) how: Option<How>,
    pub(super) ends_loader: bool,
    /// Its first argument.
    pub(super) first: u64,
}

impl InCall {
    /// One whose entry was not seen.
    pub(super) fn begun() -> Self {
        Self { how: None, ends_loader: false, first: 0 }
    }

    /// Whether the fault happens to it.
    pub(super) fn is_hit(&self) -> bool {
        self.how.is_some()
    }
}

/// The command, stopped or running.
pub(super) struct Tracer<'a> {
    pub(super) job: Job<'a>,
    pub(super) root: Pid,
    pub(super) threads: BTreeMap<Pid, Tracee>,
    /// New threads that showed themselves before their parent did.
    pub(super) early: BTreeSet<Pid>,
    pub(super) counts: BTreeMap<(Who, i64), u32>,
    pub(super) seen: Vec<Seen>,
    pub(super) hit: Option<Seen>,
    pub(super) began: bool,
    pub(super) descriptors: Vec<String>,
}

impl<'a> Tracer<'a> {
    pub(super) fn new(job: Job<'a>, root: Pid) -> Self {
        Self {
            job,
            root,
            threads: BTreeMap::new(),
            early: BTreeSet::new(),
            counts: BTreeMap::new(),
            seen: Vec::new(),
            hit: None,
            began: false,
            descriptors: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, thread: Pid, group: Pid, who: Option<Who>) {
        self.threads.insert(thread, Tracee { who, group, in_call: None });
    }

    pub(super) fn leave(&mut self, thread: Pid) {
        self.threads.remove(&thread);
        // One that was killed meanwhile has left by itself.
        let _ = ptrace::detach(thread, None);
    }

    /// Calls are stopped at until the fault has happened, and only those of whom it concerns.
    pub(super) fn go_on(&mut self, thread: Pid, signal: Option<Signal>) {
        let who = self.threads.get(&thread).and_then(|tracee| tracee.who);
        let calls = match (self.job.fault, &self.hit) {
            (None, _) => true,
            (Some(fault), Some(_)) if fault.number != EACH => false,
            (Some(fault), _) => {
                who == Some(fault.who) || (who == Some(Who::Loader) && fault.who == Who::Tool)
            }
        };
        let ends = self
            .threads
            .get(&thread)
            .is_some_and(|tracee| tracee.in_call.as_ref().is_some_and(InCall::is_hit));
        // One that was killed meanwhile reports its end.
        let _ = if calls || ends { ptrace::syscall(thread, signal) } else { ptrace::cont(thread, signal) };
    }
}

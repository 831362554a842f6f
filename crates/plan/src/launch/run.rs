//! A launch that runs: the host lane step by step, and the meetings with the init.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::control::{Control, Message};
use super::request::{Launch, Launched, Leftover};
use super::{executed, left, timeline};
use crate::base::STANDS_BY;
use crate::board::Board;
use crate::error::{Cause, Lane, LaunchError};
use crate::fault::Fault;
use crate::host::{HostContext, HostOp};
use crate::step::Point;
use crate::undo::UndoList;

/// How long an init makes no progress before it is asked whether it is held.
const TICK: Duration = Duration::from_millis(500);

#[derive(Default)]
pub(super) struct State {
    pub(super) context: HostContext,
    pub(super) control: Option<Control>,
    pub(super) board: Option<Board>,
    pub(super) undo: UndoList,
    pub(super) timeline: timeline::Timeline,
    /// The init's name, opened while it stood by.
    pub(super) name: Option<executed::Name>,
    /// The init is to have a child that is not ours yet.
    pub(super) unadopted: bool,
}

pub(super) struct Run {
    pub(super) launch: Launch,
    pub(super) state: State,
    pub(super) total: usize,
}

/// Why a host step failed: by itself, or because the init did.
pub(super) enum Failure {
    Host(io::Error),
    Init(Cause),
    Mismatch,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Host(error)
    }
}

impl Launch {
    /// Runs the plan: the host lane in order on this thread, with `clone3(CLONE_VM|CLONE_VFORK|CLONE_PIDFD)` and `execveat` of the sealed init
    /// where the plan starts it. Returns when the host lane is through.
    ///
    /// # Errors
    /// The step of either lane that failed first, after all that was done has been taken back in reverse order, with the errors of that.
    /// The init is killed and reaped then, or later if it stands in a frozen control group: see [`crate::reap_left`].
    pub fn run(mut self) -> Result<Launched, Box<LaunchError>> {
        left::reap_left();
        let host = std::mem::take(&mut self.plan.host);
        Run::new(self, host.len()).walk(host, 0)?.finish()
    }
}

impl Run {
    pub(super) fn new(launch: Launch, total: usize) -> Self {
        let mut state = State::default();
        state.timeline.begin(launch.trace);
        Self { launch, state, total }
    }

    /// Runs the steps of the host lane, the first of which has the number `from`. Takes everything back if one fails.
    pub(super) fn walk(mut self, host: Vec<HostOp>, from: usize) -> Result<Self, Box<LaunchError>> {
        self.state.unadopted |= host.iter().any(|op| matches!(op, HostOp::Respawn(_)));
        for (index, op) in (from..).zip(host) {
            // For errors: the step itself is consumed.
            let text = self.launch.plan.host_text(&op);
            self.state.timeline.host(index, &text);
            if let Err(cause) = self.host_step(index, op) {
                return Err(Box::new(self.fail(index, text, cause)));
            }
            if let Some(observer) = &mut self.launch.observer {
                observer(index);
            }
        }
        Ok(self)
    }

    fn host_step(&mut self, index: usize, op: HostOp) -> Result<(), Failure> {
        let fault = self.launch.fault.filter(|fault| fault.lane == Lane::Host && fault.step == index);
        if let Some(Fault { errno, .. }) = fault {
            return if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno).into()) };
        }
        match op {
            HostOp::Step(step) => {
                let State { context, undo, .. } = &mut self.state;
                Ok(step.run(context, undo)?)
            }
            HostOp::Clone => Ok(self.start()?),
            HostOp::Await(point) => self.expect(point).map(drop),
            HostOp::Notify(point) => Ok(self.control()?.send(point, None)?),
            HostOp::Receive(point) => self.take(point),
            HostOp::Send(point, source) => {
                let fd = source.make(&mut self.state.context)?;
                Ok(self.control()?.send(point, Some(fd.as_fd()))?)
            }
            HostOp::Respawn(_) => self.adopt(),
            HostOp::AwaitExec => self.await_exec(),
            HostOp::Place(_) => Ok(()),
        }
    }

    pub(super) fn control(&self) -> io::Result<&Control> {
        self.state.control.as_ref().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOTCONN))
    }

    /// Waits for a message as long as the init makes progress.
    pub(super) fn receive(&self) -> Result<Message, Failure> {
        let tick =
            if self.launch.in_vain.is_some() { TICK.min(self.launch.limit) } else { self.launch.limit };
        let (mut seen, mut silent) = (None, Duration::ZERO);
        loop {
            let init = self.state.context.pidfd.as_ref().map(AsFd::as_fd);
            if let Some(message) = self.control()?.receive(tick, init)? {
                return Ok(message);
            }
            let now = self.snapshot()?.step;
            silent = if seen == Some(now) { silent + tick } else { Duration::ZERO };
            let in_vain = || self.launch.in_vain.as_ref().is_some_and(|in_vain| in_vain());
            if silent >= self.launch.limit || (!silent.is_zero() && in_vain()) {
                return Err(Failure::Init(Cause::Timeout(silent)));
            }
            seen = Some(now);
        }
    }

    fn expect(&self, point: Point) -> Result<Option<OwnedFd>, Failure> {
        match self.receive()? {
            Message::Closed => Err(Failure::Init(self.end())),
            Message::Data([first, ..], fd) if first == point.0 => Ok(fd),
            Message::Data(..) => Err(Failure::Mismatch),
        }
    }

    /// Waits until the init has run the base.
    pub(super) fn await_stand_by(&mut self) -> Result<(), Failure> {
        self.expect(Point(STANDS_BY)).map(drop)
    }

    fn take(&mut self, point: Point) -> Result<(), Failure> {
        let fd = self.expect(point)?.ok_or(Failure::Mismatch)?;
        let name = self.launch.plan.point_name(point).to_owned();
        self.state.context.received.insert(name, fd);
        Ok(())
    }

    fn await_exec(&self) -> Result<(), Failure> {
        match self.receive()? {
            Message::Data(..) => return Err(Failure::Mismatch),
            Message::Closed => {}
        }
        let seen = self.snapshot()?;
        if seen.failed || !self.launch.plan.is_exec(seen.step) || self.died_at_exec()? {
            Err(Failure::Init(self.end()))
        } else {
            Ok(())
        }
    }

    fn died_at_exec(&self) -> io::Result<bool> {
        let HostContext { pid: Some(pid), pidfd: Some(pidfd), .. } = &self.state.context else {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        };
        match &self.state.name {
            Some(name) => executed::died_as_init(name, pidfd.as_fd()),
            None => executed::died_unread(*pid, pidfd.as_fd()),
        }
    }

    pub(super) fn finish(mut self) -> Result<Launched, Box<LaunchError>> {
        let pid = self.state.context.pid;
        let (Some(pid), Some(pidfd)) = (pid, self.state.context.pidfd.take()) else {
            let index = self.total;
            let error = io::Error::from_raw_os_error(libc::ESRCH);
            return Err(Box::new(self.fail(index, "start the init".to_owned(), Failure::Host(error))));
        };
        let received = std::mem::take(&mut self.state.context.received);
        let timeline = self.state.timeline.finish(&self.launch.plan, self.state.board.as_ref());
        let leftover = Leftover { _held: Some(Box::new((self.state, self.launch))) };
        Ok(Launched { pid, pidfd, received, timeline, leftover })
    }
}

//! A launch that runs: the host lane step by step, and the meetings with the init.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::control::{Control, Message};
use super::{Launch, Launched, executed, timeline};
use crate::board::Board;
use crate::error::{Cause, Lane, LaunchError};
use crate::host::{HostContext, HostOp};
use crate::plan::Fault;
use crate::step::Point;
use crate::syscalls::Class;
use crate::undo::UndoList;

#[derive(Default)]
pub(super) struct State {
    pub(super) context: HostContext,
    pub(super) control: Option<Control>,
    pub(super) board: Option<Board>,
    pub(super) undo: UndoList,
    pub(super) timeline: timeline::Timeline,
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

impl Run {
    pub(super) fn host_step(&mut self, index: usize, op: HostOp) -> Result<(), Failure> {
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
                let fd = (source.make)(&mut self.state.context)?;
                Ok(self.control()?.send(point, Some(fd.as_fd()))?)
            }
            HostOp::Respawn(_) => self.adopt(),
            HostOp::AwaitExec => self.await_exec(),
        }
    }

    fn control(&self) -> io::Result<&Control> {
        self.state.control.as_ref().ok_or_else(|| io::Error::from_raw_os_error(libc::ENOTCONN))
    }

    /// Waits for a message as long as the init makes progress.
    pub(super) fn receive(&self) -> Result<Message, Failure> {
        let mut seen = None;
        loop {
            let init = self.state.context.pidfd.as_ref().map(AsFd::as_fd);
            if let Some(message) = self.control()?.receive(self.launch.limit, init)? {
                return Ok(message);
            }
            let now = self.snapshot()?.step;
            if seen == Some(now) {
                return Err(Failure::Init(Cause::Timeout(self.launch.limit)));
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
        let at_exec = self.launch.plan.steps.get(seen.step).is_some_and(|step| step.sys.class == Class::Exec);
        if seen.failed || !at_exec || self.died_at_exec()? { Err(Failure::Init(self.end())) } else { Ok(()) }
    }

    fn died_at_exec(&self) -> io::Result<bool> {
        let HostContext { pid: Some(pid), pidfd: Some(pidfd), .. } = &self.state.context else {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        };
        executed::died_as_init(*pid, pidfd.as_fd())
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
        Ok(Launched { pid, pidfd, received, timeline })
    }
}

//! Launching: walks the host lane, starts the init, meets it, and takes everything back if anything fails.

#[allow(unsafe_code, reason = "clone3 with a shared address space")]
mod clone;
mod control;
mod detached;
mod executed;
mod image;
mod left;
mod prepare;
#[allow(unsafe_code, reason = "calls that nix does not wrap")]
pub(crate) mod raw;
mod respawn;
mod timeline;

pub use image::{INIT_SIZE, init_image};
pub use left::reap_left;
pub use raw::{open_pidfd, signal_pidfd};
pub use timeline::Stamp;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::sys::wait::WaitStatus;

use crate::board::{Board, Snapshot};
use crate::error::{Cause, Lane, LaunchError, StepFailure};
use crate::host::{HostContext, HostOp, Undo};
use crate::ids::Pid;
use crate::interpret::errno as interpreted;
use crate::plan::{Fault, Plan};
use crate::slot::{Kind, Slot, SlotId};
use crate::step::Point;
use crate::syscalls::Class;
use control::{Control, Message};

type Observer = Box<dyn FnMut(usize) + Send>;
type Make = Box<dyn FnOnce() -> io::Result<OwnedFd> + Send>;

/// A descriptor for the init, or how to get it when the init is about to be started.
enum Gift {
    Fd(OwnedFd),
    Make(Make),
}

impl Gift {
    fn open(self) -> io::Result<OwnedFd> {
        match self {
            Self::Fd(fd) => Ok(fd),
            Self::Make(make) => make(),
        }
    }
}

type MakeCgroup = Box<dyn FnOnce() -> io::Result<Option<OwnedFd>> + Send>;

/// A plan about to be launched, with what it needs from outside.
pub struct Launch {
    plan: Plan,
    given: BTreeMap<SlotId, Gift>,
    cgroup: Option<MakeCgroup>,
    board: Option<Make>,
    limit: Duration,
    trace: bool,
    fault: Option<Fault>,
    observer: Option<Observer>,
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
            trace: false,
            fault: None,
            observer: None,
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

    /// Keeps board and plan in the file that `make` returns instead of a memfd, so that another process can read how a start ended.
    pub fn board_with(&mut self, make: impl FnOnce() -> io::Result<OwnedFd> + Send + 'static) -> &mut Self {
        self.board = Some(Box::new(make));
        self
    }

    /// How long the init may make no progress: 10 s unless set.
    pub fn limit(&mut self, limit: Duration) -> &mut Self {
        self.limit = limit;
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

    /// Runs the plan: the host lane in order on this thread, with `clone3(CLONE_VM|CLONE_VFORK|CLONE_PIDFD)` and `execveat` of the sealed init
    /// where the plan starts it. Returns when the host lane is through.
    ///
    /// # Errors
    /// The step of either lane that failed first, after all that was done has been taken back in reverse order, with the errors of that.
    /// The init is killed and reaped then, or later if it stands in a frozen control group: see [`reap_left`].
    pub fn run(mut self) -> Result<Launched, Box<LaunchError>> {
        reap_left();
        let host = std::mem::take(&mut self.plan.host);
        let total = host.len();
        // Renders host steps for errors; the steps themselves are consumed one by one.
        let unadopted = host.iter().any(|op| matches!(op, HostOp::Respawn(_)));
        let mut run = Run { launch: self, state: State { unadopted, ..State::default() }, total };
        run.state.timeline.begin(run.launch.trace);
        for (index, op) in host.into_iter().enumerate() {
            let text = run.launch.plan.host_text(&op);
            run.state.timeline.host(index, &text);
            if let Err(cause) = run.host_step(index, op) {
                return Err(Box::new(run.fail(index, text, cause)));
            }
            if let Some(observer) = &mut run.launch.observer {
                observer(index);
            }
        }
        run.finish()
    }
}

#[derive(Default)]
struct State {
    context: HostContext,
    control: Option<Control>,
    board: Option<Board>,
    undo: Vec<(String, Undo)>,
    timeline: timeline::Timeline,
    /// The init is to have a child that is not ours yet.
    unadopted: bool,
}

struct Run {
    launch: Launch,
    state: State,
    total: usize,
}

/// Why a host step failed: by itself, or because the init did.
enum Failure {
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
    fn host_step(&mut self, index: usize, op: HostOp) -> Result<(), Failure> {
        let fault = self.launch.fault.filter(|fault| fault.lane == Lane::Host && fault.step == index);
        if let Some(Fault { errno, .. }) = fault {
            return if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno).into()) };
        }
        match op {
            HostOp::Step(step) => {
                let name = step.undo_text().to_owned();
                if let Some(undo) = step.run(&mut self.state.context)? {
                    self.state.undo.push((name, undo));
                }
                Ok(())
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
    fn receive(&self) -> Result<Message, Failure> {
        let mut seen = None;
        loop {
            let init = self.state.context.pidfd.as_ref().map(AsFd::as_fd);
            if let Some(message) = self.control()?.receive(self.launch.limit, init)? {
                return Ok(message);
            }
            let now = self.snapshot().step;
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
        let seen = self.snapshot();
        let at_exec = self.launch.plan.steps.get(seen.step).is_some_and(|step| step.sys.class == Class::Exec);
        if seen.failed || !at_exec || self.died_at_exec() { Err(Failure::Init(self.end())) } else { Ok(()) }
    }

    fn died_at_exec(&self) -> bool {
        let HostContext { pid: Some(pid), pidfd: Some(pidfd), .. } = &self.state.context else {
            return false;
        };
        executed::died_as_init(*pid, pidfd.as_fd())
    }

    fn snapshot(&self) -> Snapshot {
        self.state.board.as_ref().and_then(|board| board.read().ok()).unwrap_or_default()
    }

    /// How the init ended, from the board if it says so, else from its status.
    fn end(&self) -> Cause {
        let seen = self.snapshot();
        if seen.failed {
            return match seen.errno {
                interpreted::EBADE => Cause::Mismatch,
                interpreted::ECANCELED => Cause::Hook(seen.aux),
                libc::ENOENT | libc::ENOTDIR if seen.refused => {
                    Cause::Os(io::Error::from_raw_os_error(libc::EACCES))
                }
                errno => Cause::Os(io::Error::from_raw_os_error(errno)),
            };
        }
        let status = self.state.context.pidfd.as_ref().map(|pidfd| {
            // The socket closes a moment before the process is a zombie.
            let _ = raw::signal_pidfd(pidfd, libc::SIGKILL);
            raw::wait_dead(pidfd, self.launch.limit);
            raw::peek(pidfd)
        });
        match status {
            Some(Ok(WaitStatus::Signaled(_, signal, _))) => Cause::Signal(signal as i32),
            Some(Ok(WaitStatus::Exited(_, code))) => Cause::Left(code),
            _ => Cause::Left(-1),
        }
    }

    /// Takes everything back and makes the error.
    fn fail(mut self, index: usize, text: String, failure: Failure) -> LaunchError {
        let seen = self.snapshot();
        let cause = match failure {
            Failure::Init(cause) => Some(cause),
            // The host stumbled because the init was gone: the init's step is the one to name.
            Failure::Host(_) | Failure::Mismatch if seen.failed => Some(self.end()),
            Failure::Mismatch => Some(Cause::Mismatch),
            Failure::Host(error) => {
                let total = self.total;
                let (purpose, log) = (String::new(), image::forbidden(&text, &error));
                let cause = Cause::Os(error);
                let failure = StepFailure { lane: Lane::Host, index, total, purpose, call: text, cause, log };
                return LaunchError { failure, undo_errors: self.take_back() };
            }
        };
        let failure = self.child_failure(&seen, cause.unwrap_or(Cause::Mismatch));
        LaunchError { failure, undo_errors: self.take_back() }
    }

    fn child_failure(&self, seen: &Snapshot, cause: Cause) -> StepFailure {
        let view = self.launch.plan.step_view(Lane::Child, seen.step);
        StepFailure {
            lane: Lane::Child,
            index: seen.step,
            total: self.launch.plan.steps.len(),
            purpose: view.purpose,
            call: view.call,
            cause,
            log: if seen.failed { seen.log.clone() } else { String::new() },
        }
    }

    fn take_back(&mut self) -> Vec<(String, io::Error)> {
        let mut errors = Vec::new();
        self.end_unadopted();
        if let Some(pidfd) = self.state.context.pidfd.take() {
            // It may be gone already (ESRCH), and then only has to be reaped.
            let _ = raw::signal_pidfd(&pidfd, libc::SIGKILL);
            left::reap(pidfd);
        }
        while let Some((name, undo)) = self.state.undo.pop() {
            if let Err(error) = undo() {
                errors.push((name, error));
            }
        }
        errors
    }

    fn finish(mut self) -> Result<Launched, Box<LaunchError>> {
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

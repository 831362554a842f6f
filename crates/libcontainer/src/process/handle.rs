//! A process in a container.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use libcontainer_plan::{
    Ended, Launched, OpenStdio, Pid, Stamp, end_of_child, end_of_pidfd, signal_pidfd, wait_pidfd,
    wait_readable,
};
use libcontainer_thread::{Thread, spawn};

use super::children::{self, Child};
use super::exit::ExitStatus;
use super::memory::OutOfMemory;
use super::terminal::Terminal;
use crate::error::{Error, Result};

/// A running (or ended) process of a container.
///
/// The process is known by a pidfd, never by its number: a recycled pid is never signalled. As [`AsFd`] it can be polled, and is
/// readable when the process has ended; any event loop can wait for it.
#[derive(Debug)]
pub struct Process {
    shared: Arc<Shared>,
    /// The write end of standard input, if that is a pipe.
    pub stdin: Option<File>,
    /// The read end of standard output, if that is a pipe.
    pub stdout: Option<File>,
    /// The read end of standard error, if that is a pipe of its own.
    pub stderr: Option<File>,
    /// The terminal's master, if the process has a terminal.
    pub terminal: Option<Terminal>,
    /// When each step of the start began, if the factory was told to record that.
    pub timeline: Vec<Stamp>,
}

#[derive(Debug)]
struct Shared {
    pid: Pid,
    pidfd: OwnedFd,
    status: Mutex<Option<ExitStatus>>,
    pumps: Mutex<Vec<Thread<()>>>,
    memory: OnceLock<OutOfMemory>,
    reaper: OnceLock<Arc<dyn Reaper>>,
    /// Its status is known, and it is still to be reaped.
    zombie: AtomicBool,
}

/// Has children that have ended reaped when nobody waits: the kernel takes longer for that than for all else of a wait.
pub(crate) trait Reaper: std::fmt::Debug + Send + Sync {
    /// Has it done soon; false if nobody is going to.
    fn reap_later(&self) -> bool;
}

/// Whether a process is known to have ended.
#[derive(Clone, Debug)]
pub(crate) struct End(Arc<Shared>);

impl End {
    /// Whether somebody has taken the status of that process, which is then known. Asks nobody.
    pub(crate) fn is_known(&self, pid: i32) -> bool {
        // Who has the lock is about to learn of it.
        self.0.pid.as_raw() == pid && self.0.status.try_lock().is_ok_and(|status| status.is_some())
    }
}

impl Process {
    pub(crate) fn new(pid: Pid, pidfd: OwnedFd) -> Self {
        let (status, pumps) = (Mutex::default(), Mutex::default());
        let (memory, reaper, zombie) = (OnceLock::new(), OnceLock::new(), AtomicBool::new(false));
        let shared = Arc::new(Shared { pid, pidfd, status, pumps, memory, reaper, zombie });
        children::add(shared.clone());
        Self { shared, stdin: None, stdout: None, stderr: None, terminal: None, timeline: Vec::new() }
    }

    /// Whether it has ended, for who has no use for its status.
    pub(crate) fn end(&self) -> End {
        End(Arc::clone(&self.shared))
    }

    /// The handle of a process that was launched with those standard descriptors.
    pub(crate) fn launched(mut launched: Launched, mut opened: OpenStdio) -> Self {
        let pumps = opened.pump();
        let terminal = launched.received.remove("terminal").map(Terminal::new);
        let mut process = Self::new(launched.pid, launched.pidfd);
        process.shared.pumps.lock().unwrap_or_else(PoisonError::into_inner).extend(pumps);
        [process.stdin, process.stdout, process.stderr] = opened.ours;
        process.terminal = terminal;
        process.timeline = launched.timeline;
        process
    }

    /// The handle of a process that was not launched, but got those standard descriptors.
    pub(crate) fn restored(pid: Pid, pidfd: OwnedFd, mut opened: OpenStdio) -> Self {
        let pumps = opened.pump();
        let mut process = Self::new(pid, pidfd);
        process.shared.pumps.lock().unwrap_or_else(PoisonError::into_inner).extend(pumps);
        [process.stdin, process.stdout, process.stderr] = opened.ours;
        process
    }

    /// Tells [`ExitStatus::oom_killed`] by the group that `memory` looks at.
    pub(crate) fn watch_memory(&self, memory: Option<OutOfMemory>) {
        if let Some(memory) = memory {
            // Set once only: the process is new.
            let _ = self.shared.memory.set(memory);
        }
    }

    /// Whoever waits for it need not reap it.
    pub(crate) fn leave_to(&self, reaper: Arc<dyn Reaper>) {
        // Set once only: the process is new.
        let _ = self.shared.reaper.set(reaper);
    }

    /// The pid in the caller's pid namespace.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.shared.pid
    }

    /// Waits until the process has ended, by waitid(2). May be called again.
    ///
    /// A process of a container of a [`Template`](crate::Template) may be a zombie for a while then, until the template's thread reaps it.
    ///
    /// What the process wrote to [`Stdio::Writer`](crate::Stdio) objects has been passed on when this returns.
    ///
    /// # Errors
    /// `ECHILD` if another part of the program has taken the status and the kernel (before 6.15) does not keep it.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        drop(self.stdin.take());
        self.shared.wait()
    }

    /// The status if the process has ended.
    ///
    /// # Errors
    /// As [`Process::wait`].
    pub fn try_wait(&self) -> Result<Option<ExitStatus>> {
        self.shared.status(false)
    }

    /// Waits for at most `limit`.
    ///
    /// # Errors
    /// As [`Process::wait`].
    pub fn wait_timeout(&self, limit: Duration) -> Result<Option<ExitStatus>> {
        wait_readable(self.as_fd(), Some(limit)).map_err(|error| self.shared.failed("poll", error))?;
        self.try_wait()
    }

    /// Sends a signal by pidfd.
    ///
    /// # Errors
    /// `ESRCH` if the process has ended, `EINVAL` for a number that is no signal.
    pub fn signal(&self, signal: i32) -> Result<()> {
        signal_pidfd(self.as_fd(), signal).map_err(|error| self.shared.failed("pidfd_send_signal", error))
    }

    /// A channel that yields the status once. A thread of its own waits for it.
    ///
    /// # Errors
    /// If the thread can't be made.
    pub fn exit_channel(&self) -> Result<Receiver<ExitStatus>> {
        let (sender, receiver) = sync_channel(1);
        let shared = Arc::clone(&self.shared);
        let run = move || {
            if let Ok(status) = shared.wait() {
                // The receiver may be gone: then nobody wants to know.
                let _ = sender.send(status);
            }
        };
        spawn("container-wait", run)
            .map(|_| receiver)
            .map_err(|error| self.shared.failed("spawn a thread to wait", error))
    }

    /// Closes standard input, reads standard output and error to their ends, at most `limit` bytes of each, and waits.
    ///
    /// # Errors
    /// Those of reading and of [`Process::wait`].
    pub fn output(mut self, limit: u64) -> Result<Output> {
        drop(self.stdin.take());
        let stderr = self.stderr.take();
        let reader = spawn("container-stderr", move || drain(stderr, limit));
        let reader = reader.map_err(|error| self.shared.failed("spawn a thread to read", error))?;
        let stdout =
            drain(self.stdout.take(), limit).map_err(|error| self.shared.failed("read output", error))?;
        let stderr = reader.join().unwrap_or_else(|| Err(io::Error::other("the thread panicked")));
        let stderr = stderr.map_err(|error| self.shared.failed("read error output", error))?;
        Ok(Output { status: self.wait()?, stdout, stderr })
    }
}

/// What a process wrote and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// Standard error, up to the limit.
    pub stderr: Vec<u8>,
}

fn drain(file: Option<File>, limit: u64) -> io::Result<Vec<u8>> {
    let Some(file) = file else { return Ok(Vec::new()) };
    let mut bytes = Vec::new();
    let mut limited = file.take(limit);
    limited.read_to_end(&mut bytes)?;
    io::copy(&mut limited.into_inner(), &mut io::sink())?;
    Ok(bytes)
}

impl AsFd for Process {
    /// The pidfd: readable when the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.pidfd.as_fd()
    }
}

impl AsFd for Shared {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Child for Shared {
    fn reap(&self) -> bool {
        // If the status is lost there is nothing to reap either. After another error the next one who comes tries again.
        let known = match self.look(false, false) {
            Ok(status) => status.is_some(),
            Err(error) => error.errno() == Some(libc::ECHILD),
        };
        known && (!self.zombie.load(Ordering::Acquire) || self.reap_known())
    }
}

impl Shared {
    fn failed(&self, call: &str, error: io::Error) -> Error {
        Error::io(format!("{call} on process {}", self.pid), error)
    }

    fn wait(&self) -> Result<ExitStatus> {
        wait_readable(self.pidfd.as_fd(), None).map_err(|error| self.failed("poll", error))?;
        let pumps = std::mem::take(&mut *self.pumps.lock().unwrap_or_else(PoisonError::into_inner));
        for pump in pumps {
            // A panic in a caller's writer is the caller's; the status still counts.
            let _ = pump.join();
        }
        let gone = || self.failed("waitid", io::Error::from_raw_os_error(libc::ECHILD));
        self.status(true)?.ok_or_else(gone)
    }

    fn status(&self, block: bool) -> Result<Option<ExitStatus>> {
        self.look(block, true)
    }

    /// `later`: whoever reaps in the caller's place may do so.
    fn look(&self, block: bool, later: bool) -> Result<Option<ExitStatus>> {
        let mut known = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            let ended = if later { self.leave() } else { None };
            *known =
                match ended.map_or_else(|| wait_pidfd(self.pidfd.as_fd(), block), |ended| Ok(Some(ended))) {
                    Err(error) if error.raw_os_error() == Some(libc::ECHILD) => self.status_of_another()?,
                    result => result.map_err(|error| self.failed("waitid", error))?.map(ExitStatus::new),
                };
            if let (Some(status), Some(memory)) = (known.as_mut(), self.memory.get()) {
                status.blame_memory(|| memory.has_killed());
            }
        }
        if known.is_some() && !self.zombie.load(Ordering::Acquire) {
            children::forget(self);
        }
        Ok(*known)
    }

    /// How it has ended, if somebody is going to reap it. Under the lock of the status.
    fn leave(&self) -> Option<Ended> {
        let reaper = self.reaper.get()?;
        // An error is told by who takes the status instead.
        let ended = end_of_child(self.pidfd.as_fd()).ok().flatten()?;
        // ORDER: before the reaper knows of it, which asks every child.
        self.zombie.store(true, Ordering::Release);
        if reaper.reap_later() {
            return Some(ended);
        }
        self.zombie.store(false, Ordering::Release);
        None
    }

    /// Reaps it, of which all is known. Whether that is done, by whomever.
    fn reap_known(&self) -> bool {
        match wait_pidfd(self.pidfd.as_fd(), false) {
            Ok(ended) => ended.is_some(),
            Err(error) => error.raw_os_error() == Some(libc::ECHILD),
        }
    }

    /// The process is not our child (the container was loaded), or its status was taken.
    fn status_of_another(&self) -> Result<Option<ExitStatus>> {
        let ended = wait_readable(self.pidfd.as_fd(), Some(Duration::ZERO))
            .map_err(|error| self.failed("poll", error))?;
        if !ended {
            return Ok(None);
        }
        let status = end_of_pidfd(self.pidfd.as_fd()).map(ExitStatus::new);
        status.map(Some).ok_or_else(|| self.failed("waitid", io::Error::from_raw_os_error(libc::ECHILD)))
    }
}

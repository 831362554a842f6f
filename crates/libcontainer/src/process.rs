//! A process in a container.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use libcontainer_plan::{Pid, Stamp, signal_pidfd};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::cgroup::OutOfMemory;
use crate::error::{Error, Result};
use crate::sys;

/// Resources that a process and its waited-for children have used: getrusage(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Time in user mode.
    pub user_time: Duration,
    /// Time in the kernel.
    pub system_time: Duration,
    /// Largest resident set, in bytes.
    pub max_rss: u64,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExitStatus {
    code: Option<i32>,
    signal: Option<i32>,
    usage: Option<Usage>,
    oom_killed: bool,
}

impl ExitStatus {
    pub(crate) fn new(code: Option<i32>, signal: Option<i32>, usage: Option<Usage>) -> Self {
        Self { code, signal, usage, oom_killed: false }
    }

    /// Whether the process was killed while the kernel killed processes of the container for want of memory. False also when the
    /// container has no control group, or that was removed before anybody waited.
    #[must_use]
    pub fn oom_killed(&self) -> bool {
        self.oom_killed
    }

    /// The exit code, 0 to 255, unless a signal ended the process.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.code
    }

    /// The number of the signal that ended the process.
    #[must_use]
    pub fn signal(&self) -> Option<i32> {
        self.signal
    }

    /// Whether the exit code is 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// The code as shells give it: the exit code, or 128 and the signal.
    #[must_use]
    pub fn shell_code(&self) -> u8 {
        let code = self.code.or(self.signal.map(|signal| 128 + signal)).unwrap_or(255);
        u8::try_from(code & 0xff).unwrap_or(255)
    }

    /// Resources used; `None` if the process was not the caller's child.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code, self.signal) {
            (Some(code), _) => write!(f, "exit code {code}"),
            (None, Some(signal)) if self.oom_killed => write!(f, "signal {signal} (out of memory)"),
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) => f.write_str("unknown status"),
        }
    }
}

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
    pumps: Mutex<Vec<std::thread::JoinHandle<()>>>,
    memory: OnceLock<OutOfMemory>,
}

/// Every child that this program has in containers and has not reaped. A zombie in a pid namespace keeps its pid 1 from going, also
/// when nobody waits for it: its handle may have been dropped, or belong to someone who waits later.
static STARTED: Mutex<Vec<Arc<Shared>>> = Mutex::new(Vec::new());

/// Reaps the children in containers that have ended. Their statuses stay with their handles.
pub(crate) fn reap_ended() {
    libcontainer_plan::reap_left();
    let all = STARTED.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for shared in all {
        // An error means that the status is lost; then there is nothing to reap either.
        if shared.status(false).is_err() {
            shared.forget();
        }
    }
}

impl Process {
    pub(crate) fn new(pid: Pid, pidfd: OwnedFd) -> Self {
        let (status, pumps) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { pid, pidfd, status, pumps, memory: OnceLock::new() });
        STARTED.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&shared));
        Self { shared, stdin: None, stdout: None, stderr: None, terminal: None, timeline: Vec::new() }
    }

    /// Tells [`ExitStatus::oom_killed`] by the group that `memory` looks at.
    pub(crate) fn watch_memory(&self, memory: Option<OutOfMemory>) {
        if let Some(memory) = memory {
            // Set once only: the process is new.
            let _ = self.shared.memory.set(memory);
        }
    }

    pub(crate) fn add_pumps(&self, pumps: Vec<std::thread::JoinHandle<()>>) {
        self.shared.pumps.lock().unwrap_or_else(PoisonError::into_inner).extend(pumps);
    }

    /// The pid in the caller's pid namespace.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.shared.pid
    }

    /// Waits until the process has ended, by waitid(2). May be called again.
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
        let thread = std::thread::Builder::new().name("container-wait".to_owned()).spawn(run);
        thread.map(|_| receiver).map_err(|error| self.shared.failed("spawn a thread to wait", error))
    }

    /// Closes standard input, reads standard output and error to their ends, at most `limit` bytes of each, and waits.
    ///
    /// # Errors
    /// Those of reading and of [`Process::wait`].
    pub fn output(mut self, limit: u64) -> Result<Output> {
        drop(self.stdin.take());
        let stderr = self.stderr.take();
        let reader = std::thread::spawn(move || drain(stderr, limit));
        let stdout =
            drain(self.stdout.take(), limit).map_err(|error| self.shared.failed("read output", error))?;
        let stderr = reader.join().unwrap_or_else(|_| Ok(Vec::new()));
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
        let mut known = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            *known = match sys::wait(self.pidfd.as_fd(), block) {
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => self.status_of_another()?,
                result => result.map_err(|error| self.failed("waitid", error))?,
            };
            if let (Some(status), Some(memory)) = (known.as_mut(), self.memory.get()) {
                status.oom_killed = status.signal == Some(libc::SIGKILL) && memory.has_killed();
            }
        }
        if known.is_some() {
            self.forget();
        }
        Ok(*known)
    }

    /// Nothing is left to be reaped.
    fn forget(&self) {
        let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
        started.retain(|other| !std::ptr::eq(Arc::as_ptr(other), self));
    }

    /// The process is not our child (the container was loaded), or its status was taken.
    fn status_of_another(&self) -> Result<Option<ExitStatus>> {
        let ended = wait_readable(self.pidfd.as_fd(), Some(Duration::ZERO))
            .map_err(|error| self.failed("poll", error))?;
        if !ended {
            return Ok(None);
        }
        let status = sys::exit_information(self.pidfd.as_fd());
        status.map(Some).ok_or_else(|| self.failed("waitid", io::Error::from_raw_os_error(libc::ECHILD)))
    }
}

/// Waits until `fd` is readable; false if `limit` passed first.
pub(crate) fn wait_readable(fd: BorrowedFd<'_>, limit: Option<Duration>) -> io::Result<bool> {
    let end = limit.map(|limit| Instant::now() + limit);
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        let timeout = left.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], timeout) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(0) if left.is_some_and(|left| left.is_zero()) => return Ok(false),
            Ok(0) => {}
            Ok(_) => return Ok(true),
        }
    }
}

/// The master of a container's terminal: what is written to it is typed, what is read from it was printed.
#[derive(Debug)]
pub struct Terminal {
    master: File,
}

impl Terminal {
    pub(crate) fn new(master: OwnedFd) -> Self {
        Self { master: File::from(master) }
    }

    /// Sets the size of the terminal; its foreground processes get SIGWINCH.
    ///
    /// # Errors
    /// That of ioctl(TIOCSWINSZ).
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        sys::resize(self.master.as_fd(), rows, columns)
            .map_err(|error| Error::io("resize the terminal", error))
    }

    /// The master as a file. Reading fails with `EIO` once no process has the terminal open any more.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.master
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }
}

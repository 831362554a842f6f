//! Waiting for a process in the foreground: signals forwarded, the terminal in raw mode and restored.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use libcontainer::{ExitStatus, Process};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use crate::Failure;

/// Signals that are taken and forwarded. Block them before the process is started, so that none is lost.
#[derive(Debug)]
pub(crate) struct Signals {
    fd: SignalFd,
}

impl Signals {
    pub(crate) fn take() -> Result<Self, Failure> {
        let mut set = SigSet::all();
        // Those that mean this program itself, or can't be blocked.
        for own in [
            Signal::SIGSEGV,
            Signal::SIGBUS,
            Signal::SIGFPE,
            Signal::SIGILL,
            Signal::SIGABRT,
            Signal::SIGTRAP,
        ] {
            set.remove(own);
        }
        for stop in [Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU, Signal::SIGCHLD, Signal::SIGPIPE] {
            set.remove(stop);
        }
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        Ok(Self { fd: SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)? })
    }
}

/// Raw mode, undone when dropped.
struct Raw {
    before: Termios,
}

impl Raw {
    fn enter() -> Option<Self> {
        let before = tcgetattr(io::stdin()).ok()?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(io::stdin(), SetArg::TCSANOW, &raw).ok()?;
        Some(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing to be done if the terminal is gone.
        let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before);
    }
}

/// Control-D.
const END_OF_FILE: u8 = 4;

/// Waits for the process, forwarding signals, and copying its terminal if it has one.
pub(crate) fn wait(signals: &Signals, process: &mut Process) -> Result<ExitStatus, Failure> {
    let terminal = process.terminal.take();
    let raw = terminal.as_ref().and_then(|_| Raw::enter());
    if let Some(terminal) = &terminal {
        resize(terminal);
    }
    let mut input_open = terminal.is_some();
    let mut output_open = terminal.is_some();
    loop {
        let ready = ready(signals, process, terminal.as_ref().map(AsFd::as_fd), input_open, output_open)?;
        if ready.signal {
            forward(signals, process, terminal.as_ref())?;
        }
        if let Some(terminal) = &terminal {
            if ready.input {
                input_open = copy(&mut io::stdin().lock(), &mut terminal.file());
                if !input_open && raw.is_none() {
                    // The end of a file or pipe, as it is typed.
                    let _ = terminal.file().write_all(&[END_OF_FILE]);
                }
            }
            if ready.output {
                output_open = copy(&mut terminal.file(), &mut io::stdout().lock());
            }
        }
        if ready.ended && !(output_open && ready.output) {
            break;
        }
    }
    drop(raw);
    Ok(process.wait()?)
}

#[allow(clippy::struct_excessive_bools, reason = "one for each descriptor that was polled")]
struct Ready {
    signal: bool,
    ended: bool,
    input: bool,
    output: bool,
}

fn ready(
    signals: &Signals,
    process: &Process,
    terminal: Option<BorrowedFd<'_>>,
    input: bool,
    output: bool,
) -> Result<Ready, Failure> {
    let stdin = io::stdin();
    let when = |wanted: bool| if wanted { PollFlags::POLLIN } else { PollFlags::empty() };
    let mut polled = vec![
        PollFd::new(signals.fd.as_fd(), PollFlags::POLLIN),
        PollFd::new(process.as_fd(), PollFlags::POLLIN),
    ];
    if let Some(terminal) = terminal {
        polled.push(PollFd::new(stdin.as_fd(), when(input)));
        polled.push(PollFd::new(terminal, when(output)));
    }
    while let Err(errno) = poll(&mut polled, PollTimeout::NONE) {
        if errno != Errno::EINTR {
            return Err(errno.into());
        }
    }
    let any = |index: usize| polled.get(index).and_then(PollFd::any).unwrap_or(false);
    Ok(Ready { signal: any(0), ended: any(1), input: input && any(2), output: output && any(3) })
}

fn forward(
    signals: &Signals,
    process: &Process,
    terminal: Option<&libcontainer::Terminal>,
) -> Result<(), Failure> {
    while let Some(info) = signals.fd.read_signal()? {
        let number = i32::try_from(info.ssi_signo).unwrap_or(0);
        match terminal {
            Some(terminal) if number == libc_signal(Signal::SIGWINCH) => resize(terminal),
            // The process may have ended a moment ago; its status comes next.
            _ => drop(process.signal(number)),
        }
    }
    Ok(())
}

fn libc_signal(signal: Signal) -> i32 {
    signal as i32
}

fn resize(terminal: &libcontainer::Terminal) {
    if let Some((rows, columns)) = terminal_size() {
        let _ = terminal.resize(rows, columns);
    }
}

/// The size of our own terminal, as `stty` tells it; `None` without one.
fn terminal_size() -> Option<(u16, u16)> {
    libcontainer::terminal_size(io::stdin().as_fd())
}

/// Copies what is there; false at the end.
fn copy(from: &mut impl Read, to: &mut impl Write) -> bool {
    let mut buffer = [0; 16 * 1024];
    match from.read(&mut buffer) {
        Ok(0) => false,
        Ok(len) => {
            buffer.get(..len).is_some_and(|bytes| to.write_all(bytes).and_then(|()| to.flush()).is_ok())
        }
        Err(error) => error.kind() == io::ErrorKind::Interrupted,
    }
}

/// Writes a pid file: under another name, renamed into place.
pub(crate) fn write_pid(path: &std::path::Path, pid: libcontainer::Pid) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".{}", std::process::id()));
    File::create(&temporary)?.write_all(pid.to_string().as_bytes())?;
    std::fs::rename(&temporary, path)
}

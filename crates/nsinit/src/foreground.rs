//! Waiting for a process in the foreground: signals forwarded, the terminal in raw mode and restored.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use libcontainer::{ExitStatus, Process, Terminal};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

use crate::failure::{Failure, Named, Outcome, both};
use crate::notify::Proxy;
use crate::streams::{self, note};

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
        sigprocmask(SigmaskHow::SIG_BLOCK, Some(&set), None).named("block signals: sigprocmask")?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let fd = SignalFd::with_flags(&set, flags).named("take signals: signalfd")?;
        Ok(Self { fd })
    }

    /// The next one that has come. That of nix panics where something else is behind the descriptor.
    fn next(&self) -> nix::Result<Option<i32>> {
        let mut info = [0; size_of::<siginfo>()];
        match nix::unistd::read(&self.fd, &mut info) {
            Err(Errno::EAGAIN) => Ok(None),
            // `ssi_signo` is the first word.
            Ok(length) if length == info.len() => {
                Ok(info.first_chunk().map(|word| i32::from_ne_bytes(*word)))
            }
            Ok(_) => Err(Errno::EPROTO),
            Err(errno) => Err(errno),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whether a signal has come that asks for the end, of those that are blocked: it stays to be taken. What can't be known is no reason to end.
pub(crate) fn is_asked_to_end() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|text| has_ending(&text))
}

fn has_ending(status: &str) -> bool {
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    let pending = pending.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let ending = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT, Signal::SIGHUP];
    ending.into_iter().any(|signal| pending & (1 << (signal as i32 - 1)) != 0)
}

/// Rows and columns with which a process begins: those of our terminal if its own is copied to that, as its program may ask at once; else what was `given`.
pub(crate) fn first_size(copied: bool, given: Option<(u16, u16)>) -> Option<(u16, u16)> {
    if copied { own_size().or(given) } else { given }
}

/// Rows and columns of the terminal at our standard input. None if nobody gave it a size.
fn own_size() -> Option<(u16, u16)> {
    libcontainer::terminal_size(io::stdin().as_fd()).filter(|&size| size != (0, 0))
}

/// Raw mode, undone when dropped.
struct Raw {
    before: Termios,
}

impl Raw {
    /// None if standard input is no terminal. One that can't be set stays as it is: what is typed is then shown twice.
    fn enter() -> Option<Self> {
        let told = |errno: Errno| note(format_args!("raw mode of standard input: {errno}"));
        let before = match tcgetattr(io::stdin()) {
            Err(Errno::ENOTTY) => return None,
            before => before.map_err(told).ok()?,
        };
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(io::stdin(), SetArg::TCSANOW, &raw).map_err(told).ok()?;
        Some(Self { before })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Err(errno) = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &self.before) {
            note(format_args!("restore the terminal: tcsetattr: {errno}"));
        }
    }
}

/// Control-D.
const END_OF_FILE: u8 = 4;

/// Waits for the process, forwarding signals, and copying its terminal if it has one. Returns the exit code that tells its end.
pub(crate) fn wait(signals: &Signals, process: &mut Process) -> Outcome {
    wait_notified(signals, process, None)
}

/// As [`wait`]; that the program is ready is handed on meanwhile, with this process as the one to watch.
pub(crate) fn wait_notified(signals: &Signals, process: &mut Process, mut proxy: Option<Proxy>) -> Outcome {
    let mut copied = Copied::new(process.terminal.take());
    if let Err((call, errno)) = attend(signals, process, &mut copied, &mut proxy) {
        // What goes on is the wait. Nobody reads the terminal any more: its end tells the program.
        note(format_args!("{call}: {errno}: signals are not forwarded any more"));
        copied.hang_up();
    }
    let lost = copied.lost;
    drop(copied);
    let code = code_of(process.wait()?);
    both(code, lost.map_or(Ok(()), Err).named("write standard output"))
}

/// The program's own code, or 128 and its signal.
fn code_of(status: ExitStatus) -> Outcome {
    if status.code().is_none() && status.signal().is_none() {
        return Err(Failure::new("the process has ended, and its status is known to its parent only"));
    }
    Ok(status.shell_code())
}

/// The terminal of a process, copied from and to ours.
struct Copied {
    terminal: Option<Terminal>,
    raw: Option<Raw>,
    input: bool,
    output: bool,
    /// Why output is thrown away.
    lost: Option<Errno>,
}

impl Copied {
    fn new(terminal: Option<Terminal>) -> Self {
        let open = terminal.is_some();
        let raw = if open { Raw::enter() } else { None };
        let this = Self { terminal, raw, input: open, output: open, lost: None };
        // It may have changed since the program's was made.
        this.resize();
        this
    }

    /// As when a terminal's line is cut: its processes get SIGHUP, and errors when they read or write.
    fn hang_up(&mut self) {
        (self.terminal, self.raw, self.input, self.output) = (None, None, false, false);
    }

    fn resize(&self) {
        if let (Some(terminal), Some((rows, columns))) = (&self.terminal, own_size()) {
            if let Err(error) = terminal.resize(rows, columns) {
                note(format_args!("{error}"));
            }
        }
    }

    /// From our standard input to the terminal. Without raw mode the end of a file or pipe is passed on as it is typed.
    fn take_input(&mut self) {
        let Some(terminal) = &self.terminal else { return };
        let mut buffer = [0; 16 * 1024];
        let ended = match nix::unistd::read(io::stdin(), &mut buffer) {
            Err(Errno::EINTR | Errno::EAGAIN) => return,
            Err(_) | Ok(0) => true,
            Ok(count) => {
                let written = terminal.file().write_all(buffer.get(..count).unwrap_or_default());
                written.is_err()
            }
        };
        if ended && self.raw.is_none() {
            // A terminal that takes nothing is one that nobody reads.
            let _ = terminal.file().write_all(&[END_OF_FILE]);
        }
        self.input = !ended;
    }

    /// From the terminal to our standard output. If nobody reads that any more, as with `| head`, the terminal hangs up; if the disk is full, the rest is thrown away, so
    /// that the program can end.
    fn give_output(&mut self) {
        let Some(terminal) = &self.terminal else { return };
        let mut buffer = [0; 16 * 1024];
        match terminal.file().read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // With EIO no process has it open any more.
            Ok(0) | Err(_) => self.output = false,
            Ok(count) if self.lost.is_none() => {
                match streams::output(buffer.get(..count).unwrap_or_default()) {
                    Ok(()) => {}
                    Err(Errno::EPIPE) => self.hang_up(),
                    Err(errno) => self.lost = Some(errno),
                }
            }
            Ok(_) => {}
        }
    }
}

/// Until the process has ended and its output is read.
fn attend(
    signals: &Signals,
    process: &Process,
    copied: &mut Copied,
    proxy: &mut Option<Proxy>,
) -> Result<(), (&'static str, Errno)> {
    loop {
        let ready = ready(signals, process, copied, proxy.as_ref()).map_err(|errno| ("poll", errno))?;
        if let Some(Err(failure)) =
            proxy.as_ref().filter(|_| ready.notified).map(|proxy| proxy.forward(std::process::id()))
        {
            note(format_args!("{failure}"));
            *proxy = None;
        }
        if ready.signal {
            forward(signals, process, copied).map_err(|errno| ("read a signal", errno))?;
        }
        if ready.input {
            copied.take_input();
        }
        if ready.output {
            copied.give_output();
        }
        if ready.ended && !(copied.output && ready.output) {
            return Ok(());
        }
    }
}

#[allow(clippy::struct_excessive_bools, reason = "one for each descriptor that was polled")]
struct Ready {
    signal: bool,
    ended: bool,
    input: bool,
    output: bool,
    notified: bool,
}

fn ready(signals: &Signals, process: &Process, copied: &Copied, proxy: Option<&Proxy>) -> nix::Result<Ready> {
    let stdin = io::stdin();
    let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut polled = vec![readable(signals.fd.as_fd()), readable(process.as_fd())];
    // An end is reported also to those who do not ask for it: what has ended is left out.
    let input = copied.input.then_some(polled.len());
    polled.extend(input.map(|_| readable(stdin.as_fd())));
    let output = copied.terminal.as_ref().filter(|_| copied.output).map(|terminal| (polled.len(), terminal));
    polled.extend(output.map(|(_, terminal)| readable(terminal.as_fd())));
    let notified = proxy.map(|proxy| (polled.len(), proxy));
    polled.extend(notified.map(|(_, proxy)| readable(proxy.as_fd())));
    while let Err(errno) = poll(&mut polled, PollTimeout::NONE) {
        if errno != Errno::EINTR {
            return Err(errno);
        }
    }
    // An event that nix does not know is one.
    let any = |index: usize| polled.get(index).is_some_and(|polled| polled.any().unwrap_or(true));
    let (input, output) = (input.is_some_and(any), output.is_some_and(|(index, _)| any(index)));
    let notified = notified.is_some_and(|(index, _)| any(index));
    Ok(Ready { signal: any(0), ended: any(1), input, output, notified })
}

fn forward(signals: &Signals, process: &Process, copied: &Copied) -> nix::Result<()> {
    while let Some(number) = signals.next()? {
        if copied.terminal.is_some() && number == Signal::SIGWINCH as i32 {
            copied.resize();
            continue;
        }
        match process.signal(number) {
            // It has ended a moment ago; its status comes next.
            Err(error) if error.errno() != Some(Errno::ESRCH as i32) => note(format_args!("{error}")),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::has_ending;

    #[test]
    fn only_signals_that_ask_for_the_end_break_off() {
        let status = |mask: &str| {
            format!("SigQ:\t1/9\nSigPnd:\t0000000000004002\nShdPnd:\t{mask}\nSigBlk:\tfffffffe7ffbfeff\n")
        };
        for (mask, asked) in [
            ("0000000000000000", false),
            ("0000000000000001", true),
            ("0000000000000002", true),
            ("0000000000000004", true),
            ("0000000000004000", true),
            ("ffffffffffffbff8", false),
            ("garbled", false),
        ] {
            assert_eq!(has_ending(&status(mask)), asked, "{mask}");
        }
        assert!(!has_ending(""));
    }
}

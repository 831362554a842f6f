//! Waiting for a hook: its end, its output, its time.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libcontainer_plan::{pipe, wait_readable};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::failure::Cause;
use super::heard::Heard;
use crate::process::Process;
use crate::record::KILL;

/// How much is read at most of what is left in the pipe when the hook has ended: what it has left running may go on writing.
const LEFT: usize = 1024 * 1024;
/// How often a caller is asked whether to go on waiting.
const TICK: Duration = Duration::from_millis(100);

/// Asks whether to go on waiting no more.
pub(crate) type BreakOff = Arc<dyn Fn() -> bool + Send + Sync>;

/// How a wait ends.
enum End {
    Ended,
    Late,
    BrokenOff,
}

/// A pipe for the output: our end, and the hook's.
pub(crate) fn output() -> io::Result<(File, OwnedFd)> {
    let (reader, writer) = pipe()?;
    fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((reader.into(), writer))
}

/// Waits until the hook has ended: not for what it has left running, which may hold the pipe. When its seconds are up, or it can't be waited for, all of its process
/// group is killed. So it is when `break_off`, which is asked now and then, answers yes.
pub(crate) fn wait(
    process: &Process,
    output: File,
    seconds: Option<u64>,
    break_off: Option<&BreakOff>,
) -> Result<Heard, (Cause, Heard)> {
    let mut heard = Heard::default();
    // A time that can't be told is no limit.
    let end = seconds.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds)));
    let ended = Listening { process, output: Some(output), break_off }.until(end, &mut heard);
    let cause = match (ended, seconds) {
        (Ok(End::Ended), _) => match process.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(heard),
            Ok(Some(status)) => Cause::Ended(status),
            Ok(None) => Cause::Lost("has ended and has no status".to_owned()),
            Err(error) => Cause::Lost(format!("how it has ended can't be known: {error}")),
        },
        (Ok(End::Late), seconds) => Cause::Late(seconds.unwrap_or(0), kill(process)),
        (Ok(End::BrokenOff), _) => Cause::BrokenOff(kill(process)),
        (Err(error), _) => {
            kill(process);
            Cause::Unknown(error)
        }
    };
    Err((cause, heard))
}

/// Kills the process group, and waits for its leader. Whether that is gone.
fn kill(process: &Process) -> bool {
    // RACE: the number is the group's as long as the leader was not reaped or somebody is in it. It has the leader's session, so it is no other's.
    // What has gone meanwhile needs no signal; if it can't be sent the leader gets one by its descriptor.
    let group = killpg(Pid::from_raw(process.pid().as_raw()), Signal::SIGKILL);
    if group.is_err() {
        // It may have ended: that is seen next.
        let _ = process.signal(libc::SIGKILL);
    }
    let gone = matches!(wait_readable(process.as_fd(), Some(KILL)), Ok(true));
    // Its status says what we know.
    let _ = process.try_wait();
    gone
}

struct Listening<'a> {
    process: &'a Process,
    /// Our end, as long as somebody has the other one.
    output: Option<File>,
    break_off: Option<&'a BreakOff>,
}

impl Listening<'_> {
    /// Waits until the process has ended, or until `end`.
    fn until(mut self, end: Option<Instant>, heard: &mut Heard) -> io::Result<End> {
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let (ended, said) = self.poll(match self.break_off {
                Some(_) => Some(left.map_or(TICK, |left| left.min(TICK))),
                None => left,
            })?;
            if said {
                self.read(heard)?;
            }
            if ended {
                self.drain(heard)?;
                return Ok(End::Ended);
            }
            if left == Some(Duration::ZERO) {
                return Ok(End::Late);
            }
            if self.break_off.is_some_and(|asked| asked()) {
                return Ok(End::BrokenOff);
            }
        }
    }

    /// Whether the process has ended, and whether there is something to read.
    fn poll(&self, left: Option<Duration>) -> io::Result<(bool, bool)> {
        let mut polled = vec![PollFd::new(self.process.as_fd(), PollFlags::POLLIN)];
        polled.extend(self.output.as_ref().map(|file| PollFd::new(file.as_fd(), PollFlags::POLLIN)));
        // Rounded up, so that it is over when it is said to be; what is too long is waited for in parts.
        let left = left.map(|left| i32::try_from(left.as_micros().div_ceil(1000)).unwrap_or(i32::MAX));
        let limit =
            left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        match poll(&mut polled, limit) {
            Err(Errno::EINTR) => Ok((false, false)),
            Err(errno) => Err(errno.into()),
            Ok(_) => {
                let mut any = polled.iter().map(|one| one.any() == Some(true));
                Ok((any.next() == Some(true), any.next() == Some(true)))
            }
        }
    }

    /// Reads once; how much.
    fn read(&mut self, heard: &mut Heard) -> io::Result<usize> {
        let Some(file) = &mut self.output else { return Ok(0) };
        let mut buffer = [0; 16 * 1024];
        match file.read(&mut buffer) {
            Ok(0) => self.output = None,
            Ok(count) => {
                heard.add(buffer.get(..count).unwrap_or_default());
                return Ok(count);
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        Ok(0)
    }

    fn drain(&mut self, heard: &mut Heard) -> io::Result<()> {
        let mut read = 0;
        while read < LEFT {
            match self.read(heard)? {
                0 => return Ok(()),
                count => read += count,
            }
        }
        Ok(())
    }
}

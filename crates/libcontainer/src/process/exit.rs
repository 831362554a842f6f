//! How a process ended, for its caller.

use std::fmt;

use libcontainer_plan::{End, Ended, Usage};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExitStatus {
    code: Option<i32>,
    signal: Option<i32>,
    usage: Option<Usage>,
    oom_killed: Option<bool>,
}

impl ExitStatus {
    pub(super) fn new(ended: Ended) -> Self {
        let (code, signal) = match ended.end {
            End::Exited(code) => (Some(code), None),
            End::Killed(signal) => (None, Some(signal)),
        };
        Self { code, signal, usage: ended.usage, oom_killed: None }
    }

    /// Notes whether the kernel has killed for want of memory.
    pub(super) fn blame_memory(&mut self, has_killed: impl FnOnce() -> Option<bool>) {
        self.oom_killed = if self.signal == Some(libc::SIGKILL) { has_killed() } else { Some(false) };
    }

    /// Whether the process was killed while the kernel killed processes of the container for want of memory. `None` if that is not known:
    /// the container has no control group, or that was removed before anybody waited, or could not be read.
    #[must_use]
    pub fn oom_killed(&self) -> Option<bool> {
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
            (None, Some(signal)) if self.oom_killed == Some(true) => {
                write!(f, "signal {signal} (out of memory)")
            }
            (None, Some(signal)) => write!(f, "signal {signal}"),
            (None, None) => f.write_str("unknown status"),
        }
    }
}

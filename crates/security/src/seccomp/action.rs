//! What a filter does with a call: seccomp(2), "Filter return values".

use std::fmt;

use libcontainer_plan::errno_text;
use serde::{Deserialize, Serialize};

/// What happens to a call; the names are OCI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Action {
    /// `SIGSYS` ends the process.
    #[serde(rename = "SCMP_ACT_KILL_PROCESS")]
    KillProcess,
    /// `SIGSYS` ends the thread; read from `SCMP_ACT_KILL`, too.
    #[serde(rename = "SCMP_ACT_KILL_THREAD", alias = "SCMP_ACT_KILL")]
    KillThread,
    /// The thread gets `SIGSYS`, and no call.
    #[serde(rename = "SCMP_ACT_TRAP")]
    Trap,
    /// The call fails with an errno, EPERM unless the profile says which.
    #[serde(rename = "SCMP_ACT_ERRNO")]
    Errno,
    /// A program that listens to the filter answers: seccomp_unotify(2).
    #[serde(rename = "SCMP_ACT_NOTIFY")]
    Notify,
    /// A tracer is told; without one the call fails with ENOSYS.
    #[serde(rename = "SCMP_ACT_TRACE")]
    Trace,
    /// The call happens and is logged.
    #[serde(rename = "SCMP_ACT_LOG")]
    Log,
    /// The call happens.
    #[serde(rename = "SCMP_ACT_ALLOW")]
    Allow,
}

/// Most that the kernel gives back as an error: linux/err.h.
pub(super) const MAX_ERRNO: u32 = 4095;
const DATA: u32 = 0xffff;

impl Action {
    /// All of them, the strictest first: of two filters the kernel obeys the stricter.
    pub const ALL: [Self; 8] = [
        Self::KillProcess,
        Self::KillThread,
        Self::Trap,
        Self::Errno,
        Self::Notify,
        Self::Trace,
        Self::Log,
        Self::Allow,
    ];

    /// `SECCOMP_RET_*` of linux/seccomp.h.
    #[must_use]
    pub fn code(self) -> u32 {
        match self {
            Self::KillProcess => 0x8000_0000,
            Self::KillThread => 0,
            Self::Trap => 0x0003_0000,
            Self::Errno => 0x0005_0000,
            Self::Notify => 0x7fc0_0000,
            Self::Trace => 0x7ff0_0000,
            Self::Log => 0x7ffc_0000,
            Self::Allow => 0x7fff_0000,
        }
    }

    /// Largest number that a profile may give with it; `None` if it takes none.
    #[must_use]
    pub fn largest_errno(self) -> Option<u32> {
        match self {
            Self::Errno => Some(MAX_ERRNO),
            Self::Trace => Some(DATA),
            _ => None,
        }
    }

    /// Whether the call happens, or somebody else decides who expects that it does.
    pub(super) fn lets_happen(self) -> bool {
        matches!(self, Self::Trace | Self::Log | Self::Allow)
    }
}

/// An action with its number: what a filter returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outcome(u32);

impl Outcome {
    /// The call happens.
    pub const ALLOW: Self = Self(0x7fff_0000);
    /// The call fails as one that the kernel doesn't have.
    pub const ENOSYS: Self = Self(0x0005_0000 | 38);

    /// `errno` counts with `Errno` and `Trace`, which have EPERM without one, and is cut to 16 bits.
    #[must_use]
    pub fn new(action: Action, errno: Option<u32>) -> Self {
        let data = action.largest_errno().map_or(0, |_| errno.unwrap_or(1) & DATA);
        Self(action.code() | data)
    }

    /// What a filter returned. The kernel kills the process for actions that it does not know, and so says [`Outcome::action`].
    #[must_use]
    pub const fn from_code(code: u32) -> Self {
        Self(code)
    }

    /// `SECCOMP_RET_*` and its data.
    #[must_use]
    pub fn code(self) -> u32 {
        self.0
    }

    /// The action.
    #[must_use]
    pub fn action(self) -> Action {
        Action::ALL.into_iter().find(|action| action.code() == self.0 & !DATA).unwrap_or(Action::KillProcess)
    }

    /// The data: an errno, or what a tracer is told.
    #[must_use]
    pub fn data(self) -> u32 {
        self.0 & DATA
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.action() {
            Action::KillProcess => f.write_str("kills the process"),
            Action::KillThread => f.write_str("kills the thread"),
            Action::Trap => f.write_str("signals SIGSYS"),
            Action::Errno if self.data() == 0 => f.write_str("does nothing and says success"),
            Action::Errno => {
                let text = errno_text(i32::try_from(self.data()).unwrap_or(0));
                write!(f, "fails with {}", text.split(':').next().unwrap_or(&text))
            }
            Action::Notify => f.write_str("asks the listener"),
            Action::Trace => write!(f, "asks the tracer ({})", self.data()),
            Action::Log => f.write_str("is allowed and logged"),
            Action::Allow => f.write_str("is allowed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read_back() {
        for action in Action::ALL {
            let outcome = Outcome::new(action, Some(5));
            assert_eq!(Outcome::from_code(outcome.code()).action(), action);
            assert_eq!(outcome.data(), if action.largest_errno().is_some() { 5 } else { 0 });
        }
        assert_eq!(Outcome::new(Action::Errno, None).to_string(), "fails with EPERM");
        assert_eq!(Outcome::ENOSYS.to_string(), "fails with ENOSYS");
        assert_eq!(Outcome::from_code(0x1234_0000).action(), Action::KillProcess);
        let kill: Action = serde_json::from_str("\"SCMP_ACT_KILL\"").unwrap();
        assert_eq!(kill, Action::KillThread);
    }
}

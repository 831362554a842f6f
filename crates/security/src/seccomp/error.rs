//! What can be wrong with a profile, and what is only worth saying.

use std::fmt;

/// Why a profile is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// The first of [`Profile::problems`](super::Profile::problems).
    #[error("seccomp{pointer}: {reason}")]
    Invalid {
        /// A JSON pointer below the profile.
        pointer: String,
        /// What is wrong there.
        reason: String,
    },
    /// Two rules want different things for the same call with the same arguments.
    #[error(
        "seccomp/syscalls/{second}: {syscall}: contradicts /syscalls/{first}, which has the same conditions and another action"
    )]
    Conflict {
        /// The system call.
        syscall: String,
        /// Index of the rule that stands first.
        first: usize,
        /// Index of the other one.
        second: usize,
    },
    /// More than the kernel takes.
    #[error(
        "seccomp: the filter has {instructions} instructions, and the kernel takes 4096: fewer architectures, or fewer rules with arguments"
    )]
    TooLong {
        /// How many it would have.
        instructions: usize,
    },
    /// Calls are left to a listener that there is not.
    #[error("seccomp/syscalls/{rule}: SCMP_ACT_NOTIFY without listenerPath: nobody would answer")]
    NoListener {
        /// Index of the first rule that needs one.
        rule: usize,
    },
}

/// Something in a profile that is taken another way than its writer may think.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// A JSON pointer below the profile.
    pub pointer: String,
    /// What is so.
    pub text: String,
}

impl Warning {
    pub(super) fn new(pointer: impl Into<String>, text: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), text: text.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seccomp{}: {}", self.pointer, self.text)
    }
}

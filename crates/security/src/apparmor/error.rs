//! Errors of AppArmor.

use std::fmt;
use std::io;

use libcontainer_plan::errno_text;

use crate::error::ThreadError;

/// Most bytes of a name. The kernel takes a page with the command before it, and cuts off what is longer.
pub(super) const LONGEST: usize = 1024;

/// Why AppArmor is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Off {
    /// The kernel was built without it.
    Kernel,
    /// The kernel was started without it.
    Boot,
}

impl fmt::Display for Off {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "the kernel was built without it",
            Self::Boot => "the kernel was started without it (boot with security=apparmor)",
        })
    }
}

/// Why a text is no name of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing, or nothing behind `&`.
    #[error("empty")]
    Empty,
    /// More bytes than the kernel is given.
    #[error("longer than {} bytes", LONGEST)]
    Long,
    /// A control character, or a space at an end, which the kernel takes away.
    #[error("control characters, and spaces at the ends, are not part of names")]
    Character,
    /// `a//&b`.
    #[error("the name of one profile is wanted; &NAME stacks it on that of the caller")]
    Several,
    /// `:ns:` without a name, or no second colon.
    #[error("a name in a namespace is :NAMESPACE:NAME")]
    Namespace,
    /// A name that a text of a profile can't be made for.
    #[error("a profile is made for names of letters, digits and -_.+@ only")]
    NotPlain,
}

/// Why something of AppArmor was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppArmorError {
    /// A profile is asked for where there are none.
    #[error("AppArmor is not enabled on this host: {0}")]
    Off(Off),
    /// A text that is no name.
    #[error("AppArmor profile {name:?}: {reason}")]
    Name {
        /// The text.
        name: String,
        /// What is wrong with it.
        reason: NameError,
    },
    /// The kernel has no profile of that name.
    #[error("AppArmor profile {name:?} is not loaded (nsinit apparmor load, or apparmor_parser -r FILE)")]
    NotLoaded {
        /// The name.
        name: String,
    },
    /// The profile of this process does not let it change to that one.
    #[error(
        "AppArmor profile {name:?}: this process is confined by {own} and may not change to it (a rule for that: change_profile -> {name})"
    )]
    Refused {
        /// The name.
        name: String,
        /// The label of this process.
        own: String,
    },
    /// A call failed.
    #[error("{call}: {}", errno_text(*errno))]
    Call {
        /// What was done to which object.
        call: String,
        /// The error number.
        errno: i32,
    },
    /// An attribute of the thread.
    #[error(transparent)]
    Thread(#[from] ThreadError),
    /// What the kernel says makes no sense.
    #[error("{path}: {reason}")]
    Malformed {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The program that compiles profiles is not there.
    #[error(
        "apparmor_parser is not installed in {dirs} (package apparmor); it compiles the text of a profile"
    )]
    NoParser {
        /// Where it was looked for.
        dirs: String,
    },
    /// It has refused the text.
    #[error("{program}: {status}: {said}")]
    Parser {
        /// Its path.
        program: String,
        /// How it ended.
        status: String,
        /// What it said.
        said: String,
    },
}

impl AppArmorError {
    /// The error number, if a system call failed.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Call { errno, .. } => Some(*errno),
            Self::Thread(error) => error.errno(),
            _ => None,
        }
    }

    pub(super) fn call(call: impl Into<String>, error: &io::Error) -> Self {
        Self::Call { call: call.into(), errno: error.raw_os_error().unwrap_or(libc::EIO) }
    }

    pub(super) fn malformed(path: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Malformed { path: path.into(), reason: reason.into() }
    }
}

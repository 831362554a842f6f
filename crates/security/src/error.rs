//! Errors of the calls on the own thread and process.

use std::fmt::Display;
use std::io;

use libcontainer_plan::errno_text;

use crate::status::StatusError;

/// Why a thread or process is not what it was asked to become.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ThreadError {
    /// A system call failed.
    #[error("{call}: {}", errno_text(*errno))]
    Call {
        /// The call with its arguments, such as `prctl(PR_CAPBSET_DROP, CHOWN)`.
        call: String,
        /// The error number.
        errno: i32,
    },
    /// Everything succeeded, and what the kernel says afterwards is not what was asked for.
    #[error("read back {item} of the thread: wanted {wanted}, found {found}")]
    ReadBack {
        /// What differs, such as `bounding set`.
        item: &'static str,
        /// The value asked for.
        wanted: String,
        /// The value read.
        found: String,
    },
    /// The kernel's description of the thread makes no sense.
    #[error("{path}: {error}")]
    Status {
        /// The file below `/proc`.
        path: String,
        /// What is wrong with it.
        error: StatusError,
    },
}

impl ThreadError {
    /// The error number, if a system call failed.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Call { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    pub(crate) fn call(call: impl Into<String>, error: &io::Error) -> Self {
        Self::Call { call: call.into(), errno: error.raw_os_error().unwrap_or(libc::EIO) }
    }

    pub(crate) fn invalid(call: impl Into<String>) -> Self {
        Self::Call { call: call.into(), errno: libc::EINVAL }
    }

    pub(crate) fn differs(item: &'static str, wanted: impl Display, found: impl Display) -> Self {
        Self::ReadBack { item, wanted: wanted.to_string(), found: found.to_string() }
    }
}

/// Puts the call's name to a result of the kernel.
pub(crate) trait Named<T> {
    fn named(self, call: impl FnOnce() -> String) -> Result<T, ThreadError>;
}

impl<T> Named<T> for io::Result<T> {
    fn named(self, call: impl FnOnce() -> String) -> Result<T, ThreadError> {
        self.map_err(|error| ThreadError::call(call(), &error))
    }
}

//! Why a notification was not taken or answered.

use std::io;

use libcontainer_plan::errno_text;

/// A call on a listener or on its way to one that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotifyError {
    /// A system call failed.
    #[error("{call}: {}", errno_text(*errno))]
    Call {
        /// The call and its object, such as `ioctl(SECCOMP_IOCTL_NOTIF_SEND)`.
        call: String,
        /// The error number.
        errno: i32,
    },
    /// Every call succeeded, and what came is not what should have.
    #[error("{0}")]
    Unexpected(String),
}

impl NotifyError {
    /// The error number, if a system call failed.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Call { errno, .. } => Some(*errno),
            Self::Unexpected(_) => None,
        }
    }

    /// Whether it says that the call does not wait any more: its process was killed or interrupted, or it has its answer. `ENOENT`.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.errno() == Some(libc::ENOENT)
    }

    pub(crate) fn call(call: impl Into<String>, error: &io::Error) -> Self {
        Self::Call { call: call.into(), errno: error.raw_os_error().unwrap_or(libc::EIO) }
    }
}

impl From<NotifyError> for io::Error {
    fn from(error: NotifyError) -> Self {
        let kind = error.errno().map_or(io::ErrorKind::Other, |errno| Self::from_raw_os_error(errno).kind());
        Self::new(kind, error)
    }
}

//! Errors of SELinux.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use libcontainer_plan::errno_text;

use super::malformed::ContextError;
use crate::error::ThreadError;

/// Why SELinux is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Off {
    /// The kernel has it not, or was started without it.
    Kernel,
    /// selinuxfs is not mounted at `/sys/fs/selinux`.
    NotMounted,
    /// selinuxfs is mounted read-only: so those are told who are in a container, and have no say.
    ReadOnly,
    /// No policy is loaded.
    NoPolicy,
}

impl fmt::Display for Off {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "the kernel was built or started without it (boot with security=selinux)",
            Self::NotMounted => "selinuxfs is not mounted at /sys/fs/selinux",
            Self::ReadOnly => "selinuxfs is mounted read-only at /sys/fs/selinux, as in a container",
            Self::NoPolicy => "no policy is loaded",
        })
    }
}

/// Why something of SELinux was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelinuxError {
    /// A context that is none.
    #[error(transparent)]
    Context(#[from] ContextError),
    /// A label is asked for where there are none.
    #[error("SELinux is not enabled on this host: {0}")]
    Off(Off),
    /// The policy that is loaded has no such context.
    #[error("SELinux context {context}: not valid in the loaded policy (seinfo -t lists its types)")]
    Invalid {
        /// The context.
        context: String,
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
    /// What the kernel or a file says makes no sense.
    #[error("{path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An option that [`init_labels`](super::init_labels) does not know.
    #[error("SELinux option {option:?}: {reason}")]
    Option {
        /// The option.
        option: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A path whose label the system depends on.
    #[error(
        "relabel {path}: not allowed, the system depends on its labels (mount a directory of the container's own)"
    )]
    Protected {
        /// The path.
        path: PathBuf,
    },
    /// Something else lies there by now.
    #[error("relabel {path}: not what it was when it was looked at: it was replaced meanwhile")]
    Replaced {
        /// The path.
        path: PathBuf,
    },
    /// All pairs of categories are taken.
    #[error("no pair of categories is free: all are reserved in {dir}")]
    Full {
        /// Where reservations lie.
        dir: PathBuf,
    },
}

impl SelinuxError {
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

    pub(super) fn malformed(path: &Path, reason: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_owned(), reason: reason.into() }
    }
}

//! The error of this crate: which directory, which file, which value, which errno.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong with a control group. Every message names the object, the call and the errno.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A directory couldn't be opened, made, listed or removed.
    #[error("{call} {}: {}{}", path.display(), answer(source), remedy(source))]
    Directory {
        /// The system call.
        call: &'static str,
        /// The directory as it was named when it was opened; it may have been renamed since.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A control file couldn't be read.
    #[error("read {}: {}{}", path.display(), answer(source), remedy(source))]
    Read {
        /// The file.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A value was refused.
    #[error("write {value:?} to {}: {}{hint}{}", path.display(), answer(source), remedy(source))]
    Write {
        /// The file.
        path: PathBuf,
        /// What was written.
        value: String,
        /// The kernel's answer.
        source: io::Error,
        /// What to do, where we know (empty, or starting with a semicolon).
        hint: String,
    },
    /// A control file held something that it should not.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with the offending text.
        problem: String,
    },
    /// A controller that the request needs isn't there.
    #[error("mountpoint for {controller} not found")]
    NotFound {
        /// The controller, as in `/proc/cgroups` or `cgroup.controllers`.
        controller: String,
    },
    /// A request that can't be honoured, refused before anything was changed.
    #[error("{field}: {problem}")]
    Invalid {
        /// The field, in the names of the OCI runtime specification (`memory.limit`).
        field: String,
        /// Why.
        problem: String,
    },
    /// A group has as many processes as its limit allows. The error number is that of a fork, EAGAIN.
    #[error("{}: {current} of {max} processes and threads are there already{}; raise this limit or end some of them",
        path.display(), more(*.needed))]
    Full {
        /// The file with the limit, `pids.max` of the group or of one above.
        path: PathBuf,
        /// Processes and threads now.
        current: u64,
        /// The limit.
        max: u64,
        /// How many are to be added.
        needed: u64,
    },
    /// The kernel did not get there in time.
    #[error("{what} {}: not done after {after:?}", path.display())]
    Timeout {
        /// What was awaited.
        what: &'static str,
        /// The control group.
        path: PathBuf,
        /// The time allowed.
        after: std::time::Duration,
    },
    /// systemd or its bus refused.
    #[error("systemd: {call}: {problem}")]
    Systemd {
        /// The D-Bus method or the socket call.
        call: &'static str,
        /// The bus's or the manager's words.
        problem: String,
    },
    /// Something failed, and not all that had been done before could be taken back.
    #[error("{cause}; what was done before could not be taken back: {}", list(.left))]
    NotRolledBack {
        /// Why the change failed.
        cause: Box<Error>,
        /// What could not be undone: old values that could not be written again, directories that could not be removed.
        left: Vec<Error>,
    },
    /// Several steps of taking something down failed; all were tried.
    #[error("{}", list(.0))]
    Several(Vec<Error>),
}

impl Error {
    /// The kernel's error number, where one was the cause.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Directory { source, .. } | Self::Read { source, .. } | Self::Write { source, .. } => {
                source.raw_os_error()
            }
            Self::NotRolledBack { cause, .. } => cause.errno(),
            Self::Several(all) => all.iter().find_map(Self::errno),
            Self::Full { .. } => Some(libc::EAGAIN),
            _ => None,
        }
    }

    /// True when the control group or file is not there (any more): ENOENT, or ENODEV, which a file answers when its group was removed
    /// after it had been opened. A refused value is no such error, nor are several of which one is another.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match self {
            Self::Directory { source, .. } | Self::Read { source, .. } => {
                matches!(source.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
            }
            Self::Several(all) => !all.is_empty() && all.iter().all(Self::is_gone),
            _ => false,
        }
    }

    /// True when the kernel may have done what was asked for although its answer is this error: not for what it refuses.
    pub(crate) fn is_uncertain(&self) -> bool {
        matches!(self.errno(), Some(libc::EIO | libc::EINTR | libc::EAGAIN | libc::ENOMEM))
    }

    /// True for what reading a file that is only to be written answers: EINVAL, and EACCES of its mode.
    pub(crate) fn is_write_only(&self) -> bool {
        matches!(self.errno(), Some(libc::EINVAL | libc::EACCES | libc::EPERM))
    }

    pub(crate) fn directory(call: &'static str, path: impl Into<PathBuf>, errno: Errno) -> Self {
        Self::Directory { call, path: path.into(), source: errno.into() }
    }

    /// This error, with what could not be undone after it.
    pub(crate) fn with_left(self, left: Vec<Self>) -> Self {
        if left.is_empty() { self } else { Self::NotRolledBack { cause: Box::new(self), left } }
    }

    /// The one error, or all of them; none is success.
    pub(crate) fn any_of(mut all: Vec<Self>) -> Result<()> {
        match all.len() {
            0 | 1 => all.pop().map_or(Ok(()), Err),
            _ => Err(Self::Several(all)),
        }
    }

    /// What is no message of D-Bus, or can't be one.
    pub(crate) fn malformed(problem: String) -> Self {
        Self::Systemd { call: "D-Bus message", problem }
    }

    pub(crate) fn invalid(field: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), problem: problem.into() }
    }
}

/// The error number by its name, as `ERANGE: Numerical result out of range`.
fn answer(source: &io::Error) -> String {
    source.raw_os_error().map_or_else(|| source.to_string(), |number| Errno::from_raw(number).to_string())
}

/// What to raise when there are no descriptors left.
fn remedy(source: &io::Error) -> String {
    match source.raw_os_error() {
        Some(libc::EMFILE) => {
            let limit = getrlimit(Resource::RLIMIT_NOFILE).map(|(soft, _)| format!(", now {soft}"));
            // Without the number it is still the right limit.
            format!("; raise the limit of open files (RLIMIT_NOFILE{})", limit.unwrap_or_default())
        }
        Some(libc::ENFILE) => {
            "; raise the limit of open files of the machine (sysctl fs.file-max)".to_owned()
        }
        _ => String::new(),
    }
}

fn more(needed: u64) -> String {
    if needed == 1 { String::new() } else { format!(", and {needed} more are needed") }
}

fn list(all: &[Error]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

pub(crate) fn display(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

//! What can go wrong, with the interface and the kernel's answer.

use std::io;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a network was not made, measured or taken away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// rtnetlink refused.
    #[error("{what}: {source}")]
    Netlink {
        /// The interface or route, and what was to be done.
        what: String,
        /// The request and the kernel's answer.
        source: Box<libcontainer_netlink::Error>,
    },
    /// A file or thread.
    #[error("{what}: {}", named(source))]
    Io {
        /// The object.
        what: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// What the config names is not there, or is something else.
    #[error("{what}: {problem}")]
    Wrong {
        /// The object.
        what: String,
        /// What is wrong with it, and what would help.
        problem: String,
    },
    /// A device that could not be brought home, and what becomes of it.
    #[error("{source}; {fate}")]
    Away {
        /// Why.
        source: Box<Error>,
        /// Where it is, and what is to be done; or that it is lost.
        fate: String,
    },
    /// Several steps of taking something down failed; all were tried.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Error>),
}

/// `EPERM: Operation not permitted`, or the error's own text if it has no number.
fn named(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), libcontainer_plan::errno_text)
}

impl Error {
    /// The kernel's error number, where one was the cause.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Netlink { source, .. } => source.errno(),
            Self::Io { source, .. } => source.raw_os_error(),
            Self::Wrong { .. } => None,
            Self::Away { source, .. } => source.errno(),
            Self::Several(all) => all.iter().find_map(Self::errno),
        }
    }

    pub(crate) fn wrong(what: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Wrong { what: what.into(), problem: problem.into() }
    }
}

/// Names the object of a netlink error.
pub(crate) trait Named<T> {
    fn named(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Named<T> for libcontainer_netlink::Result<T> {
    fn named(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| Error::Netlink { what: what(), source: Box::new(source) })
    }
}

impl From<Error> for io::Error {
    /// Keeps the kind and the whole text.
    fn from(error: Error) -> Self {
        let kind = error.errno().map_or(io::ErrorKind::Other, |errno| Self::from_raw_os_error(errno).kind());
        Self::new(kind, error)
    }
}

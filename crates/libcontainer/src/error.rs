//! The error of every public call.

mod problem;

use std::fmt;
use std::io;

pub use problem::Problem;
pub(crate) use problem::{is_access, left_out};

use libcontainer_plan::{LaunchError, SealError, StepFailure};
use libcontainer_security::seccomp::notify::NotifyError;

/// What went wrong, coarsely: for callers that decide by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The config or the process asks for something wrong; nothing was done.
    InvalidConfig,
    /// The path is taken.
    AlreadyExists,
    /// There is no such container; perhaps another process destroyed it.
    NotFound,
    /// The container is in a state that does not allow it.
    WrongState,
    /// The config asks for something that this library or this kernel does not have.
    Unsupported,
    /// The caller may not do it.
    PermissionDenied,
    /// A step of the start failed.
    StartFailed,
    /// Someone did not answer in time, or another process holds the container's lock.
    Timeout,
    /// The state on disk can't be read.
    Corrupt,
    /// A system call failed.
    Os,
}

/// What failed: opaque, one word wide, with predicates.
pub struct Error(Box<Repr>);

/// The result of every public call.
pub type Result<T> = std::result::Result<T, Error>;

struct Repr {
    kind: ErrorKind,
    what: String,
    source: Source,
    /// What the error number does not say.
    why: Option<String>,
    /// What could not be taken back, of what was done before.
    undo: Vec<(String, io::Error)>,
}

enum Source {
    None,
    Io(io::Error),
    Cgroup(libcontainer_cgroups::Error),
    Network(libcontainer_network::Error),
    Launch(Box<LaunchError>),
    Seal(SealError),
    Problems(Vec<Problem>),
    Several(Vec<Error>),
}

impl Error {
    fn make(kind: ErrorKind, what: String, source: Source) -> Self {
        Self(Box::new(Repr { kind, what, source, why: None, undo: Vec::new() }))
    }

    /// The same error, of something that was taken back, but for this.
    pub(crate) fn with_undo(mut self, undo: Vec<(String, io::Error)>) -> Self {
        self.0.undo = undo;
        self
    }

    /// The same error, of a part of something.
    pub(crate) fn within(mut self, what: &str) -> Self {
        self.0.what = format!("{what}: {}", self.0.what);
        self
    }

    /// The same error, and what is known of its cause beside the error number.
    pub(crate) fn because(mut self, why: String) -> Self {
        self.0.why = Some(why);
        self
    }

    /// An error that is told in words.
    #[cold]
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self::make(kind, what.into(), Source::None)
    }

    /// A failed call on an object. That something is missing or in the way does not say that the container is: who knows that says so.
    #[cold]
    pub(crate) fn io(what: impl Into<String>, error: io::Error) -> Self {
        let error = match error.downcast::<libcontainer_cgroups::Error>() {
            Ok(cause) => return Self::cgroup(what, cause),
            Err(error) => error,
        };
        let kind = match errno_of(&error) {
            Some(libc::EPERM | libc::EACCES) => ErrorKind::PermissionDenied,
            Some(libc::ETIMEDOUT) => ErrorKind::Timeout,
            _ => ErrorKind::Os,
        };
        Self::make(kind, what.into(), Source::Io(error))
    }

    /// A failed call on a control group.
    #[cold]
    pub(crate) fn cgroup(what: impl Into<String>, error: libcontainer_cgroups::Error) -> Self {
        use libcontainer_cgroups::Error as Cause;
        let kind = match &error {
            Cause::Invalid { .. } => ErrorKind::InvalidConfig,
            Cause::NotFound { .. } => ErrorKind::Unsupported,
            Cause::Timeout { .. } => ErrorKind::Timeout,
            _ if error.is_gone() => ErrorKind::NotFound,
            _ if matches!(error.errno(), Some(libc::EPERM | libc::EACCES | libc::EROFS)) => {
                ErrorKind::PermissionDenied
            }
            _ => ErrorKind::Os,
        };
        Self::make(kind, what.into(), Source::Cgroup(error))
    }

    /// A failed call on a network.
    #[cold]
    pub(crate) fn network(what: impl Into<String>, error: libcontainer_network::Error) -> Self {
        let kind = match error.errno() {
            Some(libc::EPERM | libc::EACCES) => ErrorKind::PermissionDenied,
            _ => ErrorKind::Os,
        };
        Self::make(kind, what.into(), Source::Network(error))
    }

    #[cold]
    pub(crate) fn problems(what: impl Into<String>, problems: Vec<Problem>) -> Self {
        Self::make(ErrorKind::InvalidConfig, what.into(), Source::Problems(problems))
    }

    /// A hook that failed.
    #[cold]
    pub(crate) fn hook(what: impl Into<String>, failed: FailedHook) -> Self {
        let kind = match failed.errno {
            Some(libc::EPERM | libc::EACCES) => ErrorKind::PermissionDenied,
            _ => ErrorKind::StartFailed,
        };
        Self::make(kind, what.into(), Source::Io(failed.into()))
    }

    #[cold]
    pub(crate) fn launch(what: impl Into<String>, error: Box<LaunchError>) -> Self {
        let kind = match failed_by(&error.failure) {
            Some(libc::EPERM | libc::EACCES) => ErrorKind::PermissionDenied,
            Some(libc::EEXIST) if error.failure.call.starts_with("mkdir ") => ErrorKind::AlreadyExists,
            _ if matches!(error.failure.cause, libcontainer_plan::Cause::Timeout(_)) => ErrorKind::Timeout,
            _ => ErrorKind::StartFailed,
        };
        Self::make(kind, what.into(), Source::Launch(error))
    }

    /// Everything that went wrong; the kind is that of the first.
    #[cold]
    pub(crate) fn several(what: impl Into<String>, mut errors: Vec<Self>) -> Self {
        if errors.len() == 1 {
            return errors.remove(0);
        }
        let kind = errors.first().map_or(ErrorKind::Os, Self::kind);
        Self::make(kind, what.into(), Source::Several(errors))
    }

    #[cold]
    pub(crate) fn seal(what: impl Into<String>, error: SealError) -> Self {
        Self::make(ErrorKind::InvalidConfig, what.into(), Source::Seal(error))
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The error number of the call that failed, if there was one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match &self.0.source {
            Source::Io(error) => errno_of(error),
            Source::Cgroup(error) => error.errno(),
            Source::Network(error) => error.errno(),
            Source::Launch(error) => failed_by(&error.failure),
            Source::Several(errors) => errors.iter().find_map(Self::errno),
            _ => None,
        }
    }

    /// The step of the plan that failed, if a start failed.
    #[must_use]
    pub fn step(&self) -> Option<&StepFailure> {
        match &self.0.source {
            Source::Launch(error) => Some(&error.failure),
            _ => None,
        }
    }

    /// Everything that is wrong with the config, if that is the error.
    #[must_use]
    pub fn config_problems(&self) -> &[Problem] {
        match &self.0.source {
            Source::Problems(problems) => problems,
            _ => &[],
        }
    }

    /// What failed too while a failed start was taken back.
    pub fn undo_errors(&self) -> impl Iterator<Item = String> {
        let errors = match &self.0.source {
            Source::Launch(error) => error.undo_errors.as_slice(),
            _ => &[],
        };
        errors.iter().chain(&self.0.undo).map(|(name, error)| format!("{name}: {error}"))
    }
}

pub(crate) use libcontainer_plan::named;

/// A cgroup's error as that of a host step; [`Error::errno`] finds the number in it.
pub(crate) fn as_io(error: libcontainer_cgroups::Error) -> io::Error {
    let kind = error.errno().map_or(io::ErrorKind::Other, |errno| io::Error::from_raw_os_error(errno).kind());
    io::Error::new(kind, error)
}

/// A hook that failed: which, why, and what it said.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct FailedHook {
    pub(crate) text: String,
    pub(crate) errno: Option<i32>,
}

impl From<FailedHook> for io::Error {
    fn from(failed: FailedHook) -> Self {
        let kind = failed.errno.map_or(io::ErrorKind::Other, |errno| Self::from_raw_os_error(errno).kind());
        Self::new(kind, failed)
    }
}

/// The hook that a launch has failed by.
fn hook_of(error: &LaunchError) -> Option<&FailedHook> {
    match &error.failure.cause {
        libcontainer_plan::Cause::Os(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// The error number in an error: also in one that says more than a number.
pub(crate) fn errno_of(error: &io::Error) -> Option<i32> {
    let inner = || error.get_ref();
    let call = || errno_of(libcontainer_plan::unnamed(error)?);
    let cgroup = || inner()?.downcast_ref::<libcontainer_cgroups::Error>()?.errno();
    let network = || inner()?.downcast_ref::<libcontainer_network::Error>()?.errno();
    let hook = || inner()?.downcast_ref::<FailedHook>()?.errno;
    let notify = || inner()?.downcast_ref::<NotifyError>()?.errno();
    error.raw_os_error().or_else(call).or_else(cgroup).or_else(network).or_else(hook).or_else(notify)
}

fn text(f: &mut fmt::Formatter<'_>, error: &io::Error) -> fmt::Result {
    match error.raw_os_error() {
        Some(number) => f.write_str(&libcontainer_plan::errno_text(number)),
        None => write!(f, "{error}"),
    }
}

/// The error number behind a step.
fn failed_by(failure: &StepFailure) -> Option<i32> {
    match &failure.cause {
        libcontainer_plan::Cause::Os(error) => errno_of(error),
        _ => failure.errno(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Plain(self).to_string();
        write!(f, "{text}{}", libcontainer_plan::remedy(&text))
    }
}

/// An error without what helps against it.
struct Plain<'e>(&'e Error);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error(repr) = self.0;
        f.write_str(&repr.what)?;
        match &repr.source {
            Source::None => Ok(()),
            Source::Io(error) => {
                f.write_str(": ")?;
                text(f, error)
            }
            Source::Cgroup(error) => write!(f, ": {error}"),
            Source::Network(error) => write!(f, ": {error}"),
            // It says all itself.
            Source::Launch(error) => match hook_of(error) {
                Some(hook) => write!(f, ": {hook}{}", error.taken_back()),
                None => write!(f, ": {error}"),
            },
            Source::Seal(error) => write!(f, ": {error}"),
            Source::Problems(problems) => list(f, problems.iter()),
            Source::Several(errors) => list(f, errors.iter()),
        }?;
        repr.why.iter().try_for_each(|why| write!(f, "; {why}"))?;
        repr.undo.iter().try_for_each(|(name, error)| write!(f, "; undo: {name}: {error}"))
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: impl ExactSizeIterator<Item = T>) -> fmt::Result {
    let alone = items.len() == 1;
    for item in items {
        if alone { write!(f, ": {item}")? } else { write!(f, "\n  {item}")? }
    }
    Ok(())
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?}, {self})", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.source {
            Source::Io(error) => Some(error),
            Source::Cgroup(error) => Some(error),
            Source::Network(error) => Some(error),
            Source::Launch(error) => Some(error.as_ref()),
            Source::Seal(error) => Some(error),
            _ => None,
        }
    }
}

const _: () = assert!(size_of::<Result<()>>() == size_of::<usize>());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn want_of_descriptors_names_the_limit_once() {
        let error = |errno| Error::io("open /x", io::Error::from_raw_os_error(errno));
        let text = Error::several("start", vec![error(libc::EMFILE), error(libc::EMFILE)]).to_string();
        assert!(text.contains("RLIMIT_NOFILE, now "), "{text}");
        assert_eq!(error(libc::EMFILE).to_string().matches("RLIMIT_NOFILE").count(), 1);
        assert!(!error(libc::ENOENT).to_string().contains("RLIMIT"));
    }
}

//! Why a command ends early, and the exit codes of all commands: docs/exit-codes.md.

use std::fmt::Display;
use std::io;

use nix::errno::Errno;

use crate::streams;

/// What the command is for could not be done.
const FAILED: u8 = 1;
/// The command line is wrong; nothing was looked at.
const USAGE: u8 = 2;
/// A program is there and can't be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// A program is not there.
pub(crate) const NOT_FOUND: u8 = 127;

/// Why a command ends, and with which code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something failed.
    Told {
        /// The exit code.
        code: u8,
        /// What failed: object, call, errno, remedy.
        text: String,
    },
    /// Nobody reads standard output any more.
    Unread,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Told { text, .. } => text,
            Self::Unread => "nobody reads standard output",
        })
    }
}

/// The exit code of a command that went well.
pub(crate) type Outcome = Result<u8, Failure>;

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self::coded(FAILED, text)
    }

    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::coded(USAGE, text)
    }

    pub(crate) fn coded(code: u8, text: impl Into<String>) -> Self {
        Self::Told { code, text: text.into() }
    }

    /// The same with another error behind it.
    pub(crate) fn with(self, other: &Self) -> Self {
        match (self, other) {
            (Self::Told { code, text }, Self::Told { text: more, .. }) => {
                Self::Told { code, text: format!("{text}; {more}") }
            }
            (Self::Unread, Self::Told { code, text }) => Self::coded(*code, text),
            (own, Self::Unread) => own,
        }
    }
}

impl From<libcontainer::Error> for Failure {
    fn from(error: libcontainer::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// An outcome, and what came of taking away what it leaves. The code of a program that has ended is not replaced by ours: then
/// our error is only told.
pub(crate) fn both(outcome: Outcome, taken_away: Result<(), Failure>) -> Outcome {
    match (outcome, taken_away) {
        (outcome, Ok(())) => outcome,
        (Ok(0), Err(failure)) => Err(failure),
        (Ok(code), Err(Failure::Told { text, .. })) => {
            streams::note(format_args!("{text}"));
            Ok(code)
        }
        (Ok(code), Err(Failure::Unread)) => Ok(code),
        (Err(first), Err(second)) => Err(first.with(&second)),
    }
}

/// An error number as all our messages show it.
pub(crate) fn shown(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |number| Errno::from_raw(number).to_string())
}

/// Failed calls, told with the object and the call.
pub(crate) trait Named<T> {
    /// Puts `what` before the error: the object, and the call if the object does not tell it.
    ///
    /// # Errors
    /// The failure.
    fn named(self, what: impl Display) -> Result<T, Failure>;
}

impl<T> Named<T> for io::Result<T> {
    fn named(self, what: impl Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format!("{what}: {}", shown(&error))))
    }
}

impl<T> Named<T> for nix::Result<T> {
    fn named(self, what: impl Display) -> Result<T, Failure> {
        self.map_err(|errno| Failure::new(format!("{what}: {errno}")))
    }
}

impl<T> Named<T> for serde_json::Result<T> {
    fn named(self, what: impl Display) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format!("{what}: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(outcome: Outcome) -> (u8, String) {
        match outcome {
            Ok(code) => (code, String::new()),
            Err(Failure::Told { code, text }) => (code, text),
            Err(Failure::Unread) => (0, "unread".to_owned()),
        }
    }

    #[test]
    fn a_programs_code_comes_before_ours() {
        let failed = || Err(Failure::new("left over"));
        assert_eq!(told(both(Ok(7), Ok(()))), (7, String::new()));
        assert_eq!(told(both(Ok(7), failed())), (7, String::new()));
        assert_eq!(told(both(Ok(0), failed())), (1, "left over".to_owned()));
        assert_eq!(
            told(both(Err(Failure::coded(127, "gone")), failed())),
            (127, "gone; left over".to_owned())
        );
        assert_eq!(told(both(Err(Failure::Unread), failed())), (1, "left over".to_owned()));
        assert_eq!(told(both(Err(Failure::Unread), Ok(()))), (0, "unread".to_owned()));
    }

    #[test]
    fn errors_have_names() {
        let error = io::Error::from_raw_os_error(2);
        assert_eq!(
            told(Err(error).named("open x").map(|()| 0)),
            (1, "open x: ENOENT: No such file or directory".to_owned())
        );
        assert_eq!(shown(&io::Error::other("odd")), "odd");
    }
}

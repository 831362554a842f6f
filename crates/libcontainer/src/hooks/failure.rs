//! A hook that failed.

use std::fmt;
use std::io;
use std::path::PathBuf;

use super::heard::Heard;
use super::moment::Moment;
use crate::error::FailedHook;
use crate::process::ExitStatus;

/// Which one, why, and what it said.
#[derive(Debug)]
pub(crate) struct HookFailure {
    pub(crate) moment: Moment,
    pub(crate) index: usize,
    pub(crate) path: PathBuf,
    pub(crate) cause: Cause,
    pub(crate) heard: Heard,
}

/// Why.
#[derive(Debug)]
pub(crate) enum Cause {
    /// It could not be started.
    NotRun(String, Option<i32>),
    /// It has ended, but not well.
    Ended(ExitStatus),
    /// It was killed after so many seconds; whether it is gone.
    Late(u64, bool),
    /// It was killed, as its caller does not want to wait any more; whether it is gone.
    BrokenOff(bool),
    /// It was killed, as it could not be waited for.
    Unknown(io::Error),
    /// How it has ended can't be known.
    Lost(String),
}

impl From<HookFailure> for FailedHook {
    fn from(failure: HookFailure) -> Self {
        let errno = match &failure.cause {
            Cause::NotRun(_, errno) => *errno,
            Cause::Unknown(error) => error.raw_os_error(),
            Cause::Ended(_) | Cause::Late(..) | Cause::BrokenOff(_) | Cause::Lost(_) => None,
        };
        Self { text: failure.to_string(), errno }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRun(text, _) | Self::Lost(text) => f.write_str(text),
            Self::Ended(status) => match status.code() {
                Some(code) => write!(f, "exit status {code}"),
                // The name is the one that runc gives it.
                None if status.signal() == Some(libc::SIGSYS) => {
                    write!(f, "ended by {status}: bad system call")
                }
                None => write!(f, "ended by {status}"),
            },
            Self::Late(seconds, gone) => {
                write!(f, "killed after its timeout of {seconds} s{}", unended(*gone))
            }
            Self::BrokenOff(gone) => {
                write!(f, "killed, as its caller was asked to break off{}", unended(*gone))
            }
            Self::Unknown(error) => write!(f, "killed, as it can't be waited for: {error}"),
        }
    }
}

fn unended(gone: bool) -> &'static str {
    if gone { "" } else { ", and has not ended yet" }
}

impl fmt::Display for HookFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { moment, index, path, cause, heard } = self;
        write!(f, "error running {} hook #{index}: {}: {cause}{heard}", moment.name(), path.display())
    }
}

//! Jobs: systemd answers a request at once and says later, by the signal `JobRemoved`, how it ended.

use std::fmt;

use super::value::Value;
use super::wire::Message;

/// How a job ended (org.freedesktop.systemd1(5), `JobRemoved`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was done.
    Done,
    /// Another request put an end to it.
    Canceled,
    /// systemd waited too long for it.
    Timeout,
    /// The unit failed.
    Failed,
    /// A unit that this one needs failed.
    Dependency,
    /// There was nothing to do.
    Skipped,
    /// A word that this library doesn't know.
    Other(String),
}

impl Outcome {
    fn of(word: &str) -> Self {
        match word {
            "done" => Self::Done,
            "canceled" => Self::Canceled,
            "timeout" => Self::Timeout,
            "failed" => Self::Failed,
            "dependency" => Self::Dependency,
            "skipped" => Self::Skipped,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done => "done",
            Self::Canceled => "canceled by another request",
            Self::Timeout => "systemd waited too long",
            Self::Failed => "the unit failed",
            Self::Dependency => "a unit that it needs failed",
            Self::Skipped => "nothing to do",
            Self::Other(word) => word,
        })
    }
}

/// A job that was started, and who runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Job {
    path: String,
    manager: Option<String>,
}

impl Job {
    /// The job of an answer that holds its object path.
    pub(super) fn of(answer: &Message) -> Option<Self> {
        let arguments = answer.arguments().ok()?;
        match arguments.as_slice() {
            [Value::Path(path)] => Some(Self { path: path.clone(), manager: answer.sender.clone() }),
            _ => None,
        }
    }

    /// How the job ended, if this signal says so.
    ///
    /// Anybody on the bus can send us a signal by this name: only the one who took the job is believed. What is not understood says nothing
    /// of the job, which is waited for on.
    pub(super) fn ended(&self, signal: &Message) -> Option<Outcome> {
        if signal.member.as_deref() != Some("JobRemoved") || signal.sender != self.manager {
            return None;
        }
        match signal.arguments().ok()?.as_slice() {
            [Value::U32(_), Value::Path(path), Value::Text(_), Value::Text(word)] if *path == self.path => {
                Some(Outcome::of(word))
            }
            _ => None,
        }
    }
}

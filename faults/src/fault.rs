//! A fault: which call of whom, and what happens to it.

use std::fmt;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;

use crate::call::{self, Call, errno_name};
use crate::calls;

/// Who makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Who {
    /// The dynamic loader and the start of the runtime, before `main`: nothing that we wrote.
    Loader,
    /// The command or library program, every thread of it.
    Tool,
    /// A new process until it executes something.
    Child,
    /// The sealed init, until it executes the user's program.
    Init,
}

impl Who {
    pub(crate) const ALL: [Self; 4] = [Self::Loader, Self::Tool, Self::Child, Self::Init];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Loader => "loader",
            Self::Tool => "tool",
            Self::Child => "child",
            Self::Init => "init",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|who| who.name() == name)
    }
}

/// What happens to the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It does nothing and fails.
    Fails(Errno),
    /// It is done, and its answer is an error.
    AnswerLost(Errno),
    /// The process is killed before it.
    KilledBefore,
    /// The process is killed behind it.
    KilledAfter,
    /// It does nothing and says success: no fault, but a step of ours that is missing. Only by name: it shows that what is weaker is seen.
    Skipped,
}

const KILLED_BEFORE: &str = "KILL";
const KILLED_AFTER: &str = "KILL-AFTER";
const LOST: &str = "LOST-";
const SKIPPED: &str = "SKIP";

impl How {
    /// The error that the caller sees.
    pub(crate) fn errno(self) -> Option<Errno> {
        match self {
            Self::Fails(errno) | Self::AnswerLost(errno) => Some(errno),
            Self::KilledBefore | Self::KilledAfter | Self::Skipped => None,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            KILLED_BEFORE => Some(Self::KilledBefore),
            KILLED_AFTER => Some(Self::KilledAfter),
            SKIPPED => Some(Self::Skipped),
            _ => match text.strip_prefix(LOST) {
                Some(name) => call::errno(name).map(Self::AnswerLost),
                None => call::errno(text).map(Self::Fails),
            },
        }
    }

    /// Everything that can happen to a call. To be killed behind one that changes nothing is to be killed before the next.
    pub(crate) fn all(call: &Call) -> Vec<Self> {
        let fails = call.errors().map(Self::Fails);
        let lost: Vec<_> = call.lost_answers().map(Self::AnswerLost).collect();
        let behind = (!lost.is_empty()).then_some(Self::KilledAfter);
        fails.chain(lost).chain([Self::KilledBefore]).chain(behind).collect()
    }
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fails(errno) => f.write_str(&errno_name(*errno)),
            Self::AnswerLost(errno) => write!(f, "{LOST}{}", errno_name(*errno)),
            Self::KilledBefore => f.write_str(KILLED_BEFORE),
            Self::KilledAfter => f.write_str(KILLED_AFTER),
            Self::Skipped => f.write_str(SKIPPED),
        }
    }
}

/// The number that stands for each of the calls.
pub(crate) const EACH: u32 = 0;

/// A trial: `COMMAND:WHO:NUMBER:CALL:HOW`, where the number counts the calls of that name by whom, from 1; 0 is each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) scene: String,
    pub(crate) who: Who,
    pub(crate) number: u32,
    /// Its name, or its number behind a `#`.
    pub(crate) call: String,
    pub(crate) how: How,
}

impl Point {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let parts: Vec<_> = text.trim().split(':').collect();
        let [scene, who, number, call, how] = parts.as_slice() else {
            bail!("{text:?}: want COMMAND:WHO:NUMBER:CALL:ERRNO, such as run:tool:3:openat:ENOMEM");
        };
        let who =
            Who::from_name(who).with_context(|| format!("{who:?}: want tool, child, init or loader"))?;
        let number = number.parse().with_context(|| format!("{number:?}: want the number of the call"))?;
        if call_number(call).is_none() {
            bail!("{call:?}: no such system call in faults/src/calls.rs");
        }
        let how = How::parse(how)
            .with_context(|| format!("{how:?}: want an errno, LOST-ERRNO, KILL, KILL-AFTER or SKIP"))?;
        Ok(Self { scene: (*scene).to_owned(), who, number, call: (*call).to_owned(), how })
    }

    /// Where it stands in a report.
    pub(crate) fn place(&self) -> (String, Who, String, u32, String) {
        (self.scene.clone(), self.who, self.call.clone(), self.number, self.how.to_string())
    }

    /// The number of the system call.
    pub(crate) fn call_number(&self) -> i64 {
        call_number(&self.call).unwrap_or(-1)
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}:{}:{}", self.scene, self.who.name(), self.number, self.call, self.how)
    }
}

fn call_number(name: &str) -> Option<i64> {
    match name.strip_prefix('#') {
        Some(number) => number.parse().ok(),
        None => calls::by_name(name).map(|call| call.number),
    }
}

/// The name of a call; its number if it has none here.
pub(crate) fn call_name(number: i64) -> String {
    calls::by_number(number).map_or_else(|| format!("#{number}"), |call| call.name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_is_read_as_it_is_written() {
        for text in [
            "run:tool:137:openat:ENOMEM",
            "run:init:1:move_mount:LOST-EIO",
            "exec+user:child:2:close_range:KILL",
            "library:tool:9:#999:KILL-AFTER",
            "run:init:1:seccomp:SKIP",
            "run:tool:0:recvfrom:SKIP",
        ] {
            assert_eq!(Point::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_trial_is_refused_by_the_part_that_is_wrong() {
        for (text, part) in [
            ("run:tool:1:openat", "COMMAND:WHO"),
            ("run:nobody:1:openat:EIO", "nobody"),
            ("run:tool:x:openat:EIO", "\"x\""),
            ("run:tool:1:opnat:EIO", "opnat"),
            ("run:tool:1:openat:EWRONG", "EWRONG"),
        ] {
            let error = format!("{:#}", Point::parse(text).unwrap_err());
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn every_call_can_be_killed_and_an_answer_lost_only_where_something_was_made() {
        let all = |name: &str| How::all(calls::by_name(name).unwrap());
        assert_eq!(all("getpid"), [How::KilledBefore]);
        assert!(all("clone3").contains(&How::KilledAfter));
        assert!(all("mkdirat").contains(&How::AnswerLost(Errno::EIO)));
        assert!(!all("read").iter().any(|how| matches!(how, How::AnswerLost(_))));
        assert!(!all("close").iter().any(|how| matches!(how, How::Fails(_))));
    }
}

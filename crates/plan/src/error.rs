//! Errors of building and of running a plan.

use std::fmt;
use std::io;
use std::time::Duration;

/// A rule of the verifier that a plan breaks. Indices are those of `explain`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// A string holds a NUL byte, which no path, argument or option can.
    #[error("{text:?} contains a NUL byte")]
    Nul {
        /// The string.
        text: String,
    },
    /// More steps than [`crate::MAX_STEPS`].
    #[error("the plan has {steps} steps, more than {}: fewer mounts or devices are needed", crate::MAX_STEPS)]
    TooManySteps {
        /// Their number.
        steps: usize,
    },
    /// More strings and structures than [`crate::MAX_ARENA`] bytes.
    #[error("the plan's strings and structures take more than {} bytes", crate::MAX_ARENA)]
    TooManyBytes,
    /// More descriptors open at once than there are slots.
    #[error("the plan holds more than {} descriptors at once", crate::wire::SLOTS)]
    TooManySlots,
    /// A slot is used where it may not hold a descriptor: not set yet, closed, or its number given to another by
    /// [`crate::Builder::dup_to`] or [`crate::Builder::dup_cloexec`].
    #[error("step {step}: slot s{slot} ({name}) is used before it is set, or after it is gone")]
    SlotNotSet {
        /// Index of the step.
        step: usize,
        /// Number of the slot.
        slot: u8,
        /// Its name.
        name: String,
    },
    /// A label was never bound, or lies behind the step that names it.
    #[error("step {step}: its outcome leads back or nowhere; outcomes lead forward only")]
    BackwardJump {
        /// Index of the step.
        step: usize,
    },
    /// A step names more outcomes than fit.
    #[error("step {step}: more than {} outcomes", crate::wire::OUTCOMES)]
    TooManyOutcomes {
        /// Index of the step.
        step: usize,
    },
    /// An outcome leads past a message, which the other lane would wait for.
    #[error("step {step}: an outcome leads past the message in step {past}")]
    SkippedMessage {
        /// Index of the step.
        step: usize,
        /// Index of the step with the message.
        past: usize,
    },
    /// A step needs a capability after capabilities were given up.
    #[error("step {step}: {call} needs privileges that step {dropped} gave up")]
    Unprivileged {
        /// Index of the step.
        step: usize,
        /// The call.
        call: &'static str,
        /// The step that gave them up.
        dropped: usize,
    },
    /// Something but exec stands after the seccomp filter.
    #[error("step {step}: {call} after the seccomp filter was loaded: only execve may follow")]
    AfterSeccomp {
        /// Index of the step.
        step: usize,
        /// The call.
        call: &'static str,
    },
    /// The host is to take the listener of a filter that was not loaded.
    #[error("step {step}: a knock without a filter before it: nobody would answer")]
    NoListener {
        /// Index of the step.
        step: usize,
    },
    /// A seccomp filter without `no_new_privs` and without privileges.
    #[error("step {step}: seccomp without no_new_privs, after privileges were given up")]
    SeccompUnprivileged {
        /// Index of the step.
        step: usize,
    },
    /// Landlock without `no_new_privs` and without privileges.
    #[error("step {step}: Landlock without no_new_privs, after privileges were given up")]
    LandlockUnprivileged {
        /// Index of the step.
        step: usize,
    },
    /// A call that needs privileges after Landlock.
    #[error("step {step}: {call} after Landlock: nothing that needs privileges may follow")]
    AfterLandlock {
        /// Index of the step.
        step: usize,
        /// The call.
        call: &'static str,
    },
    /// A host step of a base that could be run once only.
    #[error("host step `{text}` is for one launch, but stands in a part of many plans")]
    ForOneLaunch {
        /// The step.
        text: String,
    },
    /// A slot is used after all descriptors were closed.
    #[error("step {step}: slot s{slot} is used after close_range")]
    AfterCloseRange {
        /// Index of the step.
        step: usize,
        /// Number of the slot.
        slot: u8,
    },
    /// The plan does not end with exec or the reaper, or goes on after it.
    #[error("step {step}: a plan ends with execve or the reaper, and nothing follows it")]
    BadEnd {
        /// Index of the step.
        step: usize,
    },
    /// The two lanes would wait for each other, or one for nothing.
    #[error("the lanes do not meet: {reason}")]
    Deadlock {
        /// Which wait is not answered.
        reason: String,
    },
}

/// Which of the two lanes a step belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Steps of the init.
    Child,
    /// Steps of the host.
    Host,
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Child => "step",
            Self::Host => "host step",
        })
    }
}

/// Why a step failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The call failed, with this error number.
    Os(io::Error),
    /// A hook ended with this status, in the form of wait(2): a signal, or an exit code but 0.
    Hook(i32),
    /// A result differs from what the plan says.
    Mismatch,
    /// The init was killed by this signal.
    Signal(i32),
    /// The init left with this code before it came to the end, or wrote nonsense to the board.
    Left(i32),
    /// The init has ended, and how can't be found out.
    Unknown(io::Error),
    /// The init made no progress for so long.
    Timeout(Duration),
}

/// The error number in the exit code of an init that had no board yet to write it to.
fn not_begun(code: i32) -> Option<i32> {
    let mark = i32::try_from(crate::wire::NOT_BEGUN).unwrap_or(i32::MAX);
    (code & mark != 0).then_some(code & !mark).filter(|errno| (1..mark).contains(errno))
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Os(error) => crate::errno::describe(f, error),
            Self::Hook(status) if libc::WIFSIGNALED(*status) => {
                write!(f, "the hook was killed by signal {}", libc::WTERMSIG(*status))
            }
            Self::Hook(status) => write!(f, "the hook ended with status {}", libc::WEXITSTATUS(*status)),
            Self::Mismatch => f.write_str("what was read back differs from the plan"),
            Self::Signal(9) => {
                f.write_str("the init was killed by signal 9 (SIGKILL; perhaps out of memory)")
            }
            Self::Signal(31) => f.write_str("the init was killed by seccomp (SIGSYS) before exec"),
            Self::Signal(signal) => write!(f, "the init was killed by signal {signal}"),
            Self::Left(code) => match not_begun(*code) {
                Some(errno) => write!(f, "the init could not begin: {}", crate::errno::text(errno)),
                None => write!(f, "the init left with code {code}"),
            },
            Self::Unknown(error) => {
                f.write_str("how the init ended is not known: ")?;
                crate::errno::describe(f, error)
            }
            Self::Timeout(time) => write!(f, "no progress for {} s", time.as_secs()),
        }
    }
}

/// A step that failed: where, what, why.
#[derive(Debug)]
#[non_exhaustive]
pub struct StepFailure {
    /// The lane.
    pub lane: Lane,
    /// Index in the lane, counted from 0 as in `explain`.
    pub index: usize,
    /// Number of steps in the lane.
    pub total: usize,
    /// What the step is for.
    pub purpose: String,
    /// The rendered call.
    pub call: String,
    /// The cause.
    pub cause: Cause,
    /// What the kernel wrote to the mount context's log: fsopen(2), one line, at most 1024 bytes; else empty.
    pub log: String,
}

impl StepFailure {
    /// The error number, such as `libc::EPERM`, if the cause is a call that failed.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match &self.cause {
            Cause::Os(error) => crate::errno::number(error),
            Cause::Left(code) => not_begun(*code),
            _ => None,
        }
    }
}

impl fmt::Display for StepFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}: ", self.lane, self.index, self.total)?;
        if !self.purpose.is_empty() {
            write!(f, "{}: ", self.purpose)?;
        }
        if !self.call.is_empty() {
            write!(f, "{}: ", self.call)?;
        }
        write!(f, "{}", self.cause)?;
        if !self.log.is_empty() {
            write!(f, " (kernel: {})", self.log)?;
        }
        Ok(())
    }
}

impl std::error::Error for StepFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.cause {
            Cause::Os(error) => Some(error),
            _ => None,
        }
    }
}

/// A launch that failed: the step, and what could not be taken back. Everything else that the launch had done is undone.
#[derive(Debug)]
pub struct LaunchError {
    /// The step that failed first.
    pub failure: StepFailure,
    /// Undo steps that failed too, with their names.
    pub undo_errors: Vec<(String, io::Error)>,
    /// What is left is still found by what [`crate::HostStep::last_undo`] would have taken away.
    pub record_kept: bool,
}

impl LaunchError {
    /// What is to be said of the undoing, behind the failure; nothing if that went well.
    #[must_use]
    pub fn taken_back(&self) -> String {
        let errors = self.undo_errors.iter().map(|(name, error)| format!("; undo: {name}: {error}"));
        let kept =
            self.record_kept.then(|| "; the record is kept: destroy takes away what is left".to_owned());
        errors.chain(kept).collect()
    }
}

impl fmt::Display for LaunchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.failure, self.taken_back())
    }
}

impl std::error::Error for LaunchError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.failure)
    }
}

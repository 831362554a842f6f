//! What a process has once for all its threads: resource limits and its standing with the out-of-memory killer.
//!
//! Unlike [`crate::thread`] these functions change what other threads see. A library should call them for processes of its own only.

use std::fmt;

use libcontainer_plan::{Pid, prlimit};

use crate::error::{Named, ThreadError};
use crate::procfs;
use crate::rlimit::{Resource, Rlimit};

/// Which process is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The one that calls.
    Own,
    /// The one with that id in the caller's pid namespace. An id may have passed on to another process: only for children that are
    /// not yet reaped, or checked by a pidfd before and behind.
    Process(Pid),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => f.write_str("own"),
            Self::Process(pid) => pid.fmt(f),
        }
    }
}

/// A limit of a process: prlimit(2). [`u64::MAX`] is no limit; units are those of getrlimit(2): bytes, seconds, counts.
///
/// # Errors
/// `ESRCH` if there is no such process; `EPERM` if its ids differ from the caller's and the caller lacks `CAP_SYS_RESOURCE`.
pub fn limit(target: Target, resource: Resource) -> Result<Rlimit, ThreadError> {
    let [soft, hard] = prlimit(number(target), resource.number(), None)
        .named(|| format!("prlimit64({target}, {resource})"))?;
    Ok(Rlimit { resource, soft, hard })
}

/// Sets a limit of a process and returns the one before: prlimit(2), both in one call.
///
/// # Errors
/// `EINVAL` if soft is above hard; `EPERM` for a hard limit above the present one without `CAP_SYS_RESOURCE`, for a
/// `RLIMIT_NOFILE` above `fs.nr_open`, and as for [`limit`].
pub fn set_limit(target: Target, wanted: Rlimit) -> Result<Rlimit, ThreadError> {
    let Rlimit { resource, soft, hard } = wanted;
    let [old_soft, old_hard] = prlimit(number(target), resource.number(), Some([soft, hard]))
        .named(|| format!("prlimit64({target}, {resource}, {{{soft}, {hard}}})"))?;
    Ok(Rlimit { resource, soft: old_soft, hard: old_hard })
}

fn number(target: Target) -> i32 {
    match target {
        Target::Own => 0,
        Target::Process(pid) => pid.as_raw(),
    }
}

/// How willingly the kernel kills a process when memory runs out: -1000 (never) to 1000 (first). proc_pid_oom_score_adj(5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OomScoreAdj(i16);

impl OomScoreAdj {
    /// The value; `None` outside of -1000 to 1000.
    #[must_use]
    pub fn new(value: i32) -> Option<Self> {
        i16::try_from(value).ok().filter(|value| (-1000..=1000).contains(value)).map(Self)
    }

    /// The value.
    #[must_use]
    pub fn get(self) -> i32 {
        i32::from(self.0)
    }
}

/// Reads `/proc/PID/oom_score_adj`.
///
/// # Errors
/// Those of openat2(2) and read(2): `ENOENT` if there is no such process; `EINVAL` if the text is no such number.
pub fn oom_score_adj(target: Target) -> Result<OomScoreAdj, ThreadError> {
    let path = path(target);
    let text = procfs::read(&path)?;
    let value = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
    value.and_then(OomScoreAdj::new).ok_or_else(|| ThreadError::invalid(format!("read /proc/{path}")))
}

/// Writes `/proc/PID/oom_score_adj`. Children inherit it. Processes that share memory with that one get it too.
///
/// # Errors
/// `EACCES` for a value below the lowest that a privileged process has set, without `CAP_SYS_RESOURCE`, and for a process of
/// someone else; `ENOENT` if there is no such process.
pub fn set_oom_score_adj(target: Target, wanted: OomScoreAdj) -> Result<(), ThreadError> {
    procfs::write(&path(target), &wanted.get().to_string())
}

fn path(target: Target) -> String {
    match target {
        Target::Own => format!("{}/oom_score_adj", std::process::id()),
        Target::Process(pid) => format!("{pid}/oom_score_adj"),
    }
}

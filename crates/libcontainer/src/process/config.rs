//! What a process of a container is to be.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use libcontainer_plan::{OpenStdio, Stdio};
use libcontainer_security::{CpuAffinity, IoPriority, Rlimit, Scheduler};

use crate::config::CapabilitySets;

/// A process to be started in a container.
///
/// Fields left at their defaults take the container's own settings.
#[derive(Debug, Default)]
pub struct ProcessConfig {
    /// The program and its arguments. A name without `/` is looked up in the `PATH` of `env`, inside the container.
    pub args: Vec<OsString>,
    /// Environment as `NAME=value`; the container's if `None`.
    pub env: Option<Vec<OsString>>,
    /// Working directory inside; the container's if `None`.
    pub cwd: Option<PathBuf>,
    /// User as `user`, `uid`, `user:group`, …; the container's if `None`.
    pub user: Option<String>,
    /// Capabilities to keep, by name; the container's if `None`.
    pub capabilities: Option<Vec<String>>,
    /// The five sets of capabilities one by one, instead of `capabilities`; the container's if both are `None`.
    pub capability_sets: Option<CapabilitySets>,
    /// Further groups, by name or number; the container's if `None`.
    pub additional_groups: Option<Vec<String>>,
    /// Whether `no_new_privs` is set; as the container says if `None`.
    pub no_new_privileges: Option<bool>,
    /// Resource limits, all of them; the container's if `None`.
    pub rlimits: Option<Vec<Rlimit>>,
    /// File mode creation mask; the container's if `None`.
    pub umask: Option<u32>,
    /// Scheduling policy; the container's if `None`.
    pub scheduler: Option<Scheduler>,
    /// Priority of input and output; the container's if `None`.
    pub io_priority: Option<IoPriority>,
    /// AppArmor profile; the container's if `None`. This and the six that follow are for processes that join: the first one has what the config says.
    pub apparmor_profile: Option<String>,
    /// SELinux label; the container's if `None`.
    pub process_label: Option<String>,
    /// Adjustment for the out-of-memory killer; the container's if `None`.
    pub oom_score_adj: Option<i32>,
    /// CPUs; the container's for processes that join if `None`.
    pub cpu_affinity: Option<CpuAffinity>,
    /// A control group below the container's, as a relative path, to be in instead of that; made if it is missing.
    pub subgroup: Option<PathBuf>,
    /// Control groups below the container's that are there, each in the hierarchy of its controller, that of the empty name in the others. An empty path
    /// is the container's own.
    pub subgroups: BTreeMap<String, PathBuf>,
    /// Start it in a container that is paused too. It stands still with the others, and the call returns when somebody resumes them.
    pub ignore_paused: bool,
    /// Standard input.
    pub stdin: Stdio,
    /// Standard output.
    pub stdout: Stdio,
    /// Standard error.
    pub stderr: Stdio,
    /// Give the process a terminal of the container's own in place of the three.
    pub terminal: bool,
    /// Rows and columns of that terminal, if there is one, from the program's first instruction on; the kernel's 0 and 0 if `None`.
    pub terminal_size: Option<(u16, u16)>,
    /// The terminal writes a newline as it is, not as a carriage return and a newline: for output that goes on to no other terminal.
    pub plain_newlines: bool,
    /// Further descriptors, which the process finds as 3, 4, …
    pub preserved: Vec<OwnedFd>,
}

impl ProcessConfig {
    /// A process with these arguments, the program first.
    pub fn new<A: Into<OsString>>(args: impl IntoIterator<Item = A>) -> Self {
        Self { args: args.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Input from nothing, output and error through pipes: what [`Process::output`](crate::Process::output) wants.
    #[must_use]
    pub fn piped(self) -> Self {
        Self { stdout: Stdio::Pipe, stderr: Stdio::Pipe, ..self }
    }

    /// The caller's own input, output and error.
    #[must_use]
    pub fn inherited(self) -> Self {
        Self { stdin: Stdio::Inherit, stdout: Stdio::Inherit, stderr: Stdio::Inherit, ..self }
    }

    /// Opens the standard descriptors (none with a terminal); with them the preserved ones.
    pub(crate) fn open(self) -> io::Result<(OpenStdio, Vec<OwnedFd>)> {
        let Self { stdin, stdout, stderr, terminal, preserved, .. } = self;
        let opened = if terminal { OpenStdio::default() } else { OpenStdio::open(stdin, stdout, stderr)? };
        Ok((opened, preserved))
    }
}

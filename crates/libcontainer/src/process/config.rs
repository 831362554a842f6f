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
        self.open_with(None)
    }

    /// The same with the null device, if that was opened for it before.
    pub(crate) fn open_with(self, null: Option<OwnedFd>) -> io::Result<(OpenStdio, Vec<OwnedFd>)> {
        let Self { stdin, stdout, stderr, terminal, preserved, .. } = self;
        let opened = if terminal {
            OpenStdio::default()
        } else {
            OpenStdio::open_with(null, [stdin, stdout, stderr])?
        };
        Ok((opened, preserved))
    }

    /// The same without standard descriptors; `None` if it has others too, which can't be had twice. Left out is what only one that joins may have: so one that has it
    /// is not [alike](Self::is_alike).
    pub(crate) fn without_descriptors(&self) -> Option<Self> {
        self.preserved.is_empty().then(|| Self {
            args: self.args.clone(),
            env: self.env.clone(),
            cwd: self.cwd.clone(),
            user: self.user.clone(),
            capabilities: self.capabilities.clone(),
            capability_sets: self.capability_sets.clone(),
            additional_groups: self.additional_groups.clone(),
            no_new_privileges: self.no_new_privileges,
            rlimits: self.rlimits.clone(),
            umask: self.umask,
            scheduler: self.scheduler.clone(),
            io_priority: self.io_priority,
            terminal: self.terminal,
            terminal_size: self.terminal_size,
            plain_newlines: self.plain_newlines,
            ..Self::default()
        })
    }

    /// Whether both are the same but for their standard descriptors, and neither has others.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        // All fields by their names, so that a new one is not forgotten.
        let Self {
            args,
            env,
            cwd,
            user,
            capabilities,
            capability_sets,
            additional_groups,
            no_new_privileges,
            rlimits,
            umask,
            scheduler,
            io_priority,
            apparmor_profile,
            process_label,
            oom_score_adj,
            cpu_affinity,
            subgroup,
            subgroups,
            ignore_paused,
            terminal,
            terminal_size,
            plain_newlines,
            preserved,
            stdin: _,
            stdout: _,
            stderr: _,
        } = self;
        preserved.is_empty()
            && other.preserved.is_empty()
            && *args == other.args
            && *env == other.env
            && *cwd == other.cwd
            && *user == other.user
            && *capabilities == other.capabilities
            && *capability_sets == other.capability_sets
            && *additional_groups == other.additional_groups
            && *no_new_privileges == other.no_new_privileges
            && *rlimits == other.rlimits
            && *umask == other.umask
            && *scheduler == other.scheduler
            && *io_priority == other.io_priority
            && *apparmor_profile == other.apparmor_profile
            && *process_label == other.process_label
            && *oom_score_adj == other.oom_score_adj
            && *cpu_affinity == other.cpu_affinity
            && *subgroup == other.subgroup
            && *subgroups == other.subgroups
            && *ignore_paused == other.ignore_paused
            && *terminal == other.terminal
            && *terminal_size == other.terminal_size
            && *plain_newlines == other.plain_newlines
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends by panicking")]
mod tests {
    use super::*;

    type Change = fn(&mut ProcessConfig);

    /// One for each field but the standard descriptors.
    const CHANGES: [Change; 23] = [
        |config| config.args.push("more".into()),
        |config| config.env = Some(vec![]),
        |config| config.cwd = Some("/".into()),
        |config| config.user = Some("0".into()),
        |config| config.capabilities = Some(vec![]),
        |config| config.capability_sets = Some(CapabilitySets::default()),
        |config| config.additional_groups = Some(vec![]),
        |config| config.no_new_privileges = Some(false),
        |config| config.rlimits = Some(vec![]),
        |config| config.umask = Some(0o022),
        |config| config.scheduler = Some(Scheduler::default()),
        |config| config.io_priority = Some(IoPriority::default()),
        |config| config.apparmor_profile = Some(String::new()),
        |config| config.process_label = Some(String::new()),
        |config| config.oom_score_adj = Some(0),
        |config| config.cpu_affinity = Some(CpuAffinity::default()),
        |config| config.subgroup = Some(PathBuf::new()),
        |config| drop(config.subgroups.insert(String::new(), PathBuf::new())),
        |config| config.ignore_paused = true,
        |config| config.terminal = true,
        |config| config.terminal_size = Some((0, 0)),
        |config| config.plain_newlines = true,
        |config| config.preserved.push(std::fs::File::open("/dev/null").unwrap().into()),
    ];

    /// All that the first process may have, by which it could be taken for another.
    fn full() -> ProcessConfig {
        let mut config = ProcessConfig::new(["program", "with", "arguments"]);
        for change in CHANGES.into_iter().take(12) {
            change(&mut config);
        }
        config
    }

    #[test]
    fn a_program_is_another_if_one_field_is() {
        for config in [ProcessConfig::default, || ProcessConfig::new(["program"])] {
            let same = config().without_descriptors().unwrap();
            assert!(same.is_alike(&config().piped()) && same.is_alike(&same));
            for (index, change) in CHANGES.into_iter().enumerate() {
                let mut other = config();
                change(&mut other);
                assert!(!same.is_alike(&other) && !other.is_alike(&same), "{index}");
            }
        }
    }

    #[test]
    fn what_is_kept_of_a_program_is_all_that_it_has() {
        assert!(full().without_descriptors().unwrap().is_alike(&full()));
        let mut preserving = full();
        preserving.preserved.push(std::fs::File::open("/dev/null").unwrap().into());
        assert!(preserving.without_descriptors().is_none());
        for (index, change) in CHANGES.into_iter().enumerate().skip(19).take(3) {
            let mut config = full();
            change(&mut config);
            assert!(config.without_descriptors().unwrap().is_alike(&config), "{index}");
        }
    }
}

//! `process`: the first program, and those that join.

use std::ffi::OsString;
use std::path::Path;

use libcontainer::security::{Policy, Scheduler};
use libcontainer::{Config, Problem, ProcessConfig};

use super::capabilities;
use super::found::Found;
use crate::KEEP_GROUPS;
use crate::spec::{Process, Spec};

/// The program of a container; what else it is stands in the [`Config`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessParts {
    /// The program and its arguments.
    pub args: Vec<String>,
    /// It has a terminal of its own.
    pub terminal: bool,
    /// Rows and columns of the terminal.
    pub terminal_size: Option<(u16, u16)>,
}

impl ProcessParts {
    /// The process, with nothing to read and nowhere to write yet.
    #[must_use]
    pub fn config(&self) -> ProcessConfig {
        let terminal_size = self.terminal_size;
        ProcessConfig { terminal: self.terminal, terminal_size, ..ProcessConfig::new(self.args.iter()) }
    }
}

/// The first program: what it is goes into the container's config.
pub(super) fn first(process: &Process, config: &mut Config, found: &mut Found) -> ProcessParts {
    let at = "/process";
    check(process, at, found);
    config.args.clone_from(&process.args);
    config.user = user(process);
    config.additional_groups = groups(process);
    config.working_dir.clone_from(&process.cwd);
    config.environment.clone_from(&process.env);
    config.tty = process.terminal;
    let at_capabilities = format!("{at}/capabilities");
    config.capability_sets =
        Some(capabilities::convert(process.capabilities.as_ref(), &at_capabilities, found));
    config.rlimits.clone_from(&process.rlimits);
    config.no_new_privileges = process.no_new_privileges;
    config.apparmor_profile.clone_from(&process.apparmor_profile);
    config.process_label.clone_from(&process.selinux_label);
    config.oom_score_adj = process.oom_score_adj;
    config.umask = process.user.umask;
    config.scheduler = scheduler(process, at, found);
    config.io_priority = process.io_priority;
    config.cpu_affinity = process.exec_cpu_affinity.clone().unwrap_or_default();
    ProcessParts {
        args: process.args.clone(),
        terminal: process.terminal,
        terminal_size: size(process, at, found),
    }
}

/// Converts what `exec --process` is given. What it doesn't say is as the container says, as in runc.
///
/// # Errors
/// What can't be done, each with its JSON pointer.
pub fn process(process: &Process) -> Result<ProcessConfig, Vec<Problem>> {
    let mut found = Found::default();
    check(process, "", &mut found);
    let names = |names: &[String]| names.iter().map(OsString::from).collect();
    let sets = process.capabilities.as_ref();
    let sets = sets.map(|sets| capabilities::convert(Some(sets), "/capabilities", &mut found));
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let config = ProcessConfig {
        env: Some(names(&process.env)),
        cwd: Some(process.cwd.clone()),
        user: Some(user(process)),
        capability_sets: sets,
        additional_groups: Some(groups(process)),
        no_new_privileges: Some(process.no_new_privileges),
        rlimits: Some(process.rlimits.clone()).filter(|limits| !limits.is_empty()),
        umask: process.user.umask,
        scheduler: scheduler(process, "", &mut found),
        io_priority: process.io_priority,
        apparmor_profile: given(&process.apparmor_profile),
        process_label: given(&process.selinux_label),
        oom_score_adj: process.oom_score_adj,
        cpu_affinity: process.exec_cpu_affinity.clone(),
        terminal: process.terminal,
        terminal_size: size(process, "", &mut found),
        ..ProcessConfig::new(process.args.iter())
    };
    if found.problems.is_empty() { Ok(config) } else { Err(found.problems) }
}

fn user(process: &Process) -> String {
    format!("{}:{}", process.user.uid, process.user.gid)
}

fn groups(process: &Process) -> Vec<String> {
    process.user.additional_gids.iter().map(ToString::to_string).collect()
}

/// crun's annotation, with its values.
pub(super) fn kept_groups(spec: &Spec, config: &mut Config, found: &mut Found) {
    match spec.annotations.get(KEEP_GROUPS).map(String::as_str) {
        None | Some("0" | "false") => return,
        Some("1" | "true") => config.keep_groups = true,
        Some(other) => {
            return found
                .problem(&format!("/annotations/{KEEP_GROUPS}"), format!("{other:?}: neither 1 nor 0"));
        }
    }
    if !config.additional_groups.is_empty() {
        config.additional_groups.clear();
        let text = format!("the caller's groups stay, as {KEEP_GROUPS} says: left out");
        found.warn("/process/user/additionalGids", text);
    }
}

fn check(process: &Process, at: &str, found: &mut Found) {
    if process.args.is_empty() {
        found.problem(&format!("{at}/args"), "missing");
    }
    if process.cwd.as_os_str().is_empty() {
        found.problem(&format!("{at}/cwd"), "missing");
    } else if !process.cwd.is_absolute() {
        found.problem(
            &format!("{at}/cwd"),
            format!("{}: must be absolute", Path::new(&process.cwd).display()),
        );
    }
    if !process.command_line.is_empty() {
        found.warn(&format!("{at}/commandLine"), "only Windows has it: left out");
    }
    if !process.user.username.is_empty() {
        found.warn(&format!("{at}/user/username"), "only Windows has it: left out");
    }
}

/// The kernel has no use for a nice value beside a real-time policy, and says nothing of it; nor does runc.
fn scheduler(process: &Process, at: &str, found: &mut Found) -> Option<Scheduler> {
    let mut scheduler = process.scheduler.clone()?;
    if scheduler.nice != 0 && matches!(scheduler.policy, Policy::Fifo | Policy::RoundRobin | Policy::Deadline)
    {
        found.warn(&format!("{at}/scheduler/nice"), "only time-sharing policies have it: left out");
        scheduler.nice = 0;
    }
    Some(scheduler)
}

/// Of a terminal: the kernel has 16 bits for each.
fn size(process: &Process, at: &str, found: &mut Found) -> Option<(u16, u16)> {
    let size = process.console_size.as_ref().filter(|_| process.terminal)?;
    let (rows, columns) = (u16::try_from(size.height), u16::try_from(size.width));
    if let (Ok(rows), Ok(columns)) = (rows, columns) {
        return Some((rows, columns));
    }
    let text = format!("{} rows, {} columns: at most 65535 each", size.height, size.width);
    found.problem(&format!("{at}/consoleSize"), text);
    None
}

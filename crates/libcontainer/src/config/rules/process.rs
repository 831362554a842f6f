//! Rules of a process, the first and those that join.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libcontainer_security::{CapSet, Capabilities, rlimit_problems};

use super::problems::{PATH_MAX, Problems};
use crate::config::container::Config;
use crate::config::seccomp::Seccomp;
use crate::error::Problem;

/// Longest single argument or variable: execve(2), `MAX_ARG_STRLEN` less the NUL.
pub(super) const ARGUMENT: usize = 131_071;
/// Room for all arguments and variables under the usual stack limit of 8 MiB.
const ARGUMENTS: usize = 2 * 1024 * 1024;

impl Config {
    pub(super) fn process_problems(&self, all: &mut Problems) {
        for (index, entry) in self.environment.iter().enumerate() {
            environment(entry.as_bytes(), &format!("/environment/{index}"), all);
        }
        directory(&self.working_dir, "/working_dir", all);
        if self.oom_score_adj.is_some_and(|score| !(-1000..=1000).contains(&score)) {
            all.add("/oom_score_adj", "not in -1000..=1000");
        }
        if self.umask.is_some_and(|umask| umask > 0o777) {
            all.add("/umask", "out of range: at most 511 (0777)");
        }
        if self.parent_death_signal > 64 {
            all.add("/parent_death_signal", format!("{}: no signal", self.parent_death_signal));
        }
        if self.additional_groups.len() > 65536 {
            all.add("/additional_groups", "more than 65536");
        }
        if self.keep_groups && !self.additional_groups.is_empty() {
            all.hint("/additional_groups", "with keep_groups none are set", "leave one of them out");
        }
        if let Seccomp::Profile(profile) = &self.seccomp {
            for (pointer, reason) in profile.problems() {
                all.add(format!("/seccomp{pointer}"), reason);
            }
        }
        for (index, reason) in rlimit_problems(&self.rlimits) {
            all.add(format!("/rlimits/{index}"), reason);
        }
        if self.user.contains('\0') {
            all.add("/user", "contains NUL");
        }
    }

    pub(super) fn capability_problems(&self, all: &mut Problems) {
        for (index, name) in self.capabilities.iter().enumerate() {
            if let Err(error) = CapSet::from_names([name.as_str()]) {
                all.add(format!("/capabilities/{index}"), error.to_string());
            }
        }
        let Some(sets) = &self.capability_sets else { return };
        let lists = [
            ("bounding", &sets.bounding),
            ("effective", &sets.effective),
            ("permitted", &sets.permitted),
            ("inheritable", &sets.inheritable),
            ("ambient", &sets.ambient),
        ];
        let before = all.0.len();
        for (key, names) in lists {
            for (index, name) in names.iter().enumerate() {
                if let Err(error) = CapSet::from_names([name.as_str()]) {
                    all.add(format!("/capability_sets/{key}/{index}"), error.to_string());
                }
            }
        }
        if all.0.len() == before {
            for (key, reason) in self.capability_masks().problems() {
                all.add(format!("/capability_sets/{key}"), reason);
            }
        }
    }

    /// The five sets that the config asks for. Unknown names are left out: validation has reported them.
    pub(crate) fn capability_masks(&self) -> Capabilities {
        let set = |names: &[String]| {
            let known = names.iter().filter_map(|name| CapSet::from_names([name.as_str()]).ok());
            known.fold(CapSet::EMPTY, CapSet::or)
        };
        match &self.capability_sets {
            Some(sets) => Capabilities {
                bounding: set(&sets.bounding),
                effective: set(&sets.effective),
                permitted: set(&sets.permitted),
                inheritable: set(&sets.inheritable),
                ambient: set(&sets.ambient),
            },
            None => Capabilities::keep(set(&self.capabilities)),
        }
    }
}

pub(super) fn environment(entry: &[u8], pointer: &str, all: &mut Problems) {
    if entry.contains(&0) {
        all.add(pointer, "contains NUL");
    }
    match entry.iter().position(|byte| *byte == b'=') {
        None => all.add(pointer, format!("{}: no '='", entry.escape_ascii())),
        Some(0) => all.add(pointer, "no name before '='"),
        Some(_) if entry.len() > ARGUMENT => {
            all.add(pointer, format!("{} bytes, limit {ARGUMENT}", entry.len()));
        }
        Some(_) => {}
    }
}

fn directory(path: &Path, pointer: &str, all: &mut Problems) {
    let bytes = path.as_os_str().as_bytes();
    if bytes.contains(&0) {
        all.add(pointer, "contains NUL");
    } else if bytes.len() > PATH_MAX {
        all.add(pointer, format!("longer than {PATH_MAX} bytes"));
    } else if bytes.windows(3).any(|part| part == b"/fd") && bytes.starts_with(b"/proc/") {
        all.add(pointer, format!("{}: leads through an open descriptor", path.display()));
    }
}

/// Everything that is wrong with a process's arguments and environment.
pub(crate) fn process_problems(args: &[Vec<u8>], env: &[Vec<u8>], cwd: &Path) -> Vec<Problem> {
    let mut all = Problems::default();
    if args.first().is_none_or(Vec::is_empty) {
        all.add("/args", "empty");
    }
    for (index, arg) in args.iter().enumerate() {
        if arg.contains(&0) {
            all.add(format!("/args/{index}"), "contains NUL");
        }
        if arg.len() > ARGUMENT {
            all.add(format!("/args/{index}"), format!("{} bytes, limit {ARGUMENT}", arg.len()));
        }
    }
    for (index, entry) in env.iter().enumerate() {
        environment(entry, &format!("/env/{index}"), &mut all);
    }
    directory(cwd, "/cwd", &mut all);
    let total: usize = args.iter().chain(env).map(|text| text.len() + 9).sum();
    // The plan itself holds at most 1 MiB of strings; the kernel's limit is above that.
    let limit = ARGUMENTS.min(libcontainer_plan::MAX_ARENA);
    if total > limit {
        all.add("/args", format!("arguments and environment take {total} bytes, limit {limit}"));
    }
    all.0
}

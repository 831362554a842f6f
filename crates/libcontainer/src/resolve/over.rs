//! What a process says of itself, laid over the container's config.

use std::borrow::Cow;
use std::path::{Component, Path};

use crate::config::Config;
use crate::error::{Error, Problem, Result};
use crate::process::ProcessConfig;

/// The config as this process sees it, checked.
pub(crate) fn over<'a>(config: &'a Config, process: &ProcessConfig) -> Result<Cow<'a, Config>> {
    let mut problems = Vec::new();
    if process.capabilities.is_some() && process.capability_sets.is_some() {
        problems.push(problem("/capability_sets", "beside capabilities: one of both"));
    }
    if process.subgroup.as_deref().is_some_and(|path| !is_below(path)) {
        problems.push(problem("/subgroup", "not a relative path of plain names"));
    }
    if process.subgroup.is_some() && !process.subgroups.is_empty() {
        problems.push(problem("/subgroups", "beside subgroup: one of both"));
    }
    let merged = merged(config, process);
    if let Cow::Owned(merged) = &merged {
        problems.extend(merged.override_problems());
    }
    if problems.is_empty() { Ok(merged) } else { Err(Error::problems("process", problems)) }
}

/// The same for the first process: what is done before there is a program is the config's to say.
pub(crate) fn over_first<'a>(config: &'a Config, process: &ProcessConfig) -> Result<Cow<'a, Config>> {
    let changed = process.no_new_privileges.is_some_and(|wanted| wanted != config.no_new_privileges);
    let given = [
        ("/apparmor_profile", process.apparmor_profile.is_some()),
        ("/process_label", process.process_label.is_some()),
        ("/oom_score_adj", process.oom_score_adj.is_some()),
        ("/cpu_affinity", process.cpu_affinity.is_some()),
        ("/subgroup", process.subgroup.is_some()),
        ("/subgroups", !process.subgroups.is_empty()),
        ("/ignore_paused", process.ignore_paused),
        // How a profile is entered depends on it.
        ("/no_new_privileges", changed && !config.apparmor_profile.is_empty()),
    ];
    let given = given.into_iter().filter(|(_, given)| *given);
    let mut problems: Vec<_> =
        given.map(|(pointer, _)| problem(pointer, "the first process has that of the config")).collect();
    if !config.hooks.start_container.is_empty() {
        problems.extend(unlike_hooks(process));
    }
    if problems.is_empty() { over(config, process) } else { Err(Error::problems("process", problems)) }
}

/// `startContainer` hooks have the rights of the program, and another process may run them, which knows the config alone.
fn unlike_hooks(process: &ProcessConfig) -> impl Iterator<Item = Problem> {
    let given = [
        ("/user", process.user.is_some()),
        ("/capabilities", process.capabilities.is_some()),
        ("/capability_sets", process.capability_sets.is_some()),
        ("/additional_groups", process.additional_groups.is_some()),
        ("/no_new_privileges", process.no_new_privileges.is_some()),
        ("/rlimits", process.rlimits.is_some()),
        ("/umask", process.umask.is_some()),
        ("/scheduler", process.scheduler.is_some()),
        ("/io_priority", process.io_priority.is_some()),
    ];
    let given = given.into_iter().filter(|(_, given)| *given);
    given.map(|(pointer, _)| {
        problem(pointer, "with startContainer hooks the first process has that of the config")
    })
}

fn problem(pointer: &str, message: &str) -> Problem {
    Problem { pointer: pointer.to_owned(), message: message.to_owned(), remedy: None }
}

fn is_below(path: &Path) -> bool {
    let mut parts = path.components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

fn merged<'a>(config: &'a Config, process: &ProcessConfig) -> Cow<'a, Config> {
    let mut all = Cow::Borrowed(config);
    if let Some(sets) = &process.capability_sets {
        all.to_mut().capability_sets = Some(sets.clone());
    }
    if let Some(groups) = &process.additional_groups {
        all.to_mut().additional_groups.clone_from(groups);
        all.to_mut().keep_groups &= groups.is_empty();
    }
    if let Some(yes) = process.no_new_privileges {
        all.to_mut().no_new_privileges = yes;
    }
    if let Some(profile) = &process.apparmor_profile {
        all.to_mut().apparmor_profile.clone_from(profile);
    }
    if let Some(label) = &process.process_label {
        all.to_mut().process_label.clone_from(label);
    }
    if let Some(limits) = &process.rlimits {
        all.to_mut().rlimits.clone_from(limits);
    }
    if process.oom_score_adj.is_some() {
        all.to_mut().oom_score_adj = process.oom_score_adj;
    }
    if process.umask.is_some() {
        all.to_mut().umask = process.umask;
    }
    if process.scheduler.is_some() {
        all.to_mut().scheduler.clone_from(&process.scheduler);
    }
    if process.io_priority.is_some() {
        all.to_mut().io_priority = process.io_priority;
    }
    if let Some(affinity) = &process.cpu_affinity {
        all.to_mut().cpu_affinity = affinity.clone();
    }
    all
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use super::*;

    fn config() -> Config {
        Config { umask: Some(0o77), rootfs: "/r".into(), ..Config::default() }
    }

    fn refusal(process: &ProcessConfig) -> String {
        over(&config(), process).unwrap_err().to_string()
    }

    #[test]
    fn what_is_not_said_is_the_containers() {
        assert!(matches!(over(&config(), &ProcessConfig::default()).unwrap(), Cow::Borrowed(_)));
        let process = ProcessConfig { umask: Some(0), ..ProcessConfig::default() };
        let found = over(&config(), &process).unwrap().into_owned();
        assert_eq!(found, Config { umask: Some(0), ..config() });
    }

    #[test]
    fn bad_words_of_a_process_are_pointed_at() {
        let error = refusal(&ProcessConfig { umask: Some(0o1000), ..ProcessConfig::default() });
        assert!(error.contains("/umask"), "{error}");
        let process = ProcessConfig { process_label: Some("x".into()), ..ProcessConfig::default() };
        assert!(refusal(&process).contains("/process_label"));
        for path in ["", "/a", "../a", "a/../b", "."] {
            let process = ProcessConfig { subgroup: Some(path.into()), ..ProcessConfig::default() };
            assert!(refusal(&process).contains("/subgroup"), "{path}");
        }
        let (capabilities, capability_sets) = (Some(Vec::new()), Some(crate::CapabilitySets::default()));
        let process = ProcessConfig { capabilities, capability_sets, ..ProcessConfig::default() };
        assert!(refusal(&process).contains("one of both"));
    }

    #[test]
    fn the_first_process_has_what_is_done_before_it_from_the_config() {
        let process = ProcessConfig { umask: Some(0), ..ProcessConfig::default() };
        assert_eq!(over_first(&config(), &process).unwrap().umask, Some(0));
        let process = ProcessConfig { ignore_paused: true, oom_score_adj: Some(1), ..process };
        let error = over_first(&config(), &process).unwrap_err().to_string();
        assert!(error.contains("/ignore_paused") && error.contains("/oom_score_adj"), "{error}");
    }
}

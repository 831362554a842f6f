//! `process`.

use std::path::Path;

use libcontainer::Config;
use libcontainer::security::Capability;

use super::left::Left;
use crate::spec::{Capabilities, Process, User};

const NO_PLACE: &str = "the specification has no place for it";

pub(super) fn convert(config: &Config, left: &mut Left) -> Process {
    left.check(!config.securebits.is_empty(), "/securebits", NO_PLACE);
    left.check(config.parent_death_signal != 0, "/parent_death_signal", NO_PLACE);
    left.check(config.no_new_keyring, "/no_new_keyring", "an option of the runtime, not of the config");
    left.check(config.landlock.is_some(), "/landlock", NO_PLACE);
    left.check(
        config.args.is_empty(),
        "/args",
        "missing: without a program the specification has no process",
    );
    let affinity = &config.cpu_affinity;
    Process {
        terminal: config.tty,
        user: user(config, left),
        args: config.args.clone(),
        env: config.environment.clone(),
        cwd: Path::new("/").join(&config.working_dir),
        capabilities: Some(capabilities(config)),
        rlimits: config.rlimits.clone(),
        no_new_privileges: config.no_new_privileges,
        apparmor_profile: config.apparmor_profile.clone(),
        oom_score_adj: config.oom_score_adj,
        scheduler: config.scheduler.clone(),
        selinux_label: config.process_label.clone(),
        io_priority: config.io_priority,
        exec_cpu_affinity: Some(affinity.clone()).filter(|all| *all != Default::default()),
        ..Process::default()
    }
}

fn user(config: &Config, left: &mut Left) -> User {
    let (uid, gid) = config.user.split_once(':').unwrap_or((&config.user, ""));
    let mut number = |text: &str, is_set: bool| {
        let number = text.parse();
        left.check(number.is_err() && is_set, "/user", "ids alone, both: names are looked up by the engine");
        number.unwrap_or(0)
    };
    let (uid, gid) = (number(uid, !config.user.is_empty()), number(gid, !config.user.is_empty()));
    let mut additional_gids = Vec::new();
    for (index, group) in config.additional_groups.iter().enumerate() {
        match group.parse() {
            Ok(gid) => additional_gids.push(gid),
            Err(_) => left
                .add(&format!("/additional_groups/{index}"), "no number: names are looked up by the engine"),
        }
    }
    User { uid, gid, umask: config.umask, additional_gids, ..User::default() }
}

fn capabilities(config: &Config) -> Capabilities {
    match &config.capability_sets {
        Some(sets) => Capabilities {
            bounding: names(&sets.bounding),
            effective: names(&sets.effective),
            inheritable: names(&sets.inheritable),
            permitted: names(&sets.permitted),
            ambient: names(&sets.ambient),
        },
        None => {
            let kept = names(&config.capabilities);
            Capabilities {
                bounding: kept.clone(),
                effective: kept.clone(),
                permitted: kept,
                ..Default::default()
            }
        }
    }
}

/// With `CAP_`; `ALL` one by one, as far as they have names. What is unknown is refused by who takes the config.
fn names(given: &[String]) -> Vec<String> {
    let all = || (0..64).filter_map(Capability::from_number).collect();
    let meant = |name: &String| -> Vec<Capability> {
        if name.eq_ignore_ascii_case("ALL") { all() } else { name.parse().into_iter().collect() }
    };
    let named = |capability: Capability| {
        let name = capability.to_string();
        if name.starts_with("CAP_") { None } else { Some(format!("CAP_{name}")) }
    };
    given.iter().flat_map(meant).filter_map(named).collect()
}

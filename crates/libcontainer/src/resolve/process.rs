//! The program of a process: who it is, what it may do, where it is found. The same for the first process and for a join.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libcontainer_mount::IdMapping;
use libcontainer_plan::Probe;
use libcontainer_security::plan::{Confinement, Identity};
use libcontainer_security::{CapSet, ResolvedUser, resolve_user};

use super::Known;
use super::accounts::Accounts;
use super::rights::{attributes, confinement_of, landlock};
use crate::config::{Config, NamespaceKind, leaving, process_problems};
use crate::error::{Error, ErrorKind, Result};
use crate::process::ProcessConfig;
use crate::setup::ProcessSetup;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program: who it is, what it may do, where it is found.
pub(crate) fn process(
    config: &Config,
    process: &ProcessConfig,
    accounts: &Accounts,
    Known { probe, filters, setgroups_denied, inherited }: Known<'_>,
    joins: bool,
) -> Result<ProcessSetup> {
    let mut user = user(config, process, accounts)?;
    if config.keep_groups {
        user.groups.clear();
    }
    if setgroups_denied && !user.groups.is_empty() {
        let text =
            format!("/user: groups {:?} can't be set: this user namespace denies setgroups", user.groups);
        return Err(Error::new(ErrorKind::InvalidConfig, text));
    }
    unmapped(config, probe, &user)?;
    let args: Vec<Vec<u8>> = process.args.iter().map(|arg| arg.as_bytes().to_vec()).collect();
    let env: Vec<Vec<u8>> = match &process.env {
        Some(env) => env.iter().map(|entry| entry.as_bytes().to_vec()).collect(),
        None => config.environment.iter().map(|entry| entry.clone().into_bytes()).collect(),
    };
    let cwd = Path::new("/").join(process.cwd.as_deref().unwrap_or(&config.working_dir));
    let problems = process_problems(&args, &env, &cwd);
    if !problems.is_empty() {
        return Err(Error::problems("process", problems));
    }
    // ORDER: the variable that counts may be an empty one.
    let mut env = without_doubles(env);
    set_home(&mut env, &user.home);
    let landlock = landlock(config, probe)?;
    let mut confinement = confinement_of(config, process, probe, inherited)?;
    held(config, &confinement)?;
    let filter = filters.get(&config.seccomp, confinement.bounding, probe.version)?;
    // ORDER: with no_new_privs nothing is needed for either.
    confinement.admin_until_exec = (filter.is_some() || landlock.is_some()) && !confinement.no_new_privs;
    let identity = Identity { uid: user.uid, gid: user.gid, groups: user.groups, setgroups_denied };
    Ok(ProcessSetup {
        identity,
        confinement,
        attributes: attributes(config),
        // An init that joins is of the host's user namespace and not dumpable: only root gets at its descriptors.
        listener: super::seccomp::listener(&config.seccomp, filter.as_deref(), joins && probe.euid != 0)?,
        filter,
        limits: limits(config),
        umask: config.umask.unwrap_or(0o022),
        candidates: candidates(&args, &env),
        cwd,
        args,
        env,
        terminal: process.terminal,
        terminal_size: process.terminal_size,
        plain_newlines: process.plain_newlines,
        preserved: u32::try_from(process.preserved.len()).unwrap_or(u32::MAX),
        landlock,
    })
}

/// Who runs the program.
pub(crate) fn user(config: &Config, process: &ProcessConfig, accounts: &Accounts) -> Result<ResolvedUser> {
    let spec = process.user.as_deref().unwrap_or(&config.user);
    let user = resolve_user(spec, &accounts.passwd, &accounts.group, &config.additional_groups);
    user.map_err(|error| Error::new(ErrorKind::InvalidConfig, format!("/user: {error}")))
}

/// A root that was only changed holds nobody who may leave it, whatever the process says of itself.
fn held(config: &Config, rights: &Confinement) -> Result<()> {
    if config.changed_root().is_none() {
        return Ok(());
    }
    let all = rights.bounding | rights.permitted | rights.inheritable;
    match CapSet::from_bits(all).and(leaving()).iter().next() {
        None => Ok(()),
        Some(name) => {
            let text = format!(
                "/capabilities: {name}: in a mount namespace that is not its own a program gets out of its root by it"
            );
            Err(Error::new(ErrorKind::InvalidConfig, text))
        }
    }
}

fn limits(config: &Config) -> Vec<(u32, u64, u64)> {
    config.rlimits.iter().map(|limit| (limit.resource.number(), limit.soft, limit.hard)).collect()
}

/// Ids that the container's user namespace, new or that of this process, does not map can't be taken on.
fn unmapped(config: &Config, probe: &Probe, user: &ResolvedUser) -> Result<()> {
    let within = |id: u32, maps: &[IdMapping]| maps.is_empty() || maps.iter().any(|map| map.has(id));
    let is_new = config.namespaces.is_new(NamespaceKind::User);
    let own = probe.nested.as_ref().filter(|_| !config.namespaces.contains(NamespaceKind::User));
    let uid = |id| (!is_new || within(id, &config.uid_mappings)) && own.is_none_or(|own| own.has_uid(id));
    let gid = |id| (!is_new || within(id, &config.gid_mappings)) && own.is_none_or(|own| own.has_gid(id));
    let mut all = [("user", user.uid, uid(user.uid)), ("group", user.gid, gid(user.gid))]
        .into_iter()
        .chain(user.groups.iter().map(|id| ("group", *id, gid(*id))));
    match all.find(|(_, _, mapped)| !mapped) {
        None => Ok(()),
        Some((what, id, _)) => {
            let text = format!("/user: {what} {id} is not mapped in the container's user namespace");
            Err(Error::new(ErrorKind::InvalidConfig, text))
        }
    }
}

/// Of doubled variables the last counts, as in 2014; a program would find the first.
pub(crate) fn without_doubles(env: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let name = |entry: &[u8]| entry.split(|byte| *byte == b'=').next().unwrap_or_default().to_vec();
    let mut seen = std::collections::BTreeSet::new();
    let mut kept: Vec<_> = env.into_iter().rev().filter(|entry| seen.insert(name(entry))).collect();
    kept.reverse();
    kept
}

/// `HOME` is the user's unless the environment says otherwise: the same for the first process and for a join.
fn set_home(env: &mut Vec<Vec<u8>>, home: &Path) {
    if !env.iter().any(|entry| entry.starts_with(b"HOME=") && entry.len() > 5) {
        env.retain(|entry| !entry.starts_with(b"HOME="));
        env.push([b"HOME=", home.as_os_str().as_bytes()].concat());
    }
}

/// The paths at which the program may be, in the order in which the container's own PATH names them.
fn candidates(args: &[Vec<u8>], env: &[Vec<u8>]) -> Vec<PathBuf> {
    let name = args.first().map(Vec::as_slice).unwrap_or_default();
    let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsStr::from_bytes(bytes));
    if name.contains(&b'/') {
        return vec![path(name)];
    }
    // Of doubled variables the last counts, as in 2014.
    let found = env.iter().rev().find_map(|entry| entry.strip_prefix(b"PATH="));
    let dirs = found.unwrap_or(PATH.as_bytes()).split(|byte| *byte == b':');
    dirs.map(|dir| if dir.is_empty() { path(b".") } else { path(dir) }.join(path(name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_the_containers_path() {
        let check = |name: &str, env: &[&str], wanted: &[&str]| {
            let env: Vec<_> = env.iter().map(|entry| entry.as_bytes().to_vec()).collect();
            let found = candidates(&[name.as_bytes().to_vec()], &env);
            assert_eq!(found, wanted.iter().map(PathBuf::from).collect::<Vec<_>>(), "{name}");
        };
        check("sh", &["PATH=/a:/b"], &["/a/sh", "/b/sh"]);
        check("sh", &["PATH=/a", "PATH=:/c"], &["./sh", "/c/sh"]);
        check("./sh", &["PATH=/a"], &["./sh"]);
        check("/bin/sh", &[], &["/bin/sh"]);
    }

    #[test]
    fn of_doubled_variables_the_last_counts() {
        let bytes = |all: &[&str]| all.iter().map(|entry| entry.as_bytes().to_vec()).collect::<Vec<_>>();
        let found = without_doubles(bytes(&["A=1", "B=2", "A=3", "AB=4", "B="]));
        assert_eq!(found, bytes(&["A=3", "AB=4", "B="]));
    }

    #[test]
    fn home_is_set_unless_given() {
        for (given, wanted) in [("X=1", "HOME=/h"), ("HOME=", "HOME=/h"), ("HOME=/x", "HOME=/x")] {
            let mut env = vec![given.as_bytes().to_vec()];
            set_home(&mut env, Path::new("/h"));
            assert!(env.contains(&wanted.as_bytes().to_vec()), "{given}");
        }
    }
}

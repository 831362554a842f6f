//! From a config to the setup of a new container: looks at the host where only the host can tell.

use std::path::Path;

use libcontainer_mount::IdMapping;
use libcontainer_plan::Probe;
use libcontainer_security::IdMaps;
use libcontainer_security::plan::{Confinement, Identity};

use super::Known;
use super::accounts::Accounts;
use super::capabilities::{Inherited, confinement, known};
use super::cgroup_mount::Groups;
use super::labels::Labels;
use super::over::over_first;
use super::process::process as program;
use super::rights::landlock;
use super::{mounts, nodes};
use crate::config::{Config, Namespace, NamespaceKind, TimeOffset};
use crate::error::Result;
use crate::process::ProcessConfig;
use crate::setup::{IdMapSetup, Instance, Names, NamespaceSetup, ProcessSetup, Setup, StartSetup};

/// The setup of the first part of a container's plan, with or without a terminal on `/dev/console`.
pub(crate) fn base(
    config: &Config,
    terminal: bool,
    probe: &Probe,
    labels: &Labels,
    groups: Groups<'_>,
) -> Result<Setup> {
    let namespaces = namespaces(config, probe);
    let id_maps = id_maps(config, probe);
    let mut mounts = None;
    if config.namespaces.is_new(NamespaceKind::Mount) {
        let made = mounts.insert(mounts::setup(config, &namespaces, probe, labels, groups)?);
        let label = labels.mount.as_ref().map(ToString::to_string);
        nodes::find(made, id_maps.as_ref(), probe, label.as_deref())?;
    }
    let relabels = labels.relabels(config, mounts.as_ref());
    let line =
        |(clock, offset): (&String, &TimeOffset)| format!("{clock} {} {}\n", offset.secs, offset.nanosecs);
    let has_network = |kind: &str| {
        namespaces.new & NamespaceKind::Network.flag() != 0
            && config.networks.iter().any(|network| network.kind == kind)
    };
    Ok(Setup {
        loopback: has_network("loopback"),
        devices: has_network("host-device"),
        // What denies setgroups denies it to the namespaces below too.
        setgroups_denied: config.keep_groups
            || id_maps.as_ref().is_some_and(|new| new.maps.setgroups_denied())
            || probe.nested.as_ref().is_some_and(|own| own.setgroups_denied),
        namespaces,
        id_maps,
        cgroup: None,
        oom_score_adj: config.oom_score_adj,
        resctrl: config.resctrl.is_some(),
        mounts,
        root: config.changed_root().map(Path::to_owned),
        sysctls: config.sysctl.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        time_offsets: config.time_offsets.iter().map(line).collect(),
        enter_time: !probe.time_namespace_at_exec,
        terminal,
        cwd: Path::new("/").join(&config.working_dir),
        // What is wrong with them is told with the program.
        bounding: confinement(config, probe, Inherited::default())
            .and_then(|all| known(&all).map(|()| (all.bounding, all.last_cap)))
            .ok(),
        label: labels.setup(config),
        apparmor: labels.apparmor.clone(),
        relabels,
        hooked: config.hooks.before_root().next().is_some(),
    })
}

/// What is its own of the container `id`. `process` is the program that becomes pid 1, or `None` for the reaper.
pub(crate) fn instance(
    config: &Config,
    process: Option<(&ProcessConfig, &Accounts)>,
    start: StartSetup,
    known: Known<'_>,
    id: &str,
) -> Result<Instance> {
    let mut process = match process {
        Some((process, accounts)) => {
            program(&*over_first(config, process)?, process, accounts, known, false)?
        }
        None => {
            // It runs no program; those that join would all be refused.
            landlock(config, known.probe)?;
            reaper(config, known)?
        }
    };
    process.identity.setgroups_denied |= keeps_own_groups(config, &process.identity, known.probe);
    Ok(Instance { names: names(config, id), process, start })
}

/// The names of the container `id`.
pub(crate) fn names(config: &Config, id: &str) -> Names {
    Names {
        keyring: keyring(config, id),
        hostname: config.hostname.clone(),
        domainname: config.domainname.clone(),
    }
}

/// Whether an ordinary user joins a user namespace that denies setgroups(2): the groups that stay are his own. What is not known to deny it is asked, and an
/// error ends the start; so it does for root, whose groups would be the host's (CVE-2022-2989).
fn keeps_own_groups(config: &Config, identity: &Identity, probe: &Probe) -> bool {
    let Some(Namespace::Join(path)) = config.namespaces.get(NamespaceKind::User) else { return false };
    let of_process = path.parent().and_then(Path::parent).filter(|dir| path == &dir.join("ns/user"));
    let denies =
        |dir: &Path| std::fs::read(dir.join("setgroups")).is_ok_and(|text| text.starts_with(b"deny"));
    probe.euid != 0 && identity.groups.is_empty() && of_process.is_some_and(denies)
}

/// The session keyring of the container `id`.
pub(crate) fn keyring(config: &Config, id: &str) -> Option<String> {
    (!config.no_new_keyring).then(|| format!("_ses.{id}"))
}

fn namespaces(config: &Config, probe: &Probe) -> NamespaceSetup {
    let mut setup = NamespaceSetup { user_last: probe.euid == 0, ..NamespaceSetup::default() };
    for (kind, namespace) in config.namespaces.iter() {
        match namespace {
            Namespace::New => setup.new |= kind.flag(),
            Namespace::Join(path) => setup.joined.push((kind.flag(), path.clone())),
        }
    }
    setup
}

fn id_maps(config: &Config, probe: &Probe) -> Option<IdMapSetup> {
    let lines = |maps: &[IdMapping]| maps.iter().filter_map(|map| map.line()).collect();
    config.namespaces.is_new(NamespaceKind::User).then(|| IdMapSetup {
        maps: IdMaps {
            uids: lines(&config.uid_mappings),
            gids: lines(&config.gid_mappings),
            rootless: probe.euid != 0,
        },
        dumpable: !probe.is_root(),
    })
}

/// The reaper needs nothing: no capability, no environment.
fn reaper(config: &Config, known: Known<'_>) -> Result<ProcessSetup> {
    let bounding = confinement(config, known.probe, known.inherited)?;
    let confinement = Confinement {
        effective: 0,
        permitted: 0,
        inheritable: 0,
        ambient: 0,
        no_new_privs: true,
        parent_death_signal: None,
        securebits: None,
        admin_until_exec: false,
        ..bounding
    };
    let identity = Identity { setgroups_denied: known.setgroups_denied, ..Identity::default() };
    Ok(ProcessSetup { identity, confinement, umask: 0o022, cwd: "/".into(), ..ProcessSetup::default() })
}

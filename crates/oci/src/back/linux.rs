//! `linux`, but what makes the file tree.

use std::path::{Path, PathBuf};

use libcontainer::mount::IdMapping;
use libcontainer::security::CapSet;
use libcontainer::security::seccomp::{Arch, Profile, default_profile};
use libcontainer::{Cgroup, Config, Namespace, NamespaceKind, Network, Seccomp, TimeOffset};

use super::left::Left;
use crate::spec::{self, IntelRdt, Linux, NetDevice};

pub(super) fn convert(config: &Config, linux: &mut Linux, left: &mut Left) {
    linux.namespaces = config.namespaces.iter().map(namespace).collect();
    linux.uid_mappings = maps(&config.uid_mappings);
    linux.gid_mappings = maps(&config.gid_mappings);
    let offset = |offset: &TimeOffset| spec::TimeOffset { secs: offset.secs, nanosecs: offset.nanosecs };
    linux.time_offsets =
        config.time_offsets.iter().map(|(clock, own)| (clock.clone(), offset(own))).collect();
    linux.sysctl.clone_from(&config.sysctl);
    linux.memory_policy.clone_from(&config.memory_policy);
    linux.personality.clone_from(&config.personality);
    for (index, network) in config.networks.iter().enumerate() {
        interface(network, &format!("/networks/{index}"), linux, left);
    }
    left.check(!config.routes.is_empty(), "/routes", "the specification has no routes");
    linux.intel_rdt = config.resctrl.as_ref().map(|own| IntelRdt {
        clos_id: own.class.clone(),
        schemata: own.schemata.clone(),
        enable_monitoring: own.monitoring,
        ..IntelRdt::default()
    });
    seccomp(config, linux, left);
    if let Some(group) = &config.cgroups {
        cgroup(group, linux, left);
    }
}

fn namespace((kind, namespace): (NamespaceKind, &Namespace)) -> spec::Namespace {
    let path = match namespace {
        Namespace::New => PathBuf::new(),
        Namespace::Join(path) => path.clone(),
    };
    spec::Namespace { kind: crate::kinds::word(kind).to_owned(), path }
}

pub(super) fn maps(maps: &[IdMapping]) -> Vec<spec::IdMapping> {
    // What is out of range is refused by who takes the config.
    let map = |map: &IdMapping| {
        let [container_id, host_id, size] = map.line()?;
        Some(spec::IdMapping { container_id, host_id, size })
    };
    maps.iter().filter_map(map).collect()
}

fn interface(network: &Network, at: &str, linux: &mut Linux, left: &mut Left) {
    let plain = Network {
        kind: network.kind.clone(),
        device: network.device.clone(),
        name: network.name.clone(),
        ns_path: network.ns_path.clone(),
        ..Network::default()
    };
    match network.kind.as_str() {
        "loopback" => {}
        "netns" => {
            let (kind, path) = ("network".to_owned(), PathBuf::from(&network.ns_path));
            linux.namespaces.push(spec::Namespace { kind, path });
        }
        "host-device" if *network == plain => {
            linux.net_devices.insert(network.device.clone(), NetDevice { name: network.name.clone() });
        }
        _ => left.add(at, "the specification moves devices of the host, and makes none"),
    }
}

/// The library's own profile is a list of rules like any other, for the capabilities and the machine.
fn seccomp(config: &Config, linux: &mut Linux, left: &mut Left) {
    linux.seccomp = match &config.seccomp {
        Seccomp::Unconfined => None,
        Seccomp::Profile(profile) => Some(Profile::clone(profile)),
        Seccomp::Default => {
            let names = match &config.capability_sets {
                Some(sets) => &sets.bounding,
                None => &config.capabilities,
            };
            let known = names.iter().filter_map(|name| CapSet::from_names([name.as_str()]).ok());
            let held = known.fold(CapSet::EMPTY, CapSet::or);
            let profile = Arch::native().map(|arch| default_profile(&held, arch, KERNEL));
            left.check(profile.is_none(), "/seccomp", "no filter can be made for this architecture");
            profile
        }
    };
}

/// The oldest that the library is for.
const KERNEL: (u32, u32) = (5, 14);

fn cgroup(group: &Cgroup, linux: &mut Linux, left: &mut Left) {
    match group.resources() {
        Ok(resources) => linux.resources = Some(resources),
        Err(error) => left.add("/cgroups", &error.to_string()),
    }
    if !group.path.as_os_str().is_empty() {
        linux.cgroups_path = group.path.to_string_lossy().into_owned();
    } else if group.systemd {
        let prefix = if group.parent.is_empty() { "libcontainer" } else { &group.parent };
        linux.cgroups_path = format!("{}:{prefix}:{}", group.slice, group.name);
        left.check(group.name.is_empty(), "/cgroups/name", "missing: with systemd there must be one");
    } else if !(group.parent.is_empty() && group.name.is_empty()) {
        linux.cgroups_path = Path::new(&group.parent).join(&group.name).to_string_lossy().into_owned();
        left.check(
            group.name.is_empty(),
            "/cgroups/name",
            "missing beside parent: the specification wants all of the path",
        );
    }
}

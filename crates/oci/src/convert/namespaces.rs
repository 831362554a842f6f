//! Namespaces, and what belongs to one: ids, clocks, kernel settings, network devices.

use libcontainer::mount::IdMapping;
use libcontainer::{Config, Namespace, NamespaceKind, Network, TimeOffset};

use super::found::Found;
use crate::kinds;
use crate::spec::{self, Linux, Spec};

pub(super) fn convert(spec: &Spec, config: &mut Config, found: &mut Found) {
    let Some(linux) = &spec.linux else { return };
    for (index, namespace) in linux.namespaces.iter().enumerate() {
        add(namespace, &format!("/linux/namespaces/{index}"), config, found);
    }
    ids(linux, config, found);
    for (clock, offset) in &linux.time_offsets {
        config
            .time_offsets
            .insert(clock.clone(), TimeOffset { secs: offset.secs, nanosecs: offset.nanosecs });
    }
    for (name, value) in &linux.sysctl {
        // sysctl(8) takes both forms.
        let dotted = name.replace('/', ".");
        if dotted == "kernel.hostname" {
            let at = format!("/linux/sysctl/{}", name.replace('~', "~0").replace('/', "~1"));
            found.hint(&at, "the host name has a key of its own", "give /hostname");
        }
        config.sysctl.insert(dotted, value.clone());
    }
    network(linux, config);
}

fn add(namespace: &spec::Namespace, at: &str, config: &mut Config, found: &mut Found) {
    let Some(kind) = kinds::kind(&namespace.kind) else {
        let known = format!("there are {}", kinds::words().collect::<Vec<_>>().join(", "));
        let message = format!("{:?}: unknown namespace", namespace.kind);
        return found.hint(&format!("{at}/type"), message, &known);
    };
    if config.namespaces.contains(kind) {
        return found.problem(at, format!("{:?}: given twice", namespace.kind));
    }
    let wanted = if namespace.path.as_os_str().is_empty() {
        Namespace::New
    } else {
        Namespace::Join(namespace.path.clone())
    };
    config.namespaces.set(kind, wanted);
}

/// Ids of a user namespace that is joined are its own.
fn ids(linux: &Linux, config: &mut Config, found: &mut Found) {
    if let Some(Namespace::Join(_)) = config.namespaces.get(NamespaceKind::User) {
        for (key, maps) in [("uidMappings", &linux.uid_mappings), ("gidMappings", &linux.gid_mappings)] {
            if !maps.is_empty() {
                found.warn(
                    &format!("/linux/{key}"),
                    "the user namespace is joined and has its own map: left out",
                );
            }
        }
        return;
    }
    config.uid_mappings = maps(&linux.uid_mappings);
    config.gid_mappings = maps(&linux.gid_mappings);
}

pub(super) fn maps(maps: &[spec::IdMapping]) -> Vec<IdMapping> {
    let map = |map: &spec::IdMapping| IdMapping {
        container_id: i64::from(map.container_id),
        host_id: i64::from(map.host_id),
        size: i64::from(map.size),
    };
    maps.iter().map(map).collect()
}

/// A new network namespace has its loopback up, as runc's.
fn network(linux: &Linux, config: &mut Config) {
    if config.namespaces.is_new(NamespaceKind::Network) {
        config.networks.push(Network { kind: "loopback".to_owned(), ..Network::default() });
    }
    for (device, inside) in &linux.net_devices {
        let name = if inside.name.is_empty() { device } else { &inside.name };
        config.networks.push(Network {
            kind: "host-device".to_owned(),
            device: device.clone(),
            name: name.clone(),
            ..Network::default()
        });
    }
}

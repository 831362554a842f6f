//! `mounts`.

use std::path::{Path, PathBuf};

use libcontainer::mount::{Mount, parse_options};
use libcontainer::{Config, NamespaceKind};

use super::devices;
use super::found::Found;
use super::namespaces::maps;
use super::options::Options;
use crate::spec::{self, Spec};

pub(super) fn convert(spec: &Spec, options: &Options, config: &mut Config, found: &mut Found) {
    let own = config.namespaces.is_new(NamespaceKind::Mount);
    let nodes = devices::nodes(spec, own, found);
    let rootfs = config.rootfs.clone();
    let mounts = spec.mounts.iter().enumerate();
    let mounts = mounts
        .map(|(index, mount)| one((spec, &rootfs), mount, options, &format!("/mounts/{index}"), found))
        .collect();
    let Some(all) = &mut config.mount_config else { return };
    all.device_nodes = nodes;
    all.mounts = mounts;
}

fn one(
    (spec, rootfs): (&Spec, &Path),
    mount: &spec::Mount,
    options: &Options,
    at: &str,
    found: &mut Found,
) -> Mount {
    let bind =
        mount.kind == "bind" || mount.options.iter().any(|option| option == "bind" || option == "rbind");
    let mut made = Mount {
        kind: if bind { "bind".to_owned() } else { mount.kind.clone() },
        source: mount.source.clone(),
        destination: destination(mount, rootfs, at, found),
        writable: bind,
        options: mount.options.clone(),
        uid_mappings: maps(&mount.uid_mappings),
        gid_mappings: maps(&mount.gid_mappings),
        ..Mount::default()
    };
    if bind {
        if !mount.source.as_os_str().is_empty() {
            made.source = options.bundle.join(&mount.source);
        }
        made.options = of_bind(mount, at, found);
        mapped(spec, &mut made);
    } else if made.options.is_empty() {
        // Else a tmpfs would get those of 2014.
        made.options.push("defaults".to_owned());
    }
    made
}

/// A relative one is below the root, as in versions before 1.1. One that begins with the rootfs's own path on the host is taken from there on, as by runc.
fn destination(mount: &spec::Mount, rootfs: &Path, at: &str, found: &mut Found) -> PathBuf {
    let path = &mount.destination;
    let at = format!("{at}/destination");
    if !path.as_os_str().is_empty() && !path.is_absolute() {
        found.warn(&at, "relative: taken from the root of the container");
        return Path::new("/").join(path);
    }
    match path.strip_prefix(rootfs) {
        Ok(rest) if rootfs.parent().is_some() && !rest.as_os_str().is_empty() => {
            found.warn(&at, "begins with the rootfs's path on the host: taken from there on");
            Path::new("/").join(rest)
        }
        _ => path.clone(),
    }
}

/// What is meant for a filesystem means nothing for a bind; mount(2) does not look at it.
fn of_bind(mount: &spec::Mount, at: &str, found: &mut Found) -> Vec<String> {
    let mut kept = Vec::new();
    for (index, option) in mount.options.iter().enumerate() {
        match parse_options([option.as_str()], true) {
            Err(libcontainer::mount::OptionError::Unknown { .. }) => {
                let text = format!("{option:?}: of no meaning for a bind: left out");
                found.warn(&format!("{at}/options/{index}"), text);
            }
            _ => kept.push(option.clone()),
        }
    }
    kept
}

/// `idmap` without a map of its own has that of the config, also where the user namespace is joined.
fn mapped(spec: &Spec, mount: &mut Mount) {
    let asked = mount.options.iter().any(|option| option == "idmap" || option == "ridmap");
    let Some(linux) = &spec.linux else { return };
    if asked && mount.uid_mappings.is_empty() && mount.gid_mappings.is_empty() {
        mount.uid_mappings = maps(&linux.uid_mappings);
        mount.gid_mappings = maps(&linux.gid_mappings);
    }
}

//! `mounts`, and what else makes the file tree.

use std::path::PathBuf;

use libcontainer::mount::{self, DeviceNode, MountConfig, parse_options};
use libcontainer::{Config, NamespaceKind};

use super::left::Left;
use super::linux::maps;
use crate::spec::{Device, Linux, Mount};

/// What `restrict_sys` makes read-only.
const RESTRICTED: [&str; 4] = ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"];

/// Fills in what lies in `linux`; returns the mounts.
pub(super) fn convert(config: &Config, linux: &mut Linux, left: &mut Left) -> Vec<Mount> {
    let own_mounts = config.namespaces.is_new(NamespaceKind::Mount);
    let default = MountConfig::default();
    let own = config.mount_config.as_ref().unwrap_or(&default);
    left.check(
        own.no_pivot_root,
        "/mount_config/no_pivot_root",
        "an option of the runtime, not of the config",
    );
    left.check(
        own_mounts && own.bare && !own.fill_dev,
        "/mount_config/bare",
        "the specification has /dev filled",
    );
    linux.masked_paths.clone_from(&own.masked_paths);
    linux.readonly_paths.clone_from(&own.readonly_paths);
    linux.rootfs_propagation.clone_from(&own.rootfs_propagation);
    linux.mount_label.clone_from(&own.mount_label);
    linux.devices = own.device_nodes.iter().map(device).collect();
    if config.restrict_sys {
        linux.masked_paths.push("/proc/kcore".into());
        linux.readonly_paths.extend(RESTRICTED.map(PathBuf::from));
    }
    let mut all = if own.bare || !own_mounts { Vec::new() } else { of_system(config.restrict_sys) };
    for (index, mount) in own.mounts.iter().enumerate() {
        let at = format!("/mount_config/mounts/{index}");
        left.check(!mount.relabel.is_empty(), &format!("{at}/relabel"), "sources are labelled by the engine");
        all.push(one(mount));
    }
    all
}

/// What the library mounts unless it is told not to.
fn of_system(restricted: bool) -> Vec<Mount> {
    let mount = |kind: &str, source: &str, to: &str, options: &str| Mount {
        destination: to.into(),
        kind: kind.to_owned(),
        source: source.into(),
        options: options.split(',').map(str::to_owned).collect(),
        ..Mount::default()
    };
    let sys = if restricted { "nosuid,nodev,noexec,ro" } else { "nosuid,nodev,noexec" };
    vec![
        mount("proc", "proc", "/proc", "nosuid,nodev,noexec"),
        mount("tmpfs", "tmpfs", "/dev", "nosuid,strictatime,mode=755,size=65536k"),
        mount("tmpfs", "shm", "/dev/shm", "nosuid,nodev,noexec,mode=1777,size=65536k"),
        mount("devpts", "devpts", "/dev/pts", "nosuid,noexec,ptmxmode=0666,mode=620,gid=5"),
        mount("sysfs", "sysfs", "/sys", sys),
    ]
}

fn one(mount: &mount::Mount) -> Mount {
    let mut options: Vec<String> = Vec::new();
    if mount.kind == "tmpfs" && mount.options.is_empty() {
        options.extend(["nosuid", "nodev", "noexec"].map(str::to_owned));
    }
    options.extend(mount.options.iter().cloned());
    options.extend(mount.data.split(',').filter(|option| !option.is_empty()).map(str::to_owned));
    if mount.private {
        options.push("private".to_owned());
    }
    if mount.is_bind() {
        let parsed = parse_options(options.iter().map(String::as_str), true).unwrap_or_default();
        if parsed.bind.is_none() {
            options.push("rbind".to_owned());
        }
        if !mount.writable && (parsed.clear | parsed.recursive_clear) & 1 == 0 {
            options.push("rro".to_owned());
        }
    }
    Mount {
        destination: mount.destination.clone(),
        kind: mount.kind.clone(),
        source: mount.source.clone(),
        options,
        uid_mappings: maps(&mount.uid_mappings),
        gid_mappings: maps(&mount.gid_mappings),
    }
}

fn device(node: &DeviceNode) -> Device {
    Device {
        path: node.path.clone(),
        kind: node.kind.letter().to_string(),
        major: node.major_number,
        minor: node.minor_number,
        file_mode: Some(node.mode()),
        uid: Some(node.uid),
        gid: Some(node.gid),
    }
}

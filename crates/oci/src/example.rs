//! What `spec` writes: a config to begin with, by the values that runc writes.

use std::path::PathBuf;

use libcontainer::cgroups::devices::{Access, Kind, Rule};
use libcontainer::security::{Resource, Rlimit};

use crate::VERSION;
use crate::spec::{Capabilities, IdMapping, Linux, Mount, Namespace, Process, Resources, Root, Spec};

/// A shell in a read-only `rootfs`, with a terminal and three capabilities. `unified` says that the host has version 2 of control groups
/// alone: then there is a control group namespace, too.
#[must_use]
pub fn default_spec(unified: bool) -> Spec {
    Spec {
        oci_version: VERSION.to_owned(),
        process: Some(process()),
        root: Some(Root { path: "rootfs".into(), readonly: true }),
        hostname: "runc".to_owned(),
        mounts: mounts(),
        linux: Some(linux(unified)),
        ..Spec::default()
    }
}

/// The same for a user without rights: in a user namespace in which that user is root, with the host's network and `/sys`.
#[must_use]
pub fn rootless_spec(unified: bool, uid: u32, gid: u32) -> Spec {
    let mut spec = default_spec(unified);
    spec.mounts.iter_mut().for_each(without_rights);
    if let Some(linux) = &mut spec.linux {
        linux.namespaces.retain(|namespace| namespace.kind != "network");
        linux.namespaces.push(Namespace { kind: "user".to_owned(), ..Namespace::default() });
        linux.uid_mappings = vec![IdMapping { container_id: 0, host_id: uid, size: 1 }];
        linux.gid_mappings = vec![IdMapping { container_id: 0, host_id: gid, size: 1 }];
        linux.resources = None;
    }
    spec
}

/// A sysfs belongs to its network namespace, and only one group is mapped.
fn without_rights(mount: &mut Mount) {
    if mount.kind == "sysfs" {
        *mount = filesystem("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]);
    }
    mount.options.retain(|option| !option.starts_with("gid=") && !option.starts_with("uid="));
}

fn texts(all: &[&str]) -> Vec<String> {
    all.iter().map(|text| (*text).to_owned()).collect()
}

fn process() -> Process {
    let kept = texts(&["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    let limit =
        Resource::from_name("RLIMIT_NOFILE").map(|resource| Rlimit { resource, soft: 1024, hard: 1024 });
    Process {
        terminal: true,
        args: texts(&["sh"]),
        env: texts(&["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"]),
        cwd: "/".into(),
        capabilities: Some(Capabilities {
            bounding: kept.clone(),
            effective: kept.clone(),
            permitted: kept,
            ..Capabilities::default()
        }),
        rlimits: limit.into_iter().collect(),
        no_new_privileges: true,
        ..Process::default()
    }
}

fn filesystem(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.into(),
        kind: kind.to_owned(),
        source: source.into(),
        options: texts(options),
        ..Mount::default()
    }
}

fn mounts() -> Vec<Mount> {
    let strictly = ["nosuid", "noexec", "nodev"];
    let with = |more: &[&'static str]| [&strictly[..], more].concat();
    let terminals = ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"];
    vec![
        filesystem("/proc", "proc", "proc", &[]),
        filesystem("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        filesystem("/dev/pts", "devpts", "devpts", &terminals),
        filesystem("/dev/shm", "tmpfs", "shm", &with(&["mode=1777", "size=65536k"])),
        filesystem("/dev/mqueue", "mqueue", "mqueue", &strictly),
        filesystem("/sys", "sysfs", "sysfs", &with(&["ro"])),
        filesystem("/sys/fs/cgroup", "cgroup", "cgroup", &with(&["relatime", "ro"])),
    ]
}

fn linux(unified: bool) -> Linux {
    let kinds = ["pid", "network", "ipc", "uts", "mount"].into_iter().chain(unified.then_some("cgroup"));
    let paths = |all: &[&str]| all.iter().map(PathBuf::from).collect();
    let nothing = Rule { allow: false, kind: Kind::All, major: None, minor: None, access: Access::all() };
    Linux {
        resources: Some(Resources { devices: vec![nothing], ..Resources::default() }),
        namespaces: kinds.map(|kind| Namespace { kind: kind.to_owned(), ..Namespace::default() }).collect(),
        masked_paths: paths(&[
            "/proc/acpi",
            "/proc/asound",
            "/proc/kcore",
            "/proc/keys",
            "/proc/latency_stats",
            "/proc/timer_list",
            "/proc/timer_stats",
            "/proc/sched_debug",
            "/sys/firmware",
            "/proc/scsi",
        ]),
        readonly_paths: paths(&["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]),
        ..Linux::default()
    }
}

//! What `features` shows: what this library does, by the specification's features.md. What the host can do is another question.

use std::collections::BTreeMap;

use libcontainer::Probe;
use libcontainer::mount::known_options;
use libcontainer::security::seccomp::{Action, Arch, Flag, Operator};
use libcontainer::security::{Capability, MemoryFlag, MemoryMode};
use serde::{Serialize, de::DeserializeOwned};

use crate::VERSION;
use crate::spec::object;

object! {
    /// The document that `features` prints.
    Features {
        /// Oldest version of the specification that is understood.
        oci_version_min: String = "ociVersionMin",
        /// Newest one.
        oci_version_max: String = "ociVersionMax",
        /// Hooks.
        hooks: Vec<String> = "hooks",
        /// Options of mounts, but those of a filesystem.
        mount_options: Vec<String> = "mountOptions",
        /// What only Linux has.
        linux: LinuxFeatures = "linux",
        /// Texts of the program that prints it: none of the library's.
        annotations: BTreeMap<String, String> = "annotations",
        /// Annotations of a config that change what is done; one that ends with a dot stands for all that begin so.
        potentially_unsafe_config_annotations: Vec<String> = "potentiallyUnsafeConfigAnnotations",
    }
}

object! {
    /// `linux`.
    LinuxFeatures {
        /// Kinds of namespaces.
        namespaces: Vec<String> = "namespaces",
        /// Capabilities.
        capabilities: Vec<String> = "capabilities",
        /// Control groups.
        cgroup: CgroupFeatures = "cgroup",
        /// System call filters.
        seccomp: SeccompFeatures = "seccomp",
        /// AppArmor.
        apparmor: Enabled = "apparmor",
        /// SELinux.
        selinux: Enabled = "selinux",
        /// resctrl.
        intel_rdt: IntelRdtFeatures = "intelRdt",
        /// Memory policies.
        memory_policy: MemoryPolicyFeatures = "memoryPolicy",
        /// What mounts can do beside.
        mount_extensions: MountExtensions = "mountExtensions",
        /// Network devices.
        net_devices: Enabled = "netDevices",
    }
}

object! {
    /// Whether there is something.
    Enabled {
        /// There is.
        always enabled: bool = "enabled",
    }
}

object! {
    /// `linux.intelRdt`.
    IntelRdtFeatures {
        /// There is.
        always enabled: bool = "enabled",
        /// The key `schemata` is understood.
        always schemata: bool = "schemata",
        /// The key `enableMonitoring` is.
        always monitoring: bool = "monitoring",
    }
}

object! {
    /// `linux.cgroup`.
    CgroupFeatures {
        /// Version 1.
        always v1: bool = "v1",
        /// Version 2.
        always v2: bool = "v2",
        /// systemd makes groups.
        always systemd: bool = "systemd",
        /// A user's systemd makes groups.
        always systemd_user: bool = "systemdUser",
        /// Limits of RDMA devices.
        always rdma: bool = "rdma",
    }
}

object! {
    /// `linux.seccomp`.
    SeccompFeatures {
        /// There are filters.
        always enabled: bool = "enabled",
        /// Actions.
        actions: Vec<String> = "actions",
        /// Operators.
        operators: Vec<String> = "operators",
        /// Architectures.
        archs: Vec<String> = "archs",
        /// Flags.
        known_flags: Vec<String> = "knownFlags",
        /// Flags that this kernel has.
        supported_flags: Vec<String> = "supportedFlags",
    }
}

object! {
    /// `linux.memoryPolicy`.
    MemoryPolicyFeatures {
        /// Modes.
        modes: Vec<String> = "modes",
        /// Flags.
        flags: Vec<String> = "flags",
    }
}

object! {
    /// `linux.mountExtensions`.
    MountExtensions {
        /// Id maps of mounts.
        idmap: Enabled = "idmap",
    }
}

/// The document; `probe` tells which flags of filters the kernel has.
#[must_use]
pub fn features(probe: &Probe) -> Features {
    let texts = |all: &[&str]| all.iter().map(|text| (*text).to_owned()).collect();
    Features {
        oci_version_min: "1.0.0".to_owned(),
        oci_version_max: VERSION.to_owned(),
        hooks: texts(&[
            "prestart",
            "createRuntime",
            "createContainer",
            "startContainer",
            "poststart",
            "poststop",
        ]),
        mount_options: known_options(),
        linux: linux(probe),
        annotations: BTreeMap::new(),
        potentially_unsafe_config_annotations: texts(&[
            "org.systemd.property.",
            "org.criu.config",
            crate::KEEP_GROUPS,
        ]),
    }
}

fn linux(probe: &Probe) -> LinuxFeatures {
    let yes = || Enabled { enabled: true };
    let mut namespaces: Vec<_> = crate::kinds::words().map(str::to_owned).collect();
    namespaces.sort();
    LinuxFeatures {
        namespaces,
        capabilities: capabilities(),
        cgroup: CgroupFeatures { v1: true, v2: true, systemd: true, systemd_user: true, rdma: true },
        seccomp: seccomp(probe),
        apparmor: yes(),
        selinux: yes(),
        intel_rdt: IntelRdtFeatures { enabled: true, schemata: true, monitoring: true },
        memory_policy: MemoryPolicyFeatures { modes: words(MODES), flags: words(MEMORY_FLAGS) },
        mount_extensions: MountExtensions { idmap: yes() },
        net_devices: yes(),
    }
}

/// Those with names: what a newer kernel has can be asked for by number.
fn capabilities() -> Vec<String> {
    let named = |number| {
        let name = Capability::from_number(number)?.to_string();
        Some(name).filter(|name| !name.starts_with("CAP_")).map(|name| format!("CAP_{name}"))
    };
    (0..64).filter_map(named).collect()
}

const OPERATORS: &[Operator] =
    &[Operator::Eq, Operator::Ge, Operator::Gt, Operator::Le, Operator::Lt, Operator::MaskedEq, Operator::Ne];

/// With the kernel that has them first.
const FLAGS: &[(Flag, (u32, u32))] = &[
    (Flag::Log, (4, 14)),
    (Flag::SpecAllow, (4, 17)),
    (Flag::Tsync, (3, 17)),
    (Flag::WaitKillableRecv, (5, 19)),
];

const MODES: &[MemoryMode] = &[
    MemoryMode::Default,
    MemoryMode::Preferred,
    MemoryMode::Bind,
    MemoryMode::Interleave,
    MemoryMode::Local,
    MemoryMode::PreferredMany,
    MemoryMode::WeightedInterleave,
];

const MEMORY_FLAGS: &[MemoryFlag] =
    &[MemoryFlag::StaticNodes, MemoryFlag::RelativeNodes, MemoryFlag::Balancing];

fn seccomp(probe: &Probe) -> SeccompFeatures {
    let mut actions = words(&Action::ALL);
    // Another name for KILL_THREAD.
    actions.push("SCMP_ACT_KILL".to_owned());
    actions.sort();
    let mut archs: Vec<_> = Arch::ALL.iter().map(|arch| arch.name().to_owned()).collect();
    archs.sort();
    let flags = |old: bool| -> Vec<Flag> {
        FLAGS.iter().filter(|(_, since)| old || *since <= probe.version).map(|(flag, _)| *flag).collect()
    };
    SeccompFeatures {
        enabled: true,
        actions,
        operators: words(OPERATORS),
        archs,
        known_flags: words(&flags(true)),
        supported_flags: words(&flags(false)),
    }
}

/// The words by which JSON has them.
fn words<T: Serialize + DeserializeOwned>(all: &[T]) -> Vec<String> {
    let word = |value: &T| serde_json::to_value(value).ok()?.as_str().map(str::to_owned);
    all.iter().filter_map(word).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use super::*;

    #[test]
    fn all_words_are_there() {
        let all = features(&Probe::linux(5, 18));
        let seccomp = &all.linux.seccomp;
        assert_eq!((seccomp.actions.len(), seccomp.operators.len(), seccomp.archs.len()), (9, 7, 23));
        assert_eq!((seccomp.known_flags.len(), seccomp.supported_flags.len()), (4, 3));
        assert_eq!((all.linux.capabilities.len(), all.linux.memory_policy.modes.len()), (41, 7));
        assert_eq!(all.linux.capabilities[5], "CAP_KILL");
        assert!(all.mount_options.iter().any(|option| option == "rro"), "containerd asks for it");
    }
}

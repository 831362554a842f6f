//! `linux`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::borrowed::{MemoryPolicy, Personality, Resources, Seccomp};
use super::object::object;

object! {
    /// What only Linux has.
    Linux {
        /// User ids of a new user namespace.
        uid_mappings: Vec<IdMapping> = "uidMappings",
        /// Group ids of a new user namespace.
        gid_mappings: Vec<IdMapping> = "gidMappings",
        /// Kernel settings by name.
        sysctl: BTreeMap<String, String> = "sysctl",
        /// Limits of the control group.
        resources: Option<Resources> = "resources",
        /// Where the control group is.
        cgroups_path: String = "cgroupsPath",
        /// Namespaces; those that are not listed are the runtime's.
        namespaces: Vec<Namespace> = "namespaces",
        /// Device nodes in addition to the default ones.
        devices: Vec<Device> = "devices",
        /// Network devices of the host that are moved into the container, by name.
        net_devices: BTreeMap<String, NetDevice> = "netDevices",
        /// System call filter; none if absent.
        seccomp: Option<Seccomp> = "seccomp",
        /// Propagation of the rootfs.
        rootfs_propagation: String = "rootfsPropagation",
        /// Paths inside that are hidden.
        masked_paths: Vec<PathBuf> = "maskedPaths",
        /// Paths inside that are made read-only.
        readonly_paths: Vec<PathBuf> = "readonlyPaths",
        /// SELinux context of mounts.
        mount_label: String = "mountLabel",
        /// Caches and memory bandwidth: resctrl.
        intel_rdt: Option<IntelRdt> = "intelRdt",
        /// Where memory lies.
        memory_policy: Option<MemoryPolicy> = "memoryPolicy",
        /// Execution domain.
        personality: Option<Personality> = "personality",
        /// Clock offsets of a new time namespace, by clock.
        time_offsets: BTreeMap<String, TimeOffset> = "timeOffsets",
    }
}

object! {
    /// A namespace.
    Namespace {
        /// `pid`, `network`, `mount`, `ipc`, `uts`, `user`, `cgroup` or `time`.
        always kind: String = "type",
        /// One to be joined; a new one if empty.
        path: PathBuf = "path",
    }
}

object! {
    /// A range of ids.
    IdMapping {
        /// First id inside.
        always container_id: u32 = "containerID",
        /// First id outside.
        always host_id: u32 = "hostID",
        /// Number of ids.
        always size: u32 = "size",
    }
}

object! {
    /// A device node.
    Device {
        /// Path inside.
        always path: PathBuf = "path",
        /// `c`, `b`, `u` or `p`.
        always kind: String = "type",
        /// Major number.
        major: i64 = "major",
        /// Minor number.
        minor: i64 = "minor",
        /// Mode.
        file_mode: Option<u32> = "fileMode",
        /// Owner inside.
        uid: Option<u32> = "uid",
        /// Group inside.
        gid: Option<u32> = "gid",
    }
}

object! {
    /// A network device that is moved into the container.
    NetDevice {
        /// Its name inside; that on the host if empty.
        name: String = "name",
    }
}

object! {
    /// Offset of a clock.
    TimeOffset {
        /// Seconds.
        secs: i64 = "secs",
        /// Nanoseconds.
        nanosecs: u32 = "nanosecs",
    }
}

object! {
    /// Caches and memory bandwidth: resctrl.
    IntelRdt {
        /// Name of the class; that of the container if empty.
        clos_id: String = "closID",
        /// Lines of the file `schemata`.
        schemata: Vec<String> = "schemata",
        /// As a line of `schemata` for the cache.
        l3_cache_schema: String = "l3CacheSchema",
        /// As a line of `schemata` for the bandwidth.
        mem_bw_schema: String = "memBwSchema",
        /// A group that measures the container is made.
        enable_monitoring: bool = "enableMonitoring",
    }
}

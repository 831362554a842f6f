//! What a container is: the fields of `container.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use libcontainer_mount::{IdMapping, MountConfig};
use libcontainer_network::{Network, Route};
use libcontainer_security::landlock::Landlock;
use libcontainer_security::{CpuAffinity, IoPriority, MemoryPolicy, Personality, Rlimit, Scheduler};
use serde::{Deserialize, Serialize};

use super::cgroup::Cgroup;
use super::hooks::Hooks;
use super::namespace_kind::NamespaceKind;
use super::namespaces::{Namespace, Namespaces};
use super::resctrl::Resctrl;
use super::seccomp::Seccomp;
use super::unset::unset;

/// What a container is: read from `container.json`, or made in code. Unset fields are left out of the JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// Absolute path of the root filesystem on the host. 2014 passed it apart from the config. In a mount namespace that is shared or joined (`NEWNS`), a
    /// directory of that, which becomes the root by chroot(2); `/`, or none, is its own root.
    #[serde(skip_serializing_if = "unset")]
    pub rootfs: PathBuf,
    /// The file tree; defaults if absent.
    #[serde(skip_serializing_if = "unset")]
    pub mount_config: Option<MountConfig>,
    /// Host name, in a UTS namespace of its own.
    #[serde(skip_serializing_if = "unset")]
    pub hostname: String,
    /// NIS domain name, in a UTS namespace of its own.
    #[serde(skip_serializing_if = "unset")]
    pub domainname: String,
    /// Program and arguments of the first process, for the command line. 2014 had them there only.
    #[serde(skip_serializing_if = "unset")]
    pub args: Vec<String>,
    /// User as `user`, `uid`, `user:group`, `uid:gid` …, looked up in the container's own files; root if empty.
    #[serde(skip_serializing_if = "unset")]
    pub user: String,
    /// Further groups, by name or number.
    #[serde(skip_serializing_if = "unset")]
    pub additional_groups: Vec<String>,
    /// Supplementary groups stay those of the caller, which needs no rights and is how files of a group are reached that the user namespace has no id for.
    #[serde(skip_serializing_if = "unset")]
    pub keep_groups: bool,
    /// Working directory, entered as the user; relative to `/`. Never created.
    #[serde(skip_serializing_if = "unset")]
    pub working_dir: PathBuf,
    /// The whole environment, each `NAME=value`.
    #[serde(skip_serializing_if = "unset")]
    pub environment: Vec<String>,
    /// Whether the command line gives the first process a terminal. The library looks at
    /// [`ProcessConfig::terminal`](crate::ProcessConfig) instead.
    #[serde(skip_serializing_if = "unset")]
    pub tty: bool,
    /// Namespaces of its own, or joined; those absent are the host's.
    #[serde(skip_serializing_if = "unset")]
    pub namespaces: Namespaces,
    /// User ids of a new user namespace.
    #[serde(skip_serializing_if = "unset")]
    pub uid_mappings: Vec<IdMapping>,
    /// Group ids of a new user namespace.
    #[serde(skip_serializing_if = "unset")]
    pub gid_mappings: Vec<IdMapping>,
    /// Clock offsets of a new time namespace: `monotonic` or `boottime`, seconds and nanoseconds.
    #[serde(skip_serializing_if = "unset")]
    pub time_offsets: BTreeMap<String, TimeOffset>,
    /// Capabilities to keep, `ALL` for all that the kernel has; all others are dropped, an empty list drops all.
    #[serde(skip_serializing_if = "unset")]
    pub capabilities: Vec<String>,
    /// The five sets one by one, instead of `capabilities`.
    #[serde(skip_serializing_if = "unset")]
    pub capability_sets: Option<CapabilitySets>,
    /// Securebits of capabilities(7), such as `NOROOT` and `NOROOT_LOCKED`; left as they are if absent. Those of the exec'd program: `KEEP_CAPS`
    /// can't be asked for, as exec clears it.
    #[serde(skip_serializing_if = "unset")]
    pub securebits: Vec<String>,
    /// Set `no_new_privs`: no program gains rights by exec.
    #[serde(skip_serializing_if = "unset")]
    pub no_new_privileges: bool,
    /// Resource limits.
    #[serde(skip_serializing_if = "unset")]
    pub rlimits: Vec<Rlimit>,
    /// Scheduling policy of the first process and of those that join: sched_setattr(2).
    #[serde(skip_serializing_if = "unset")]
    pub scheduler: Option<Scheduler>,
    /// Priority of input and output, likewise: ioprio_set(2).
    #[serde(skip_serializing_if = "unset")]
    pub io_priority: Option<IoPriority>,
    /// CPUs of processes that join; those of the first one are the control group's.
    #[serde(skip_serializing_if = "unset")]
    pub cpu_affinity: CpuAffinity,
    /// Memory nodes, of the first process and of those that join: set_mempolicy(2).
    #[serde(skip_serializing_if = "unset")]
    pub memory_policy: Option<MemoryPolicy>,
    /// Execution domain, likewise: personality(2).
    #[serde(skip_serializing_if = "unset")]
    pub personality: Option<Personality>,
    /// Adjustment for the out-of-memory killer, -1000 to 1000.
    #[serde(skip_serializing_if = "unset")]
    pub oom_score_adj: Option<i32>,
    /// File mode creation mask; 18 (0022) if absent, as in 2014.
    #[serde(skip_serializing_if = "unset")]
    pub umask: Option<u32>,
    /// Signal that the process gets when the thread that started it ends: prctl(2), `PR_SET_PDEATHSIG`.
    #[serde(skip_serializing_if = "unset")]
    pub parent_death_signal: u32,
    /// Leave the caller's session keyring in place.
    #[serde(skip_serializing_if = "unset")]
    pub no_new_keyring: bool,
    /// Kernel settings below `/proc/sys`, by name with dots.
    #[serde(alias = "system_properties", skip_serializing_if = "unset")]
    pub sysctl: BTreeMap<String, String>,
    /// Network interfaces.
    #[serde(skip_serializing_if = "unset")]
    pub networks: Vec<Network>,
    /// Routes.
    #[serde(skip_serializing_if = "unset")]
    pub routes: Vec<Route>,
    /// Control group and limits.
    #[serde(skip_serializing_if = "unset")]
    pub cgroups: Option<Cgroup>,
    /// Shares of caches and of memory bandwidth.
    #[serde(skip_serializing_if = "unset")]
    pub resctrl: Option<Resctrl>,
    /// AppArmor profile of the program and of each that joins; `&NAME` adds it to that of the caller.
    #[serde(skip_serializing_if = "unset")]
    pub apparmor_profile: String,
    /// SELinux label of the process.
    #[serde(skip_serializing_if = "unset")]
    pub process_label: String,
    /// What the program may do to files, ports and other processes: landlock(7). Of the first process and of those that join, each apart.
    #[serde(skip_serializing_if = "unset")]
    pub landlock: Option<Landlock>,
    /// System call filter.
    #[serde(skip_serializing_if = "unset")]
    pub seccomp: Seccomp,
    /// Mount `/sys` read-only, make the dangerous parts of `/proc` read-only and hide `/proc/kcore`.
    #[serde(skip_serializing_if = "unset")]
    pub restrict_sys: bool,
    /// Programs that are run at fixed points of the container's life.
    #[serde(skip_serializing_if = "unset")]
    pub hooks: Hooks,
    /// Words about the container, by their names: OCI's annotations. Told to hooks, and else without a meaning.
    #[serde(skip_serializing_if = "unset")]
    pub labels: BTreeMap<String, String>,
    /// Absolute path of the directory that the config was read from, if any: told to hooks, which run there.
    #[serde(skip_serializing_if = "unset")]
    pub bundle: PathBuf,
}

impl Config {
    /// Its mount namespace is the host's or one that is joined: nothing may be mounted there for it alone.
    pub(crate) fn has_others_mounts(&self) -> bool {
        !self.namespaces.is_new(NamespaceKind::Mount)
    }

    /// The directory of such a namespace that becomes its root, by chroot(2); `None` if that is the root of the namespace.
    pub(crate) fn changed_root(&self) -> Option<&Path> {
        let path = self.rootfs.as_path();
        let other = !path.as_os_str().is_empty() && path != Path::new("/");
        (other && self.has_others_mounts()).then_some(path)
    }

    /// Where the host finds its files: nowhere if they are those of a mount namespace that is joined.
    pub(crate) fn tree(&self) -> &Path {
        match self.namespaces.get(NamespaceKind::Mount) {
            Some(Namespace::Join(_)) => Path::new(""),
            None if self.rootfs.as_os_str().is_empty() => Path::new("/"),
            _ => &self.rootfs,
        }
    }
}

/// Five lists of capability names: capabilities(7).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CapabilitySets {
    /// Bounding set.
    #[serde(skip_serializing_if = "unset")]
    pub bounding: Vec<String>,
    /// Effective set.
    #[serde(skip_serializing_if = "unset")]
    pub effective: Vec<String>,
    /// Permitted set.
    #[serde(skip_serializing_if = "unset")]
    pub permitted: Vec<String>,
    /// Inheritable set.
    #[serde(skip_serializing_if = "unset")]
    pub inheritable: Vec<String>,
    /// Ambient set.
    #[serde(skip_serializing_if = "unset")]
    pub ambient: Vec<String>,
}

/// Offset of a clock: time_namespaces(7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TimeOffset {
    /// Seconds; may be negative.
    pub secs: i64,
    /// Nanoseconds, below 1,000,000,000.
    pub nanosecs: u32,
}

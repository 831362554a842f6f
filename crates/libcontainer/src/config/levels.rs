//! Three levels of confinement to begin with.

use libcontainer_mount::{DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS, Mount, MountConfig};
use libcontainer_network::Network;
use libcontainer_security::{Resource, Rlimit};

use super::container::Config;
use super::namespace_kind::NamespaceKind;
use super::namespaces::Namespaces;
use super::seccomp::Seccomp;

impl Config {
    /// For code that nobody trusts: no capability, no way to gain one, the default filter, a read-only root with a `/tmp` in memory, everything hidden or read-only in `/proc` and
    /// `/sys` that is the machine's, no core dumps, only loopback; all kinds of namespaces but user and time. What a program needs beyond that is added by name.
    ///
    /// `docs/confinement.md` has this level beside [`Config::default`] and [`Config::privileged`] in one table. A user namespace is up to the caller, who
    /// knows which ids are free.
    #[must_use]
    pub fn confined() -> Self {
        use NamespaceKind::{Cgroup, Ipc, Mount as Mounts, Network as Net, Pid, Uts};
        let paths = |list: &[&str]| list.iter().map(Into::into).collect();
        Self {
            namespaces: Namespaces::new([Mounts, Uts, Ipc, Pid, Net, Cgroup]),
            networks: vec![Network { kind: "loopback".to_owned(), ..Network::default() }],
            mount_config: Some(MountConfig {
                readonly_fs: true,
                mounts: vec![scratch()],
                masked_paths: paths(DEFAULT_MASKED_PATHS),
                readonly_paths: paths(DEFAULT_READONLY_PATHS),
                ..MountConfig::default()
            }),
            no_new_privileges: true,
            restrict_sys: true,
            rlimits: vec![Rlimit { resource: Resource::CORE, soft: 0, hard: 0 }],
            ..Self::default()
        }
    }

    /// For what is part of the host: all capabilities that the kernel has, no filter, nothing hidden or read-only. It has namespaces of its own, and they hold nobody who wants out.
    #[must_use]
    pub fn privileged() -> Self {
        use NamespaceKind::{Ipc, Mount as Mounts, Network as Net, Pid, Uts};
        Self {
            namespaces: Namespaces::new([Mounts, Uts, Ipc, Pid, Net]),
            networks: vec![Network { kind: "loopback".to_owned(), ..Network::default() }],
            mount_config: Some(MountConfig::default()),
            capabilities: vec!["ALL".to_owned()],
            seccomp: Seccomp::Unconfined,
            ..Self::default()
        }
    }
}

fn scratch() -> Mount {
    Mount {
        kind: "tmpfs".to_owned(),
        source: "tmpfs".into(),
        destination: "/tmp".into(),
        options: ["nosuid", "nodev", "mode=1777"].map(str::to_owned).to_vec(),
        ..Mount::default()
    }
}

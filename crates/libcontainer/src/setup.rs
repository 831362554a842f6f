//! What a plan is made of: a config with every question answered that only the host can answer. Made by `resolve`, used by `compile`.

use std::path::PathBuf;
use std::sync::Arc;

use libcontainer_mount::plan::{Bind, Filesystem, Kind, Node, Propagation};
use libcontainer_plan::MountAttr;
use libcontainer_security::apparmor::Transition;
use libcontainer_security::landlock::Ruleset;
use libcontainer_security::plan::{Attributes, Confinement, Identity};
use libcontainer_security::seccomp::Filter;
use libcontainer_security::seccomp::notify::Knock;
use libcontainer_security::selinux::{Context, Relabel};
use libcontainer_security::{IdMaps, NumberList};

use crate::config::NamespaceKind;

/// Everything that the first part of a container's plan depends on: the same for all containers of a template. Pure data: two equal
/// setups compile to equal plans.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    pub(crate) namespaces: NamespaceSetup,
    pub(crate) id_maps: Option<IdMapSetup>,
    /// Nobody can set groups in the container, or nobody is to.
    pub(crate) setgroups_denied: bool,
    pub(crate) oom_score_adj: Option<i32>,
    /// Moved into a class of resctrl by the host.
    pub(crate) resctrl: bool,
    pub(crate) loopback: bool,
    /// Devices of the host's are moved into a network namespace that ends with the container.
    pub(crate) devices: bool,
    pub(crate) cgroup: Option<CgroupSetup>,
    /// A mount namespace of its own.
    pub(crate) mounts: Option<MountSetup>,
    /// Else the directory that becomes its root, if that is not the namespace's.
    pub(crate) root: Option<PathBuf>,
    pub(crate) sysctls: Vec<(String, String)>,
    pub(crate) time_offsets: Vec<String>,
    /// The kernel does not enter a new time namespace at exec by itself.
    pub(crate) enter_time: bool,
    /// A terminal lies on `/dev/console`.
    pub(crate) terminal: bool,
    /// The working directory, which is made if it is missing.
    pub(crate) cwd: PathBuf,
    /// The bounding set, if it does not depend on the program, and the last capability of the kernel.
    pub(crate) bounding: Option<(u64, u32)>,
    /// SELinux.
    pub(crate) label: Option<LabelSetup>,
    /// AppArmor.
    pub(crate) apparmor: Option<Transition>,
    /// Hooks are run before the root is entered.
    pub(crate) hooked: bool,
    /// Sources of binds that get labels before there is an init.
    pub(crate) relabels: Vec<(PathBuf, Relabel)>,
}

/// What the init labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LabelSetup {
    /// The program, and the session keyring.
    pub(crate) process: Context,
    /// A session keyring is made.
    pub(crate) keyring: bool,
}

/// What depends on a container's name and details, and on no program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Names {
    /// The session keyring.
    pub(crate) keyring: Option<String>,
    pub(crate) hostname: String,
    pub(crate) domainname: String,
}

/// What the second part depends on: what differs from container to container.
#[derive(Clone, Debug, Default)]
pub(crate) struct Instance {
    pub(crate) names: Names,
    pub(crate) process: ProcessSetup,
    pub(crate) start: StartSetup,
}

const TIME: u32 = NamespaceKind::Time.flag();

impl Setup {
    /// Namespaces that `clone3` can make at once. A joined user namespace must be entered first, a time namespace can't be
    /// made for a process that shares memory, and the root of a cgroup namespace is the group in which its maker is.
    pub(crate) fn clone_flags(&self) -> u32 {
        let late = if self.cgroup.is_some() { TIME | NamespaceKind::Cgroup.flag() } else { TIME };
        if self.namespaces.joins(NamespaceKind::User) { 0 } else { self.namespaces.new & !late }
    }

    /// Those that the init makes, but a time namespace.
    pub(crate) fn late_namespaces(&self) -> u32 {
        self.namespaces.new & !self.clone_flags() & !TIME
    }

    /// Whether the init respawns, because it can't be born into its pid namespace.
    pub(crate) fn respawns(&self) -> bool {
        let late = self.late_namespaces() & NamespaceKind::Pid.flag() != 0;
        late || self.namespaces.joins(NamespaceKind::Pid)
    }

    /// How many processes a start has at once in its group.
    pub(crate) fn processes(&self) -> u64 {
        1 + u64::from(self.respawns())
    }

    /// Whether the host has something to do when the init is born, for which that waits.
    pub(crate) fn waits_for_host(&self) -> bool {
        let moved = self.cgroup.as_ref().is_some_and(|cgroup| cgroup.moved);
        self.id_maps.is_some() || self.oom_score_adj.is_some() || moved || self.resctrl
    }
}

/// How the init gets into its control group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CgroupSetup {
    /// Hierarchies of version 1 whose `tasks` file it writes to.
    pub(crate) tasks: Vec<PathBuf>,
    /// Born into it, by `CLONE_INTO_CGROUP`.
    pub(crate) unified: bool,
    /// Moved into it by the host, as into a scope of systemd.
    pub(crate) moved: bool,
    /// Where a hierarchy is mounted, and the group's path from there: if a mount of the container's shows it, for which the name is needed.
    pub(crate) shown: Vec<(PathBuf, PathBuf)>,
}

/// Namespaces, by `CLONE_NEW…` bit.
#[derive(Clone, Debug, Default)]
pub(crate) struct NamespaceSetup {
    pub(crate) new: u32,
    /// Namespaces to be joined, with the path for `explain`.
    pub(crate) joined: Vec<(u32, PathBuf)>,
    /// The user namespace is joined behind the others.
    pub(crate) user_last: bool,
}

impl NamespaceSetup {
    /// Whether the container has a namespace of its own (or joined) of this kind.
    pub(crate) fn has(&self, kind: NamespaceKind) -> bool {
        self.new & kind.flag() != 0 || self.joins(kind)
    }

    /// Whether the init has a new one of this kind from its first instruction on.
    pub(crate) fn born_with(&self, kind: NamespaceKind) -> bool {
        self.new & kind.flag() != 0 && !self.joins(NamespaceKind::User)
    }

    pub(crate) fn joins(&self, kind: NamespaceKind) -> bool {
        self.joined.iter().any(|(joined, _)| *joined == kind.flag())
    }
}

/// A new user namespace.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdMapSetup {
    pub(crate) maps: IdMaps,
    /// The host is not the first namespace's root, to whom the files of a process belong that is not dumpable.
    pub(crate) dumpable: bool,
}

/// One mount that the config or the defaults ask for.
#[derive(Clone, Debug)]
pub(crate) enum MountItem {
    Filesystem {
        filesystem: Filesystem,
        to: PathBuf,
        strict: bool,
        propagation: Option<(Propagation, bool)>,
    },
    Bind {
        bind: Bind,
        to: PathBuf,
        kind: Kind,
    },
    /// A symbolic link in place of a mount (`copy-symlink`).
    Link {
        target: PathBuf,
        to: PathBuf,
    },
    /// Attributes of a mount that is there change.
    Remount {
        to: PathBuf,
        /// Of all that lies in it too, and its own.
        attributes: [MountAttr; 2],
        propagation: Option<(Propagation, bool)>,
    },
    /// `/dev` with its nodes.
    Devices {
        filesystem: Filesystem,
        propagation: Option<(Propagation, bool)>,
    },
}

/// The mount namespace.
#[derive(Clone, Debug, Default)]
pub(crate) struct MountSetup {
    pub(crate) rootfs: PathBuf,
    pub(crate) events: Propagation,
    pub(crate) propagation: Option<(Propagation, bool)>,
    pub(crate) items: Vec<MountItem>,
    /// Nodes below `/dev`.
    pub(crate) devices: Vec<Node>,
    /// Nodes elsewhere.
    pub(crate) other_devices: Vec<Node>,
    /// The usual links in the rootfs's own `/dev`.
    pub(crate) dev_links: bool,
    /// A terminal lies on `/dev/console`, also where `/dev` is not the library's.
    pub(crate) console: bool,
    pub(crate) hidden: Vec<PathBuf>,
    /// A mount that is not attached can be copied.
    pub(crate) copies_detached: bool,
    pub(crate) read_only_paths: Vec<PathBuf>,
    pub(crate) read_only: bool,
    pub(crate) no_pivot: bool,
    /// Without pivot_root: the host's mounts of proc and sysfs.
    pub(crate) whole: Vec<PathBuf>,
}

/// The program.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProcessSetup {
    pub(crate) identity: Identity,
    pub(crate) confinement: Confinement,
    pub(crate) attributes: Attributes,
    /// Loaded right before exec.
    pub(crate) filter: Option<Arc<Filter>>,
    /// Who gets the filter's listener.
    pub(crate) listener: Option<ListenerSetup>,
    /// Resource, soft, hard.
    pub(crate) limits: Vec<(u32, u64, u64)>,
    pub(crate) umask: u32,
    pub(crate) cwd: PathBuf,
    /// Paths to try, in order.
    pub(crate) candidates: Vec<PathBuf>,
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) env: Vec<Vec<u8>>,
    /// A terminal of the container's own instead of the three standard descriptors.
    pub(crate) terminal: bool,
    /// Its rows and columns.
    pub(crate) terminal_size: Option<(u16, u16)>,
    /// It writes a newline as it is.
    pub(crate) plain_newlines: bool,
    /// Descriptors kept from 3 on.
    pub(crate) preserved: u32,
    /// Rules of Landlock, as this kernel has them.
    pub(crate) landlock: Option<Ruleset>,
}

/// Where the listener of a filter that notifies goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListenerSetup {
    /// The agent's socket.
    pub(crate) path: PathBuf,
    /// What the agent is told beside.
    pub(crate) metadata: Option<String>,
    /// By which the host knows that it is the init that waits.
    pub(crate) knock: Knock,
    /// The filter behind that.
    pub(crate) program: Vec<u8>,
    /// The init sends it: its descriptors are closed to this host.
    pub(crate) sent: bool,
}

/// How the container begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum StartSetup {
    /// The reaper is pid 1.
    #[default]
    Reaper,
    /// The program is pid 1 and waits for the start.
    Wait,
    /// The program is pid 1 and runs at once.
    Run,
}

/// What the plan of a join depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct JoinSetup {
    /// Namespaces (`CLONE_NEW…` bits) in which the container's first process differs from the host.
    pub(crate) namespaces: u32,
    /// A user namespace is among them: become its root before anything else.
    pub(crate) setgroups_denied: bool,
    /// The host, which is not root, has to write to files of the init in `/proc`: those are root's as long as it is not dumpable.
    pub(crate) dumpable: bool,
    /// The container's root is not that of its mount namespace, or not known to be.
    pub(crate) changes_root: bool,
    pub(crate) keyring: Option<String>,
    pub(crate) label: Option<LabelSetup>,
    pub(crate) apparmor: Option<Transition>,
    pub(crate) cgroup: Option<CgroupSetup>,
    /// CPUs on the way into the container.
    pub(crate) affinity: Option<NumberList>,
    pub(crate) process: ProcessSetup,
}

/// What the plan of a hook depends on that runs outside of the container's root.
#[derive(Clone, Debug, Default)]
pub(crate) struct HookSetup {
    /// The program is handed over open: its path need not lead there from where it runs.
    pub(crate) is_open: bool,
    pub(crate) path: PathBuf,
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) env: Vec<Vec<u8>>,
    pub(crate) cwd: PathBuf,
    /// Runs in a container; else with the host.
    pub(crate) inside: Option<InsideSetup>,
}

/// The way of such a hook into a container.
#[derive(Clone, Debug, Default)]
pub(crate) struct InsideSetup {
    /// Namespaces (`CLONE_NEW…` bits) in which the container's first process differs from the host.
    pub(crate) namespaces: u32,
    /// See [`JoinSetup::setgroups_denied`].
    pub(crate) setgroups_denied: bool,
    pub(crate) cgroup: Option<CgroupSetup>,
}

/// What the plan of a criu depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct CriuSetup {
    pub(crate) program: PathBuf,
    pub(crate) env: Vec<Vec<u8>>,
    /// Descriptors behind the connection, from 4 on.
    pub(crate) handed: u32,
    /// It keeps the session and the terminal of this process.
    pub(crate) shell_job: bool,
    pub(crate) restore: Option<RestoreSetup>,
}

/// What is special if it makes processes.
#[derive(Clone, Debug, Default)]
pub(crate) struct RestoreSetup {
    /// What it makes is where it is.
    pub(crate) cgroup: Option<CgroupSetup>,
    pub(crate) keyring: Option<String>,
    /// In which places are made that are missing.
    pub(crate) mounts: Option<MountSetup>,
    /// The working directory, likewise.
    pub(crate) cwd: PathBuf,
}

impl InsideSetup {
    /// How many processes its start has at once in its group.
    pub(crate) fn processes(&self) -> u64 {
        1 + u64::from(self.namespaces & NamespaceKind::Pid.flag() != 0)
    }
}

impl JoinSetup {
    /// How many processes a start has at once in its group: the init respawns to get into another pid namespace.
    pub(crate) fn processes(&self) -> u64 {
        1 + u64::from(self.namespaces & NamespaceKind::Pid.flag() != 0)
    }
}

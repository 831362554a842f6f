//! The first part of a new container's plan, which many containers may have in common: from the clone to the root that was entered.

use std::path::{Path, PathBuf};

use libcontainer_mount::plan as mount;
use libcontainer_plan::{Base, Builder, Dir, File, How, Mount, Ns, Resolve, SealError, Slot, Sock};
use libcontainer_security::plan as security;

use super::process::Terminal;
use super::{group, label, tree};
use crate::config::NamespaceKind;
use crate::setup::Setup;

/// Before there is a child: the directory, the record of what will be made.
pub(super) const BEFORE: &str = "before the init";
/// When the init runs but has done nothing: id maps, oom score.
pub(super) const BORN: &str = "when the init is born";
/// While the init builds the container.
pub(super) const MEANWHILE: &str = "while the init builds";
/// Likewise, when the init stays for devices of the host's.
pub(super) const DEVICES: &str = "with an init that stays";
/// When all mounts are made and the root is not entered.
pub(super) const HOOKS: &str = "before the root is entered";

/// A compiled first part, and the slots in it that the facade fills at launch.
#[derive(Clone, Debug)]
pub(crate) struct Foundation {
    pub(super) base: Base,
    /// Namespaces to join, in the order of the setup.
    pub(super) joined: Vec<Slot<Ns>>,
    /// The root, where it is a directory of a mount namespace that others have too.
    pub(super) root: Option<Slot<Dir>>,
    /// The queue of `tasks` files.
    pub(super) tasks: Option<Slot<Sock>>,
    /// The terminal on `/dev/console`.
    pub(super) terminal: Option<Terminal>,
    /// The directory that was made if it was missing.
    pub(super) cwd: PathBuf,
    /// The bounding set that the init has by now, if it was given one.
    pub(super) bounding: Option<u64>,
    /// The init has the keyring and the names of its container, and may run on all CPUs.
    pub(super) is_named: bool,
}

/// Compiles it.
pub(crate) fn base(setup: &Setup) -> Result<Foundation, SealError> {
    let plan = &mut Builder::new();
    let name = |(_, path): &(u32, PathBuf)| plan.preset(format!("namespace {}", path.display()));
    let joined: Vec<_> = setup.namespaces.joined.iter().map(name).collect();
    let root = setup.root.as_ref().map(|path| plan.preset(format!("root {}", path.display())));
    plan.place(BEFORE);
    plan.namespaces(u64::from(setup.clone_flags()));
    if setup.cgroup.as_ref().is_some_and(|cgroup| cgroup.unified) {
        plan.into_cgroup();
    }
    plan.start_init();
    let tasks = group::enter(plan, setup.cgroup.as_ref());
    // Nothing of the host's may be open in a program that the init runs.
    plan.purpose("mark all descriptors").mark_all_cloexec(0);
    // Modes of nodes and directories are those that are asked for; the program's own mask is set at the end.
    plan.purpose("clear the umask").umask(0);
    // A new session: no signal from the host's terminal, no controlling terminal to inject into.
    plan.purpose("start a session").setsid();
    label::label(plan, setup.label.as_ref(), setup.apparmor.as_ref());
    be_born(plan, setup);
    enter_namespaces(plan, setup, &joined);
    // ORDER: only now has the init its last pid.
    plan.place(MEANWHILE);
    if setup.devices {
        // ORDER: behind the record, by which destroy finds the init; in front of the devices, which it brings home: the kernel deletes a virtual
        // one with its namespace.
        plan.purpose("stay for devices").await_host("recorded");
        plan.outlive_host();
        plan.place(DEVICES);
    }
    if setup.loopback {
        plan.purpose("bring up lo").loopback_up();
    }
    // The whole tree is built by descriptors before the container's root is entered.
    let tree = setup.mounts.as_ref().map(|mounts| tree::build(plan, mounts, setup.terminal, &setup.cwd));
    // Kernel settings before /proc/sys becomes read-only.
    sysctls(plan, &setup.sysctls);
    if setup.hooked {
        // ORDER: in front of masks and of a read-only root, so that hooks can add to the tree, and with the host's root still in place.
        plan.purpose("wait for hooks").notify_host("mounts are made");
        plan.place(HOOKS);
        plan.await_host("hooks have run");
    }
    // Masks last: they must lie over everything.
    if let (Some(mounts), Some(tree)) = (&setup.mounts, &tree) {
        tree::protect_and_enter(plan, mounts, tree);
    }
    if let Some(root) = root {
        mount::enter_directory(plan, root);
    }
    if let Some((bounding, last_cap)) = setup.bounding {
        // ORDER: behind the last namespace, as a new user namespace has all. What is left to do with root's rights needs none of its own.
        security::bound(plan, bounding, last_cap);
    }
    // All are blocked until the program is run.
    plan.purpose("restore signals").reset_signals();
    let terminal = tree.and_then(|tree| tree.terminal);
    // What nobody has made need not be made later.
    let cwd = if setup.mounts.is_some() { setup.cwd.clone() } else { Path::new("/").to_owned() };
    let bounding = setup.bounding.map(|(bounding, _)| bounding);
    Ok(Foundation {
        base: std::mem::take(plan).base()?,
        joined,
        root,
        tasks,
        terminal,
        cwd,
        bounding,
        is_named: false,
    })
}

const TIME: u32 = NamespaceKind::Time.flag();

/// The host maps ids and sets what only it may set; the init becomes root of its user namespace.
fn be_born(plan: &mut Builder, setup: &Setup) {
    let dumpable = setup.id_maps.as_ref().is_some_and(|maps| maps.dumpable);
    if dumpable {
        plan.purpose("let the host map ids").dumpable(true);
        plan.notify_host("the init can be mapped");
    }
    plan.place(BORN);
    if setup.waits_for_host() {
        plan.purpose("wait for the host").await_host("ids are mapped, limits are set");
    }
    if dumpable {
        plan.dumpable(false);
    }
    if setup.id_maps.is_some() {
        plan.purpose("become root of the user namespace");
        if !setup.setgroups_denied {
            plan.setgroups(&[]);
        }
        plan.setresgid(0).setresuid(0);
    }
}

/// Joins namespaces, the user namespace first, and makes those that had to wait for it.
fn enter_namespaces(plan: &mut Builder, setup: &Setup, given: &[Slot<Ns>]) {
    let namespaces = &setup.namespaces;
    let (user, pid) = (NamespaceKind::User.flag(), NamespaceKind::Pid.flag());
    let mut order: Vec<_> = namespaces.joined.iter().zip(given).collect();
    // ORDER: the user namespace gives an ordinary user the rights for the others; root has them before, and may lose them by it: another may be the host's.
    // The pid namespace holds for children only.
    order.sort_by_key(|((flag, _), _)| ((*flag == user) == namespaces.user_last, *flag == pid));
    for ((flag, path), slot) in order {
        plan.purpose(format!("join {}", path.display())).setns(*slot, *flag);
        plan.close(*slot);
    }
    if namespaces.joins(NamespaceKind::User) {
        plan.purpose("become root of the user namespace");
        // One that was mapped without privileges denies it.
        plan.setgroups(&[]).tolerate(libc::EPERM);
        plan.setresgid(0).setresuid(0);
    }
    let late = setup.late_namespaces();
    if late != 0 {
        plan.purpose("make the namespaces that had to wait").unshare(late);
    }
    if namespaces.new & TIME != 0 {
        time_namespace(plan, &setup.time_offsets, setup.enter_time);
    }
    if setup.respawns() {
        plan.purpose("go on inside the pid namespace").respawn();
        // The session was that of the process before it, and a terminal wants the leader.
        plan.setsid();
    }
}

/// A time namespace holds for children, or from exec on. Its offsets are set before anyone is in it.
fn time_namespace(plan: &mut Builder, offsets: &[String], enter: bool) {
    plan.purpose("make a time namespace").unshare(TIME);
    if offsets.is_empty() && !enter {
        return;
    }
    let proc = private_proc(plan, true);
    if !offsets.is_empty() {
        plan.purpose("set clock offsets");
        let how = How { flags: libc::O_WRONLY, mode: 0, resolve: Resolve::empty() };
        let file: Slot<File> = plan.openat2(proc.root(), "self/timens_offsets", how);
        plan.write(file, offsets.concat().as_bytes());
        plan.close(file);
    }
    if enter {
        // KERNEL(6.3): before, exec leaves a process in its old time namespace.
        plan.purpose("enter the time namespace");
        let namespace = plan.open_namespace(proc.root(), "self/ns/time_for_children");
        plan.setns(namespace, TIME);
        plan.close(namespace);
    }
    plan.close(proc);
}

/// A procfs that nobody can have tampered with, never attached.
fn private_proc(plan: &mut Builder, only_pids: bool) -> Slot<Mount> {
    let context = plan.fsopen("proc");
    if only_pids {
        plan.fsconfig_string(context, "subset", "pid");
    }
    plan.fsconfig_create(context);
    plan.fsmount(context, 0)
}

fn sysctls(plan: &mut Builder, settings: &[(String, String)]) {
    if settings.is_empty() {
        return;
    }
    plan.purpose("open a private procfs for kernel settings");
    let proc = private_proc(plan, false);
    let resolve = Resolve::BENEATH | Resolve::NO_SYMLINKS | Resolve::NO_MAGICLINKS | Resolve::NO_XDEV;
    let sys: Slot<Dir> =
        plan.openat2(proc.root(), "sys", How { flags: libc::O_PATH | libc::O_DIRECTORY, mode: 0, resolve });
    for (key, value) in settings {
        plan.purpose(format!("set {key}"));
        let path = key.replace('.', "/");
        let file: Slot<File> = plan.openat2(sys, path, How { flags: libc::O_WRONLY, mode: 0, resolve });
        plan.write(file, value.as_bytes()).close(file);
    }
    plan.close(sys).close(proc);
}

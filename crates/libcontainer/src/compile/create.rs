//! A new container.

use libcontainer_plan::{Builder, Dir, File, HostStep, How, Mount, Resolve, SealError, Slot};
use libcontainer_security::plan as security;

use super::given::{Compiled, Given, HostSteps};
use super::{group, process, tree};
use crate::config::NamespaceKind;
use crate::setup::{Setup, StartSetup};

/// The plan of a new container.
pub(crate) fn create(setup: &Setup, host: HostSteps) -> Result<Compiled, SealError> {
    let plan = &mut Builder::new();
    let mut given = presets(plan, setup);
    for step in host.before {
        plan.host(step);
    }
    plan.namespaces(u64::from(setup.clone_flags()));
    if setup.cgroup.as_ref().is_some_and(|cgroup| cgroup.unified.is_some()) {
        plan.into_cgroup();
    }
    plan.start_init();
    group::enter(plan, &mut given, setup.cgroup.as_ref());
    // Nothing of the host's may be open in a program that the init runs.
    plan.purpose("mark all descriptors").mark_all_cloexec(0);
    // Modes of nodes and directories are those that are asked for; the program's own mask is set at the end.
    plan.purpose("clear the umask").umask(0);
    // A new session: no signal from the host's terminal, no controlling terminal to inject into.
    plan.purpose("start a session").setsid();
    be_born(plan, setup, host.born);
    enter_namespaces(plan, setup, &given);
    // ORDER: only now has the init its last pid.
    for step in host.meanwhile {
        plan.host(step);
    }
    // Before the ids change and before anything of the container runs.
    if let Some(name) = &setup.keyring {
        security::session_keyring(plan, name);
    }
    if setup.loopback {
        plan.purpose("bring up lo").loopback_up();
    }
    // The whole tree is built by descriptors before the container's root is entered.
    let tree = setup.mounts.as_ref().map(|mounts| tree::build(plan, mounts, &setup.process));
    // Names and kernel settings before /proc/sys becomes read-only.
    name_host(plan, setup);
    sysctls(plan, &setup.sysctls);
    // Masks last: they must lie over everything.
    if let (Some(mounts), Some(tree)) = (&setup.mounts, &tree) {
        tree::protect_and_enter(plan, mounts, tree);
    }
    let terminal = tree.and_then(|tree| tree.terminal);
    // Without a `/dev` of ours there may be one among the mounts of the config.
    let missing = setup.process.terminal && terminal.is_none();
    let terminal = if missing { Some(process::open_terminal(plan)) } else { terminal };
    finish(plan, setup, &given, terminal, host.ready);
    Ok(Compiled { plan: std::mem::take(plan).seal()?, given })
}

fn presets(plan: &mut Builder, setup: &Setup) -> Given {
    let mut given = Given::default();
    if !setup.process.terminal && setup.start != StartSetup::Reaper {
        given.stdio =
            Some(["standard input", "standard output", "standard error"].map(|name| plan.preset(name)));
    }
    for number in 0..setup.process.preserved {
        given.preserved.push(plan.preset(format!("preserved descriptor {}", number + 3)));
    }
    for (_, path) in &setup.namespaces.joined {
        given.joined.push(plan.preset(format!("namespace {}", path.display())));
    }
    if setup.start == StartSetup::Wait {
        given.start = Some(plan.preset("start pipe"));
    }
    given
}

const TIME: u32 = NamespaceKind::Time.flag();

/// The host maps ids and sets what only it may set; the init becomes root of its user namespace.
fn be_born(plan: &mut Builder, setup: &Setup, steps: Vec<HostStep>) {
    let dumpable = setup.id_maps.as_ref().is_some_and(|maps| maps.dumpable);
    let waits = !steps.is_empty();
    if dumpable {
        plan.purpose("let the host map ids").dumpable(true);
        plan.notify_host("the init can be mapped");
    }
    for step in steps {
        plan.host(step);
    }
    if waits {
        plan.purpose("wait for the host").await_host("ids are mapped, limits are set");
    }
    if dumpable {
        plan.dumpable(false);
    }
    if setup.id_maps.is_some() {
        plan.purpose("become root of the user namespace");
        if !setup.process.identity.setgroups_denied {
            plan.setgroups(&[]);
        }
        plan.setresgid(0).setresuid(0);
    }
}

/// Joins namespaces, the user namespace first, and makes those that had to wait for it.
fn enter_namespaces(plan: &mut Builder, setup: &Setup, given: &Given) {
    let namespaces = &setup.namespaces;
    let (user, pid) = (NamespaceKind::User.flag(), NamespaceKind::Pid.flag());
    let mut order: Vec<_> = namespaces.joined.iter().zip(&given.joined).collect();
    // ORDER: the user namespace gives the rights for the others; the pid namespace holds for children only.
    order.sort_by_key(|((flag, _), _)| (*flag != user, *flag == pid));
    for ((flag, path), slot) in order {
        plan.purpose(format!("join {}", path.display())).setns(*slot, *flag);
        plan.close(*slot);
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

fn name_host(plan: &mut Builder, setup: &Setup) {
    if !setup.hostname.is_empty() {
        plan.purpose("set the host name").sethostname(&setup.hostname);
    }
    if !setup.domainname.is_empty() {
        plan.purpose("set the domain name").setdomainname(&setup.domainname);
    }
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

/// From root to the program: limits, identity, the meeting with the host, exec.
fn finish(
    plan: &mut Builder,
    setup: &Setup,
    given: &Given,
    terminal: Option<process::Terminal>,
    ready: Vec<HostStep>,
) {
    process::take_terminal(plan, terminal, &setup.process.identity);
    process::confine(plan, &setup.process);
    // Everything that the host can read back is set; what follows needs no privilege.
    plan.purpose("report ready").notify_host("ready");
    for step in ready {
        plan.host(step);
    }
    if setup.start == StartSetup::Reaper {
        plan.purpose("wait for the commit").await_host("committed");
        plan.purpose("be the reaper").close_range(0, u32::MAX);
        plan.reap();
        return;
    }
    let start = process::place(plan, &setup.process, given, terminal);
    plan.purpose("wait for the commit").await_host("committed");
    if let Some(start) = start {
        plan.purpose("wait for the start").await_byte(start);
    }
    process::exec(plan, &setup.process);
    if setup.start == StartSetup::Run {
        plan.await_exec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::NamespaceSetup;

    #[test]
    fn every_kind_of_namespace_is_made_and_named() {
        for kind in NamespaceKind::ALL {
            let namespaces = NamespaceSetup { new: kind.flag(), ..NamespaceSetup::default() };
            let setup = Setup { namespaces, ..Setup::default() };
            let plan = create(&setup, HostSteps::default()).unwrap().plan;
            let (text, name) = (plan.explain().to_string(), format!("CLONE_{}", kind.key()));
            assert!(text.contains(&name), "{name}: {text}");
        }
    }
}

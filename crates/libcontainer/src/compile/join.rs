//! A further process in a running container.

use libcontainer_plan::{Builder, HostStep, Ns, SealError, Slot};

use super::given::{Compiled, Given, HostSteps};
use super::{group, label, process};
use crate::config::NamespaceKind;
use crate::setup::JoinSetup;

/// The plan of a join.
pub(crate) fn join(setup: &JoinSetup, host: HostSteps) -> Result<Compiled, SealError> {
    let plan = &mut Builder::new();
    let mut given = Given::default();
    if !setup.process.terminal {
        given.stdio =
            Some(["standard input", "standard output", "standard error"].map(|name| plan.preset(name)));
    }
    for number in 0..setup.process.preserved {
        given.preserved.push(plan.preset(format!("preserved descriptor {}", number + 3)));
    }
    let target = plan.preset("container");
    given.target = Some(target);
    given.root = setup.changes_root.then(|| plan.preset("root of the container"));
    if setup.cgroup.as_ref().is_some_and(|cgroup| cgroup.unified) {
        plan.into_cgroup();
    }
    plan.start_init();
    if let Some(list) = &setup.affinity {
        libcontainer_security::plan::affinity(plan, list);
    }
    given.tasks = group::enter(plan, setup.cgroup.as_ref());
    plan.purpose("mark all descriptors").mark_all_cloexec(0);
    plan.purpose("start a session").setsid();
    label::label(plan, setup.label.as_ref(), setup.apparmor.as_ref());
    be_reached(plan, setup.dumpable, host.born);
    // The init is sealed and not dumpable before it enters the pid namespace, and holds no descriptor of the host's
    // but the standard ones and the socket: a process inside can neither trace it nor find a way out through it.
    enter(plan, target, setup.namespaces);
    become_root(plan, setup.namespaces, setup.setgroups_denied);
    if let Some(root) = given.root {
        libcontainer_mount::plan::enter_directory(plan, root);
    }
    if let Some(name) = &setup.keyring {
        libcontainer_security::plan::session_keyring(plan, name);
    }
    let terminal = setup.process.terminal.then(|| process::open_terminal(plan));
    process::take_terminal(plan, terminal, &setup.process);
    if setup.affinity.is_none() {
        process::run_on_all_cpus(plan);
    }
    process::confine(plan, &setup.process, None);
    plan.purpose("report ready").notify_host("ready");
    for step in host.ready {
        plan.host(step);
    }
    process::place(plan, &setup.process, &given, terminal);
    plan.purpose("restore signals").reset_signals();
    plan.purpose("wait for the commit").await_host("committed");
    process::exec(plan, &setup.process);
    if let Some(listen) = host.listen {
        plan.host(listen);
    }
    plan.await_exec();
    for step in host.executed {
        plan.host(step);
    }
    Ok(Compiled { plan: std::mem::take(plan).seal()?, given })
}

/// The host sets what only it may set.
fn be_reached(plan: &mut Builder, dumpable: bool, born: Vec<HostStep>) {
    if dumpable {
        // ORDER: before it joins: it is seen by none but the host's own user.
        plan.purpose("let the host set limits").dumpable(true);
        plan.notify_host("the init can be reached");
    }
    for step in born {
        plan.host(step);
    }
    plan.purpose("wait for the host").await_host("limits are set");
    if dumpable {
        plan.dumpable(false);
    }
}

/// Into the namespaces of the container's, if any is its own.
pub(super) fn enter(plan: &mut Builder, target: Slot<Ns>, namespaces: u32) {
    if namespaces == 0 {
        // The kernel refuses to join nothing.
        plan.close(target);
        return;
    }
    plan.purpose("join the container").join(target, namespaces);
    if namespaces & NamespaceKind::Pid.flag() != 0 {
        // The session was that of the process before it, and a terminal wants the leader.
        plan.setsid();
    }
}

/// In a user namespace that was joined.
pub(super) fn become_root(plan: &mut Builder, namespaces: u32, setgroups_denied: bool) {
    if namespaces & NamespaceKind::User.flag() == 0 {
        return;
    }
    plan.purpose("become root of the user namespace");
    if !setgroups_denied {
        plan.setgroups(&[]);
    }
    plan.setresgid(0).setresuid(0);
}

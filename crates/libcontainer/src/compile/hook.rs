//! A hook outside of the container's root: a program of the host's, with the host or in the container's namespaces.

use std::path::PathBuf;

use libcontainer_plan::{Builder, SealError, Slot, Sock};

use super::given::{Compiled, Given};
use super::group;
use super::join::{become_root, enter as join};
use crate::setup::{HookSetup, InsideSetup};

/// The plan of a hook. By the init too: so it has no descriptor of this program's but its own, no signal ignored, and a session of its own, by which all
/// of it can be ended.
pub(crate) fn hook(setup: &HookSetup) -> Result<Compiled, SealError> {
    let plan = &mut Builder::new();
    let stdio = ["state", "output", "error output"].map(|name| plan.preset(name));
    let mut given = Given { stdio: Some(stdio), ..Given::default() };
    given.program = setup.is_open.then(|| plan.preset("program"));
    if let Some(inside) = &setup.inside {
        given.target = Some(plan.preset("container"));
        if inside.cgroup.as_ref().is_some_and(|cgroup| cgroup.unified) {
            plan.into_cgroup();
        }
    }
    plan.start_init();
    given.tasks = group::enter(plan, setup.inside.as_ref().and_then(|inside| inside.cgroup.as_ref()));
    plan.purpose("mark all descriptors").mark_all_cloexec(0);
    plan.purpose("start a session").setsid();
    if let Some(inside) = &setup.inside {
        enter(plan, inside, &given);
    }
    plan.purpose("enter the working directory").chdir(&setup.cwd);
    if setup.inside.is_some() {
        // Root of a user namespace may not get to the rootfs by its path: it stays where it is.
        plan.tolerate(libc::EACCES);
    }
    run(plan, setup, &given);
    plan.await_exec();
    Ok(Compiled { plan: std::mem::take(plan).seal()?, given })
}

fn enter(plan: &mut Builder, inside: &InsideSetup, given: &Given) {
    let Some(target) = given.target else { return };
    join(plan, target, inside.namespaces);
    become_root(plan, inside.namespaces, inside.setgroups_denied);
}

/// Puts descriptors in their places and runs the program.
fn run(plan: &mut Builder, setup: &HookSetup, given: &Given) {
    plan.purpose("set up standard input, output and error");
    for (number, slot) in (0..).zip(given.stdio.into_iter().flatten()) {
        plan.dup_to(slot, number);
    }
    plan.purpose("close all other descriptors");
    let control = plan.control();
    let control: Slot<Sock> = plan.dup_cloexec(control, 3);
    plan.control_is(control);
    let program = given.program.map(|program| plan.dup_cloexec(program, 4));
    plan.close_range(4 + u32::from(program.is_some()), u32::MAX);
    plan.purpose("restore signals").reset_signals();
    plan.purpose(format!("run {}", setup.path.display())).unblock_signals();
    match program {
        Some(program) => plan.exec_open(program, &setup.args, &setup.env),
        None => plan.exec(&[PathBuf::clone(&setup.path)], &setup.args, &setup.env),
    };
}

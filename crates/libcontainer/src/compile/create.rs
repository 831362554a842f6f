//! A new container: what differs from container to container, behind the part that may be common.

use libcontainer_plan::{At, Builder, Dir, HostStep, How, SealError, Slot};
use libcontainer_security::plan as security;

use super::base::{BEFORE, BORN, DEVICES, Foundation, HOOKS, MEANWHILE};
use super::given::{Compiled, Given, HostSteps};
use super::process;
use crate::setup::{Instance, Names, StartSetup};

/// The plan of a container on this foundation.
pub(crate) fn create(
    foundation: &Foundation,
    instance: &Instance,
    host: HostSteps,
) -> Result<Compiled, SealError> {
    let plan = &mut foundation.base.builder();
    let given = presets(plan, foundation, instance);
    let places = [
        (BEFORE, host.before),
        (BORN, host.born),
        (MEANWHILE, host.meanwhile),
        (DEVICES, host.devices),
        (HOOKS, host.hooks),
    ];
    for (place, steps) in places {
        plan.put(place, steps);
    }
    for step in host.first {
        plan.host(step);
    }
    if !foundation.is_named {
        name(plan, &instance.names);
    }
    make_directory(plan, foundation, instance);
    // Without a `/dev` of ours there may be one among the mounts of the config.
    let wanted = instance.process.terminal && foundation.terminal.is_none();
    let terminal = if wanted { Some(process::open_terminal(plan)) } else { foundation.terminal };
    process::take_terminal(plan, terminal, &instance.process);
    if !foundation.is_named && instance.start != StartSetup::Reaper {
        process::run_on_all_cpus(plan);
    }
    process::confine(plan, &instance.process, foundation.bounding);
    if !host.unmet {
        // Everything that the host can read back is set; what follows needs no privilege.
        plan.purpose("report ready").notify_host("ready");
    }
    for step in host.ready {
        plan.host(step);
    }
    let end = End { given: &given, terminal, listen: host.listen, unmet: host.unmet };
    finish(plan, instance, end);
    if instance.start == StartSetup::Run {
        plan.await_exec();
        for step in host.executed {
            plan.host(step);
        }
    }
    Ok(Compiled { plan: std::mem::take(plan).seal()?, given })
}

/// The plan of the first part alone: its init stands by.
pub(crate) fn stand_by(foundation: &Foundation, host: HostSteps) -> Compiled {
    let places =
        vec![(BEFORE, host.before), (BORN, host.born), (MEANWHILE, host.meanwhile), (DEVICES, host.devices)];
    let given = given(foundation);
    Compiled { plan: foundation.base.plan(places), given }
}

/// The slots of the first part.
fn given(Foundation { joined, root, tasks, .. }: &Foundation) -> Given {
    Given { joined: joined.clone(), root: *root, tasks: *tasks, ..Given::default() }
}

fn presets(plan: &mut Builder, foundation: &Foundation, instance: &Instance) -> Given {
    let mut given = given(foundation);
    if !instance.process.terminal && instance.start != StartSetup::Reaper {
        given.stdio =
            Some(["standard input", "standard output", "standard error"].map(|name| plan.preset(name)));
    }
    for number in 0..instance.process.preserved {
        given.preserved.push(plan.preset(format!("preserved descriptor {}", number + 3)));
    }
    if instance.start == StartSetup::Wait {
        given.start = Some(plan.preset("start pipe"));
    }
    given
}

/// The foundation of one container: with what depends on its name, and on no program.
pub(crate) fn named(foundation: &Foundation, names: &Names) -> Result<Foundation, SealError> {
    let plan = &mut foundation.base.builder();
    name(plan, names);
    process::run_on_all_cpus(plan);
    Ok(Foundation { base: std::mem::take(plan).base()?, is_named: true, ..foundation.clone() })
}

/// Its keyring and its names.
fn name(plan: &mut Builder, names: &Names) {
    // Before the ids change and before anything of the container runs.
    if let Some(name) = &names.keyring {
        security::session_keyring(plan, name);
    }
    if !names.hostname.is_empty() {
        plan.purpose("set the host name").sethostname(&names.hostname);
    }
    if !names.domainname.is_empty() {
        plan.purpose("set the domain name").setdomainname(&names.domainname);
    }
}

/// A working directory of the process's own, where that of the config is made already. What can't be written to has it, or the program
/// can't enter it.
fn make_directory(plan: &mut Builder, foundation: &Foundation, instance: &Instance) {
    let path = &instance.process.cwd;
    if *path == foundation.cwd || path.as_os_str() == "/" {
        return;
    }
    plan.purpose("make the working directory if it is missing");
    let root: Slot<Dir> =
        plan.openat2(At::Cwd, "/", How { flags: libc::O_PATH | libc::O_DIRECTORY, ..How::TRUSTED });
    libcontainer_mount::plan::make_directory(plan, root, path);
    plan.close(root);
}

/// What the last part of a plan is made of.
struct End<'a> {
    given: &'a Given,
    terminal: Option<process::Terminal>,
    listen: Option<HostStep>,
    unmet: bool,
}

/// From the report to the program.
fn finish(plan: &mut Builder, instance: &Instance, end: End<'_>) {
    if instance.start == StartSetup::Reaper {
        plan.purpose("wait for the commit").await_host("committed");
        plan.purpose("be the reaper").close_range(0, u32::MAX);
        plan.reap();
        return;
    }
    let start = process::place(plan, &instance.process, end.given, end.terminal);
    if start.is_some() {
        // ORDER: none is let through before the init waits, as whoever has one made must know whether it came about.
        plan.purpose("let signals end the wait").end_on_signals();
    }
    if !end.unmet {
        plan.purpose("wait for the commit").await_host("committed");
    }
    if let Some(start) = start {
        // ORDER: behind all that can fail but the wait itself: who creates it knows that it waits.
        plan.purpose("report that it waits").notify_host("waits");
        // ORDER: handlers stay until exec, which resets them: a signal that comes with the start is not lost.
        plan.purpose("let signals end the wait").unblock_ending();
        plan.purpose("wait for the start").await_byte(start);
    }
    process::exec(plan, &instance.process);
    if instance.start == StartSetup::Run {
        if let Some(listen) = end.listen {
            plan.host(listen);
        }
    }
}

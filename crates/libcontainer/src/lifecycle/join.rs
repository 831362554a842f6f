//! A further process in a running container: config and what is found inside → setup → plan → launched.

use std::io;
use std::path::{Path, PathBuf};

use libcontainer_cgroups::{Group, Place};
use libcontainer_plan::{HostStep, Launch, Pid, Plan, Slot, Sock};
use libcontainer_security::ReadBack;

use super::born::oom_step;
use super::held::Held;
use super::hidden;
use super::host::Host;
use super::inside::{Inside, look};
use super::listen::{self, Of};
use super::readback::Expected;
use super::streams;
use super::under;
use super::unexecuted;
use crate::compile::{self, Compiled, HostSteps};
use crate::config::NamespaceKind;
use crate::error::{Error, ErrorKind, Result, as_io};
use crate::group::{self, WayIn};
use crate::process::{OutOfMemory, Process, ProcessConfig};
use crate::record::{Init, State, UnitRecord};
use crate::resctrl;
use crate::resolve;
use crate::setup::{CgroupSetup, JoinSetup, ProcessSetup};

/// Which container is joined.
pub(crate) struct Joined<'a> {
    pub(crate) id: &'a str,
    pub(crate) dir: &'a Path,
    /// Its first process.
    pub(crate) init: Init,
}

/// Starts it.
pub(crate) fn join(
    host: &Host,
    state: &State,
    joined: Joined<'_>,
    process: ProcessConfig,
) -> Result<Process> {
    join_as(host, state, joined, process, |_| ())
}

/// Starts it, with another program.
pub(super) fn join_as(
    host: &Host,
    state: &State,
    Joined { id, dir, init }: Joined<'_>,
    process: ProcessConfig,
    change: impl FnOnce(&mut ProcessSetup),
) -> Result<Process> {
    let what = format!("start a process in {id:?}");
    let Inside { namespaces, links, accounts, setgroups_denied } = look(init.pid).map_err(|error| {
        let text = || format!("{what}: the container has ended");
        // RACE: its files in /proc are closed to everyone once it has ended.
        if matches!(init.is_ending(), Ok(true)) { Error::new(ErrorKind::WrongState, text()) } else { error }
    })?;
    let config = &*resolve::over(&state.config, &process)?;
    let (known, labels) =
        (host.known(setgroups_denied || config.keep_groups)?, resolve::Labels::of_process(config)?);
    let mut setup = resolve::join(config, &process, &accounts, namespaces, (known, &labels))?;
    change(&mut setup.process);
    let group = open_group(state, &process, init.pid, &what)?;
    let places = group.as_ref().map(|group| group.places().to_vec()).unwrap_or_default();
    setup.cgroup = group_setup(state);
    listen::check(&setup.process)?;
    let listen = listen::step(&setup.process, &Of { id, dir, config, first: state.init_pid, agent: None });
    let born = born(host, (state, &places), config.oom_score_adj);
    let ready = read_back_step(expected(host, &setup, links), places.clone(), host.probe.euid != 0);
    let executed = under::step(setup.apparmor.as_ref()).into_iter().collect();
    let steps = HostSteps { born, ready: vec![ready], listen, executed, ..HostSteps::default() };
    let Compiled { plan, given } =
        compile::join(&setup, steps).map_err(|error| Error::seal(what.clone(), error))?;
    let patient = process.ignore_paused;
    let (mut opened, preserved) = process.open().map_err(|error| Error::io(what.clone(), error))?;
    let owned = streams::give_away(&opened, config, setup.process.identity.uid);
    owned.map_err(|error| Error::io(format!("{what}: fchown of a pipe"), error))?;
    let mut launch = host.launch(plan);
    if let Some(slot) = given.root {
        launch.give(slot, init.open_root()?);
    }
    for (slot, fd) in given.stdio.into_iter().flatten().zip(opened.theirs.drain(..)) {
        launch.give(slot, fd);
    }
    for (slot, fd) in given.preserved.into_iter().zip(preserved) {
        launch.give(slot, fd);
    }
    let mut memory = None;
    if let (Some(cgroup), Some(group)) = (&setup.cgroup, group) {
        let entered = enter(&mut launch, (given.tasks, &cgroup.tasks), (state, group), setup.processes());
        memory = entered.map_err(|error| Error::io(what.clone(), error))?;
    }
    if let Some(slot) = given.target {
        launch.give(slot, init.pidfd);
    }
    let held = Held::new(state);
    // Who joins a paused one waits for its resume.
    if !patient {
        launch.in_vain(held.asked());
    }
    let launched = launch.run().map_err(|error| {
        if let Some(paused) = held.told(&error, &what) {
            return paused;
        }
        // Only to explain an error that is told anyway.
        let full = || group::limit_of(&Group::open(state.places()).ok()?, setup.processes());
        let error = Error::launch(what, group::explain(error, &places, full));
        cut_off(state, error).unwrap_or_else(|error| unexecuted::explained(config.tree(), error))
    })?;
    let process = Process::launched(launched, opened);
    process.watch_memory(memory);
    Ok(process)
}

/// The error of a join that failed as one does whose container ends: by a kill, or for want of the first process. Only to explain it.
pub(super) fn cut_off(state: &State, error: Error) -> std::result::Result<Error, Error> {
    // A pid namespace that is ending takes no new process: to clone3(2) that is ENOMEM.
    let may_be =
        matches!(error.errno(), None | Some(libc::ESRCH | libc::ENOENT | libc::ENODEV | libc::ENOMEM));
    let ended = || Init::open(state).map(|init| init.map(|init| init.is_ending()));
    if may_be && matches!(ended(), Ok(None | Some(Ok(true)))) {
        return Ok(error.because("the container has ended meanwhile".to_owned()));
    }
    Err(error)
}

/// The plan by which it would be started; runs nothing.
pub(crate) fn explain(host: &Host, state: &State, process: &ProcessConfig) -> Result<Plan> {
    let flags = state.config.namespaces.iter().map(|(kind, _)| kind.flag()).sum();
    let config = &*resolve::over(&state.config, process)?;
    let single = config.gid_mappings.len() == 1 && config.gid_mappings.iter().all(|map| map.size == 1);
    let denied = config.namespaces.is_new(NamespaceKind::User) && host.probe.euid != 0 && single;
    let accounts = resolve::accounts_to_show(config, process.user.as_deref().unwrap_or(&config.user))?;
    let known = (host.known(denied || config.keep_groups)?, &resolve::Labels::to_show(config));
    let mut setup = resolve::join(config, process, &accounts, flags, known)?;
    setup.cgroup = group_setup(state);
    Ok(compile::join(&setup, HostSteps::default()).map_err(|error| Error::seal("explain", error))?.plan)
}

/// What is read back of the init. `links` are the namespaces of the container's first process.
fn expected(host: &Host, setup: &JoinSetup, links: Vec<String>) -> Expected {
    let mut expected = Expected::of_join(setup);
    // Root is shown the namespaces of the joining init. To others its files are closed, as it is not dumpable and was not born in the
    // container's user namespace; it has joined them all by one setns(2), which does all or nothing.
    expected.joined = Some(links).filter(|_| host.probe.euid == 0).unwrap_or_default();
    host.tamper(&mut expected);
    expected
}

/// Steps for an init that was just born.
fn born(host: &Host, (state, places): (&State, &[Place]), oom_score_adj: Option<i32>) -> Vec<HostStep> {
    let unit = state.unit().filter(|unit| unit.user);
    let enters = unit.map(|unit| attach_step(unit.clone(), below_unit(state.places(), places), host));
    let shares = resctrl::enter(state.resctrl());
    enters.into_iter().chain(shares).chain(oom_score_adj.map(oom_step)).collect()
}

/// What the host can't see of an ordinary user's, where `/proc` hides it, the init has read back itself.
fn read_back_step(expected: Expected, groups: Vec<Place>, ordinary: bool) -> HostStep {
    HostStep::new("read back capabilities and namespaces of the init", "", move |context| {
        let init = ReadBack::prepare(context.pid()?, &expected);
        match init.and_then(|mut init| expected.compare(&mut init, &groups)) {
            Err(error) if ordinary && hidden::is_why(&error) => Ok(None),
            seen => seen.map(|()| None),
        }
    })
}

/// Opens what the new process needs to be born in the container's control group.
pub(super) fn enter(
    launch: &mut Launch,
    (queue, hierarchies): (Option<Slot<Sock>>, &[PathBuf]),
    (state, group): (&State, Group),
    processes: u64,
) -> io::Result<Option<OutOfMemory>> {
    if queue.is_some() {
        group::check_move(&group, processes).map_err(as_io)?;
    }
    let mut way_in = WayIn::open(&group, hierarchies)?;
    if let (Some(slot), Some(files)) = (queue, way_in.tasks.take()) {
        launch.give(slot, files);
    }
    if state.unit().is_none_or(|unit| !unit.user) {
        launch.cgroup_with(move || way_in.unified());
    }
    Ok(OutOfMemory::new(&group))
}

/// The control group that it is going to be in, if the container has one. `init` is the container's first process.
pub(super) fn open_group(
    state: &State,
    process: &ProcessConfig,
    init: Pid,
    what: &str,
) -> Result<Option<Group>> {
    let ProcessConfig { subgroup, subgroups, .. } = process;
    let below = subgroup.is_some() || !subgroups.is_empty();
    let failed = |error| Error::cgroup(what, error);
    let refused = |why: &str| Err(Error::new(ErrorKind::InvalidConfig, format!("{what}: /subgroup: {why}")));
    if below && state.unit().is_some_and(|unit| unit.user) {
        return refused("a user's systemd moves processes into the unit's own group only");
    }
    if state.places().is_empty() {
        return if below { refused("the container has no control group") } else { Ok(None) };
    }
    let group = Group::open(state.places()).map_err(failed)?;
    match subgroup {
        Some(path) => group.below(path).map(Some).map_err(failed),
        None if below => group.open_below(subgroups).map(Some).map_err(failed),
        None => with_first(group, init, what).map(Some),
    }
}

/// The group, or, where it takes no processes because a service manager in the container has made groups below it, that of the first process.
fn with_first(group: Group, init: Pid, what: &str) -> Result<Group> {
    let failed = |error| Error::cgroup(what, error);
    if group.is_gone() || !group.gives_controllers().map_err(failed)? {
        return Ok(group);
    }
    let path = format!("/proc/{init}/cgroup");
    let text = std::fs::read(&path).map_err(|error| Error::io(format!("{what}: read {path}"), error))?;
    Ok(group.below_with(&text).map_err(failed)?.unwrap_or(group))
}

/// Where a group is below that of its unit, as systemd is told.
fn below_unit(unit: &[Place], places: &[Place]) -> String {
    let below =
        |(unit, place): (&Place, &Place)| Some(place.below.strip_prefix(&unit.below).ok()?.to_owned());
    let below = unit.iter().zip(places).find_map(below).filter(|path| !path.as_os_str().is_empty());
    below.map(|path| format!("/{}", path.display())).unwrap_or_default()
}

/// A user may write to the group, but not to that above it and to the own one, as moving takes: that is for systemd to do.
pub(super) fn group_setup(state: &State) -> Option<CgroupSetup> {
    let by_systemd = state.unit().is_some_and(|unit| unit.user);
    let setup = || if by_systemd { CgroupSetup::default() } else { group::setup(state.places()) };
    (!state.places().is_empty()).then(setup)
}

fn attach_step(unit: UnitRecord, below: String, host: &Host) -> HostStep {
    let environment = host.environment();
    HostStep::new(format!("have systemd move the init into {}", unit.name), "", move |context| {
        group::attach(&unit, &below, &environment, context.pid()?).map_err(as_io)?;
        Ok(None)
    })
}

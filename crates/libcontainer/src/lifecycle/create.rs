//! A new container: prepared config → setup → plan → launched → recorded.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use libcontainer_plan::{Launch, Launched, OpenStdio, Plan};

use super::aim::Aim;
use super::draft::Draft;
use super::hooked::{self, with_hooks};
use super::hooks;
use super::host::Host;
use super::listen::{self, Of};
use super::poststart::{destroyed, poststart};
use super::prepared::{For, Own, Part, Prepared, check};
use super::program::Program;
use super::readback::Expected;
use super::streams;
use super::unexecuted;
use super::unheld;
use super::used::Used;
use crate::compile::{self, Compiled, HostSteps};
use crate::config::{Config, Facts, Namespace, NamespaceKind};
use crate::error::{Error, ErrorKind, Result};
use crate::group::{self, GroupSteps, Planned};
use crate::process::{Process, ProcessConfig, reap_ended};
use crate::record::{State, Status, Store, is_left};
use crate::resctrl;
use crate::resolve;
use crate::setup::{ProcessSetup, Setup, StartSetup};

/// A container that was made.
pub(crate) struct Made {
    pub(crate) store: Arc<Store>,
    pub(crate) state: Arc<State>,
    /// The first process; none for the reaper.
    pub(crate) process: Option<Process>,
    /// Its mount namespace, if whoever ends the container is to wait for the unmounting, and not who waits for the program.
    pub(crate) mounts: Option<OwnedFd>,
    /// What its start needs no more, if somebody else is to take that away.
    pub(crate) used: Option<Used>,
}

/// Makes the container, or takes everything back.
pub(crate) fn create(
    prepared: &Prepared,
    own: &Own,
    process: Option<ProcessConfig>,
    start: StartSetup,
) -> Result<Made> {
    let what = format!("create {:?}", own.id);
    let failed = |error: io::Error| Error::io(what.clone(), error);
    let planned = prepared.group(own)?;
    let part = prepared.part(For::of(process.as_ref()), planned.as_ref().map(Planned::setup))?;
    let instance = prepared.instance(&part, own, process.as_ref(), start)?;
    if own.agent.is_none() {
        listen::check(&instance.process)?;
    }
    let (draft, network) = draft(&part, own)?;
    let network = prepared.host.told_of(&what, network);
    let (opened, preserved) =
        process.map_or_else(|| Ok(Default::default()), ProcessConfig::open).map_err(failed)?;
    streams::give_away(&opened, &own.config, instance.process.identity.uid).map_err(failed)?;
    let joined = resolve::open_namespaces(&own.config).map_err(failed)?;
    let root = resolve::open_root(&own.config, &joined).map_err(failed)?;
    let wanted = expected(prepared, &part, &instance.process, &joined).map_err(failed)?;
    draft.expect(Expected { program: program(&instance.process, start), ..wanted });
    let owner = prepared.owner_of_group(own, instance.process.identity.uid);
    let planned = planned.map(|planned| planned.given_to(owner));
    let group = group_steps(prepared, own, &draft, planned)?;
    let steps = host_steps(prepared, &part, &draft, Aim::of(start), (group, network));
    let steps = HostSteps { listen: listen::step(&instance.process, &Of::new(own)), ..steps };
    let compiled = compile::create(&part.foundation, &instance, steps)
        .map_err(|error| Error::seal(what.clone(), error))?;
    if start == StartSetup::Wait {
        draft.keep_steps(&compiled.plan);
    }
    let Compiled { plan, given } = compiled;
    let mut launch = prepared.host.launch(plan);
    give_first(&mut launch, &given, (joined, root), &draft, &part);
    let opened = give_program(&mut launch, given, opened, preserved, &draft);
    let launched = launch.run().map_err(|error| {
        if draft.was_destroyed() {
            // Who has deleted it may not have known of what could not be taken back here.
            return destroyed(&what).with_undo(error.undo_errors);
        }
        let error = group::explain(error, &[], || draft.group.full());
        let error = half_made(
            &own.path,
            unexecuted::explained(own.config.tree(), Error::launch(what.clone(), error)),
        );
        ended(&prepared.host, &draft, error)
    })?;
    reap_ended();
    let made = finish(&prepared.host, &draft, launched, opened, start)?;
    if Aim::of(start) == Aim::Run {
        poststart(&prepared.host, &made.store, &made.state, &what)?;
    }
    Ok(made)
}

/// Tells hooks of the end of a container that was not made, if any was told of it before. What was not taken back is not at its end.
fn ended(host: &Host, draft: &Draft, error: Error) -> Error {
    if draft.is_hooked() && error.undo_errors().next().is_none() {
        let state = draft.state();
        hooks::after_end(host, hooks::Of { config: &state.config, id: &state.id, dir: draft.path(), host });
    }
    error
}

/// The steps for the control group and the class of resctrl, which are in the record.
pub(super) fn group_steps(
    prepared: &Prepared,
    own: &Own,
    draft: &Arc<Draft>,
    planned: Option<Planned>,
) -> Result<GroupSteps> {
    let shares = prepared.resctrl(own)?.map(|planned| draft.resctrl_steps(planned));
    let group = planned.map(|planned| draft.group_steps(planned)).unwrap_or_default();
    Ok(group.and(shares.unwrap_or_default()))
}

/// The steps of the host.
fn host_steps(
    prepared: &Prepared,
    part: &Part,
    draft: &Arc<Draft>,
    aim: Aim,
    (group, network): (GroupSteps, libcontainer_network::Plan),
) -> HostSteps {
    let steps = compile::place_network(network, &part.setup, draft.steps(&part.setup, aim, group));
    with_hooks(steps, draft, &prepared.host, aim, part.setup.devices)
}

/// Says of a path that is taken if nobody is going to use what is there: its maker is gone and had not come to its end.
fn half_made(path: &std::path::Path, error: Error) -> Error {
    if error.kind() != ErrorKind::AlreadyExists {
        return error;
    }
    // What can't be found out is left out: the path is taken all the same. Who makes a container holds its lock.
    let look = || -> Result<bool> {
        let store = Store::open(path)?;
        let lock = store.try_lock()?;
        let state = store.read()?;
        // While hooks run its maker lets the lock go.
        Ok(lock.is_some() && state.status == Status::Creating && is_left(&state)?)
    };
    if !matches!(look(), Ok(true)) {
        return error;
    }
    let text = format!("{} was left half-made by a process that is gone: destroy it first", path.display());
    Error::new(ErrorKind::AlreadyExists, text)
}

/// The container on its way, and its network, which is in the record.
pub(super) fn draft(part: &Part, own: &Own) -> Result<(Arc<Draft>, libcontainer_network::Plan)> {
    let mut network = resolve::network(&own.config)?;
    let what = || format!("create {:?}", own.id);
    network.belongs_to(&std::path::absolute(&own.path).map_err(|error| Error::io(what(), error))?);
    if let Some(Namespace::Join(path)) = own.config.namespaces.get(NamespaceKind::Network) {
        network.joins(path);
    }
    let draft = Draft::new(&own.path, &own.config, part.setup.processes(), &own.id);
    draft.note_network(network.state());
    Ok((draft, network))
}

/// The plan by which it would be made; runs nothing.
pub(crate) fn explain(host: &Host, config: &Config, process: Option<&ProcessConfig>) -> Result<Plan> {
    let facts = Facts { euid: host.probe.euid };
    check(config, &facts)?;
    let config = &*resolve::with_joined_network(config);
    let start = if process.is_some() { StartSetup::Wait } else { StartSetup::Reaper };
    let accounts = resolve::accounts_to_show(config, &config.user)?;
    let aim = For::of(process);
    let wanted = config.cgroups.is_some() || resolve::shows_groups(config);
    let layout = wanted.then(|| host.layout_now()).transpose()?;
    let (mut cgroup, mut group) = (None, GroupSteps::default());
    if let (Some(block), Some(layout)) = (&config.cgroups, &layout) {
        let (own, steps) = group::shown(block, "ID", layout, host.probe.euid != 0)?;
        (cgroup, group) = (Some(own), steps);
    }
    let shares = config.resctrl.as_ref().map(|config| resctrl::shown(config, "ID"));
    let group = group.and(shares.unwrap_or_default());
    let groups = resolve::Groups { layout: layout.as_deref(), own: cgroup.as_ref() };
    let labels = resolve::Labels::to_show(config);
    let setup = aim.fitted(resolve::base(config, aim.terminal, &host.probe, &labels, groups)?);
    let setup = Setup { cgroup: cgroup.clone(), ..setup };
    let known = host.known(setup.setgroups_denied)?;
    let given = process.map(|process| (process, &accounts));
    let instance = resolve::instance(config, given, start, known, "ID")?;
    let steps = hooked::shown(host, &config.hooks, &setup, Aim::of(start), group);
    let steps = compile::place_network(resolve::network(config)?.shown(), &setup, steps);
    let failed = |error| Error::seal("explain", error);
    let foundation = compile::base(&setup).map_err(failed)?;
    Ok(compile::create(&foundation, &instance, steps).map_err(failed)?.plan)
}

/// The plan by which a container of a prepared config would be made; runs nothing.
pub(crate) fn explain_prepared(
    prepared: &Prepared,
    own: &Own,
    process: Option<&ProcessConfig>,
) -> Result<Plan> {
    let start = if process.is_some() { StartSetup::Run } else { StartSetup::Reaper };
    let planned = prepared.group(own)?;
    let part = prepared.part(For::of(process), planned.as_ref().map(Planned::setup))?;
    let instance = prepared.instance(&part, own, process, start)?;
    let (draft, network) = draft(&part, own)?;
    let group = group_steps(prepared, own, &draft, planned)?;
    let steps = host_steps(prepared, &part, &draft, Aim::of(start), (group, network));
    let steps = HostSteps { listen: listen::step(&instance.process, &Of::new(own)), ..steps };
    let compiled = compile::create(&part.foundation, &instance, steps);
    Ok(compiled.map_err(|error| Error::seal("explain", error))?.plan)
}

/// What is read back of the init.
pub(super) fn expected(
    prepared: &Prepared,
    part: &Part,
    process: &ProcessSetup,
    joined: &[OwnedFd],
) -> io::Result<Expected> {
    let (host, setup) = (&prepared.host, &part.setup);
    let mut expected = Expected::of_first(&prepared.config, setup, process);
    expected.joined = resolve::links(&prepared.config, joined)?;
    // To others than root the files of an init that has joined a user namespace are closed, as it is not dumpable.
    if host.probe.euid != 0 && setup.namespaces.joins(NamespaceKind::User) {
        (expected.joined, expected.namespaces) = Default::default();
    }
    host.tamper(&mut expected);
    Ok(expected)
}

/// What has to be there if the program is started later.
pub(super) fn program(process: &ProcessSetup, start: StartSetup) -> Option<Program> {
    (start == StartSetup::Wait).then(|| Program::of(process))
}

/// Gives the launch what the first part of the plan wants.
pub(super) fn give_first(
    launch: &mut Launch,
    given: &compile::Given,
    (joined, root): (Vec<OwnedFd>, Option<OwnedFd>),
    draft: &Arc<Draft>,
    part: &Part,
) {
    if let (Some(slot), Some(root)) = (given.root, root) {
        launch.give(slot, root);
    }
    for (slot, fd) in given.joined.iter().zip(joined) {
        launch.give(*slot, fd);
    }
    if let Some(slot) = given.tasks {
        let group = Arc::clone(&draft.group);
        launch.give_with(slot, move || group.tasks());
    }
    if part.setup.cgroup.as_ref().is_some_and(|cgroup| cgroup.unified) {
        let group = Arc::clone(&draft.group);
        launch.cgroup_with(move || group.unified());
    }
}

/// Gives the launch what the program wants.
pub(super) fn give_program(
    launch: &mut Launch,
    given: compile::Given,
    mut opened: OpenStdio,
    preserved: Vec<OwnedFd>,
    draft: &Arc<Draft>,
) -> OpenStdio {
    for (slot, fd) in given.stdio.into_iter().flatten().zip(opened.theirs.drain(..)) {
        launch.give(slot, fd);
    }
    for (slot, fd) in given.preserved.into_iter().zip(preserved) {
        launch.give(slot, fd);
    }
    if let Some(slot) = given.start {
        let (pipe, board) = (Arc::clone(draft), Arc::clone(draft));
        launch.give_with(slot, move || pipe.open_start());
        launch.board_with(move |bytes| board.make_board(bytes));
    }
    opened
}

pub(super) fn finish(
    host: &Host,
    draft: &Draft,
    launched: Launched,
    opened: OpenStdio,
    start: StartSetup,
) -> Result<Made> {
    let (store, state) = draft.finish()?;
    unheld::tell(host, &state);
    let process = if start == StartSetup::Reaper {
        // It has no handle, but has to be reaped itself one day.
        drop(Process::new(launched.pid, launched.pidfd));
        None
    } else {
        let process = Process::launched(launched, opened);
        process.watch_memory(draft.group.memory());
        Some(process)
    };
    Ok(Made { store, state, process, mounts: None, used: None })
}

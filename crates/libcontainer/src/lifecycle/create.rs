//! A new container: config → setup → plan → launched → recorded.

use std::io;
use std::path::Path;
use std::sync::Arc;

use libcontainer_plan::{Launch, Launched, OpenStdio, Plan};

use super::descriptors::Descriptors;
use super::draft::{self, Draft};
use super::host::Host;
use super::readback::Expected;
use crate::compile::{self, Compiled};
use crate::config::{Config, Facts, Namespace, NamespaceKind};
use crate::error::{Error, ErrorKind, Result};
use crate::group::{self, GroupSteps, Planned};
use crate::process::{Process, ProcessConfig, reap_ended};
use crate::record::{State, Status, Store};
use crate::resolve;
use crate::setup::{Setup, StartSetup};

/// A container that was made.
pub(crate) struct Made {
    pub(crate) store: Arc<Store>,
    pub(crate) state: Arc<State>,
    /// The first process; none for the reaper.
    pub(crate) process: Option<Process>,
}

/// Makes the container, or takes everything back.
pub(crate) fn create(
    host: &Host,
    path: &Path,
    config: &Config,
    process: Option<ProcessConfig>,
    start: StartSetup,
) -> Result<Made> {
    let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let what = format!("create {id:?}");
    check(config, &Facts { euid: host.probe.euid, allow_unsupported: false })?;
    let config = &*resolve::with_joined_network(config);
    let mut setup = resolve::create(config, process.as_ref(), start, &host.probe, &id)?;
    let mut network = resolve::network(config)?;
    network.belongs_to(&std::path::absolute(path).map_err(|error| Error::io(what.clone(), error))?);
    if let Some(Namespace::Join(path)) = config.namespaces.get(NamespaceKind::Network) {
        network.joins(path);
    }
    let group = planned(host, config, (&id, path))?;
    setup.cgroup = group.as_ref().map(Planned::setup);
    let failed = |error: io::Error| Error::io(what.clone(), error);
    let given = Descriptors::open(config, process).map_err(failed)?;
    let expected = expected(host, config, &setup, &given).map_err(failed)?;
    let draft = Draft::new(path, config, &setup, &id, expected);
    let group = group.map(|planned| draft.group_steps(planned)).unwrap_or_default();
    let steps = draft.steps(&setup, group);
    draft.note_network(network.state());
    let steps = compile::place_network(network, &setup, steps);
    let compiled = compile::create(&setup, steps).map_err(|error| Error::seal(what.clone(), error))?;
    if start == StartSetup::Wait {
        draft.keep_steps(&compiled.plan);
    }
    let (mut launch, opened) = fill(host, compiled, given, &draft);
    if setup.cgroup.as_ref().is_some_and(|cgroup| cgroup.unified.is_some()) {
        let group = Arc::clone(&draft.group);
        launch.cgroup_with(move || group.unified());
    }
    let launched = launch.run().map_err(|error| {
        let error = group::explain(error, || draft.group.full());
        half_made(path, Error::launch(what, error))
    })?;
    reap_ended();
    finish(&draft, launched, opened, start)
}

/// Says of a path that is taken if nobody is going to use what is there: its maker is gone and had not come to its end.
fn half_made(path: &Path, error: Error) -> Error {
    if error.kind() != ErrorKind::AlreadyExists {
        return error;
    }
    // What can't be found out is left out: the path is taken all the same. Who makes a container holds its lock.
    let look = || -> Result<bool> {
        let store = Store::open(path)?;
        let lock = store.try_lock()?;
        Ok(lock.is_some() && store.read()?.status == Status::Creating)
    };
    if !matches!(look(), Ok(true)) {
        return error;
    }
    let text = format!("{} was left half-made by a process that is gone: destroy it first", path.display());
    Error::new(ErrorKind::AlreadyExists, text)
}

/// The plan by which it would be made; runs nothing.
pub(crate) fn explain(host: &Host, config: &Config, process: Option<&ProcessConfig>) -> Result<Plan> {
    let facts = Facts { euid: host.probe.euid, allow_unsupported: true };
    check(config, &facts)?;
    let config = &*resolve::with_joined_network(config);
    let start = if process.is_some() { StartSetup::Wait } else { StartSetup::Reaper };
    let accounts = resolve::accounts_to_show(config, &config.user);
    let given = process.map(|process| (process, &accounts));
    let mut setup = resolve::create_with(config, given, start, &host.probe, "ID")?;
    let mut group = GroupSteps::default();
    if let Some(block) = &config.cgroups {
        let (cgroup, steps) = group::shown(block, "ID", &*host.layout_now()?, host.probe.euid != 0)?;
        (setup.cgroup, group) = (Some(cgroup), steps);
    }
    let steps = draft::shown(&setup, group);
    let steps = compile::place_network(resolve::network(config)?.shown(), &setup, steps);
    Ok(compile::create(&setup, steps).map_err(|error| Error::seal("explain", error))?.plan)
}

fn check(config: &Config, facts: &Facts) -> Result<()> {
    let problems = config.problems(facts);
    if problems.is_empty() { Ok(()) } else { Err(Error::problems("config", problems)) }
}

fn planned(host: &Host, config: &Config, name: (&str, &Path)) -> Result<Option<Planned>> {
    let Some(block) = &config.cgroups else { return Ok(None) };
    Planned::new(block, name, &*host.layout_now()?, host.environment(), &host.probe).map(Some)
}

/// What is read back of the init.
fn expected(host: &Host, config: &Config, setup: &Setup, given: &Descriptors) -> io::Result<Expected> {
    let mut expected = Expected::of_first(config, setup);
    expected.joined = given.namespaces(config)?;
    // To others than root the files of an init that has joined a user namespace are closed, as it is not dumpable.
    if host.probe.euid != 0 && setup.namespaces.joins(NamespaceKind::User) {
        (expected.joined, expected.namespaces) = Default::default();
    }
    host.tamper(&mut expected);
    Ok(expected)
}

/// Gives the launch what its slots want.
fn fill(host: &Host, compiled: Compiled, mut given: Descriptors, draft: &Arc<Draft>) -> (Launch, OpenStdio) {
    let slots = compiled.given;
    let mut launch = host.launch(compiled.plan);
    for (slot, fd) in slots.stdio.into_iter().flatten().zip(given.opened.theirs.drain(..)) {
        launch.give(slot, fd);
    }
    for (slot, fd) in slots.preserved.into_iter().zip(given.preserved) {
        launch.give(slot, fd);
    }
    for (slot, fd) in slots.joined.into_iter().zip(given.joined) {
        launch.give(slot, fd);
    }
    if let Some((slot, _)) = slots.tasks {
        let group = Arc::clone(&draft.group);
        launch.give_with(slot, move || group.tasks());
    }
    if let Some(slot) = slots.start {
        let (pipe, board) = (Arc::clone(draft), Arc::clone(draft));
        launch.give_with(slot, move || pipe.open_start());
        launch.board_with(move || board.open_board());
    }
    (launch, given.opened)
}

fn finish(draft: &Draft, launched: Launched, opened: OpenStdio, start: StartSetup) -> Result<Made> {
    let (store, state) = draft.finish()?;
    let process = if start == StartSetup::Reaper {
        // It has no handle, but has to be reaped itself one day.
        drop(Process::new(launched.pid, launched.pidfd));
        None
    } else {
        let process = Process::launched(launched, opened)?;
        process.watch_memory(draft.group.memory());
        Some(process)
    };
    Ok(Made { store, state, process })
}

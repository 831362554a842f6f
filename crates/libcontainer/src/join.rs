//! Starting a further process in a running container.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use libcontainer_cgroups::{Group, Place};
use libcontainer_plan::{File, HostStep, Launch, Pid, Plan, Slot};
use nix::fcntl::{readlink, readlinkat};

use crate::cgroup::{self, OutOfMemory};
use crate::compile::{self, CgroupSetup, Compiled, JoinSetup};
use crate::config::{Config, NamespaceKind};
use crate::descriptors;
use crate::error::{Error, ErrorKind, Result};
use crate::factory::{self, Factory};
use crate::making;
use crate::process::{Process, wait_readable};
use crate::readback::{self, Expected};
use crate::resolve::{self, Accounts};
use crate::room;
use crate::scope::{self, UnitRecord};
use crate::state::State;
use crate::stdio::ProcessConfig;

pub(crate) fn start(
    factory: &Factory,
    state: &State,
    id: &str,
    init: (Pid, OwnedFd),
    process: ProcessConfig,
) -> Result<Process> {
    let what = format!("start a process in {id:?}");
    let (pid, pidfd) = init;
    let io = |error| Error::io(what.clone(), error);
    let Inside { namespaces, links, accounts, setgroups_denied } = look(pid).map_err(|error| {
        let text = || format!("{what}: the container has ended");
        // RACE: its files in /proc are closed to everyone once it has ended.
        if has_ended(&pidfd) { Error::new(ErrorKind::WrongState, text()) } else { error }
    })?;
    let mut setup = setup(factory, &state.config, &process, &accounts, namespaces, setgroups_denied)?;
    setup.cgroup = group(state);
    let mut expected = expected(&setup);
    // Root is shown the namespaces of the joining init. To others its files are closed, as it is not dumpable and was not born in the
    // container's user namespace; it has joined them all by one setns(2), which does all or nothing.
    expected.joined = Some(links).filter(|_| factory.probe().euid == 0).unwrap_or_default();
    factory.tamper(&mut expected);
    let ready = read_back_step(expected, state.places().to_vec());
    let enters = state.unit().filter(|unit| unit.user).map(|unit| attach_step(unit.clone(), factory));
    let born = enters.into_iter().chain(state.config.oom_score_adj.map(making::oom_step)).collect();
    let Compiled { plan, given } =
        compile::join(&setup, born, vec![ready]).map_err(|error| Error::seal(what.clone(), error))?;
    let (mut opened, preserved) = descriptors::standard(process).map_err(io)?;
    let mut launch = factory.prepare(plan);
    for (slot, fd) in given.stdio.into_iter().flatten().zip(opened.theirs.drain(..)) {
        launch.give(slot, fd);
    }
    for (slot, fd) in given.preserved.into_iter().zip(preserved) {
        launch.give(slot, fd);
    }
    let mut memory = None;
    if setup.cgroup.is_some() {
        let entered = enter(&mut launch, given.tasks, state, setup.processes());
        memory = entered.map_err(|error| Error::cgroup(what.clone(), error))?;
    }
    if let Some(slot) = given.target {
        launch.give(slot, pidfd);
    }
    let launched = launch.run().map_err(|error| {
        let full = || room::limit_of(&Group::open(state.places()).ok()?, setup.processes());
        Error::launch(what, room::explain(error, full))
    })?;
    let process = factory::process_of(launched, opened)?;
    process.watch_memory(memory);
    Ok(process)
}

fn read_back_step(expected: Expected, groups: Vec<Place>) -> HostStep {
    HostStep::new("read back capabilities and namespaces of the init", "", move |context| {
        readback::prepare(context.pid()?, &expected)
            .and_then(|prepared| readback::check(&prepared, &expected, &groups))
            .map(|()| None)
    })
}

/// Opens what the new process needs to be born in the container's control group.
fn enter(
    launch: &mut Launch,
    slots: Vec<(Slot<File>, PathBuf)>,
    state: &State,
    processes: u64,
) -> libcontainer_cgroups::Result<Option<OutOfMemory>> {
    let group = Group::open(state.places())?;
    if !slots.is_empty() {
        room::check_move(&group, processes)?;
    }
    let mut tasks = cgroup::open_tasks(&group)?;
    for (slot, path) in slots {
        if let Some(file) = tasks.remove(&path) {
            launch.give(slot, file);
        }
    }
    let memory = OutOfMemory::new(&group);
    if state.unit().is_none_or(|unit| !unit.user) {
        launch.cgroup_with(move || cgroup::unified(&group));
    }
    Ok(memory)
}

/// A user may write to the group, but not to that above it and to the own one, as moving takes: that is for systemd to do.
fn group(state: &State) -> Option<CgroupSetup> {
    let by_systemd = state.unit().is_some_and(|unit| unit.user);
    let setup = || if by_systemd { CgroupSetup::default() } else { cgroup::setup(state.places()) };
    (!state.places().is_empty()).then(setup)
}

fn attach_step(unit: UnitRecord, factory: &Factory) -> HostStep {
    let environment = factory.environment();
    HostStep::new(format!("have systemd move the init into {}", unit.name), "", move |context| {
        scope::attach(&unit, &environment, context.pid()?).map_err(cgroup::as_io)?;
        Ok(None)
    })
}

/// What a join needs to know of the first process.
struct Inside {
    /// How its namespaces differ, as `CLONE_NEW…` bits.
    namespaces: u32,
    /// All of them, as `/proc/PID/ns` shows them.
    links: Vec<String>,
    accounts: Accounts,
    /// Its user namespace was made without privileges: nobody can set groups there, whoever joins.
    setgroups_denied: bool,
}

fn look(pid: Pid) -> Result<Inside> {
    let root = PathBuf::from(format!("/proc/{pid}/root"));
    let failed = |error| Error::io(format!("read namespaces of process {pid}"), error);
    let (namespaces, links) = different(pid).map_err(failed)?;
    let setgroups = std::fs::read(format!("/proc/{pid}/setgroups")).map_err(failed)?;
    let setgroups_denied = setgroups.starts_with(b"deny");
    Ok(Inside { namespaces, links, accounts: resolve::read_accounts(&root)?, setgroups_denied })
}

pub(crate) fn has_ended(pidfd: &OwnedFd) -> bool {
    wait_readable(pidfd.as_fd(), Some(Duration::ZERO)).unwrap_or(true)
}

pub(crate) fn explain(factory: &Factory, state: &State, process: &ProcessConfig) -> Result<Plan> {
    let flags = state.config.namespaces.iter().map(|(kind, _)| kind.flag()).sum();
    let config = &state.config;
    let single = config.gid_mappings.len() == 1 && config.gid_mappings.iter().all(|map| map.size == 1);
    let denied = config.namespaces.is_new(NamespaceKind::User) && factory.probe().euid != 0 && single;
    let accounts = resolve::accounts_to_show(config, process.user.as_deref().unwrap_or(&config.user));
    let mut setup = setup(factory, config, process, &accounts, flags, denied)?;
    setup.cgroup = group(state);
    Ok(compile::join(&setup, Vec::new(), Vec::new()).map_err(|error| Error::seal("explain", error))?.plan)
}

fn setup(
    factory: &Factory,
    config: &Config,
    process: &ProcessConfig,
    accounts: &Accounts,
    namespaces: u32,
    setgroups_denied: bool,
) -> Result<JoinSetup> {
    let process = resolve::process(config, process, accounts, factory.probe(), setgroups_denied)?;
    let keyring = (!config.no_new_keyring).then(|| "_ses.join".to_owned());
    Ok(JoinSetup { namespaces, setgroups_denied, keyring, cgroup: None, process })
}

fn expected(setup: &JoinSetup) -> Expected {
    let confinement = &setup.process.confinement;
    let user = setup.namespaces & NamespaceKind::User.flag() != 0;
    let identity = &setup.process.identity;
    let mut groups = identity.groups.clone();
    groups.sort_unstable();
    Expected {
        uid: Some(identity.uid).filter(|_| !user),
        gid: Some(identity.gid).filter(|_| !user),
        groups: Some(groups).filter(|_| !user),
        capabilities: [
            confinement.inheritable,
            confinement.permitted,
            confinement.effective,
            confinement.bounding,
            confinement.ambient,
        ],
        no_new_privs: confinement.no_new_privs,
        ..Expected::default()
    }
}

/// The kinds of namespaces in which a process differs from the caller, as `CLONE_NEW…` bits, and all that it is in.
fn different(pid: Pid) -> io::Result<(u32, Vec<String>)> {
    let dir = |path: &Path| -> io::Result<OwnedFd> {
        let flags = nix::fcntl::OFlag::O_PATH | nix::fcntl::OFlag::O_CLOEXEC;
        Ok(nix::fcntl::open(path, flags, nix::sys::stat::Mode::empty())?)
    };
    let (theirs, ours) =
        (dir(&PathBuf::from(format!("/proc/{pid}/ns")))?, dir(Path::new("/proc/thread-self/ns"))?);
    let (mut flags, mut links) = (0, Vec::new());
    for kind in NamespaceKind::ALL {
        let link = readlinkat(&theirs, kind.file())?;
        if link != readlinkat(&ours, kind.file())? {
            flags |= kind.flag();
        }
        links.push(link.to_string_lossy().into_owned());
    }
    Ok((flags, links))
}

/// All processes whose pid namespace is that of `init`.
pub(crate) fn in_pid_namespace(init: Pid) -> io::Result<Vec<Pid>> {
    let namespace = |pid: Pid| readlink(format!("/proc/{pid}/ns/pid").as_str());
    let wanted = namespace(init)?;
    let mut found = Vec::new();
    for entry in Path::new("/proc").read_dir()? {
        let name = entry?.file_name();
        let pid = name.to_str().and_then(|name| name.parse().ok()).and_then(Pid::new);
        // A process that has gone meanwhile has no namespace any more.
        found.extend(pid.filter(|pid| namespace(*pid).is_ok_and(|found| found == wanted)));
    }
    found.sort_unstable();
    Ok(found)
}

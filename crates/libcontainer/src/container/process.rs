//! The processes of a container.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use libcontainer_cgroups::Group;
use libcontainer_plan::{Pid, Plan, open_pidfd, signal_pidfd};

use super::handle::Container;
use crate::config::NamespaceKind;
use crate::error::{Error, ErrorKind, Result};
use crate::group::let_die;
use crate::lifecycle::{self, Joined, condition};
use crate::process::{Process, ProcessConfig};
use crate::record::{Init, RunState, State};

impl Container {
    /// Lets the first process of a created container run, and returns once it has replaced the init.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] if it was started before; else the step that failed, such as the exec.
    pub fn run(&self) -> Result<()> {
        self.learn(lifecycle::release(self.host(), self.store(), &self.id())?);
        Ok(())
    }

    /// Starts one more process inside, in all namespaces of the first one and with the same confinement.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] if the container neither runs nor waits for its start; else the step that failed.
    pub fn start(&self, process: ProcessConfig) -> Result<Process> {
        let state = self.refresh()?;
        let init = Init::open(&state)?;
        let found = condition(self.store(), &state, init.is_some())?;
        let paused = matches!(found, RunState::Paused | RunState::Pausing) && process.ignore_paused;
        let alive = matches!(found, RunState::Running | RunState::Created);
        let Some(init) = init.filter(|_| alive || paused) else {
            return Err(self.not_running("start a process in", found));
        };
        let joined = Joined { id: &self.id(), dir: self.path(), init };
        lifecycle::join(self.host(), &state, joined, process)
    }

    /// The pids of its processes in the caller's pid namespace: those in its control group, or without one those in the pid
    /// namespace of the first process. Without either, only the first process is known. May be outdated when it returns,
    /// unless the container is paused.
    ///
    /// # Errors
    /// Those of reading `/proc`.
    pub fn processes(&self) -> Result<Vec<Pid>> {
        let state = self.refresh()?;
        let Some(init) = Init::open(&state)? else { return Ok(Vec::new()) };
        if !state.places().is_empty() {
            return self.in_group(&state);
        }
        let own = state.config.namespaces.contains(NamespaceKind::Pid);
        if !own {
            return Ok(vec![init.pid]);
        }
        match lifecycle::in_pid_namespace(init.pid) {
            // RACE: its files in /proc are closed to everyone once it has ended.
            Err(_) if init.is_ending()? => Ok(Vec::new()),
            found => found.map_err(|error| Error::io("read /proc", error)),
        }
    }

    fn in_group(&self, state: &State) -> Result<Vec<Pid>> {
        let failed = |error| Error::cgroup(format!("processes of {:?}", self.id()), error);
        let group = Group::open(state.places()).map_err(failed)?;
        if group.is_gone() {
            return Ok(Vec::new());
        }
        let pids = group.processes().map_err(failed)?;
        Ok(pids.into_iter().filter_map(|pid| Pid::new(pid.get())).collect())
    }

    /// Sends a signal to the first process. A paused container gets it when it is resumed; SIGKILL ends it at once.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] if it has ended.
    pub fn signal(&self, signal: i32) -> Result<()> {
        let state = self.refresh()?;
        let Some(Init { pid, pidfd }) = Init::open(&state)? else {
            return Err(not_running(&self.id()));
        };
        let sent = signal_pidfd(pidfd.as_fd(), signal);
        sent.map_err(|error| Error::io(format!("send signal {signal} to process {pid}"), error))?;
        killed(&state, signal)
    }

    /// Sends a signal to all processes of the container's control group, those that they start meanwhile too; without a group, to the first process.
    /// Also once the first process has ended: others may live on where the pid namespace is shared.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] if none is left; [`ErrorKind::Timeout`] if new ones come faster than they are reached.
    pub fn signal_all(&self, signal: i32) -> Result<()> {
        let state = self.refresh()?;
        if state.places().is_empty() {
            return self.signal(signal);
        }
        let mut reached = BTreeSet::new();
        for _ in 0..ROUNDS {
            let new: Vec<Pid> =
                self.in_group(&state)?.into_iter().filter(|pid| !reached.contains(pid)).collect();
            if new.is_empty() {
                return if reached.is_empty() {
                    Err(not_running(&self.id()))
                } else {
                    killed(&state, signal)
                };
            }
            self.reach(&state, &new, signal)?;
            reached.extend(new);
        }
        let text = "new processes come faster than they can be reached: pause it, or kill all";
        Err(Error::new(ErrorKind::Timeout, format!("signal {:?}: {text}", self.id())))
    }

    /// Sends a signal to those of these that are members of the group.
    fn reach(&self, state: &State, pids: &[Pid], signal: i32) -> Result<()> {
        let held = pids.iter().map(|pid| Ok((*pid, hold(*pid)?))).collect::<Result<Vec<_>>>()?;
        // RACE: a number may be another process's since it was read. Those that are members now, while they are held, are ours.
        let members: BTreeSet<Pid> = self.in_group(state)?.into_iter().collect();
        let mut held = held.iter().filter(|(pid, _)| members.contains(pid));
        held.try_for_each(|(pid, held)| held.as_ref().map_or(Ok(()), |held| send(*pid, held, signal)))
    }

    /// The plan by which a further process would be started.
    ///
    /// # Errors
    /// As [`Container::start`].
    pub fn explain(&self, process: &ProcessConfig) -> Result<Plan> {
        let state = self.refresh()?;
        lifecycle::explain_join(self.host(), &state, process)
    }

    /// Opens the pidfd of the first process, to wait for its end.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] if it has ended.
    pub fn init_process(&self) -> Result<Process> {
        let state = self.refresh()?;
        let gone = || Error::new(ErrorKind::WrongState, format!("container {:?} is not running", self.id()));
        let Init { pid, pidfd } = Init::open(&state)?.ok_or_else(gone)?;
        Ok(Process::new(pid, pidfd))
    }

    /// The pid of its first process in the caller's pid namespace, if that process lives.
    ///
    /// # Errors
    /// As [`Container::run_state`].
    pub fn init_pid(&self) -> Result<Option<Pid>> {
        let state = self.refresh()?;
        Ok(Init::open(&state)?.map(|init| init.pid))
    }
}

/// How often the group is looked at again: who starts processes faster than they can be signalled is stopped by SIGKILL to the group, or by pausing it.
const ROUNDS: usize = 64;

/// What is frozen dies when it goes on.
fn killed(state: &State, signal: i32) -> Result<()> {
    if signal == libc::SIGKILL { let_die(state) } else { Ok(()) }
}

fn not_running(id: &str) -> Error {
    Error::new(ErrorKind::WrongState, format!("signal {id:?}: container not running"))
}

/// Whether the call found no such process: it has ended.
fn ended(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ESRCH)
}

/// A pidfd of a process, unless that has ended.
fn hold(pid: Pid) -> Result<Option<OwnedFd>> {
    match open_pidfd(pid) {
        Err(error) if ended(&error) => Ok(None),
        held => held.map(Some).map_err(|error| Error::io(format!("pidfd_open of process {pid}"), error)),
    }
}

fn send(pid: Pid, held: &OwnedFd, signal: i32) -> Result<()> {
    match signal_pidfd(held.as_fd(), signal) {
        Err(error) if ended(&error) => Ok(()),
        sent => sent.map_err(|error| Error::io(format!("send signal {signal} to process {pid}"), error)),
    }
}

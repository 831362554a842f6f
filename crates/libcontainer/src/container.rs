//! A container: a handle that any thread and any process may hold.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libcontainer_cgroups::Group;
use libcontainer_plan::{BoardFile, Pid, Plan, open_pidfd, signal_pidfd};
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::config::Config;
use crate::control::{self, Meter};
use crate::error::{Error, ErrorKind, Result};
use crate::factory::Factory;
use crate::making::{boot_id, start_time};
use crate::process::{Process, wait_readable};
use crate::state::{RunState, State, Status};
use crate::stdio::ProcessConfig;
use crate::store::{self, Store};
use crate::{ending, join};

/// How long an init may take to be gone.
pub(crate) const KILL: Duration = Duration::from_secs(10);

/// A container. Cheap to clone; all methods take `&self`. Another process may change or destroy it at any time:
/// any method can then fail with [`ErrorKind::NotFound`].
#[derive(Clone, Debug)]
pub struct Container {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    factory: Factory,
    state: Mutex<Arc<State>>,
    meter: Mutex<Option<Meter>>,
}

impl Container {
    pub(crate) fn new(store: Store, state: Arc<State>, factory: Factory) -> Self {
        Self::from_parts(Arc::new(store), state, factory)
    }

    pub(crate) fn from_parts(store: Arc<Store>, state: Arc<State>, factory: Factory) -> Self {
        Self { inner: Arc::new(Inner { store, factory, state: Mutex::new(state), meter: Mutex::default() }) }
    }

    /// The container's directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.inner.store.path()
    }

    /// The container's name: the last part of its path.
    #[must_use]
    pub fn id(&self) -> String {
        self.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The config with which the container was made.
    #[must_use]
    pub fn config(&self) -> Config {
        self.known().config.clone()
    }

    /// When it was made, in seconds since 1970.
    #[must_use]
    pub fn created(&self) -> u64 {
        self.known().created
    }

    /// The pid of its first process in the caller's pid namespace, if that process lives.
    ///
    /// # Errors
    /// As [`Container::run_state`].
    pub fn init_pid(&self) -> Result<Option<Pid>> {
        let state = self.refresh()?;
        Ok(self.open_init(&state)?.map(|(pid, _)| pid))
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn factory(&self) -> &Factory {
        &self.inner.factory
    }

    pub(crate) fn meter(&self) -> &Mutex<Option<Meter>> {
        &self.inner.meter
    }

    fn known(&self) -> Arc<State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the record again, under a shared lock.
    pub(crate) fn refresh(&self) -> Result<Arc<State>> {
        let _lock = self.inner.store.lock(false)?;
        self.refresh_locked()
    }

    pub(crate) fn refresh_locked(&self) -> Result<Arc<State>> {
        let state = self.inner.store.read()?;
        self.learn(Arc::clone(&state));
        Ok(state)
    }

    pub(crate) fn learn(&self, state: Arc<State>) {
        *self.inner.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// The pidfd of the first process, if it is still the one that the record means: same boot, same start time.
    pub(crate) fn open_init(&self, state: &State) -> Result<Option<(Pid, OwnedFd)>> {
        let Some(pid) = Pid::new(state.init_pid).filter(|_| state.boot_id == boot_id()) else {
            return Ok(None);
        };
        let pidfd = match open_pidfd(pid) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ESRCH | libc::EINVAL)) => {
                return Ok(None);
            }
            result => result.map_err(|error| Error::io(format!("open a pidfd of process {pid}"), error))?,
        };
        // ORDER: the pidfd first: what is compared then is the process that the pidfd holds, if it still lives.
        let same = start_time(pid).is_ok_and(|time| time == state.init_start_time);
        let dead = wait_readable(pidfd.as_fd(), Some(Duration::ZERO)).unwrap_or(true);
        Ok((same && !dead).then_some((pid, pidfd)))
    }

    /// The state.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it was destroyed, [`ErrorKind::Corrupt`] if its record can't be read.
    pub fn run_state(&self) -> Result<RunState> {
        Ok(self.look()?.0)
    }

    /// The state and, if it lives, the first process, by one look.
    ///
    /// # Errors
    /// As [`Container::run_state`].
    pub fn look(&self) -> Result<(RunState, Option<Pid>)> {
        let state = match self.refresh() {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((RunState::Destroyed, None)),
            state => state?,
        };
        let init = self.open_init(&state)?;
        let found = with_freezer(state_of(&state, init.is_some()), &state)?;
        Ok((found, init.map(|(pid, _)| pid)))
    }

    /// The state of the container that `state` records.
    pub(crate) fn state_now(&self, state: &State) -> Result<RunState> {
        with_freezer(state_of(state, self.open_init(state)?.is_some()), state)
    }

    /// Lets the first process of a created container run, and returns once it has replaced the init.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] if it was started before; else the step that failed, such as the exec.
    pub fn run(&self) -> Result<()> {
        let what = format!("start {:?}", self.id());
        let _lock = self.inner.store.lock(true)?;
        let mut state = State::clone(&*self.refresh_locked()?);
        let init = self.open_init(&state)?;
        let found = with_freezer(state_of(&state, init.is_some()), &state)?;
        let Some((_, pidfd)) = init.filter(|_| found == RunState::Created) else {
            return Err(Error::new(
                ErrorKind::WrongState,
                format!("{what}: the container is {found:?}, not Created"),
            ));
        };
        let failed = |error| Error::io(what.clone(), error);
        let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let pipe = openat(self.inner.store.dir(), store::START, flags, Mode::empty())
            .map_err(|errno| failed(errno.into()))?;
        let mut pipe = File::from(pipe);
        pipe.write_all(b"s").map_err(failed)?;
        wait_for_exec(&pipe, &pidfd).map_err(failed)?;
        drop(pipe);
        if let Err(error) = self.started(&state, &what) {
            // It is on its way out; afterwards the state is Stopped. If that takes too long the error is told all the same.
            let _ = wait_readable(pidfd.as_fd(), Some(KILL));
            return Err(error);
        }
        state.status = Status::Running;
        self.learn(self.inner.store.write(&state).map_err(failed)?);
        Ok(())
    }

    /// Whether the exec went well, from the board file.
    fn started(&self, state: &State, what: &str) -> Result<()> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let board = openat(self.inner.store.dir(), store::BOARD, flags, Mode::empty());
        let board = board
            .map_err(io::Error::from)
            .and_then(BoardFile::read)
            .map_err(|error| Error::io(what, error))?;
        let Some(errno) = board.errno else { return Ok(()) };
        let text = state
            .start_steps
            .iter()
            .find(|(index, _)| *index == board.step)
            .map_or("", |(_, text)| text.as_str());
        let error = io::Error::from_raw_os_error(errno);
        Err(Error::io(format!("{what}: step {}: {text}", board.step), error))
    }

    /// Starts one more process inside, in all namespaces of the first one and with the same confinement.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] if the container does not run; else the step that failed.
    pub fn start(&self, process: ProcessConfig) -> Result<Process> {
        let state = self.refresh()?;
        let init = self.open_init(&state)?;
        let found = with_freezer(state_of(&state, init.is_some()), &state)?;
        let Some((pid, pidfd)) = init.filter(|_| found == RunState::Running) else {
            let text = format!("start a process in {:?}: the container is {found:?}, not Running", self.id());
            return Err(Error::new(ErrorKind::WrongState, text));
        };
        join::start(&self.inner.factory, &state, &self.id(), (pid, pidfd), process)
    }

    /// The pids of its processes in the caller's pid namespace: those in its control group, or without one those in the pid
    /// namespace of the first process. Without either, only the first process is known. May be outdated when it returns,
    /// unless the container is paused.
    ///
    /// # Errors
    /// Those of reading `/proc`.
    pub fn processes(&self) -> Result<Vec<Pid>> {
        let state = self.refresh()?;
        let Some((init, pidfd)) = self.open_init(&state)? else { return Ok(Vec::new()) };
        if !state.places().is_empty() {
            return self.in_group(&state);
        }
        let own = state.config.namespaces.contains(crate::NamespaceKind::Pid);
        if !own {
            return Ok(vec![init]);
        }
        match join::in_pid_namespace(init) {
            // RACE: its files in /proc are closed to everyone once it has ended.
            Err(_) if join::has_ended(&pidfd) => Ok(Vec::new()),
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
        let Some((pid, pidfd)) = self.open_init(&state)? else {
            return Err(Error::new(
                ErrorKind::WrongState,
                format!("signal {:?}: container not running", self.id()),
            ));
        };
        signal_pidfd(pidfd.as_fd(), signal)
            .map_err(|error| Error::io(format!("send signal {signal} to process {pid}"), error))?;
        if signal == libc::SIGKILL { control::let_die(&state) } else { Ok(()) }
    }

    /// The plan by which a further process would be started.
    ///
    /// # Errors
    /// As [`Container::start`].
    pub fn explain(&self, process: &ProcessConfig) -> Result<Plan> {
        let state = self.refresh()?;
        join::explain(&self.inner.factory, &state, process)
    }

    /// Kills every process and removes everything; the record goes last. May be called again, also by another process: a container
    /// that is gone is no error.
    ///
    /// # Errors
    /// Everything that could not be taken away.
    pub fn destroy(&self) -> Result<()> {
        let what = format!("destroy {:?}", self.id());
        let _lock = self.inner.store.lock(true)?;
        if !self.inner.store.stands() {
            return Ok(());
        }
        // A damaged record names nothing that lives: its process, if there was one, is known to this handle.
        let state = self.refresh_locked().unwrap_or_else(|_| self.known());
        // ORDER: devices of the host's come back from the namespace before that ends with its processes.
        let namespace = self.network_namespace(&state)?;
        let network = libcontainer_network::remove(&state.network_state, namespace.as_ref());
        drop(namespace);
        ending::end(&state, self.open_init(&state)?, &self.inner.factory.environment(), &what)?;
        network.map_err(|error| Error::network(what.clone(), error))?;
        self.inner
            .store
            .remove()
            .map_err(|error| Error::io(format!("{what}: remove {}", self.path().display()), error))
    }

    /// Opens the pidfd of the first process, to wait for its end.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] if it has ended.
    pub fn init_process(&self) -> Result<Process> {
        let state = self.refresh()?;
        let gone = || Error::new(ErrorKind::WrongState, format!("container {:?} is not running", self.id()));
        let (pid, pidfd) = self.open_init(&state)?.ok_or_else(gone)?;
        Ok(Process::new(pid, pidfd))
    }

    /// A path below the container's directory, for files of the caller's own that destroy removes too.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

/// A container that lives may be frozen.
fn with_freezer(found: RunState, state: &State) -> Result<RunState> {
    if !matches!(found, RunState::Running | RunState::Created) {
        return Ok(found);
    }
    Ok(control::frozen(state)?.unwrap_or(found))
}

fn state_of(state: &State, alive: bool) -> RunState {
    match (state.status, alive) {
        (Status::Creating, _) => RunState::Creating,
        (Status::Created, true) => RunState::Created,
        (Status::Running, true) => RunState::Running,
        (_, false) => RunState::Stopped,
    }
}

/// Waits until the init no longer holds the pipe: it has replaced itself, or it is gone.
fn wait_for_exec(pipe: &File, pidfd: &OwnedFd) -> io::Result<()> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let limit = PollTimeout::try_from(KILL).unwrap_or(PollTimeout::MAX);
    loop {
        let mut polled =
            [PollFd::new(pipe.as_fd(), PollFlags::empty()), PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, limit) {
            Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(0) => return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
            Ok(_) => return Ok(()),
        }
    }
}

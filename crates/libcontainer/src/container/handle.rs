//! A container: a handle that any thread and any process may hold.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use libcontainer_cgroups::Group;
use libcontainer_plan::Pid;

use super::stats::Meter;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::{self, Host, condition};
use crate::process::End;
use crate::record::{Init, RunState, State, Store};

/// A container. Cheap to clone; all methods take `&self`. Another process may change or destroy it at any time:
/// any method can then fail with [`ErrorKind::NotFound`].
#[derive(Clone, Debug)]
pub struct Container {
    inner: Arc<Inner>,
}

/// Ends containers for their owners, later.
pub(crate) trait Undertaker: std::fmt::Debug + Send + Sync {
    /// Takes it over; false if it can't, or nothing is taken any more.
    fn take(&self, container: Container) -> bool;
}

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    undertaker: Option<Arc<dyn Undertaker>>,
    host: Host,
    state: Mutex<Arc<State>>,
    meter: Mutex<Option<Meter>>,
    /// The mount namespace, until somebody ends the container who has the time.
    mounts: Mutex<Option<OwnedFd>>,
    /// Of the first process.
    end: Option<End>,
}

/// What a container has that an undertaker ends.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) undertaker: Arc<dyn Undertaker>,
    /// Its mount namespace, to be let go when it is ended.
    pub(crate) mounts: Option<OwnedFd>,
    /// Whether its first process has ended, if a handle of that may know.
    pub(crate) end: Option<End>,
}

impl Container {
    pub(crate) fn new(store: Arc<Store>, state: Arc<State>, host: Host) -> Self {
        Self::with((store, state), host, None)
    }

    /// One that an undertaker ends.
    pub(crate) fn left_to(store: Arc<Store>, state: Arc<State>, host: Host, left: Left) -> Self {
        Self::with((store, state), host, Some(left))
    }

    fn with((store, state): (Arc<Store>, Arc<State>), host: Host, left: Option<Left>) -> Self {
        let (undertaker, mounts, end) = left
            .map_or((None, None, None), |Left { undertaker, mounts, end }| (Some(undertaker), mounts, end));
        let (state, meter, mounts) = (Mutex::new(state), Mutex::default(), Mutex::new(mounts));
        Self { inner: Arc::new(Inner { store, undertaker, host, state, meter, mounts, end }) }
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

    pub(super) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(super) fn host(&self) -> &Host {
        &self.inner.host
    }

    pub(super) fn meter(&self) -> &Mutex<Option<Meter>> {
        &self.inner.meter
    }

    fn known(&self) -> Arc<State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the record again, under a shared lock.
    pub(super) fn refresh(&self) -> Result<Arc<State>> {
        let _lock = self.inner.store.lock(false)?;
        self.refresh_locked()
    }

    pub(super) fn refresh_locked(&self) -> Result<Arc<State>> {
        let state = self.inner.store.read()?;
        self.learn(Arc::clone(&state));
        Ok(state)
    }

    pub(super) fn learn(&self, state: Arc<State>) {
        *self.inner.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
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
        let init = Init::open(&state)?;
        Ok((condition(self.store(), &state, init.is_some())?, init.map(|init| init.pid)))
    }

    /// The state of the container that `state` records.
    pub(super) fn state_now(&self, state: &State) -> Result<RunState> {
        condition(self.store(), state, Init::open(state)?.is_some())
    }

    /// Kills every process and removes everything; the record goes last. May be called again, also by another process: a container
    /// that is gone is no error.
    ///
    /// Of a container of a [`Template`](crate::Template) the first process is killed when this returns; the template's thread does the rest, and
    /// [`Template::stats`](crate::Template::stats) tells how it goes. Until it is done the record stays: [`Container::destroy_now`] waits.
    ///
    /// # Errors
    /// Everything that could not be taken away.
    pub fn destroy(&self) -> Result<()> {
        let Some(undertaker) = &self.inner.undertaker else { return self.destroy_now() };
        // What hinders the kill is told by the long way, unless it has passed by then.
        let known = self.known();
        let ended = || self.inner.end.as_ref().is_some_and(|end| end.is_known(known.init_pid));
        // ORDER: a device of the host's comes home first.
        let killed = known.network_state.devices().next().is_none()
            && (ended() || lifecycle::kill_first(&known).is_ok());
        if killed && undertaker.take(self.clone()) { Ok(()) } else { self.destroy_now() }
    }

    /// As [`Container::destroy`], and everything is gone when it returns.
    ///
    /// # Errors
    /// As [`Container::destroy`].
    pub fn destroy_now(&self) -> Result<()> {
        // ORDER: first, so that the mounts are gone when this returns.
        drop(self.inner.mounts.lock().unwrap_or_else(PoisonError::into_inner).take());
        lifecycle::destroy(self.store(), &self.id(), Some(self.known()), self.host())
    }

    /// A path below the container's directory, for files of the caller's own that destroy removes too.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(super) fn group_of(&self, state: &State, what: &str) -> Result<Group> {
        let what = format!("{what} of {:?}", self.id());
        if state.places().is_empty() {
            let text = format!("{what}: the container has no control group (no \"cgroups\" in its config)");
            return Err(Error::new(ErrorKind::WrongState, text));
        }
        Group::open(state.places()).map_err(|error| Error::cgroup(what, error))
    }

    pub(super) fn not_running(&self, what: &str, found: RunState) -> Error {
        let why = match found {
            RunState::Paused | RunState::Pausing => {
                "cannot exec in a paused container: resume it, or exec with --ignore-paused (ignore_paused)"
                    .to_owned()
            }
            // Callers of OCI runtimes look for these words.
            found => format!("container not running (it is {found})"),
        };
        Error::new(ErrorKind::WrongState, format!("{what} {:?}: {why}", self.id()))
    }
}

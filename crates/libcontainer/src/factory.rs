//! Making containers, and finding those that exist.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use libcontainer_cgroups::Layout;
use libcontainer_cgroups::systemd::Environment;
use libcontainer_plan::{Fault, Plan, Probe};

use crate::config::Config;
use crate::container::Container;
use crate::criu::RestoreOptions;
use crate::error::{Error, ErrorKind, Result};
use crate::lifecycle::{self, Expected, Host, Made, Own, Prepared};
use crate::process::{Process, ProcessConfig, reap_ended};
use crate::record::Store;
use crate::resctrl::ResctrlMount;
use crate::setup::StartSetup;
use crate::template::Template;

/// Makes containers. Looks at the kernel once; cheap to clone, and may be used from any thread.
#[derive(Clone)]
pub struct Factory {
    host: Host,
}

impl std::fmt::Debug for Factory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Factory")
            .field("probe", &self.host.probe)
            .field("trace", &self.host.trace)
            .finish_non_exhaustive()
    }
}

impl Factory {
    /// A factory for the running kernel: uname(2), `/proc/sys/kernel/cap_last_cap`.
    ///
    /// # Errors
    /// If the kernel is older than 5.14.
    pub fn new() -> Result<Self> {
        let probe = Probe::current().map_err(|error| Error::io("look at the kernel", error))?;
        Ok(Self::with_probe(probe))
    }

    /// A factory that plans for that kernel: for tests, and to explain plans for another machine.
    #[must_use]
    pub fn with_probe(probe: Probe) -> Self {
        Self { host: Host::new(probe) }
    }

    /// Takes control groups to be laid out like this, instead of looking at `/proc/self/mountinfo` and `/proc/self/cgroup` for
    /// each container.
    #[must_use]
    pub fn layout(self, layout: Layout) -> Self {
        Self { host: Host { layout: Some(Arc::new(layout)), ..self.host } }
    }

    /// Looks for systemd where this environment says, instead of that of the process: see [`Environment::endpoints`].
    #[must_use]
    pub fn systemd(self, environment: Environment) -> Self {
        Self { host: Host { environment: Some(Arc::new(environment)), ..self.host } }
    }

    /// Takes this for the resctrl filesystem, instead of looking at `/proc/self/mountinfo`.
    #[must_use]
    pub fn resctrl(self, mount: ResctrlMount) -> Self {
        Self { host: Host { resctrl: Some(Arc::new(mount)), ..self.host } }
    }

    /// What is known of the kernel.
    #[must_use]
    pub fn probe(&self) -> &Probe {
        &self.host.probe
    }

    /// Records when each step of a start begins: see [`Process::timeline`].
    #[must_use]
    pub fn trace(self, yes: bool) -> Self {
        Self { host: Host { trace: yes, ..self.host } }
    }

    /// Makes one step of every launch fail, as if the kernel had refused it, to see what an error leaves behind; or leaves it out, to
    /// see that this is noticed.
    #[must_use]
    pub fn inject(self, fault: Fault) -> Self {
        Self { host: Host { fault: Some(fault), ..self.host } }
    }

    /// Calls `observer` after each step of the host lane with its index.
    #[must_use]
    pub fn observe(self, observer: impl Fn(usize) + Send + Sync + 'static) -> Self {
        Self { host: Host { observer: Some(Arc::new(observer)), ..self.host } }
    }

    /// Changes what the host expects to read back of an init: to see that a difference ends the start.
    #[must_use]
    pub fn expect(self, tamper: impl Fn(&mut Expected) + Send + Sync + 'static) -> Self {
        Self { host: Host { tamper: Some(Arc::new(tamper)), ..self.host } }
    }

    /// Calls `tell` with what fails and changes nothing, on the thread where it does: `poststop` hooks ([`Hooks`](crate::Hooks)); and with what should not be: a container
    /// without a control group and without a pid namespace of its own, whose processes can't all be found. Nobody is told otherwise.
    #[must_use]
    pub fn warnings(self, tell: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        Self { host: Host { warnings: Some(Arc::new(tell)), ..self.host } }
    }

    /// Asks `asked` several times a second, on the thread that waits, as long as a hook of a container that is being made or started runs. If it answers yes the hook is killed, as
    /// behind its timeout, and the call fails and takes back what it has made: for a caller who was asked to end, by a signal say. Hooks of a container's end run all the same.
    #[must_use]
    pub fn break_off(self, asked: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { host: Host { break_off: Some(Arc::new(asked)), ..self.host } }
    }

    /// Makes a container whose first process is the reaper: it adopts orphans, forwards nothing, and ends the container on SIGTERM.
    /// Processes are started in it with [`Container::start`].
    ///
    /// `path` must not exist, its parent must; it becomes the container's directory (mode 0700). Either all is done, or nothing remains.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] with all problems, before anything was changed; [`ErrorKind::AlreadyExists`]; else the step that failed.
    pub fn create(&self, path: impl AsRef<Path>, config: &Config) -> Result<Container> {
        let Made { store, state, .. } = self.make(path.as_ref(), config, None, StartSetup::Reaper)?;
        Ok(Container::new(store, state, self.host.clone()))
    }

    /// Makes a container whose first process is `process`, ready and waiting for [`Container::run`].
    ///
    /// # Errors
    /// As [`Factory::create`].
    pub fn create_with(
        &self,
        path: impl AsRef<Path>,
        config: &Config,
        process: ProcessConfig,
    ) -> Result<(Container, Process)> {
        self.program(path.as_ref(), config, process, StartSetup::Wait)
    }

    /// Makes a container whose first process is `process`, which runs when this returns: `create_with` and `run` in one, and
    /// faster than both.
    ///
    /// # Errors
    /// As [`Factory::create`].
    pub fn run(
        &self,
        path: impl AsRef<Path>,
        config: &Config,
        process: ProcessConfig,
    ) -> Result<(Container, Process)> {
        self.program(path.as_ref(), config, process, StartSetup::Run)
    }

    /// Makes a container whose processes are those of a checkpoint, which run on when this returns: by criu(8), as root.
    ///
    /// `config` is that of the container that was checkpointed, at least as far as mounts, namespaces and the control group go. Of `process` only the standard
    /// descriptors count: they take the place of those that the first process had, if these were pipes or files of the host. Its terminal, if it had one, is in
    /// [`Process::terminal`]. Of the hooks `prestart` and `createRuntime` are run, when the namespaces are made.
    ///
    /// # Errors
    /// As [`Factory::create`]; [`ErrorKind::Unsupported`] if there is no criu, or an old one; what criu's log says of its failure, with the path of that log.
    pub fn restore(
        &self,
        path: impl AsRef<Path>,
        config: &Config,
        process: ProcessConfig,
        options: &RestoreOptions,
    ) -> Result<(Container, Process)> {
        let prepared = Prepared::new(&self.host, config)?;
        let own = Own::new(&prepared, path.as_ref());
        self.made(lifecycle::restore(&prepared, &own, process, options)?)
    }

    /// As [`Factory::run`]; who has the other end of `agent` gets the listener of the filter.
    pub(crate) fn run_heard(
        &self,
        path: &Path,
        config: &Config,
        process: ProcessConfig,
        agent: OwnedFd,
    ) -> Result<(Container, Process)> {
        let prepared = Prepared::new(&self.host, config)?;
        let own = Own::new(&prepared, path).heard_by(agent);
        self.made(lifecycle::create(&prepared, &own, Some(process), StartSetup::Run)?)
    }

    /// By a template that is used once.
    fn make(
        &self,
        path: &Path,
        config: &Config,
        process: Option<ProcessConfig>,
        start: StartSetup,
    ) -> Result<Made> {
        let prepared = Prepared::new(&self.host, config)?;
        lifecycle::create(&prepared, &Own::new(&prepared, path), process, start)
    }

    fn program(
        &self,
        path: &Path,
        config: &Config,
        process: ProcessConfig,
        start: StartSetup,
    ) -> Result<(Container, Process)> {
        self.made(self.make(path, config, Some(process), start)?)
    }

    fn made(&self, made: Made) -> Result<(Container, Process)> {
        let Made { store, state, process, .. } = made;
        let lost = || Error::new(ErrorKind::WrongState, "the first process is gone");
        let process = process.ok_or_else(lost)?;
        Ok((Container::new(store, state, self.host.clone()), process))
    }

    /// A config of which many containers are to be made, below `dir`, which must exist. It is checked, resolved and compiled now. What was kept ready
    /// there by programs that are gone is ended: see [`Factory::sweep`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] with all problems.
    pub fn template(&self, dir: impl AsRef<Path>, config: &Config) -> Result<Template> {
        Template::new(&self.host, dir.as_ref(), config)
    }

    /// Ends what programs that were killed have left in `dir`: containers that were half-made, or kept ready for programs to come. Returns their
    /// names. A container that was created or run is nobody's leavings.
    ///
    /// # Errors
    /// The first one that could not be ended; the others are.
    pub fn sweep(&self, dir: impl AsRef<Path>) -> Result<Vec<String>> {
        lifecycle::sweep(&self.host, dir.as_ref())
    }

    /// Finds a container by its directory.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], or [`ErrorKind::Corrupt`] if its record can't be read; it can be destroyed all the same, by
    /// [`Factory::destroy`].
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Container> {
        let store = Store::open(path.as_ref())?;
        let state = store.read_settled()?;
        Ok(Container::new(Arc::new(store), state, self.host.clone()))
    }

    /// Destroys the container at `path`, also one that was left half-made, or whose record is damaged: then by what else is recorded, and by
    /// the marks of what was made for it. It is no error if there is none.
    ///
    /// # Errors
    /// Everything that could not be taken away; [`ErrorKind::Corrupt`] if it can't be known whether a process of it lives, or if somebody has removed the
    /// directory of one that lives in a control group. The directory
    /// stays then, and another call ends what is left.
    pub fn destroy(&self, path: impl AsRef<Path>) -> Result<()> {
        let store = match Store::open(path.as_ref()) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                reap_ended();
                return lifecycle::check_left(&self.host, path.as_ref());
            }
            store => store?,
        };
        let id = path.as_ref().file_name().unwrap_or_default().to_string_lossy();
        lifecycle::destroy(&store, &id, None, &self.host)
    }

    /// The plan by which a container would be made; runs nothing, changes nothing, needs no privileges. Parts that this version
    /// can't do yet are left out.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] with all problems.
    pub fn explain(&self, config: &Config, process: Option<&ProcessConfig>) -> Result<Plan> {
        lifecycle::explain(&self.host, config, process)
    }
}

//! Making containers, and finding those that exist.

use std::path::Path;
use std::sync::Arc;

use libcontainer_cgroups::Layout;
use libcontainer_cgroups::systemd::Environment;
use libcontainer_plan::{Fault, Launch, Launched, Plan, Probe};

use crate::cgroup::{self, GroupSteps, Wanted};
use crate::compile::{self, Compiled, StartSetup};
use crate::config::Config;
use crate::container::Container;
use crate::descriptors::Descriptors;
use crate::error::{Error, ErrorKind, Result};
use crate::making::{self, Making};
use crate::process::{self, Process, Terminal};
use crate::readback::Expected;
use crate::stdio::{Opened, ProcessConfig};
use crate::store::Store;
use crate::validate::Facts;
use crate::{links, resolve, room};

type Observer = Arc<dyn Fn(usize) + Send + Sync>;
type Tamper = Arc<dyn Fn(&mut Expected) + Send + Sync>;

/// Makes containers. Looks at the kernel once; cheap to clone, and may be used from any thread.
#[derive(Clone)]
pub struct Factory {
    probe: Arc<Probe>,
    trace: bool,
    fault: Option<Fault>,
    observer: Option<Observer>,
    tamper: Option<Tamper>,
    layout: Option<Arc<Layout>>,
    environment: Option<Arc<Environment>>,
}

impl std::fmt::Debug for Factory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Factory")
            .field("probe", &self.probe)
            .field("trace", &self.trace)
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
        Self {
            probe: Arc::new(probe),
            trace: false,
            fault: None,
            observer: None,
            tamper: None,
            layout: None,
            environment: None,
        }
    }

    /// Takes control groups to be laid out like this, instead of looking at `/proc/self/mountinfo` and `/proc/self/cgroup` for
    /// each container.
    #[must_use]
    pub fn layout(self, layout: Layout) -> Self {
        Self { layout: Some(Arc::new(layout)), ..self }
    }

    /// Looks for systemd where this environment says, instead of that of the process: see [`Environment::endpoints`].
    #[must_use]
    pub fn systemd(self, environment: Environment) -> Self {
        Self { environment: Some(Arc::new(environment)), ..self }
    }

    pub(crate) fn environment(&self) -> Arc<Environment> {
        self.environment.clone().unwrap_or_else(|| Arc::new(Environment::current()))
    }

    pub(crate) fn layout_now(&self) -> Result<Arc<Layout>> {
        match &self.layout {
            Some(layout) => Ok(Arc::clone(layout)),
            None => Layout::of_this_process()
                .map(Arc::new)
                .map_err(|error| Error::cgroup("look for control groups", error)),
        }
    }

    /// What is known of the kernel.
    #[must_use]
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    /// Records when each step of a start begins: see [`Process::timeline`].
    #[must_use]
    pub fn trace(self, yes: bool) -> Self {
        Self { trace: yes, ..self }
    }

    /// Makes one step of every launch fail, as if the kernel had refused it, to see what an error leaves behind; or leaves it out, to
    /// see that this is noticed.
    #[must_use]
    pub fn inject(self, fault: Fault) -> Self {
        Self { fault: Some(fault), ..self }
    }

    /// Calls `observer` after each step of the host lane with its index.
    #[must_use]
    pub fn observe(self, observer: impl Fn(usize) + Send + Sync + 'static) -> Self {
        Self { observer: Some(Arc::new(observer)), ..self }
    }

    /// Changes what the host expects to read back of an init: to see that a difference ends the start.
    #[must_use]
    pub fn expect(self, tamper: impl Fn(&mut Expected) + Send + Sync + 'static) -> Self {
        Self { tamper: Some(Arc::new(tamper)), ..self }
    }

    /// Makes a container whose first process is the reaper: it adopts orphans, forwards nothing, and ends the container on SIGTERM.
    /// Processes are started in it with [`Container::start`].
    ///
    /// `path` must not exist, its parent must; it becomes the container's directory (mode 0700). Either all is done, or nothing remains.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] with all problems, before anything was changed; [`ErrorKind::AlreadyExists`]; else the step that failed.
    pub fn create(&self, path: impl AsRef<Path>, config: &Config) -> Result<Container> {
        Ok(self.make(path.as_ref(), config, None, StartSetup::Reaper)?.0)
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

    fn program(
        &self,
        path: &Path,
        config: &Config,
        process: ProcessConfig,
        start: StartSetup,
    ) -> Result<(Container, Process)> {
        let (container, process) = self.make(path, config, Some(process), start)?;
        let lost = || Error::new(ErrorKind::WrongState, "the first process is gone");
        process.map(|process| (container, process)).ok_or_else(lost)
    }

    /// Finds a container by its directory.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], or [`ErrorKind::Corrupt`] if its record can't be read; it can be destroyed all the same, by
    /// [`Factory::destroy`].
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Container> {
        let store = Store::open(path.as_ref())?;
        let state = store.read_settled()?;
        Ok(Container::new(store, state, self.clone()))
    }

    /// Destroys the container at `path`, also one whose record is damaged or that was left half-made. It is no error if there is none.
    ///
    /// # Errors
    /// Everything that could not be taken away.
    pub fn destroy(&self, path: impl AsRef<Path>) -> Result<()> {
        let store = match Store::open(path.as_ref()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            store => store?,
        };
        let state = store.read().unwrap_or_default();
        Container::new(store, state, self.clone()).destroy()
    }

    /// The plan by which a container would be made; runs nothing, changes nothing, needs no privileges. Parts that this version
    /// can't do yet are left out.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] with all problems.
    pub fn explain(&self, config: &Config, process: Option<&ProcessConfig>) -> Result<Plan> {
        let facts = Facts { euid: self.probe.euid, allow_unsupported: true };
        check(config, &facts)?;
        let config = &*links::joined(config);
        let start = if process.is_some() { StartSetup::Wait } else { StartSetup::Reaper };
        let accounts = resolve::accounts_to_show(config, &config.user);
        let given = process.map(|process| (process, &accounts));
        let mut setup = resolve::setup_with(config, given, start, &self.probe, "ID")?;
        let mut group = GroupSteps::default();
        if let Some(block) = &config.cgroups {
            let (cgroup, steps) = cgroup::described(block, "ID", &*self.layout_now()?, self.probe.euid != 0)?;
            (setup.cgroup, group) = (Some(cgroup), steps);
        }
        let steps = making::described(&setup, group);
        let steps = links::place(links::plan(config)?.shown(), &setup, steps);
        Ok(compile::create(&setup, steps).map_err(|error| Error::seal("explain", error))?.plan)
    }

    fn make(
        &self,
        path: &Path,
        config: &Config,
        process: Option<ProcessConfig>,
        start: StartSetup,
    ) -> Result<(Container, Option<Process>)> {
        let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let what = format!("create {id:?}");
        check(config, &Facts { euid: self.probe.euid, allow_unsupported: false })?;
        let config = &*links::joined(config);
        let mut setup = resolve::setup(config, process.as_ref(), start, &self.probe, &id)?;
        let mut network = links::plan(config)?;
        network.keep_files_in(&std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        let group = self.group(config, (&id, path))?;
        setup.cgroup = group.as_ref().map(Wanted::setup);
        let given = Descriptors::open(config, process).map_err(|error| Error::io(what.clone(), error))?;
        let joined = given.namespaces(config).map_err(|error| Error::io(what.clone(), error))?;
        let making = Making::new(path, config, &setup, &id, |expected| {
            expected.joined = joined;
            // To others than root the files of an init that has joined a user namespace are closed, as it is not dumpable.
            if self.probe.euid != 0 && setup.namespaces.joins(libc::CLONE_NEWUSER) {
                (expected.joined, expected.namespaces) = Default::default();
            }
            self.tamper(expected);
        });
        let group = group.map(|wanted| making.group_steps(wanted)).unwrap_or_default();
        let steps = making.steps(&setup, group);
        making.note_network(network.state());
        let steps = links::place(network, &setup, steps);
        let compiled = compile::create(&setup, steps).map_err(|error| Error::seal(what.clone(), error))?;
        if start == StartSetup::Wait {
            making.keep_steps(&compiled.plan);
        }
        let (mut launch, opened) = self.fill(compiled, given, &making);
        if setup.cgroup.as_ref().is_some_and(|cgroup| cgroup.unified.is_some()) {
            let group = Arc::clone(&making.group);
            launch.cgroup_with(move || group.unified());
        }
        let launched = launch.run().map_err(|error| {
            let error = room::explain(error, || making.group.full());
            Error::launch(what, error)
        })?;
        process::reap_ended();
        let container = making.finish(self.clone())?;
        let process =
            if start == StartSetup::Reaper { reaper(launched) } else { Some(process_of(launched, opened)?) };
        if let Some(process) = &process {
            process.watch_memory(making.group.memory());
        }
        Ok((container, process))
    }

    fn group(&self, config: &Config, name: (&str, &Path)) -> Result<Option<Wanted>> {
        let Some(block) = &config.cgroups else { return Ok(None) };
        Wanted::new(block, name, &*self.layout_now()?, self.environment(), &self.probe).map(Some)
    }

    /// Gives the launch what its slots want.
    fn fill(&self, compiled: Compiled, mut given: Descriptors, making: &Arc<Making>) -> (Launch, Opened) {
        let slots = compiled.given;
        let mut launch = self.prepare(compiled.plan);
        for (slot, fd) in slots.stdio.into_iter().flatten().zip(given.opened.theirs.drain(..)) {
            launch.give(slot, fd);
        }
        for (slot, fd) in slots.preserved.into_iter().zip(given.preserved) {
            launch.give(slot, fd);
        }
        for (slot, fd) in slots.joined.into_iter().zip(given.joined) {
            launch.give(slot, fd);
        }
        for (slot, path) in slots.tasks {
            let group = Arc::clone(&making.group);
            launch.give_with(slot, move || group.tasks(&path));
        }
        if let Some(slot) = slots.start {
            let (pipe, board) = (Arc::clone(making), Arc::clone(making));
            launch.give_with(slot, move || pipe.open_start());
            launch.board_with(move || board.open_board());
        }
        (launch, given.opened)
    }

    /// A launch with what the factory was told for every one.
    pub(crate) fn prepare(&self, plan: Plan) -> Launch {
        let mut launch = Launch::new(plan);
        launch.trace(self.trace);
        if let Some(fault) = self.fault {
            launch.inject(fault);
        }
        if let Some(observer) = self.observer.clone() {
            launch.observe(move |index| observer(index));
        }
        launch
    }

    pub(crate) fn tamper(&self, expected: &mut Expected) {
        if let Some(tamper) = &self.tamper {
            tamper(expected);
        }
    }
}

fn check(config: &Config, facts: &Facts) -> Result<()> {
    let problems = config.problems(facts);
    if problems.is_empty() { Ok(()) } else { Err(Error::problems("config", problems)) }
}

/// The reaper has no handle, but has to be reaped itself one day.
fn reaper(launched: Launched) -> Option<Process> {
    drop(Process::new(launched.pid, launched.pidfd));
    None
}

/// The handle of a started process.
pub(crate) fn process_of(mut launched: Launched, mut opened: Opened) -> Result<Process> {
    let pumps = opened.pump().map_err(|error| Error::io("start a thread for standard descriptors", error))?;
    let terminal = launched.received.remove("terminal").map(Terminal::new);
    let mut process = Process::new(launched.pid, launched.pidfd);
    process.add_pumps(pumps);
    [process.stdin, process.stdout, process.stderr] = opened.ours;
    process.terminal = terminal;
    process.timeline = launched.timeline;
    Ok(process)
}

//! What can be done with a container by its control group: measure, pause, limit, watch.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libcontainer_cgroups::limits::{self, OnRefusal};
use libcontainer_cgroups::stats::{self, Reader, Sampler, Stats};
use libcontainer_cgroups::{FreezerState, Group, Place, Resources};
use libcontainer_network::NetworkStats;
use serde::{Deserialize, Serialize};

use crate::cgroup;
use crate::config::{Cgroup, merge};
use crate::container::Container;
use crate::error::{Error, ErrorKind, Result};
use crate::scope::{self, UnitRecord};
use crate::state::{RunState, State};

/// What a container uses: 2014's keys are `network_stats` and `cgroup_stats`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerStats {
    /// Processor time, memory, devices …; what the kernel does not tell is left out.
    #[serde(rename = "cgroup_stats")]
    pub cgroup: Stats,
    /// Processor time since the last call of [`Container::stats`] on this handle, in percent of one processor. `None` the first time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_percent: Option<f64>,
    /// All interfaces but `lo` together.
    #[serde(rename = "network_stats")]
    pub network: NetworkStats,
    /// Each interface but `lo`, by its name inside.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub interfaces: BTreeMap<String, NetworkStats>,
}

impl ContainerStats {
    /// The numbers under 2014's keys, the misspelled ones included.
    #[must_use]
    pub fn legacy(&self) -> stats::legacy::Stats {
        stats::legacy::Stats::from(&self.cgroup).with_percent(self.cpu_percent)
    }
}

/// Kept between two measurements: open files, and the last sample.
#[derive(Debug)]
pub(crate) struct Meter {
    places: Vec<Place>,
    reader: Reader,
    sampler: Sampler,
}

impl Meter {
    fn new(places: &[Place]) -> libcontainer_cgroups::Result<Self> {
        let group = Group::open(places)?;
        if let Some(place) = places.first().filter(|_| group.is_gone()) {
            let source = std::io::Error::from_raw_os_error(libc::ENOENT);
            return Err(libcontainer_cgroups::Error::Directory { call: "open", path: place.path(), source });
        }
        Ok(Self { places: places.to_vec(), reader: Reader::new(&group.sources())?, sampler: Sampler::new() })
    }

    fn read(&mut self) -> libcontainer_cgroups::Result<ContainerStats> {
        let mut stats = ContainerStats::default();
        self.reader.read_into(&mut stats.cgroup)?;
        stats.cpu_percent = self.sampler.sample(&stats.cgroup);
        Ok(stats)
    }
}

/// Something that happens to a container, as a source to poll or to iterate over.
#[derive(Debug)]
#[non_exhaustive]
pub struct Events {
    /// Out of memory, and kills for it.
    pub oom: Option<libcontainer_cgroups::events::OomEvents>,
    /// Populated and frozen; version 2 only.
    pub group: Option<libcontainer_cgroups::events::GroupEvents>,
}

impl Container {
    /// The control group. An error of the kind [`ErrorKind::WrongState`] if the container has none.
    ///
    /// # Errors
    /// As [`Container::run_state`], and those of opening its directories.
    pub fn group(&self) -> Result<Group> {
        self.group_of(&*self.refresh()?, "control group")
    }

    fn group_of(&self, state: &State, what: &str) -> Result<Group> {
        let what = format!("{what} of {:?}", self.id());
        if state.places().is_empty() {
            let text = format!("{what}: the container has no control group (no \"cgroups\" in its config)");
            return Err(Error::new(ErrorKind::WrongState, text));
        }
        Group::open(state.places()).map_err(|error| Error::cgroup(what, error))
    }

    /// What the container uses now. The handle keeps the files open, so that further calls are cheap.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] without a control group; those of reading its files.
    pub fn stats(&self) -> Result<ContainerStats> {
        let state = self.refresh()?;
        let what = || format!("stats of {:?}", self.id());
        let mut meter = lock(self.meter());
        if meter.as_ref().is_none_or(|meter| meter.places != state.places()) {
            // For its error.
            self.group_of(&state, "stats")?;
            *meter = Some(Meter::new(state.places()).map_err(|error| Error::cgroup(what(), error))?);
        }
        let read = meter.as_mut().map(Meter::read).transpose();
        if read.is_err() {
            *meter = None;
        }
        let read = read.map_err(|error| Error::cgroup(what(), error))?;
        let mut read = read.ok_or_else(|| Error::new(ErrorKind::WrongState, what()))?;
        read.interfaces = self.network_stats()?.into_iter().collect();
        read.network = NetworkStats::total(read.interfaces.values());
        Ok(read)
    }

    /// Freezes all processes. Returns at once, while the state is [`RunState::Pausing`]; it becomes [`RunState::Paused`] when
    /// all stand still. No-op if they do already.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] unless the container runs; those of the freezer.
    pub fn pause(&self) -> Result<()> {
        let _lock = self.store().lock(true)?;
        let state = self.refresh_locked()?;
        match self.state_now(&state)? {
            RunState::Paused => return Ok(()),
            RunState::Running | RunState::Created | RunState::Pausing => {}
            found => return Err(self.not_running("pause", found)),
        }
        let group = self.group_of(&state, "pause")?;
        group.begin_freeze().map_err(|error| Error::cgroup(format!("pause {:?}", self.id()), error))
    }

    /// Waits until all processes stand still; when the time is up, they run again.
    ///
    /// # Errors
    /// As [`Container::pause`]; [`ErrorKind::Timeout`].
    pub fn pause_within(&self, timeout: Duration) -> Result<()> {
        let _lock = self.store().lock(true)?;
        let state = self.refresh_locked()?;
        match self.state_now(&state)? {
            RunState::Paused => return Ok(()),
            RunState::Running | RunState::Created | RunState::Pausing => {}
            found => return Err(self.not_running("pause", found)),
        }
        let group = self.group_of(&state, "pause")?;
        group.freeze(timeout).map_err(|error| Error::cgroup(format!("pause {:?}", self.id()), error))
    }

    /// Lets all processes go on. No-op if they run.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] if the container has ended; those of the freezer.
    pub fn resume(&self) -> Result<()> {
        let _lock = self.store().lock(true)?;
        let state = self.refresh_locked()?;
        match self.state_now(&state)? {
            RunState::Running | RunState::Created => return Ok(()),
            RunState::Paused | RunState::Pausing => {}
            found => return Err(self.not_running("resume", found)),
        }
        let group = self.group_of(&state, "resume")?;
        group.thaw(cgroup::PATIENCE).map_err(|error| Error::cgroup(format!("resume {:?}", self.id()), error))
    }

    /// Changes limits while the container runs: those that are given; the others stay. If the kernel refuses one, those
    /// already written get their old values back.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] before anything was changed; else the file and the value that were refused.
    pub fn update(&self, resources: &Resources) -> Result<()> {
        let what = format!("update {:?}", self.id());
        let _lock = self.store().lock(true)?;
        let old = self.refresh_locked()?;
        let mut state = State::clone(&*old);
        let found = self.state_now(&state)?;
        if !matches!(found, RunState::Running | RunState::Created | RunState::Paused | RunState::Pausing) {
            return Err(self.not_running("update", found));
        }
        let group = self.group_of(&state, "update")?;
        let failed = |error| Error::cgroup(what.clone(), error);
        let block = state.config.cgroups.get_or_insert_default();
        let before = block.resources.clone();
        block.resources = merge(&before, resources);
        let mut wanted = resources.clone();
        if !wanted.devices.is_empty() {
            // The filter is replaced as a whole.
            wanted.devices = block.limits(true).map_err(failed)?.devices;
        }
        // ORDER: the record first. It is what can be written again, however the limits were refused.
        let written = self.store().write(&state).map_err(|error| Error::io(what.clone(), error))?;
        if let Err(error) = self.change(&state, before, &wanted, &group) {
            let what = match self.store().write(&old) {
                Ok(_) => what,
                Err(left) => format!("{what} (its record says the new limits: {left})"),
            };
            return Err(Error::cgroup(what, error));
        }
        self.learn(written);
        Ok(())
    }

    /// Sets the limits `wanted`, of which `state` has the whole.
    fn change(
        &self,
        state: &State,
        before: Resources,
        wanted: &Resources,
        group: &Group,
    ) -> libcontainer_cgroups::Result<()> {
        let Some(unit) = state.unit() else { return limits::update(group, wanted, OnRefusal::RollBack) };
        let block = state.config.cgroups.clone().unwrap_or_default();
        let old = Cgroup { resources: before, ..block.clone() }.limits(false)?;
        let new = block.limits(false)?;
        self.update_unit(group, &UnitChange { unit, old: touched(old, wanted), new: touched(new, wanted) })
    }

    /// The properties, then the control files: systemd rounds some values, and writes all of a controller when one changes.
    fn update_unit(&self, group: &Group, change: &UnitChange<'_>) -> libcontainer_cgroups::Result<()> {
        // What the control files can't take is refused before systemd is asked.
        limits::plan(&change.new, &limits::Facts::of(group, &change.new)?)?;
        let environment = self.factory().environment();
        let changed = scope::update(change.unit, &environment, group.places(), &change.new)?;
        let Err(cause) = limits::update(group, &change.new, OnRefusal::RollBack) else { return Ok(()) };
        let files = |()| {
            limits::update(group, &Resources { devices: Vec::new(), ..change.old.clone() }, OnRefusal::Leave)
        };
        match changed.take_back().and_then(files) {
            Ok(()) => Err(cause),
            Err(left) => {
                Err(libcontainer_cgroups::Error::NotRolledBack { cause: Box::new(cause), left: vec![left] })
            }
        }
    }

    /// Descriptors that tell when something happens to the container as a whole.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`] without a control group.
    pub fn events(&self) -> Result<Events> {
        use libcontainer_cgroups::events::{GroupEvents, OomEvents};
        let sources = self.group()?.sources();
        let (oom, group) = (OomEvents::new(&sources), GroupEvents::new(&sources));
        if let (Err(error), Err(_)) = (&oom, &group) {
            return Err(Error::new(ErrorKind::Unsupported, format!("events of {:?}: {error}", self.id())));
        }
        Ok(Events { oom: oom.ok(), group: group.ok() })
    }

    fn not_running(&self, what: &str, found: RunState) -> Error {
        Error::new(ErrorKind::WrongState, format!("{what} {:?}: the container is {found:?}", self.id()))
    }
}

/// What the freezer makes of a running container's state.
pub(crate) fn frozen(state: &State) -> Result<Option<RunState>> {
    // A freezer is in one hierarchy only: the others need not be opened.
    let has = |place: &&Place| place.controllers.iter().any(|name| name == "freezer");
    let place = state.places().iter().find(has).or(state.places().iter().find(|place| place.unified));
    let Some(place) = place else { return Ok(None) };
    let failed = |error| Error::cgroup("read the freezer", error);
    let group = Group::open(std::slice::from_ref(place)).map_err(failed)?;
    if group.is_gone() {
        return Ok(None);
    }
    match group.frozen_state() {
        Ok(FreezerState::Frozen) => Ok(Some(RunState::Paused)),
        Ok(FreezerState::Freezing) => Ok(Some(RunState::Pausing)),
        Ok(FreezerState::Thawed) | Err(libcontainer_cgroups::Error::NotFound { .. }) => Ok(None),
        Err(error) if error.is_gone() => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// A process that stands still on version 1 takes not even SIGKILL.
pub(crate) fn let_die(state: &State) -> Result<()> {
    if frozen(state)?.is_none() {
        return Ok(());
    }
    let failed = |error| Error::cgroup("let a killed container go on", error);
    let group = Group::open(state.places()).map_err(failed)?;
    match group.thaw(cgroup::PATIENCE) {
        // All are dead already.
        Err(error) if error.is_gone() => Ok(()),
        result => result.map_err(failed),
    }
}

/// Limits of a unit, as they are and as they are to be.
struct UnitChange<'s> {
    unit: &'s UnitRecord,
    old: Resources,
    new: Resources,
}

/// Of `all` limits those of the controllers that `asked` names, and the files by name.
fn touched(all: Resources, asked: &Resources) -> Resources {
    Resources {
        devices: asked.devices.clone(),
        memory: all.memory.filter(|_| asked.memory.is_some()),
        cpu: all.cpu.filter(|_| asked.cpu.is_some()),
        pids: all.pids.filter(|_| asked.pids.is_some()),
        block_io: all.block_io.filter(|_| asked.block_io.is_some()),
        hugepage_limits: asked.hugepage_limits.clone(),
        network: asked.network.clone(),
        rdma: asked.rdma.clone(),
        unified: all.unified,
    }
}

fn lock(meter: &Mutex<Option<Meter>>) -> MutexGuard<'_, Option<Meter>> {
    meter.lock().unwrap_or_else(PoisonError::into_inner)
}

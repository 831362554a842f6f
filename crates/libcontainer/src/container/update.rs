//! Changing the limits of a container that runs.

use libcontainer_cgroups::{Group, Resources};

use super::handle::Container;
use crate::error::{Error, Result};
use crate::group;
use crate::record::{RunState, State};
use crate::resctrl::{self, Change};

impl Container {
    /// Changes limits while the container runs: those that are given; the others stay. If the kernel refuses one, those
    /// already written get their old values back.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) before anything was changed; else the file and the value that were refused.
    pub fn update(&self, resources: &Resources) -> Result<()> {
        self.update_with(resources, &[])
    }

    /// The same, and lines of `schemata` of the class of resctrl that was made for the container: see [`Resctrl`](crate::Resctrl). All of it is done, or nothing.
    ///
    /// # Errors
    /// As [`Container::update`].
    pub fn update_with(&self, resources: &Resources, schemata: &[String]) -> Result<()> {
        let resources = &resources.clone().without_unset();
        let what = format!("update {:?}", self.id());
        let _lock = self.store().lock(true)?;
        let old = self.refresh_locked()?;
        let mut state = State::clone(&*old);
        let found = self.state_now(&state)?;
        if !matches!(found, RunState::Running | RunState::Created | RunState::Paused | RunState::Pausing) {
            return Err(self.not_running("update", found));
        }
        let shares = self.shares(&mut state, schemata)?;
        let limits = (*resources != Resources::default() || shares.is_none())
            .then(|| Limits::of(self, &mut state, resources, &what))
            .transpose()?;
        // ORDER: the record first. It is what can be written again, however the limits were refused.
        let written = self.store().write(&state).map_err(|error| Error::io(what.clone(), error))?;
        if let Err(error) = self.change(&state, limits, shares.as_ref(), &what) {
            return Err(match self.store().write(&old) {
                Ok(_) => error,
                Err(left) => error.because(format!("its record says the new limits: {left}")),
            });
        }
        self.learn(written);
        Ok(())
    }

    /// What is to be changed in the container's class, and in its record.
    fn shares(&self, state: &mut State, schemata: &[String]) -> Result<Option<Change>> {
        if schemata.is_empty() {
            return Ok(None);
        }
        let change = Change::new(state.resctrl(), schemata, self.host().resctrl.as_deref())?;
        let own = state.config.resctrl.get_or_insert_default();
        own.schemata = resctrl::merged(&own.schemata, schemata);
        Ok(Some(change))
    }

    fn change(
        &self,
        state: &State,
        limits: Option<Limits>,
        shares: Option<&Change>,
        what: &str,
    ) -> Result<()> {
        if let Some(shares) = shares {
            shares.write().map_err(|error| Error::io(what, error))?;
        }
        let Some(Limits { group, before, wanted }) = limits else { return Ok(()) };
        group::change(state, before, &wanted, &group, &self.host().environment()).map_err(|error| {
            let error = Error::cgroup(what, error);
            match shares.map_or(Ok(()), Change::take_back) {
                Ok(()) => error,
                Err(left) => error.because(format!("its class has the new shares: {left}")),
            }
        })
    }
}

/// Limits that are to be changed.
struct Limits {
    group: Group,
    before: Resources,
    wanted: Resources,
}

impl Limits {
    /// With those that the record is to have.
    fn of(container: &Container, state: &mut State, resources: &Resources, what: &str) -> Result<Self> {
        let group = container.group_of(state, "update")?;
        let block = state.config.cgroups.get_or_insert_default();
        let before = block.resources.clone();
        block.change(resources);
        let mut wanted = resources.clone();
        let reservation = |all: &Resources| all.memory.as_ref().and_then(|memory| memory.reservation);
        // What the limit takes along is written too.
        let lowered = reservation(&block.resources).filter(|now| Some(*now) != reservation(&before));
        if let Some(memory) = &mut wanted.memory {
            memory.reservation = lowered.or(memory.reservation);
        }
        let idle = |all: &Resources| all.cpu.as_ref().and_then(|cpu| cpu.idle);
        // So is what the weight ends: the kernel takes none for an idle group.
        let ended = idle(&block.resources).filter(|now| Some(*now) != idle(&before));
        if let Some(cpu) = &mut wanted.cpu {
            cpu.idle = ended.or(cpu.idle);
        }
        let name = "cpu.idle";
        let ended = block.resources.unified.get(name).filter(|now| Some(*now) != before.unified.get(name));
        wanted.unified.extend(ended.map(|now| (name.to_owned(), now.clone())));
        if !wanted.devices.is_empty() {
            // The filter is replaced as a whole.
            wanted.devices = block.limits(true).map_err(|error| Error::cgroup(what, error))?.devices;
        }
        Ok(Self { group, before, wanted })
    }
}

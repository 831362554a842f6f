//! Changing the limits of a container that runs.

use libcontainer_cgroups::Resources;

use super::handle::Container;
use crate::config::merge;
use crate::error::{Error, Result};
use crate::group;
use crate::record::{RunState, State};

impl Container {
    /// Changes limits while the container runs: those that are given; the others stay. If the kernel refuses one, those
    /// already written get their old values back.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) before anything was changed; else the file and the value that were refused.
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
        if let Err(error) = group::change(&state, before, &wanted, &group, &self.host().environment()) {
            let what = match self.store().write(&old) {
                Ok(_) => what,
                Err(left) => format!("{what} (its record says the new limits: {left})"),
            };
            return Err(Error::cgroup(what, error));
        }
        self.learn(written);
        Ok(())
    }
}

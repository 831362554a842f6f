//! The freezer of a container.

use libcontainer_cgroups::{FreezerState, Group, Place};

use super::PATIENCE;
use crate::error::{Error, Result};
use crate::record::{RunState, State};

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
    match group.thaw(PATIENCE) {
        // All are dead already.
        Err(error) if error.is_gone() => Ok(()),
        result => result.map_err(failed),
    }
}

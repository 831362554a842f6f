//! The state in which a container is found.

use crate::error::Result;
use crate::group::frozen;
use crate::record::{RunState, State, Status};

/// By the record, by whether the first process lives, and by the freezer.
pub(crate) fn condition(state: &State, lives: bool) -> Result<RunState> {
    let found = match (state.status, lives) {
        (Status::Creating, _) => RunState::Creating,
        (Status::Created, true) => RunState::Created,
        (Status::Running, true) => RunState::Running,
        (Status::Warm, true) => RunState::Warm,
        (_, false) => RunState::Stopped,
    };
    if !matches!(found, RunState::Running | RunState::Created) {
        return Ok(found);
    }
    // A container that lives may be frozen.
    Ok(frozen(state)?.unwrap_or(found))
}

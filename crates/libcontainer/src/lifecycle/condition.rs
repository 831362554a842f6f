//! The state in which a container is found.

use crate::error::Result;
use crate::group::frozen;
use crate::record::{RunState, State, Status, Store};

/// By the record, by whether the first process lives, by the pipe on which it waits, and by the freezer.
pub(crate) fn condition(store: &Store, state: &State, lives: bool) -> Result<RunState> {
    let found = match (state.status, lives) {
        (Status::Creating, _) => RunState::Creating,
        // Who has let it go may have been killed before that was noted.
        (Status::Created, true) if !store.has_waiting()? => RunState::Running,
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

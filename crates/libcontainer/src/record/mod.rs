//! The record of a container: `state.json` in its directory, and the first process that it names.

mod ahead;
mod brief;
mod bytes;
mod claim;
mod dir;
mod init;
mod lock;
mod state;
mod store;

pub(crate) use ahead::Ahead;
pub use bytes::StateError;
#[cfg(fuzzing)]
pub(crate) use bytes::decode;
#[cfg(test)]
pub(crate) use bytes::encode;
pub(crate) use init::{Init, KILL, boot_id, is_left, is_of_this_boot, living, session, start_time};
pub(crate) use lock::{Idle, Lock};
pub use state::{AddedMount, Intent, ResctrlGroup, RunState, State, Status, UnitRecord};
pub(crate) use store::{BOARD, START, Store, open_parent};

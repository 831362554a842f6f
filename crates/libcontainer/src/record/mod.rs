//! The record of a container: `state.json` in its directory, and the first process that it names.

mod bytes;
mod init;
mod state;
mod store;

pub use bytes::StateError;
#[cfg(fuzzing)]
pub(crate) use bytes::decode;
pub(crate) use init::{Init, KILL, boot_id, start_time};
pub use state::{Intent, RunState, State, Status, UnitRecord};
pub(crate) use store::{BOARD, Lock, START, Store};

//! The handle of a container: what can be done with one that exists.

mod checkpoint;
mod freeze;
mod handle;
mod measure;
mod mounts;
mod network;
mod process;
mod stats;
mod update;

pub use handle::Container;
pub(crate) use handle::{Left, Undertaker};
pub use measure::Events;
pub use stats::ContainerStats;

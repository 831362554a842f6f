//! From a setup to a plan: the one place that fixes the order of steps, in one function for a new container and in one for a join. Both
//! end in the same fragments, so that a join is confined like the first process.

mod base;
mod create;
mod criu;
mod given;
mod group;
mod hook;
mod join;
mod label;
mod mounted;
mod network;
mod process;
mod tree;

pub(crate) use base::{Foundation, base};
pub(crate) use create::{create, named, stand_by};
pub(crate) use criu::criu;
pub(crate) use given::{Compiled, Given, HostSteps};
pub(crate) use hook::hook;
pub(crate) use join::join;
pub(crate) use mounted::{Errand, mount_inside, unmount_inside};
pub(crate) use network::place_network;

#![doc = include_str!("../README.md")]

mod capability;
pub mod plan;
mod rlimit;

pub use capability::{CapSet, Capabilities, Capability, UnknownCapability};
pub use rlimit::{Resource, Rlimit, problems as rlimit_problems};

#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod capability;
mod error;
pub mod plan;
pub mod process;
mod procfs;
mod rlimit;
mod status;
#[allow(unsafe_code, reason = "bare system calls: those of libc change all threads of the process")]
pub mod thread;

pub use capability::{CapSet, Capabilities, Capability, UnknownCapability};
pub use error::ThreadError;
pub use rlimit::{Resource, Rlimit, problems as rlimit_problems};
pub use status::{Ids, SeccompMode, Status, StatusError};

#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod spec;

mod convert;
mod state;

pub use convert::{Converted, Options, ProcessParts, convert, process, resources};
pub use libcontainer::Problem;
pub use spec::{Error, Spec};
pub use state::State;

/// The version of the specification that this crate has.
pub const VERSION: &str = "1.3.0";

#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

pub mod devices;
pub mod events;
pub mod stats;

mod dir;
mod error;

pub use dir::Dir;
pub use error::{Error, Result};

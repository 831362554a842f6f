#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod dir;
mod error;

pub use dir::Dir;
pub use error::{Error, Result};

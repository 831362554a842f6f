#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod copy;
mod defaults;
mod device;
mod mountinfo;
mod options;
pub mod plan;
mod validate;

pub use config::{IdMapping, Mount, MountConfig};
pub use copy::Root as CopiedRoot;
pub use defaults::{DEFAULT_MASKED_PATHS, DEFAULT_READONLY_PATHS};
pub use device::{
    DeviceKind, DeviceNode, WILDCARD, default_allowed_devices, default_created_devices,
    default_simple_devices, host_devices,
};
pub use mountinfo::{Entry, MountTable, ParseError, parse as parse_mountinfo};
pub use options::{OptionError, Options, known_options, parse_options};
pub use validate::{Problem, id_map_problems};

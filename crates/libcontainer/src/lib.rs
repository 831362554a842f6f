#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod cgroup;
mod compile;
mod config;
mod container;
mod control;
mod descriptors;
mod ending;
mod error;
mod factory;
mod idmap;
mod join;
mod json;
mod links;
mod making;
mod mounts;
mod process;
mod readback;
mod resolve;
mod room;
mod scope;
mod state;
mod stdio;
mod store;
#[allow(unsafe_code, reason = "calls that nix does not wrap")]
mod sys;
mod user;
mod validate;

pub use config::{
    CapabilitySets, Cgroup, Config, Namespace, NamespaceKind, Namespaces, Network, Port, Route, TimeOffset,
};
pub use container::Container;
pub use control::{ContainerStats, Events};
pub use error::{Error, ErrorKind, Problem, Result};
pub use factory::Factory;
pub use json::Mode;
pub use libcontainer_cgroups as cgroups;
pub use libcontainer_mount as mount;
pub use libcontainer_network as network;
pub use libcontainer_network::{InterfaceState, NetworkState, NetworkStats};
pub use libcontainer_plan as plan;
pub use libcontainer_plan::{Pid, Plan, Probe};
pub use libcontainer_security as security;
pub use process::{ExitStatus, Output, Process, Terminal, Usage};
pub use readback::Expected;
pub use scope::UnitRecord;
pub use state::{Intent, RunState, State, StateError, Status};
pub use stdio::{ProcessConfig, Stdio};
pub use sys::terminal_size;
pub use user::{ResolvedUser, UserError, resolve as resolve_user};
pub use validate::Facts;

/// Whether bytes are a record of a container's state.
#[cfg(fuzzing)]
#[doc(hidden)]
#[must_use]
pub fn is_state(bytes: &[u8]) -> bool {
    state::decode(bytes).is_ok()
}

#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod compile;
mod config;
mod container;
mod criu;
mod error;
mod factory;
mod group;
mod hooks;
mod lifecycle;
mod listing;
pub mod observe;
mod process;
mod record;
mod resctrl;
mod resolve;
mod setup;
mod template;

pub use config::{
    CapabilitySets, Cgroup, Config, Facts, Hook, Hooks, Mode, Namespace, NamespaceKind, Namespaces, Network,
    Port, Resctrl, Route, Seccomp, TimeOffset,
};
pub use container::{Container, ContainerStats, Events};
pub use criu::{CheckpointOptions, CriuOptions, ManageCgroups, RestoreOptions};
pub use error::{Error, ErrorKind, Problem, Result};
pub use factory::Factory;
pub use libcontainer_cgroups as cgroups;
pub use libcontainer_mount as mount;
pub use libcontainer_network as network;
pub use libcontainer_network::{InterfaceState, NetworkState, NetworkStats};
pub use libcontainer_plan as plan;
pub use libcontainer_plan::{Pid, Plan, Probe, terminal_size};
pub use libcontainer_security as security;
pub use libcontainer_security::{ResolvedUser, UserError, resolve_user};
pub use lifecycle::{Expected, MountEntry};
pub use listing::{Listing, Summary};
pub use process::{ExitStatus, Output, Process, ProcessConfig, Stdio, Terminal, Usage};
pub use record::{AddedMount, Intent, ResctrlGroup, RunState, State, StateError, Status, UnitRecord};
pub use resctrl::{BandwidthInfo, BandwidthStats, CacheInfo, CacheStats, ResctrlMount, ResctrlStats};
pub use template::{Details, Template, TemplateStats};

/// Whether bytes are a record of a container's state.
#[cfg(fuzzing)]
#[doc(hidden)]
#[must_use]
pub fn is_state(bytes: &[u8]) -> bool {
    record::decode(bytes).is_ok()
}

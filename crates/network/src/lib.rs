#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod config;
mod device;
mod error;
mod existing;
mod link;
mod making;
mod nat;
mod pasta;
mod plan;
mod rules;
mod table;

pub use config::{InterfaceState, Network, NetworkState, Port, Route};
pub use error::{Error, Result};
pub use existing::{NetworkStats, View, look, look_here, remove, stats};
pub use libcontainer_netlink as netlink;
pub use plan::{Plan, Problem};
pub use table::stats_of_table;

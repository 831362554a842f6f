#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod address;
mod bridge;
mod config;
mod device;
mod error;
mod existing;
mod found;
mod going;
mod hold;
mod home;
mod link;
mod mark;
mod nat;
mod object;
mod pasta;
mod plan;
mod reader;
mod removal;
mod rules;
mod side;
mod steps;
mod table;
mod turn;

pub use config::{InterfaceState, Network, NetworkState, Port, Route};
pub use error::{Error, Result};
pub use existing::{NetworkStats, View, look, look_here, stats};
pub use found::{Found, find_marked};
pub use going::{Going, remove_later};
pub use hold::{HELD, held, let_go, rescue};
pub use home::{Rename, Renamed, bring_home};
pub use libcontainer_netlink as netlink;
pub use link::loopback_up;
pub use plan::{Plan, Problem};
pub use removal::remove;
pub use table::stats_of_table;

#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod address;
mod attribute;
mod batch;
mod channel;
mod cidr;
mod error;
mod events;
pub mod faults;
mod frame;
pub mod legacy;
mod link;
mod message;
mod name;
mod names;
mod neighbour;
pub mod nft;
mod nsid;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod reading;
mod route;
mod rule;
mod socket;
pub mod tun;

#[cfg(test)]
mod tests;

pub use address::{Address, AddressFlags, Lifetime, Scope};
pub use attribute::{Attribute, Attributes};
pub use batch::Batch;
pub use cidr::{Cidr, Family};
pub use error::{BadAttribute, Error, Hint, Result};
pub use events::{Event, Monitor, Topics};
pub use link::{
    AltNames, Bridge, BridgePort, Ipvlan, IpvlanIsolation, IpvlanMode, Link, LinkChange, LinkFlags, LinkKind,
    LinkRef, LinkView, MacvlanMode, Namespace, NewLink, OperState, OtherKind, Peer, RemoteLink, Stats64,
    TunKind, Vlan, VlanProtocol, Vxlan,
};
pub use message::{Object, Verb};
pub use name::{Index, Mac, Name};
pub use neighbour::{Neighbour, NeighbourFlags, NeighbourState};
pub use nsid::NamespaceId;
pub use route::{NextHop, Route, RouteFilter, RouteKind, RouteProtocol, RouteView, Table};
pub use rule::{Rule, RuleAction};
pub use socket::Netlink;

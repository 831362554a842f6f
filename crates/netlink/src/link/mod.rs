//! Links: what they are, how to list, make, change and delete them.
mod alt_names;
mod decode;
mod encode;
mod fields;
mod kind;
mod query;
mod request;
mod stats;

use std::os::fd::BorrowedFd;

pub use alt_names::AltNames;
pub use decode::{Link, LinkView};
pub use kind::{
    Bridge, BridgePort, Ipvlan, IpvlanIsolation, IpvlanMode, LinkFlags, LinkKind, MacvlanMode, OperState,
    OtherKind, Peer, TunKind, Vlan, VlanProtocol, Vxlan,
};
pub use query::LinkRef;
pub use request::{LinkChange, NewLink, RemoteLink};
pub use stats::Stats64;

/// A network namespace to put a link into.
#[derive(Debug, Clone, Copy)]
pub enum Namespace<'a> {
    /// An open file of the namespace, as of `/proc/PID/ns/net`.
    Fd(BorrowedFd<'a>),
    /// The namespace of a process, which must not be gone by then.
    Pid(u32),
}

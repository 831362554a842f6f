//! Links: what they are, how to list, make, change and delete them.
mod decode;
mod encode;
mod kind;
mod query;
mod request;
mod stats;

use std::os::fd::{AsRawFd, BorrowedFd};

pub use decode::{Link, LinkView};
pub use kind::{
    Bridge, BridgePort, Ipvlan, IpvlanIsolation, IpvlanMode, LinkFlags, LinkKind, MacvlanMode, OperState,
    OtherKind, Peer, TunKind, Vlan, VlanProtocol, Vxlan,
};
pub use query::LinkRef;
pub use request::{AltNames, LinkChange, NewLink};
pub use stats::Stats64;

use crate::attribute::Writer;
use crate::{Error, Result};

/// A network namespace to put a link into.
#[derive(Debug, Clone, Copy)]
pub enum Namespace<'a> {
    /// An open file of the namespace, as of `/proc/PID/ns/net`.
    Fd(BorrowedFd<'a>),
    /// The namespace of a process, which must not be gone by then.
    Pid(u32),
}

fn namespace(writer: &mut Writer<'_>, at: Namespace<'_>) -> Result<()> {
    match at {
        Namespace::Fd(fd) => writer.i32(libc::IFLA_NET_NS_FD, fd.as_raw_fd()),
        Namespace::Pid(0) => Err(Error::invalid("process", "0 is no process")),
        Namespace::Pid(pid) => writer.u32(libc::IFLA_NET_NS_PID, pid),
    }
}

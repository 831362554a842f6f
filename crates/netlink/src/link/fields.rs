//! What several requests about links have in them.
use std::os::fd::AsRawFd;

use libc::{IFLA_ADDRESS, IFLA_MTU};

use super::Namespace;
use crate::attribute::Writer;
use crate::{Error, Index, Mac, Result};

/// `IFLA_TARGET_NETNSID`.
pub(super) const TARGET_NETNSID: u16 = 46;

/// `struct ifinfomsg`: family, padding, type, index, flags, change mask.
pub(super) fn ifinfomsg(family: u8, index: Index, flags: u32, change: u32) -> [u8; 16] {
    let mut header = [0; 16];
    let parts = [[family, 0, 0, 0], index.to_bytes(), flags.to_ne_bytes(), change.to_ne_bytes()];
    for (to, from) in header.iter_mut().zip(parts.into_iter().flatten()) {
        *to = from;
    }
    header
}

pub(super) fn mac_and_mtu(writer: &mut Writer<'_>, mac: Option<Mac>, mtu: Option<u32>) -> Result<()> {
    if let Some(mac) = mac {
        writer.bytes(IFLA_ADDRESS, mac.as_bytes())?;
    }
    mtu.map_or(Ok(()), |mtu| writer.u32(IFLA_MTU, mtu))
}

pub(super) fn namespace(writer: &mut Writer<'_>, at: Namespace<'_>) -> Result<()> {
    match at {
        Namespace::Fd(fd) => writer.i32(libc::IFLA_NET_NS_FD, fd.as_raw_fd()),
        Namespace::Pid(0) => Err(Error::invalid("process", "0 is no process")),
        Namespace::Pid(pid) => writer.u32(libc::IFLA_NET_NS_PID, pid),
    }
}

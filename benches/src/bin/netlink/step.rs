//! The sequence of operations, and who may do them.
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::failure::Failure;

/// Links per step; each has an octet of its own in the addresses.
pub(crate) const COUNT: u8 = 50;

/// One operation of the sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Add,
    Find,
    Mtu,
    Rename,
    Up,
    Address4,
    Address6,
    Route4,
    Route6,
    RouteDelete,
    Delete,
}

pub(crate) const STEPS: [Step; 11] = [
    Step::Add,
    Step::Find,
    Step::Mtu,
    Step::Rename,
    Step::Up,
    Step::Address4,
    Step::Address6,
    Step::Route4,
    Step::Route6,
    Step::RouteDelete,
    Step::Delete,
];

impl Step {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Add => "veth pair add",
            Self::Find => "index of a name",
            Self::Mtu => "link set mtu",
            Self::Rename => "link set name",
            Self::Up => "link set up",
            Self::Address4 => "address add, IPv4",
            Self::Address6 => "address add, IPv6",
            Self::Route4 => "route add, IPv4",
            Self::Route6 => "route add, IPv6",
            Self::RouteDelete => "route delete, IPv4",
            Self::Delete => "veth pair delete",
        }
    }
}

/// One way to do the steps.
pub(crate) trait Lane {
    /// Does a step to all links; none if the lane has no such step.
    fn run(&mut self, step: Step) -> Result<Option<Duration>, Failure>;
}

pub(crate) fn first_name(number: u8) -> String {
    format!("a{number}")
}

pub(crate) fn peer_name(number: u8) -> String {
    format!("b{number}")
}

pub(crate) fn second_name(number: u8) -> String {
    format!("c{number}")
}

pub(crate) const MTU: u32 = 1400;

/// An address in the link's network of 24 bits.
pub(crate) const fn host4(number: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 9, number, host)
}

/// An address in the link's network of 64 bits.
pub(crate) fn host6(number: u8, host: u16) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, number.into(), 0, 0, 0, 0, host)
}

/// A network of 24 bits behind the link.
pub(crate) const fn behind4(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 16, number, 0)
}

/// A network of 64 bits behind the link.
pub(crate) fn behind6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0x1000 + u16::from(number), 0, 0, 0, 0, 0)
}

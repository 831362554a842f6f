//! Addresses with a prefix length, checked.
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::{Error, Result};

/// `AF_INET` or `AF_INET6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Option<Self> {
        match number {
            2 => Some(Self::V4),
            10 => Some(Self::V6),
            _ => None,
        }
    }

    /// Bits of an address: 32 or 128.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    pub(crate) const fn unspecified(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
            Self::V6 => IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED),
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::V4 { "IPv4" } else { "IPv6" })
    }
}

/// An address and the length of its prefix, as `10.1.2.3/24`. Host bits are kept; [`Cidr::network`] clears them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// An address with a prefix length.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the prefix is longer than the address.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self> {
        let longest = Family::of(address).bits();
        if prefix > longest {
            return Err(Error::invalid("prefix length", format!("{prefix} is more than {longest}")));
        }
        Ok(Self { address, prefix })
    }

    /// The same for what the kernel says; none if the prefix is longer than the address.
    #[inline]
    pub(crate) const fn from_kernel(address: IpAddr, prefix: u8) -> Option<Self> {
        if prefix > Family::of(address).bits() { None } else { Some(Self { address, prefix }) }
    }

    /// One address alone: `/32` or `/128`.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        Self { address, prefix: Family::of(address).bits() }
    }

    /// Everything of a family: `0.0.0.0/0` or `::/0`.
    #[must_use]
    pub const fn everything(family: Family) -> Self {
        Self { address: family.unspecified(), prefix: 0 }
    }

    /// The address, host bits included.
    #[must_use]
    pub const fn address(&self) -> IpAddr {
        self.address
    }

    /// The prefix length in bits.
    #[must_use]
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The family.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.address)
    }

    /// The same with the host bits cleared.
    #[must_use]
    pub fn network(&self) -> Self {
        let address = match self.address {
            IpAddr::V4(ip) => {
                // A shift by all bits leaves none: 0.
                let mask = u32::MAX.checked_shl(u32::from(32 - self.prefix.min(32))).unwrap_or(0);
                IpAddr::V4((ip.to_bits() & mask).into())
            }
            IpAddr::V6(ip) => {
                let mask = u128::MAX.checked_shl(u32::from(128 - self.prefix.min(128))).unwrap_or(0);
                IpAddr::V6((ip.to_bits() & mask).into())
            }
        };
        Self { address, prefix: self.prefix }
    }

    /// Whether an address lies within.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        Family::of(ip) == self.family()
            && Self { address: ip, prefix: self.prefix }.network() == self.network()
    }

    /// The highest address of an IPv4 network, its broadcast address; none for `/31`, `/32` and IPv6.
    #[must_use]
    pub fn broadcast(&self) -> Option<std::net::Ipv4Addr> {
        match self.address {
            IpAddr::V4(ip) if self.prefix < 31 => {
                Some((ip.to_bits() | u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0)).into())
            }
            _ => None,
        }
    }
}

impl From<IpAddr> for Cidr {
    fn from(ip: IpAddr) -> Self {
        Self::host(ip)
    }
}

impl FromStr for Cidr {
    type Err = Error;

    /// `ADDRESS/PREFIX`. The prefix is required: an address alone is more often a mistake than a host.
    fn from_str(text: &str) -> Result<Self> {
        let bad = || Error::invalid("network", format!("{text:?}: ADDRESS/PREFIX expected"));
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        Self::new(address.parse().map_err(|_| bad())?, prefix.parse().map_err(|_| bad())?)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

//! Address translation and published ports of a container: what its table will hold.

use std::net::SocketAddr;

use libcontainer_netlink::nft::Table;
use libcontainer_netlink::{Cidr, Family, Name};

use crate::config::Port;

/// What the table of a container will hold.
#[derive(Clone, Debug)]
pub(crate) struct Nat {
    pub(crate) table: Table,
    /// Whether the host is made to forward.
    pub(crate) forward: bool,
    pub(crate) interfaces: Vec<(Name, Vec<Cidr>, Published)>,
}

/// What one interface asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    pub(crate) masquerade: bool,
    pub(crate) forward: bool,
    pub(crate) ports: Vec<PublishedPort>,
    /// As in the config, for the record.
    pub(crate) asked: Vec<Port>,
}

/// One port in one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PublishedPort {
    pub(crate) outside: Outside,
    pub(crate) inside: SocketAddr,
}

/// A port of the host; the address is unspecified for all of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outside {
    pub(crate) protocol: Protocol,
    pub(crate) address: SocketAddr,
}

/// A transport protocol that has ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "" | "tcp" => Self::Tcp,
            "udp" => Self::Udp,
            "sctp" => Self::Sctp,
            _ => return Err(format!("{text:?}: tcp, udp or sctp")),
        })
    }
}

impl Outside {
    /// Whether both want packets of the same kind.
    pub(crate) fn clashes(&self, other: &Self) -> bool {
        let (ours, theirs) = (self.address.ip(), other.address.ip());
        self.protocol == other.protocol
            && self.address.port() == other.address.port()
            && ours.is_ipv4() == theirs.is_ipv4()
            && (ours == theirs || ours.is_unspecified() || theirs.is_unspecified())
    }

    /// Reads what [`Display`](std::fmt::Display) writes: the comment of a rule.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (protocol, address) = text.split_once(' ')?;
        Some(Self { protocol: Protocol::parse(protocol).ok()?, address: address.parse().ok()? })
    }
}

impl std::fmt::Display for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.protocol.name(), self.address)
    }
}

impl Nat {
    /// Families of the addresses that are translated.
    pub(crate) fn families(&self) -> Vec<Family> {
        let has = |family| {
            self.interfaces.iter().flat_map(|(_, addresses, _)| addresses).any(|cidr| cidr.family() == family)
        };
        [Family::V4, Family::V6].into_iter().filter(|family| has(*family)).collect()
    }

    /// In words, for the step.
    pub(crate) fn summary(&self) -> String {
        let masquerade = self.interfaces.iter().any(|(.., published)| published.masquerade);
        let ports = self.ports().map(|port| format!("{} to {}", port.outside, port.inside));
        masquerade.then(|| "outbound NAT".to_owned()).into_iter().chain(ports).collect::<Vec<_>>().join(", ")
    }

    pub(crate) fn ports(&self) -> impl Iterator<Item = &PublishedPort> {
        self.interfaces.iter().flat_map(|(.., published)| &published.ports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(text: &str) -> Outside {
        Outside::parse(text).unwrap()
    }

    #[test]
    fn which_ports_clash() {
        for (one, other, wanted) in [
            ("tcp 0.0.0.0:80", "tcp 0.0.0.0:80", true),
            ("tcp 0.0.0.0:80", "tcp 192.0.2.1:80", true),
            ("tcp 192.0.2.1:80", "tcp 0.0.0.0:80", true),
            ("tcp 192.0.2.1:80", "tcp 192.0.2.2:80", false),
            ("tcp 0.0.0.0:80", "tcp 0.0.0.0:81", false),
            ("tcp 0.0.0.0:80", "udp 0.0.0.0:80", false),
            ("tcp 0.0.0.0:80", "tcp [::]:80", false),
            ("sctp [::]:80", "sctp [2001:db8::1]:80", true),
        ] {
            assert_eq!(outside(one).clashes(&outside(other)), wanted, "{one} {other}");
            assert_eq!(outside(one).to_string(), one);
        }
        for text in ["", "tcp", "tcp 80", "icmp 0.0.0.0:80", "tcp 0.0.0.0:65536", "tcp  0.0.0.0:1"] {
            assert!(Outside::parse(text).is_none(), "{text}");
        }
    }
}

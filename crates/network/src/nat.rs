//! Address translation as the config asks for it: parsed and checked. Pure but for the random name of the table.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use libcontainer_netlink::nft::Table;
use libcontainer_netlink::{Cidr, Family, Mac, Name};

use crate::config::{Network, Port};
use crate::plan::{Interface, Kind, Reader};

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

    fn parse(text: &str) -> Result<Self, String> {
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

impl Reader {
    /// Refuses what other kinds of interfaces can't have.
    pub(crate) fn only_veth(&mut self, at: &str, network: &Network) {
        let asked =
            [("nat", network.nat), ("ports", !network.ports.is_empty()), ("forward", network.forward)];
        if network.kind != "veth" {
            for (key, _) in asked.iter().filter(|(_, asked)| *asked) {
                self.add(format!("{at}/{key}"), "only a veth has it");
            }
        } else if network.forward && !network.nat && network.ports.is_empty() {
            self.add(format!("{at}/forward"), "without nat or ports nothing needs it");
        }
    }

    /// What a network publishes.
    pub(crate) fn published(&mut self, at: &str, network: &Network, addresses: &[Cidr]) -> Published {
        let usable: Vec<IpAddr> =
            addresses.iter().map(Cidr::address).filter(|address| !is_link_local(*address)).collect();
        let why = "needs an address that is not link-local";
        if usable.is_empty() && network.nat {
            self.add(format!("{at}/nat"), why);
        }
        if usable.is_empty() && !network.ports.is_empty() {
            self.add(format!("{at}/ports"), why);
            return Published::default();
        }
        let places = network.ports.iter().enumerate();
        let ports = places.flat_map(|(index, port)| self.port(&format!("{at}/ports/{index}"), port, &usable));
        let ports = ports.collect();
        Published { masquerade: network.nat, forward: network.forward, ports, asked: network.ports.clone() }
    }

    /// One published port, for each family that it is meant for.
    fn port(&mut self, at: &str, port: &Port, inside: &[IpAddr]) -> Vec<PublishedPort> {
        let number = |value: i64| match u16::try_from(value) {
            Ok(number @ 1..) => Ok(number),
            _ => Err(format!("{value}: must be 1 to 65535")),
        };
        let outer = self.take(format!("{at}/host_port"), number(port.host_port));
        let inner = self.take(format!("{at}/port"), number(port.port));
        let protocol = self.take(format!("{at}/protocol"), Protocol::parse(&port.protocol));
        let hosts = self.take(format!("{at}/host_address"), hosts(&port.host_address));
        let (Some(outer), Some(inner), Some(protocol), Some(hosts)) = (outer, inner, protocol, hosts) else {
            return Vec::new();
        };
        let pair = |host: &IpAddr| {
            let target = inside.iter().find(|address| address.is_ipv4() == host.is_ipv4())?;
            let outside = Outside { protocol, address: SocketAddr::new(*host, outer) };
            Some(PublishedPort { outside, inside: SocketAddr::new(*target, inner) })
        };
        let found: Vec<_> = hosts.iter().filter_map(pair).collect();
        if found.is_empty() {
            self.add(format!("{at}/host_address"), "the interface has no address of this family");
        }
        found
    }

    /// The table, if anything asks for one.
    pub(crate) fn nat(&mut self, networks: &[Network], interfaces: &[Interface]) -> Option<Nat> {
        let wanted = |published: &Published| published.masquerade || !published.ports.is_empty();
        let part = |interface: &Interface| match &interface.kind {
            Kind::Veth { bridge, .. } if wanted(&interface.published) => {
                let usable = interface.addresses.iter().filter(|cidr| !is_link_local(cidr.address()));
                Some((*bridge, usable.copied().collect(), interface.published.clone()))
            }
            _ => None,
        };
        let interfaces: Vec<_> = interfaces.iter().filter_map(part).collect();
        if interfaces.is_empty() {
            return None;
        }
        let table = self.take("/networks".to_owned(), random_name("lc_"))?;
        let forward = networks.iter().any(|network| network.forward);
        let nat = Nat { table: Table::inet(table.to_string()), forward, interfaces };
        let ports: Vec<_> = nat.ports().map(|port| port.outside).collect();
        for (index, port) in ports.iter().enumerate() {
            if ports.iter().take(index).any(|other| other.clashes(port)) {
                self.add("/networks", format!("port {port} of the host is published twice"));
            }
        }
        Some(nat)
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// The addresses of the host that are meant: unspecified ones stand for their family.
fn hosts(text: &str) -> Result<Vec<IpAddr>, String> {
    if text.is_empty() {
        return Ok(vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()]);
    }
    let address: IpAddr = text.parse().map_err(|_| format!("{text:?} is no address"))?;
    if address.is_loopback() {
        return Err(format!("{address}: packets of the loopback network never leave for a container"));
    }
    if address.is_multicast() || is_link_local(address) {
        return Err(format!("{address}: must be a unicast address that is not link-local"));
    }
    Ok(vec![address])
}

/// `prefix` and 8 hexadecimal digits from the kernel's random numbers: two containers never get the same.
pub(crate) fn random_name(prefix: &str) -> Result<Name, String> {
    let mac = Mac::random().map_err(|error| error.to_string())?;
    let digits: String = mac.as_bytes().iter().skip(2).map(|byte| format!("{byte:02x}")).collect();
    Name::new(format!("{prefix}{digits}")).map_err(|error| error.to_string())
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

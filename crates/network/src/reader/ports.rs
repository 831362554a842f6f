//! Address translation and published ports, as the config asks for them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use libcontainer_netlink::Cidr;
use libcontainer_netlink::nft::Table;

use super::Reader;
use crate::config::{Network, Port};
use crate::mark::random_name;
use crate::nat::{Nat, Outside, Protocol, Published, PublishedPort};
use crate::plan::{Interface, Kind};

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

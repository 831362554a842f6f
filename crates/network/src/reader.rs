//! The config, parsed and checked; all problems at once. Pure but for the random names.

mod ports;

use std::net::IpAddr;
use std::path::PathBuf;

use libcontainer_netlink::{Cidr, Family, IpvlanMode, Mac, MacvlanMode, Name};

use crate::bridge::OwnBridge;
use crate::config::{Network, Route};
use crate::mark::{random_id, random_name};
use crate::plan::{Interface, Kind, Plan, PlannedRoute, Problem};

impl Plan {
    /// Reads the config; all problems at once. `loopback` and `netns` make no interface here: the one is up in every new
    /// namespace that asks for it, the other is a namespace that the container joins.
    ///
    /// # Errors
    /// Everything that is wrong, each with a JSON pointer.
    pub fn new(networks: &[Network], routes: &[Route]) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::default();
        let mut plan = Self::default();
        for (index, network) in networks.iter().enumerate() {
            let at = format!("/networks/{index}");
            plan.interfaces.extend(reader.network(&at, network, plan.interfaces.len()));
        }
        let names: Vec<_> = plan.interfaces.iter().map(|interface| &interface.name).collect();
        for (index, name) in names.iter().enumerate() {
            if names.iter().take(index).any(|other| other == name) {
                reader.add("/networks", format!("two interfaces are called {name}"));
            }
        }
        for name in wanted_twice(&plan.interfaces) {
            reader.add("/networks", format!("device {name} is moved twice"));
        }
        for (index, route) in routes.iter().enumerate() {
            plan.routes.extend(reader.route(&format!("/routes/{index}"), route));
        }
        plan.nat = reader.nat(networks, &plan.interfaces);
        if plan.interfaces.iter().any(|interface| matches!(interface.kind, Kind::Veth { .. })) {
            plan.namespace_id = reader.take("/networks".to_owned(), random_id()).unwrap_or_default();
        }
        if reader.problems.is_empty() { Ok(plan) } else { Err(reader.problems) }
    }
}

#[derive(Default)]
pub(crate) struct Reader {
    problems: Vec<Problem>,
}

impl Reader {
    pub(crate) fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem { pointer: pointer.into(), message: message.into() });
    }

    /// The value, or a problem at `pointer`.
    pub(crate) fn take<T>(&mut self, pointer: String, value: Result<T, impl ToString>) -> Option<T> {
        value.map_err(|error| self.add(pointer, error.to_string())).ok()
    }

    fn network(&mut self, at: &str, network: &Network, number: usize) -> Option<Interface> {
        self.only_veth(at, network);
        let kind = match network.kind.as_str() {
            "loopback" => return None,
            "netns" => {
                if !network.ns_path.starts_with('/') || network.ns_path.contains('\0') {
                    self.add(format!("{at}/ns_path"), "must be absolute, without NUL");
                }
                return None;
            }
            "veth" => self.veth(at, network),
            "macvlan" => {
                let parent = self.name(at, "device", &network.device);
                let mode = self.take(format!("{at}/mode"), macvlan_mode(&network.mode));
                let made_as = self.take(at.to_owned(), random_name("lc"));
                parent.zip(mode).zip(made_as).map(|((parent, mode), made_as)| Kind::Macvlan {
                    parent,
                    mode,
                    made_as,
                })
            }
            "ipvlan" => {
                let parent = self.name(at, "device", &network.device);
                let mode = self.take(format!("{at}/mode"), ipvlan_mode(&network.mode));
                let made_as = self.take(at.to_owned(), random_name("lc"));
                parent.zip(mode).zip(made_as).map(|((parent, mode), made_as)| Kind::Ipvlan {
                    parent,
                    mode,
                    made_as,
                })
            }
            "pasta" => {
                for key in misplaced(network) {
                    self.add(
                        format!("{at}/{key}"),
                        "pasta gives the container the host's addresses and gateway",
                    );
                }
                Some(Kind::Pasta { pid_file: PathBuf::new() })
            }
            "host-device" => self.name(at, "device", &network.device).map(|host| Kind::Device { host }),
            _ => {
                let text = format!("{:?} is not a valid network type", network.kind);
                self.add(format!("{at}/type"), text);
                None
            }
        };
        let default = format!("eth{number}");
        let name = self.name(at, "name", if network.name.is_empty() { &default } else { &network.name });
        let addresses = self.addresses(at, network);
        let gateways = self.gateways(at, network, &addresses);
        let (mac, mtu) = (self.mac(at, &network.mac_address), self.mtu(at, network.mtu));
        if matches!(kind, Some(Kind::Ipvlan { .. })) && mac.is_some() {
            self.add(format!("{at}/mac_address"), "an ipvlan has the address of its device");
        }
        let published = self.published(at, network, &addresses);
        Some(Interface { kind: kind?, name: name?, mac, mtu, addresses, gateways, published })
    }

    fn veth(&mut self, at: &str, network: &Network) -> Option<Kind> {
        if network.bridge.is_empty() {
            self.add(format!("{at}/bridge"), "bridge is not specified");
        }
        if network.veth_prefix.is_empty() {
            self.add(format!("{at}/veth_prefix"), "veth prefix is not specified");
        } else if network.veth_prefix.len() > 7 {
            self.add(
                format!("{at}/veth_prefix"),
                "longer than 7 bytes: 8 digits follow, and 15 bytes are the limit",
            );
        }
        let places = network.bridge_addresses.iter().enumerate();
        let addresses: Vec<_> = places
            .filter_map(|(index, text)| self.cidr(format!("{at}/bridge_addresses/{index}"), text))
            .collect();
        if !network.create_bridge && !addresses.is_empty() {
            self.add(format!("{at}/bridge_addresses"), "given without create_bridge");
        }
        if network.bridge.is_empty() || network.veth_prefix.is_empty() {
            return None;
        }
        let bridge = self.name(at, "bridge", &network.bridge)?;
        let host = self.take(format!("{at}/veth_prefix"), random_name(&network.veth_prefix))?;
        let mac = if network.create_bridge {
            Some(self.take(format!("{at}/bridge"), Mac::random())?)
        } else {
            None
        };
        Some(Kind::Veth { host, bridge, create: mac.map(|mac| OwnBridge { addresses, mac }) })
    }

    fn name(&mut self, at: &str, key: &str, text: &str) -> Option<Name> {
        if text.is_empty() {
            self.add(format!("{at}/{key}"), "missing");
            return None;
        }
        self.take(format!("{at}/{key}"), Name::new(text))
    }

    fn cidr(&mut self, pointer: String, text: &str) -> Option<Cidr> {
        self.take(pointer, text.parse::<Cidr>())
    }

    fn addresses(&mut self, at: &str, network: &Network) -> Vec<Cidr> {
        let first = (!network.address.is_empty()).then_some((format!("{at}/address"), &network.address));
        let more = network.addresses.iter().enumerate();
        let more = more.map(|(index, text)| (format!("{at}/addresses/{index}"), text));
        let mut all: Vec<Cidr> = Vec::new();
        for (pointer, text) in first.into_iter().chain(more) {
            let Some(cidr) = self.cidr(pointer.clone(), text) else { continue };
            if all.iter().any(|other| other.address() == cidr.address()) {
                self.add(pointer, format!("{} is given twice", cidr.address()));
            }
            all.push(cidr);
        }
        all
    }

    fn gateways(&mut self, at: &str, network: &Network, addresses: &[Cidr]) -> Vec<IpAddr> {
        let mut all: Vec<IpAddr> = Vec::new();
        for (key, text) in [("gateway", &network.gateway), ("gateway_v6", &network.gateway_v6)] {
            let pointer = format!("{at}/{key}");
            if text.is_empty() {
                continue;
            }
            let parsed = text.parse::<IpAddr>().map_err(|_| format!("{text:?} is no address"));
            let Some(gateway) = self.take(pointer.clone(), parsed) else { continue };
            let link_local =
                matches!(gateway, IpAddr::V6(address) if address.segments()[0] & 0xffc0 == 0xfe80);
            if key == "gateway_v6" && gateway.is_ipv4() {
                self.add(pointer, format!("{gateway} is no IPv6 address"));
            } else if !link_local && !addresses.iter().any(|address| address.contains(gateway)) {
                self.add(pointer, format!("{gateway} is in the network of no address of this interface"));
            } else if all.iter().any(|other| other.is_ipv4() == gateway.is_ipv4()) {
                self.add(pointer, "a second gateway of this family");
            } else {
                all.push(gateway);
            }
        }
        all
    }

    fn mac(&mut self, at: &str, text: &str) -> Option<Mac> {
        if text.is_empty() {
            return None;
        }
        let mac = self.take(format!("{at}/mac_address"), text.parse::<Mac>())?;
        if mac.is_multicast() {
            self.add(format!("{at}/mac_address"), format!("{mac} is a multicast address"));
        }
        Some(mac)
    }

    fn mtu(&mut self, at: &str, mtu: i64) -> Option<u32> {
        match u32::try_from(mtu) {
            Ok(0) => None,
            Ok(mtu @ 68..=0x7fff_ffff) => Some(mtu),
            _ => {
                self.add(
                    format!("{at}/mtu"),
                    format!("{mtu}: must be 68 to 2147483647, or 0 for the default"),
                );
                None
            }
        }
    }

    fn route(&mut self, at: &str, route: &Route) -> Option<PlannedRoute> {
        let before = self.problems.len();
        let mut cidr = |key: &str, text: &str| {
            if text.is_empty() {
                None
            } else {
                self.cidr(format!("{at}/{key}"), text).map(|cidr| cidr.network())
            }
        };
        let (destination, source) = (cidr("destination", &route.destination), cidr("source", &route.source));
        let gateway = if route.gateway.is_empty() {
            None
        } else {
            let parsed =
                route.gateway.parse::<IpAddr>().map_err(|_| format!("{:?} is no address", route.gateway));
            self.take(format!("{at}/gateway"), parsed)
        };
        let link = if route.interface_name.is_empty() {
            None
        } else {
            self.name(at, "interface_name", &route.interface_name)
        };
        let families = [
            destination.map(|cidr| cidr.family()),
            source.map(|cidr| cidr.family()),
            gateway.map(Family::of),
        ];
        let mut families = families.into_iter().flatten();
        let Some(family) = families.next().filter(|_| self.problems.len() == before) else {
            if self.problems.len() == before {
                self.add(at, "one of destination, source or gateway must not be blank");
            }
            return None;
        };
        if families.any(|other| other != family) {
            self.add(at, "destination, source and gateway are not of one family");
            return None;
        }
        if gateway.is_none() && link.is_none() {
            self.add(
                format!("{at}/interface_name"),
                "missing: without a gateway the kernel can't find the interface",
            );
            return None;
        }
        let mut planned = libcontainer_netlink::Route::new(family);
        (planned.destination, planned.source, planned.gateway) = (destination, source, gateway);
        Some(PlannedRoute { route: planned, link, text: text_of(route) })
    }
}

fn text_of(route: &Route) -> String {
    let to = if route.destination.is_empty() { "default" } else { &route.destination };
    let mut text = format!("route to {to}");
    for (word, value) in [("from", &route.source), ("via", &route.gateway), ("dev", &route.interface_name)] {
        if !value.is_empty() {
            text.push_str(&format!(" {word} {value}"));
        }
    }
    text
}

fn macvlan_mode(text: &str) -> Result<MacvlanMode, String> {
    Ok(match text {
        "" | "bridge" => MacvlanMode::Bridge,
        "private" => MacvlanMode::Private,
        "vepa" => MacvlanMode::Vepa,
        "passthru" => MacvlanMode::Passthru,
        _ => return Err(format!("{text:?}: bridge, private, vepa or passthru")),
    })
}

fn ipvlan_mode(text: &str) -> Result<IpvlanMode, String> {
    Ok(match text {
        "" | "l2" => IpvlanMode::L2,
        "l3" => IpvlanMode::L3,
        "l3s" => IpvlanMode::L3S,
        _ => return Err(format!("{text:?}: l2, l3 or l3s")),
    })
}

/// Keys that are set and mean nothing for pasta.
fn misplaced(network: &Network) -> impl Iterator<Item = &'static str> {
    let keys = [
        ("address", !network.address.is_empty()),
        ("addresses", !network.addresses.is_empty()),
        ("gateway", !network.gateway.is_empty()),
        ("gateway_v6", !network.gateway_v6.is_empty()),
        ("mac_address", !network.mac_address.is_empty()),
    ];
    keys.into_iter().filter(|(_, given)| *given).map(|(key, _)| key)
}

/// Devices that two interfaces want.
fn wanted_twice(interfaces: &[Interface]) -> Vec<Name> {
    let devices = interfaces.iter().filter_map(|interface| match &interface.kind {
        Kind::Device { host } => Some(*host),
        _ => None,
    });
    let devices: Vec<Name> = devices.collect();
    let again = |(index, name): (usize, &Name)| devices.iter().take(index).any(|other| other == name);
    devices.iter().enumerate().filter(|pair| again(*pair)).map(|(_, name)| *name).collect()
}

//! The JSON of networks and routes: 2014's keys, and what has been added in the same style.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

fn unset<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A network interface of the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// `loopback`, `veth`, `netns`, `macvlan`, `ipvlan`, `host-device`, or `pasta`: the host's network by pasta(1), for containers
    /// with a user namespace that are made without privileges.
    #[serde(rename = "type", skip_serializing_if = "unset")]
    pub kind: String,
    /// Path of a network namespace to join, for `netns`.
    #[serde(skip_serializing_if = "unset")]
    pub ns_path: String,
    /// Bridge, for `veth`.
    #[serde(skip_serializing_if = "unset")]
    pub bridge: String,
    /// Make the bridge if it is not there; it goes when its last port does.
    #[serde(skip_serializing_if = "unset")]
    pub create_bridge: bool,
    /// Addresses of the bridge that is made, each with prefix length.
    #[serde(skip_serializing_if = "unset")]
    pub bridge_addresses: Vec<String>,
    /// Prefix of the name of the host's end, for `veth`. At most 7 bytes; 8 random digits follow.
    #[serde(skip_serializing_if = "unset")]
    pub veth_prefix: String,
    /// Link of the host that a `macvlan` or `ipvlan` stands on, or that is moved into the container as `host-device`, where it keeps
    /// its permanent addresses of global scope.
    #[serde(skip_serializing_if = "unset")]
    pub device: String,
    /// `macvlan`: `bridge` (default), `private`, `vepa` or `passthru`; `ipvlan`: `l2` (default), `l3` or `l3s`.
    #[serde(skip_serializing_if = "unset")]
    pub mode: String,
    /// Name inside; `eth0`, `eth1` … in the order of the list if empty.
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
    /// Hardware address inside, such as `02:42:ac:11:00:65`; random if empty.
    #[serde(skip_serializing_if = "unset")]
    pub mac_address: String,
    /// Address with prefix length, IPv4 or IPv6. Ignored for `loopback`.
    #[serde(skip_serializing_if = "unset")]
    pub address: String,
    /// Further addresses of either family.
    #[serde(skip_serializing_if = "unset")]
    pub addresses: Vec<String>,
    /// Gateway of the default route. Ignored for `loopback`.
    #[serde(skip_serializing_if = "unset")]
    pub gateway: String,
    /// Gateway of the default route of the other family.
    #[serde(skip_serializing_if = "unset")]
    pub gateway_v6: String,
    /// Largest packet in bytes; the kernel's default if 0. Ignored for `loopback`.
    #[serde(skip_serializing_if = "unset")]
    pub mtu: i64,
    /// Give what leaves the host from this interface's addresses the host's address, for `veth`.
    #[serde(skip_serializing_if = "unset")]
    pub nat: bool,
    /// Ports of the host that lead into the container, for `veth`.
    #[serde(skip_serializing_if = "unset")]
    pub ports: Vec<Port>,
    /// Make the host forward packets if it does not, which `nat` and `ports` need. It stays so.
    #[serde(skip_serializing_if = "unset")]
    pub forward: bool,
}

/// A port of the host that leads to one of the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Port {
    /// Address of the host; every address of it but loopback if empty, those of one family if `0.0.0.0` or `::`.
    #[serde(skip_serializing_if = "unset")]
    pub host_address: String,
    /// Port of the host, 1 to 65535.
    pub host_port: i64,
    /// Port inside, 1 to 65535.
    pub port: i64,
    /// `tcp` (default), `udp` or `sctp`.
    #[serde(skip_serializing_if = "unset")]
    pub protocol: String,
}

/// A route inside the container: at least one of destination, source and gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Route {
    /// Destination with prefix length; host bits are masked. Everything if empty.
    #[serde(skip_serializing_if = "unset")]
    pub destination: String,
    /// Source selector with prefix length. Only IPv6 heeds it.
    #[serde(skip_serializing_if = "unset")]
    pub source: String,
    /// Gateway.
    #[serde(skip_serializing_if = "unset")]
    pub gateway: String,
    /// Name of the interface inside; the kernel finds it from the gateway if empty.
    #[serde(skip_serializing_if = "unset")]
    pub interface_name: String,
}

/// What stands in the container's record: enough to take everything away from another process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkState {
    /// Host end of the first veth pair, as in 2014.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub veth_host: String,
    /// Container end of the first veth pair, as in 2014.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub veth_child: String,
    /// Network namespace that was joined, as in 2014.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ns_path: String,
    /// Every interface but `lo`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<InterfaceState>,
    /// The id that the host's network namespace has for the container's own, given to it before the first pair is made: by it the kernel
    /// tells whether that ends. 0 if there is no pair, or the namespace was joined.
    #[serde(skip_serializing_if = "unset")]
    pub namespace_id: i32,
    /// The alias of links and the comment of the table by which they are known as this container's.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mark: String,
    /// The table of nf_tables, family inet, with what `nat` and `ports` asked for; none if empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub nft_table: String,
}

/// One interface in the record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct InterfaceState {
    /// As in the config.
    #[serde(rename = "type")]
    pub kind: String,
    /// Name inside.
    pub name: String,
    /// Name on the host: the other end of a veth pair, or what a moved device was called.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host_name: String,
    /// The bridge.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bridge: String,
    /// Hardware address with which the bridge is made, by which it is known until it is marked.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bridge_mac: String,
    /// Name under which a `macvlan` or `ipvlan` is made, until it gets its own together with the mark.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub made_as: String,
    /// The file by which a `pasta` is known.
    #[serde(skip_serializing_if = "unset")]
    pub pid_file: PathBuf,
    /// Whether the bridge goes with its last port.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub own_bridge: bool,
    /// As in the config.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub nat: bool,
    /// As in the config.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub forward: bool,
    /// As in the config.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
}

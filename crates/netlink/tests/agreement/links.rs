//! A link as `ip -N -j -d -s link show` has it.

use libcontainer_netlink::{
    BridgePort, Index, Link, LinkFlags, LinkKind, MacvlanMode, Name, OperState, TunKind, VlanProtocol, Vxlan,
};
use serde_json::{Value, json as object};

/// As `ip` names links.
pub(crate) struct Names(pub(crate) Vec<(Index, Name)>);

impl Names {
    pub(crate) fn of(&self, index: Index) -> String {
        self.0.iter().find(|(known, _)| *known == index).map(|(_, name)| name.to_string()).unwrap()
    }
}

fn number(on: Option<bool>) -> Option<u8> {
    on.map(u8::from)
}

/// `info_data` of a kind.
fn data(kind: &LinkKind, names: &Names) -> Option<Value> {
    let mode = |mode: MacvlanMode| format!("{mode:?}").to_lowercase();
    Some(match kind {
        LinkKind::Bridge(bridge) => object!({
            "forward_delay": bridge.forward_delay, "hello_time": bridge.hello_time,
            "ageing_time": bridge.ageing_time, "stp_state": number(bridge.stp), "priority": bridge.priority,
            "vlan_filtering": number(bridge.vlan_filtering), "vlan_default_pvid": bridge.default_pvid,
            "mcast_snooping": number(bridge.multicast_snooping),
        }),
        LinkKind::Vlan(vlan) => {
            let service = vlan.protocol == VlanProtocol::Service;
            object!({"id": vlan.id, "protocol": if service { "802.1ad" } else { "802.1Q" }})
        }
        LinkKind::Macvlan(one) | LinkKind::Macvtap(one) => object!({"mode": mode(*one)}),
        LinkKind::Ipvlan(ipvlan) => object!({"mode": format!("{:?}", ipvlan.mode).to_lowercase()}),
        LinkKind::Vxlan(vxlan) => vxlan_data(vxlan, names),
        LinkKind::Tun(kind) => object!({"type": if *kind == TunKind::Tap { "tap" } else { "tun" }}),
        _ => return None,
    })
}

fn vxlan_data(vxlan: &Vxlan, names: &Names) -> Value {
    let text =
        |ip: Option<std::net::IpAddr>, v6: bool| ip.filter(|ip| ip.is_ipv6() == v6).map(|ip| ip.to_string());
    object!({
        "id": vxlan.id, "remote": text(vxlan.remote, false), "local": text(vxlan.local, false),
        "remote6": text(vxlan.remote, true), "local6": text(vxlan.local, true),
        "link": vxlan.link.map(|link| names.of(link)), "port": vxlan.port,
        "learning": vxlan.learning, "ttl": vxlan.ttl,
    })
}

fn port(port: &BridgePort) -> Value {
    object!({
        "priority": port.priority, "cost": port.cost, "hairpin": port.hairpin, "guard": port.guard,
        "root_block": port.root_block, "fastleave": port.fast_leave, "learning": port.learning,
        "flood": port.flood, "mcast_flood": port.multicast_flood, "proxy_arp": port.proxy_arp,
        "neigh_suppress": port.neighbour_suppress, "isolated": port.isolated,
    })
}

fn flags(flags: LinkFlags) -> Vec<&'static str> {
    let all = [
        (LinkFlags::LOOPBACK, "LOOPBACK"),
        (LinkFlags::BROADCAST, "BROADCAST"),
        (LinkFlags::POINT_TO_POINT, "POINTOPOINT"),
        (LinkFlags::MULTICAST, "MULTICAST"),
        (LinkFlags::NO_ARP, "NOARP"),
        (LinkFlags::UP, "UP"),
        (LinkFlags::LOWER_UP, "LOWER_UP"),
    ];
    all.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name).collect()
}

pub(crate) fn link(link: &Link, names: &Names) -> Value {
    let state = match link.state {
        OperState::Unknown => "UNKNOWN",
        OperState::Up => "UP",
        OperState::LowerLayerDown => "LOWERLAYERDOWN",
        _ => "DOWN",
    };
    let mut info = serde_json::Map::new();
    if let Some(kind) = &link.kind {
        info.insert("info_kind".to_owned(), kind.to_string().into());
        info.extend(data(kind, names).map(|data| ("info_data".to_owned(), data)));
    }
    info.extend(link.bridge_port.as_ref().map(|one| ("info_slave_data".to_owned(), port(one))));
    let (s, alternative) = (&link.stats, link.alt_names.first().map(|_| &link.alt_names));
    object!({
        "ifindex": link.index.get(), "ifname": link.name.to_string(), "flags": flags(link.flags),
        "mtu": link.mtu, "operstate": state, "group": link.group.to_string(), "txqlen": link.queue_length,
        "link_type": format!("[{}]", link.hardware), "address": link.mac.map(|mac| mac.to_string()),
        "link": link.parent.map(|parent| names.of(parent)), "master": link.master.map(|it| names.of(it)),
        "ifalias": link.alias.as_ref().map(|alias| alias.to_str()), "linkinfo": info,
        "altnames": alternative.map(|all| all.iter().map(|name| name.to_str()).collect::<Vec<_>>()),
        "stats64": {
            "rx": {"bytes": s.rx_bytes, "packets": s.rx_packets, "errors": s.rx_errors,
                "dropped": s.rx_dropped, "over_errors": s.rx_over_errors, "multicast": s.multicast},
            "tx": {"bytes": s.tx_bytes, "packets": s.tx_packets, "errors": s.tx_errors,
                "dropped": s.tx_dropped, "carrier_errors": s.tx_carrier_errors, "collisions": s.collisions},
        },
    })
}

/// Remarks that are no flags, and a link without a kind.
pub(crate) fn tidy(their: &mut Value) {
    let their = their.as_object_mut().unwrap();
    if let Some(flags) = their["flags"].as_array_mut() {
        flags.retain(|flag| !["NO-CARRIER", "M-DOWN"].contains(&flag.as_str().unwrap()));
    }
    their.entry("linkinfo").or_insert_with(|| object!({}));
}

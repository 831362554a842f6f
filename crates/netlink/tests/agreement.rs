//! One of everything, made by `ip`, and what `ip -j -d` says of it: our view has the same in every field that both have.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#[path = "agreement/links.rs"]
mod links;
mod place;

use libcontainer_netlink::{
    Address, AddressFlags, Cidr, Family, Neighbour, NeighbourFlags, NeighbourState, Netlink, Route,
    RouteFilter, RouteKind, Rule, RuleAction, Scope,
};
use links::Names;
use place::{in_namespace, json, run};
use serde_json::{Value, json as object};

/// No link-local addresses: they come and change by themselves.
const QUIET: &str = "/proc/sys/net/ipv6/conf/default/addr_gen_mode";
const SETUP: &str = "ip link set lo up
ip link add name veth0 type veth peer name veth1
ip link set veth0 up
ip link set veth1 up
ip addr add 10.1.2.3/24 brd + dev veth0 label veth0:x metric 77
ip addr add 10.1.2.4/24 dev veth0 valid_lft 3000 preferred_lft 2000
ip addr add 10.8.0.1 peer 10.8.0.2/32 dev veth0 scope link
ip addr add 2001:db8::1/64 dev veth0 nodad
ip addr add 2001:db8:1::1/64 dev veth0 nodad noprefixroute mngtmpaddr valid_lft 3000 preferred_lft 0
ip link add br0 type bridge stp_state 1 ageing_time 3000 priority 4096 forward_delay 400 hello_time 100
ip link set veth1 master br0
ip link set veth1 type bridge_slave guard on isolated on proxy_arp on neigh_suppress on cost 8 priority 9
ip link set veth1 type bridge_slave hairpin on learning off flood off mcast_flood off fastleave on
ip link set veth0 alias mine group 9
ip link property add dev veth0 altname a-long-alternative
ip route add 10.71.0.0/16 via 10.1.2.1 dev veth0 onlink mtu 1280
ip route add 10.70.0.0/16 via 10.1.2.1 metric 5 proto static src 10.1.2.3
ip route add blackhole 10.72.0.0/16 table 99
ip route add throw 10.73.0.0/16 table 1000
ip route add unreachable 10.74.0.0/16
ip route add prohibit 10.75.0.0/16
ip route add default via 10.1.2.1
ip route add 10.40.0.0/16 nexthop via 10.1.2.1 weight 3 nexthop via 10.1.2.9 dev veth0 onlink
ip -6 route add 2001:db8:7::/48 from 2001:db8:8::/64 via 2001:db8::2
ip -6 route add default via 2001:db8::2 metric 7
ip rule add not from 10.2.0.0/16 to 10.9.0.0/16 iif veth1 oif veth0 fwmark 7/0xff priority 510 table 1235
ip rule add priority 520 table main suppress_prefixlength 0
ip rule add to 10.4.0.0/16 priority 530 blackhole
ip rule add from 10.5.0.1 priority 540 prohibit
ip rule add priority 550 unreachable
ip -6 rule add from 2001:db8::/32 priority 510 table 1235
ip neigh add 10.1.2.77 lladdr 02:aa:bb:cc:dd:ee router dev veth0 nud permanent
ip neigh add 10.1.2.78 lladdr 02:aa:bb:cc:dd:ef dev veth0 nud noarp
ip neigh add proxy 10.1.2.79 dev veth0
ip -6 neigh add 2001:db8::77 lladdr 02:aa:bb:cc:dd:ee dev veth0 nud permanent
bridge fdb add 02:aa:bb:cc:dd:01 dev veth1 master static";
/// Kinds that a kernel may lack.
const KINDS: &str = "ip link add vx0 type vxlan id 43 dev veth0 remote 192.0.2.7 local 192.0.2.8 dstport 4789 ttl 3 nolearning
ip link add vx1 type vxlan id 44 remote 2001:db8::7 local 2001:db8::8 dstport 4790
ip link add mv0 link veth0 type macvlan mode vepa
ip link add mv1 link veth0 type macvlan mode bridge
ip link add mvt0 link veth0 type macvtap mode private
ip link add iv0 link br0 type ipvlan mode l3s vepa
ip link add v5 link veth0 type vlan id 5 protocol 802.1ad
ip link add d0 type dummy
ip link add ifb7 type ifb
ip tuntap add mode tap name tap0
ip tuntap add mode tun name tun0";

fn set_up() {
    std::fs::write(QUIET, "1").unwrap();
    SETUP.lines().for_each(|command| drop(run(command)));
    for command in KINDS.lines() {
        let mut words = command.split(' ');
        std::process::Command::new(words.next().unwrap()).args(words).output().unwrap();
    }
}

/// Each key of ours is the same in theirs; one that is null must be missing there.
fn same(ours: &Value, theirs: &Value) {
    for (key, our) in ours.as_object().unwrap() {
        let their = &theirs[key];
        if our.is_object() {
            same(our, their);
        } else {
            assert_eq!(our, their, "{key}: {ours} and {theirs}");
        }
    }
}

fn all_same(ours: &[Value], theirs: &[Value], least: usize) {
    assert_eq!(ours.len(), theirs.len(), "{ours:?} and {theirs:?}");
    assert!(ours.len() >= least, "{}", ours.len());
    ours.iter().zip(theirs).for_each(|(our, their)| same(our, their));
}

#[test]
fn links_with_their_details() {
    in_namespace("links_with_their_details", |netlink| {
        set_up();
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"?", "127.0.0.1:9").unwrap();
        let names = names(netlink);
        // Counters may move while we look: until two looks of ours agree.
        for _ in 0..20 {
            let before = netlink.links().unwrap();
            let mut theirs = json("ip -N -j -d -s link show");
            if before != netlink.links().unwrap() {
                continue;
            }
            theirs.iter_mut().for_each(links::tidy);
            let ours: Vec<_> = before.iter().map(|one| links::link(one, &names)).collect();
            assert!(before.iter().any(|link| link.stats.rx_packets > 0));
            return all_same(&ours, &theirs, 10);
        }
        panic!("the counters never rest");
    });
}

fn names(netlink: &mut Netlink) -> Names {
    Names(netlink.links().unwrap().iter().map(|link| (link.index, link.name)).collect())
}

fn scope(scope: Scope) -> String {
    let number = match scope {
        Scope::Universe => 0,
        Scope::Site => 200,
        Scope::Link => 253,
        Scope::Host => 254,
        Scope::Nowhere => 255,
        Scope::Other(number) => number,
    };
    number.to_string()
}

/// Remaining lifetimes pass by the second, so they are compared apart.
fn address(address: &Address) -> Value {
    let set = |flag| address.flags.contains(flag).then_some(true);
    object!({
        "family": if address.address.family() == Family::V4 { "inet" } else { "inet6" },
        "local": address.address.address().to_string(), "prefixlen": address.address.prefix(),
        "address": address.peer.map(|peer| peer.to_string()), "metric": address.metric,
        "broadcast": address.broadcast.map(|ip| ip.to_string()), "scope": scope(address.scope),
        "label": address.label.map(|label| label.to_string()), "nodad": set(AddressFlags::NO_DAD),
        "noprefixroute": set(AddressFlags::NO_PREFIX_ROUTE), "deprecated": set(AddressFlags::DEPRECATED),
        "mngtmpaddr": set(AddressFlags::MANAGE_TEMPORARY), "tentative": set(AddressFlags::TENTATIVE),
        "dynamic": (!address.flags.contains(AddressFlags::PERMANENT)).then_some(true),
    })
}

#[test]
fn addresses() {
    in_namespace("addresses", |netlink| {
        set_up();
        let index = netlink.index("veth0").unwrap();
        let found = netlink.addresses(Some(index)).unwrap();
        let theirs = json("ip -N -j -d addr show dev veth0")[0]["addr_info"].as_array().unwrap().clone();
        let ours: Vec<_> = found.iter().map(address).collect();
        all_same(&ours, &theirs, 5);
        for (our, their) in found.iter().zip(&theirs) {
            let life = our.lifetime.unwrap();
            for (our, key) in [(life.valid, "valid_life_time"), (life.preferred, "preferred_life_time")] {
                let their = their[key].as_u64().unwrap();
                assert!(their <= u64::from(our) && u64::from(our) - their < 60, "{key} {our} {their}");
            }
        }
    });
}

fn network(cidr: Cidr) -> String {
    if cidr.prefix() == cidr.family().bits() { cidr.address().to_string() } else { cidr.to_string() }
}

fn route(route: &Route, names: &Names) -> Value {
    let kind = match route.kind {
        RouteKind::Unicast => 1,
        RouteKind::Local => 2,
        RouteKind::Broadcast => 3,
        RouteKind::Anycast => 4,
        RouteKind::Multicast => 5,
        RouteKind::Blackhole => 6,
        RouteKind::Unreachable => 7,
        RouteKind::Prohibit => 8,
        _ => 9,
    };
    let onlink = |on: bool| if on { vec!["onlink"] } else { Vec::new() };
    let hops = route.hops.iter().map(|hop| {
        let gateway = hop.gateway.map(|ip| ip.to_string());
        let link = hop.link.map(|link| names.of(link));
        object!({"gateway": gateway, "dev": link, "weight": hop.weight, "flags": onlink(hop.onlink)})
    });
    let hops: Vec<_> = hops.collect();
    object!({
        "type": kind.to_string(), "table": route.table.0.to_string(), "protocol": route.protocol.0.to_string(),
        "dst": route.destination.map_or_else(|| "default".to_owned(), network),
        "from": route.source.map(network), "scope": route.scope.map(scope),
        "gateway": route.gateway.map(|ip| ip.to_string()), "dev": route.link.map(|link| names.of(link)),
        "prefsrc": route.preferred_source.map(|ip| ip.to_string()), "metric": route.metric,
        "flags": onlink(route.onlink), "metrics": route.mtu.map(|mtu| [object!({"mtu": mtu})]),
        "nexthops": (!hops.is_empty()).then_some(hops),
    })
}

#[test]
fn routes() {
    in_namespace("routes", |netlink| {
        set_up();
        let names = names(netlink);
        for (family, option, least) in [(Family::V4, "-4", 12), (Family::V6, "-6", 5)] {
            let filter = RouteFilter { family: Some(family), ..RouteFilter::default() };
            let found = netlink.routes(&filter).unwrap();
            let ours: Vec<_> = found.iter().map(|one| route(one, &names)).collect();
            let mut theirs = json(&format!("ip -N -j {option} -d route show table all"));
            // Dead links are the kernel's remark on a route, not a part of it.
            for flags in theirs.iter_mut().filter_map(|their| their["flags"].as_array_mut()) {
                flags.retain(|flag| flag == "onlink");
            }
            all_same(&ours, &theirs, least);
        }
    });
}

fn neighbour(neighbour: &Neighbour, names: &Names) -> Value {
    let state = match neighbour.state {
        NeighbourState::PERMANENT => "PERMANENT",
        NeighbourState::NO_ARP => "NOARP",
        _ => "OTHER",
    };
    object!({
        "dst": neighbour.address.map(|ip| ip.to_string()), "dev": names.of(neighbour.link),
        "lladdr": neighbour.mac.map(|mac| mac.to_string()), "state": [state],
    })
}

#[test]
fn neighbours() {
    in_namespace("neighbours", |netlink| {
        set_up();
        let names = names(netlink);
        for (family, option, least) in [(Family::V4, "-4", 2), (Family::V6, "-6", 1)] {
            let mut found = netlink.neighbours(family, None).unwrap();
            // Entries that the kernel makes by itself are shown by `ip` only if asked for, and come and go.
            let ours =
                |one: &Neighbour| one.address.is_some_and(|ip| !ip.is_multicast() && !ip.is_loopback());
            found.retain(ours);
            found.sort_by_key(|one| one.address);
            let mut theirs = json(&format!("ip -j {option} -d neigh show nud all"));
            theirs.retain(|one| {
                one["dst"].as_str().is_some_and(|ip| {
                    let ip: std::net::IpAddr = ip.parse().unwrap();
                    !ip.is_multicast() && !ip.is_loopback()
                })
            });
            theirs.sort_by_key(|one| one["dst"].as_str().unwrap().parse::<std::net::IpAddr>().unwrap());
            let values: Vec<_> = found.iter().map(|one| neighbour(one, &names)).collect();
            all_same(&values, &theirs, least);
            for (our, their) in found.iter().zip(&theirs) {
                let router = their.as_object().unwrap().contains_key("router");
                assert_eq!(our.flags.contains(NeighbourFlags::ROUTER), router, "{our:?}");
            }
        }
        let theirs = json("ip -j neigh show proxy");
        let ours = netlink.proxies(Family::V4).unwrap();
        assert_eq!((theirs.len(), &theirs[0]["dst"]), (1, &object!(ours[0].address.unwrap().to_string())));
        forwarding(netlink, &names);
    });
}

fn forwarding(netlink: &mut Netlink, names: &Names) {
    let found = netlink.forwarding_entries().unwrap();
    let entry = |one: &Neighbour| {
        let state = match one.state {
            NeighbourState::PERMANENT => "permanent",
            NeighbourState::NO_ARP => "static",
            _ => "other",
        };
        object!({
            "ifname": names.of(one.link), "mac": one.mac.map(|mac| mac.to_string()),
            "master": one.master.map(|link| names.of(link)), "vlan": one.vlan, "state": state,
        })
    };
    let ours: Vec<_> = found.iter().filter(|one| one.address.is_none()).map(entry).collect();
    let mut theirs = json("bridge -j fdb show");
    theirs.retain(|one| one["dst"].is_null());
    all_same(&ours, &theirs, 3);
}

fn rule(rule: &Rule) -> Value {
    let action = match rule.action {
        RuleAction::Blackhole => Some("6"),
        RuleAction::Unreachable => Some("7"),
        RuleAction::Prohibit => Some("8"),
        _ => None,
    };
    let length = |cidr: Option<Cidr>| {
        cidr.map(|cidr| cidr.prefix()).filter(|it| cidr.is_some_and(|cidr| *it != cidr.family().bits()))
    };
    let text = |cidr: Option<Cidr>| cidr.map(|cidr| cidr.address().to_string());
    object!({
        "priority": rule.priority, "src": text(rule.source).unwrap_or_else(|| "all".to_owned()),
        "srclen": length(rule.source), "dst": text(rule.destination), "dstlen": length(rule.destination),
        "fwmark": rule.mark.map(|(mark, _)| format!("{mark:#x}")),
        "fwmask": rule.mark.map(|(_, mask)| format!("{mask:#x}")),
        "iif": rule.input.map(|name| name.to_string()), "oif": rule.output.map(|name| name.to_string()),
        "table": (rule.table.0 != 0).then(|| rule.table.0.to_string()), "action": action,
        "suppress_prefixlen": rule.suppress_prefix,
    })
}

#[test]
fn rules() {
    in_namespace("rules", |netlink| {
        set_up();
        for (family, option, least) in [(Family::V4, "-4", 8), (Family::V6, "-6", 3)] {
            let found = netlink.rules(family).unwrap();
            let ours: Vec<_> = found.iter().map(rule).collect();
            let theirs = json(&format!("ip -N -j -d {option} rule show"));
            all_same(&ours, &theirs, least);
            for (our, their) in found.iter().zip(&theirs) {
                assert_eq!(our.invert, their.as_object().unwrap().contains_key("not"), "{our:?}");
            }
        }
    });
}

//! Against the running kernel, in a fresh network namespace per test, compared with what `ip -j` says.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]
mod place;

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::time::Duration;

use libcontainer_netlink::{
    Address, AddressFlags, AltNames, Bridge, BridgePort, Family, Index, Lifetime, LinkChange, LinkFlags,
    LinkKind, MacvlanMode, Name, Namespace, NamespaceId, Neighbour, Netlink, NewLink, NextHop, RemoteLink,
    Route, RouteFilter, RouteKind, Rule, Table, TunKind, Vxlan, legacy, tun::Tun,
};
use place::{in_namespace, json, other_namespace, skip};

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

fn pair(netlink: &mut Netlink) -> (Index, Index) {
    netlink.add(&NewLink::veth(name("a0"), name("b0")).up()).unwrap();
    let (a, b) = (netlink.index("a0").unwrap(), netlink.index("b0").unwrap());
    netlink.set(&LinkChange::new(b).up()).unwrap();
    (a, b)
}

/// Compares index, name, MTU, hardware address, queue length, master and flags of all links.
fn links_agree(netlink: &mut Netlink) {
    let theirs = json("ip -j -d link show");
    let ours = netlink.links().unwrap();
    assert_eq!(ours.len(), theirs.len());
    for (our, their) in ours.iter().zip(&theirs) {
        assert_eq!(u64::from(our.index.get()), their["ifindex"], "{our:?}");
        assert_eq!(our.name.to_string(), their["ifname"]);
        assert_eq!(u64::from(our.mtu), their["mtu"]);
        assert_eq!(
            our.mac.map(|mac| mac.to_string()).unwrap_or_default(),
            their["address"].as_str().unwrap_or_default()
        );
        assert_eq!(u64::from(our.queue_length), their["txqlen"].as_u64().unwrap_or_default());
        assert_eq!(
            our.kind.as_ref().map(ToString::to_string).as_deref(),
            their["linkinfo"]["info_kind"].as_str()
        );
        let flags = their["flags"].as_array().unwrap();
        for (flag, text) in
            [(LinkFlags::UP, "UP"), (LinkFlags::MULTICAST, "MULTICAST"), (LinkFlags::LOOPBACK, "LOOPBACK")]
        {
            assert_eq!(our.flags.contains(flag), flags.iter().any(|it| it == text), "{} {text}", our.name);
        }
    }
}

#[test]
fn links_of_every_kind_this_kernel_has() {
    in_namespace("links_of_every_kind_this_kernel_has", |netlink| {
        let (a, _) = pair(netlink);
        let bridge = Bridge { ageing_time: Some(3000), stp: Some(true), ..Bridge::default() };
        let vxlan =
            Vxlan { id: 42, port: Some(4789), local: Some([192, 0, 2, 1].into()), ..Vxlan::default() };
        let tap = match Tun::open(name("tap0"), TunKind::Tap) {
            Err(error) if error.errno() == Some(libc::ENOENT) => {
                skip("links_of_every_kind_this_kernel_has", "no /dev/net/tun");
                None
            }
            tap => Some(tap.unwrap()),
        };
        for link in [
            NewLink::bridge(name("br0"), bridge.clone()).mac("02:00:00:00:00:07".parse().unwrap()),
            NewLink::new(name("vx0"), LinkKind::Vxlan(Box::new(vxlan))),
            NewLink::new(name("ifb7"), LinkKind::Ifb).queue_length(9),
            NewLink::macvlan(name("mv0"), a, MacvlanMode::Private).mtu(1300),
            NewLink::new(name("mvt0"), LinkKind::Macvtap(MacvlanMode::Private)).parent(a),
            NewLink::new(name("d0"), LinkKind::Dummy),
            NewLink::vlan(name("v5"), a, 5),
        ] {
            match netlink.add(&link) {
                Err(error) if error.errno() == Some(libc::EOPNOTSUPP) => {
                    assert!(error.to_string().contains("needs the kernel module"), "{error}");
                }
                result => result.unwrap(),
            }
        }
        links_agree(netlink);
        let Some(LinkKind::Bridge(read)) = netlink.link("br0").unwrap().kind else { panic!("no bridge") };
        assert_eq!((read.ageing_time, read.stp), (bridge.ageing_time, bridge.stp));
        assert_eq!(netlink.link("mv0").unwrap().kind, Some(LinkKind::Macvlan(MacvlanMode::Private)));
        assert_eq!(netlink.link("tap0").unwrap().kind, Some(LinkKind::Tun(TunKind::Tap)));
        drop(tap);
        assert!(netlink.link("tap0").unwrap_err().is_not_found());
    });
}

/// Trap 16: a change neither brings a link up nor clears MULTICAST.
#[test]
fn links_are_changed_and_nothing_else_is() {
    in_namespace("links_are_changed_and_nothing_else_is", |netlink| {
        netlink.add(&NewLink::veth(name("a0"), name("b0"))).unwrap();
        let a = netlink.index("a0").unwrap();
        let before = netlink.link(a).unwrap().flags;
        legacy::set_mtu(netlink, a, 1400).unwrap();
        netlink
            .set(&LinkChange::new(a).queue_length(5).mac("02:00:00:00:00:09".parse().unwrap()).alias("mine"))
            .unwrap();
        legacy::add_bridge(netlink, "br0", false).unwrap();
        let bridge = netlink.index("br0").unwrap();
        legacy::set_master(netlink, a, bridge).unwrap();
        netlink.delete(&bridge).unwrap();
        assert_eq!(netlink.link(a).unwrap().flags, before, "not set up, MULTICAST kept");
        netlink.set(&LinkChange::new(a).name(name("c0"))).unwrap();
        netlink.set(&LinkChange::new(a).up()).unwrap();
        let link = netlink.link("c0").unwrap();
        assert!(link.flags.contains(LinkFlags::UP | LinkFlags::MULTICAST), "{:?}", link.flags);
        assert_eq!((link.mtu, link.queue_length, link.alias.as_deref()), (1400, 5, Some(OsStr::new("mine"))));
        let long = OsStr::new("a-name-of-more-than-fifteen-bytes");
        netlink.add(&AltNames::new(a, &[long])).unwrap();
        assert_eq!(netlink.link(long).unwrap().alt_names, [long]);
        netlink.delete(&AltNames::new(a, &[long])).unwrap();
        assert!(netlink.link(long).unwrap_err().is_not_found());
        links_agree(netlink);
        netlink.delete(&a).unwrap();
        assert_eq!(netlink.links().unwrap().len(), 1);
    });
}

/// Trap 35: two bridges never have one address, not even those of one name made one after the other.
#[test]
fn the_address_of_a_bridge_is_random() {
    in_namespace("the_address_of_a_bridge_is_random", |netlink| {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..32 {
            let called = if number % 2 == 0 { "br0" } else { "br1" };
            legacy::add_bridge(netlink, called, true).unwrap();
            let mac = netlink.link(called).unwrap().mac.unwrap();
            assert_eq!(mac.as_bytes()[0] & 3, 2, "{mac}: local, unicast");
            assert!(seen.insert(mac.to_string()), "{mac} twice, of {seen:?}");
            legacy::delete_link(netlink, called).unwrap();
        }
    });
}

#[test]
fn ports_of_a_bridge() {
    in_namespace("ports_of_a_bridge", |netlink| {
        let (a, _) = pair(netlink);
        legacy::add_bridge(netlink, "br0", true).unwrap();
        let bridge = netlink.link("br0").unwrap();
        assert_eq!(bridge.mac.unwrap().as_bytes()[0] & 3, 2, "local, unicast");
        netlink.set(&LinkChange::new(a).master(Some(bridge.index))).unwrap();
        let port =
            BridgePort { hairpin: Some(true), isolated: Some(true), cost: Some(7), ..BridgePort::default() };
        netlink.set(&LinkChange::new(a).bridge_port(port)).unwrap();
        let their = &json("ip -j -d link show a0")[0];
        assert_eq!(their["master"], "br0");
        assert_eq!(their["linkinfo"]["info_slave_data"]["hairpin"], true);
        let link = netlink.link(a).unwrap();
        assert_eq!(link.master, Some(bridge.index));
        let port = link.bridge_port.unwrap();
        assert_eq!((port.hairpin, port.isolated, port.cost), (Some(true), Some(true), Some(7)));
        let mac = "02:aa:bb:cc:dd:01".parse().unwrap();
        netlink.add(&Neighbour::forwarding(a, mac)).unwrap();
        let theirs = json("bridge -j fdb show dev a0");
        let ours = netlink.forwarding_entries().unwrap();
        assert!(
            theirs.iter().any(|it| it["mac"] == "02:aa:bb:cc:dd:01" && it["state"] == "static"),
            "{theirs:?}"
        );
        assert_eq!(ours.iter().filter(|it| it.link == a).count(), theirs.len());
        netlink.delete(&Neighbour::forwarding(a, mac)).unwrap();
        netlink.set(&LinkChange::new(a).master(None)).unwrap();
        assert_eq!(netlink.link(a).unwrap().master, None);
    });
}

#[test]
fn addresses() {
    in_namespace("addresses", |netlink| {
        let (a, _) = pair(netlink);
        let mut four = Address::new(a, "10.1.2.3/24".parse().unwrap());
        four.broadcast = Some([10, 1, 2, 255].into());
        four.lifetime = Some(Lifetime { valid: 1000, preferred: 500 });
        netlink.add(&four).unwrap();
        let six = Address::new(a, "2001:db8::1/64".parse().unwrap())
            .flags(AddressFlags::NO_DAD | AddressFlags::NO_PREFIX_ROUTE);
        netlink.add(&six).unwrap();
        let mut peer = Address::new(a, "10.8.0.1/32".parse().unwrap());
        peer.peer = Some([10, 8, 0, 2].into());
        netlink.add(&peer).unwrap();
        // Link-local addresses come when the kernel likes.
        let local = |address: &str| address.starts_with("fe80:");
        let mut ours = netlink.addresses(Some(a)).unwrap();
        ours.retain(|our| !local(&our.address.to_string()));
        let their = json("ip -j addr show dev a0");
        let mut their = their[0]["addr_info"].as_array().unwrap().clone();
        their.retain(|their| !local(their["local"].as_str().unwrap_or_default()));
        assert_eq!(ours.len(), their.len());
        for (our, their) in ours.iter().zip(&their) {
            assert_eq!(our.address.address().to_string(), their["local"]);
            assert_eq!(u64::from(our.address.prefix()), their["prefixlen"]);
            assert_eq!(our.peer.map(|it| it.to_string()).as_deref(), their["address"].as_str());
            assert_eq!(our.broadcast.map(|it| it.to_string()).as_deref(), their["broadcast"].as_str());
            assert_eq!(our.flags.contains(AddressFlags::NO_DAD), their["nodad"] == true);
            assert_eq!(our.flags.contains(AddressFlags::NO_PREFIX_ROUTE), their["noprefixroute"] == true);
        }
        assert!(netlink.add(&six).unwrap_err().is_exists());
        netlink.replace(&six).unwrap();
        netlink.delete(&peer).unwrap();
        assert!(netlink.delete(&peer).unwrap_err().is_not_found());
    });
}

#[test]
fn routes() {
    in_namespace("routes", |netlink| {
        let (a, _) = pair(netlink);
        for address in ["10.1.2.3/24", "2001:db8::1/64"] {
            netlink.add(&Address::new(a, address.parse().unwrap()).flags(AddressFlags::NO_DAD)).unwrap();
        }
        let mut many = Route::to("10.40.0.0/16".parse().unwrap());
        let hop =
            |last, weight| NextHop { gateway: Some([10, 1, 2, last].into()), weight, ..NextHop::default() };
        many.hops = vec![hop(1, 3), hop(9, 1)];
        let mut source =
            Route::to("2001:db8:7::/48".parse().unwrap()).via("2001:db8::2".parse().unwrap()).metric(9);
        source.source = Some("2001:db8:8::1/64".parse().unwrap());
        let mut onlink = Route::to("10.70.0.0/16".parse().unwrap()).via([192, 0, 2, 1].into()).link(a);
        onlink.onlink = true;
        let mut preferred = Route::to("10.20.9.9/16".parse().unwrap()).via([10, 1, 2, 1].into()).metric(50);
        preferred.preferred_source = Some([10, 1, 2, 3].into());
        preferred.mtu = Some(1280);
        let dead = |kind, to: &str| Route::to(to.parse().unwrap()).kind(kind);
        let all = [
            Route::default_via([10, 1, 2, 1].into()),
            Route::default_via("2001:db8::2".parse().unwrap()),
            Route::to("10.50.0.0/16".parse().unwrap()).link(a),
            Route::to("10.60.0.0/16".parse().unwrap()).via([10, 1, 2, 1].into()).table(Table(1000)),
            dead(RouteKind::Blackhole, "10.30.0.0/16"),
            dead(RouteKind::Unreachable, "2001:db8:9::/48"),
            dead(RouteKind::Prohibit, "10.31.0.0/16"),
            many,
            source,
            onlink,
            preferred,
        ];
        for route in &all {
            netlink.add(route).unwrap();
            assert!(netlink.add(route).unwrap_err().is_exists(), "{route}");
        }
        routes_agree(netlink);
        let filter = RouteFilter { table: Some(Table(1000)), ..RouteFilter::default() };
        assert_eq!(netlink.routes(&filter).unwrap().len(), 1);
        assert!(legacy::routes(netlink).unwrap().iter().any(|route| route.default));
        for route in &all {
            netlink.delete(route).unwrap();
            assert!(netlink.delete(route).unwrap_err().is_not_found(), "{route}");
        }
    });
}

fn routes_agree(netlink: &mut Netlink) {
    let theirs: Vec<_> = ["-4", "-6"]
        .iter()
        .flat_map(|family| json(&format!("ip -j {family} -d route show table all")))
        .collect();
    let ours = netlink.routes(&RouteFilter::default()).unwrap();
    assert_eq!(ours.len(), theirs.len());
    for (our, their) in ours.iter().zip(&theirs) {
        let to = our.destination.filter(|_| !our.is_default()).map_or("default".to_owned(), |to| {
            if to.prefix() == our.family.bits() { to.address().to_string() } else { to.to_string() }
        });
        assert_eq!(to, their["dst"], "{our}");
        assert_eq!(our.gateway.map(|it| it.to_string()).as_deref(), their["gateway"].as_str(), "{our}");
        assert_eq!(
            our.metric.filter(|it| *it != 0).map(u64::from),
            their["metric"].as_u64().filter(|it| *it != 0)
        );
        assert_eq!(our.preferred_source.map(|it| it.to_string()).as_deref(), their["prefsrc"].as_str());
        assert_eq!(our.hops.len(), their["nexthops"].as_array().map_or(0, Vec::len), "{our}");
        assert_eq!(
            our.onlink,
            their["flags"].as_array().is_some_and(|flags| flags.iter().any(|it| it == "onlink"))
        );
    }
}

#[test]
fn neighbours_and_rules() {
    in_namespace("neighbours_and_rules", |netlink| {
        let (a, _) = pair(netlink);
        let mac = "02:aa:bb:cc:dd:ee".parse().unwrap();
        netlink.add(&Neighbour::new(a, [10, 1, 2, 77].into(), mac)).unwrap();
        netlink.add(&Neighbour::new(a, "2001:db8::77".parse().unwrap(), mac)).unwrap();
        netlink.replace(&Neighbour::proxy(a, [10, 1, 2, 78].into())).unwrap();
        let theirs = json("ip -j -4 neigh show");
        let ours = netlink.neighbours(Family::V4, Some(a)).unwrap();
        assert_eq!((ours.len(), theirs.len()), (1, 1));
        assert_eq!(theirs[0]["lladdr"], ours[0].mac.unwrap().to_string());
        assert_eq!(netlink.proxies(Family::V4).unwrap()[0].address, Some([10, 1, 2, 78].into()));
        let mut rule = Rule::new(Family::V4, Table(1234));
        rule.source = Some("10.0.0.0/8".parse().unwrap());
        rule.mark = Some((7, 0xff));
        rule.priority = Some(500);
        netlink.add(&rule).unwrap();
        for (family, option) in [(Family::V4, "-4"), (Family::V6, "-6")] {
            let theirs = json(&format!("ip -j {option} rule show"));
            let ours = netlink.rules(family).unwrap();
            let ours: Vec<_> = ours.iter().map(|rule| u64::from(rule.priority.unwrap())).collect();
            let theirs: Vec<_> = theirs.iter().map(|rule| rule["priority"].as_u64().unwrap()).collect();
            assert_eq!(ours, theirs);
        }
        netlink.delete(&rule).unwrap();
        assert!(netlink.delete(&rule).unwrap_err().is_not_found());
    });
}

#[test]
fn other_namespaces() {
    in_namespace("other_namespaces", |netlink| {
        let other = other_namespace();
        let here = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
        let mut there = Netlink::in_namespace(other.as_fd()).unwrap();
        assert_eq!(std::fs::read_link("/proc/thread-self/ns/net").unwrap(), here, "this thread stays");
        let veth = NewLink::veth(name("a0"), name("eth0")).peer_namespace(Namespace::Fd(other.as_fd()));
        netlink.add(&veth).unwrap();
        assert!(there.link("eth0").is_ok() && netlink.link("eth0").is_err());
        let id = netlink.link("a0").unwrap().parent_namespace;
        assert_eq!((id, netlink.namespace_id(other.as_fd()).unwrap()), (Some(0), Some(0)));
        assert_eq!(netlink.namespace_ids().unwrap(), [0]);
        let third = other_namespace();
        netlink.add(&NamespaceId::new(third.as_fd(), Some(7))).unwrap();
        assert_eq!(netlink.namespace_id(third.as_fd()).unwrap(), Some(7));
        assert!(netlink.has_namespace(7).unwrap() && !netlink.has_namespace(8).unwrap());
        drop(third);
        // Nothing but the descriptor held it, and no socket was opened in it. The thread that made it may not be gone yet.
        let mut gone = || !netlink.has_namespace(7).unwrap();
        assert!((0..200).any(|_| gone() || {
            std::thread::sleep(Duration::from_millis(10));
            false
        }));
        netlink.add(&NewLink::bridge(name("br0"), Bridge::default())).unwrap();
        legacy::add_veth_pair(netlink, "c0", "c1").unwrap();
        let moved = netlink.index("c0").unwrap();
        netlink
            .set(&LinkChange::new(moved).namespace(Namespace::Fd(other.as_fd())).name(name("moved")))
            .unwrap();
        assert!(!there.link("moved").unwrap().is_up());
        let made = NewLink::bridge(name("made"), Bridge::default()).namespace(Namespace::Fd(other.as_fd()));
        netlink.add(&made).unwrap();
        assert!(there.link("made").is_ok());
        // From outside, without entering.
        let found = netlink.link_in(0, "made").unwrap();
        assert_eq!(found.index, there.index("made").unwrap());
        netlink.delete(&RemoteLink { namespace: 0, index: found.index }).unwrap();
        assert!(netlink.link_in(0, "made").unwrap_err().is_not_found() && there.link("made").is_err());
        assert!(netlink.link_in(99, "made").unwrap_err().is_refusal(libc::EINVAL));
        let moved = netlink.index("c1").unwrap();
        let mut child = std::process::Command::new("unshare").args(["-n", "sleep", "60"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        legacy::set_namespace_pid(netlink, moved, child.id()).unwrap();
        assert!(netlink.link("c1").unwrap_err().is_not_found());
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

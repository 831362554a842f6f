//! What the kernel sends, field by field.
use super::capture;
use crate::frame::{Frames, acknowledgement};
use crate::{
    Address, AddressFlags, LinkFlags, LinkKind, LinkView, Mac, Neighbour, NeighbourFlags, NeighbourState,
    NextHop, Route, RouteKind, Rule, Scope, Table,
};

fn payload(name: &str) -> Vec<u8> {
    capture(name)[16..].to_vec()
}

#[test]
fn a_link() {
    let bytes = payload("link_show.0");
    let link = LinkView::parse(&bytes).unwrap().to_link();
    assert_eq!((link.index.get(), link.name.as_bytes(), link.mtu), (3, &b"veth0"[..], 1400));
    assert_eq!(link.flags & (LinkFlags::MULTICAST | LinkFlags::UP), LinkFlags::MULTICAST | LinkFlags::UP);
    assert_eq!(link.mac, Some("02:11:22:33:44:55".parse::<Mac>().unwrap()));
    assert_eq!((link.queue_length, link.hardware), (77, 1));
    assert_eq!(link.parent.map(crate::Index::get), Some(2));
    assert_eq!(link.kind, Some(LinkKind::Veth(crate::Peer::default())));
    assert_eq!(link.alt_names, ["a-longer-alternative-name"]);
    // IFLA_QDISC (6) has no field, so it is kept.
    assert_eq!(link.unknown().find(6), Some(&b"noqueue\0"[..]).or(link.unknown().find(6)));
    assert!(link.unknown().count() > 5);
}

#[test]
fn a_bridge_and_its_port() {
    let bytes = payload("link_show_bridge.0");
    let Some(LinkKind::Bridge(bridge)) = LinkView::parse(&bytes).unwrap().kind() else { panic!("no bridge") };
    assert_eq!(
        (bridge.forward_delay, bridge.hello_time, bridge.ageing_time),
        (Some(1500), Some(200), Some(30000))
    );
    assert_eq!(
        (bridge.stp, bridge.priority, bridge.multicast_snooping),
        (Some(false), Some(0x8000), Some(true))
    );
    let bytes = payload("link_show_port.0");
    let view = LinkView::parse(&bytes).unwrap();
    let port = view.bridge_port().expect("a port");
    assert_eq!(view.master.map(crate::Index::get), Some(5));
    assert_eq!((port.cost, port.hairpin, port.isolated), (Some(7), Some(true), Some(true)));
    assert_eq!((port.learning, port.guard), (Some(true), Some(false)));
}

#[test]
fn addresses() {
    let address = |name: &str| Address::decode(&payload(name)).unwrap().unwrap();
    let first = address("addr_show.0");
    assert_eq!((first.address.to_string().as_str(), first.peer), ("10.1.2.3/24", None));
    assert_eq!(first.broadcast, Some([10, 1, 2, 255].into()));
    assert_eq!(first.label.unwrap().as_bytes(), b"veth0:x");
    assert_eq!((first.scope, first.flags), (Scope::Link, AddressFlags::NO_PREFIX_ROUTE));
    assert_eq!(first.lifetime.map(|life| (life.preferred, life.valid)), Some((50, 100)));
    let second = address("addr_show.1");
    assert_eq!(
        (second.address.to_string().as_str(), second.peer),
        ("10.8.0.1/32", Some([10, 8, 0, 2].into()))
    );
    let third = address("addr_show.2");
    assert_eq!(third.address.to_string(), "2001:db8::1/64");
    assert_eq!(third.flags, AddressFlags::NO_DAD | AddressFlags::PERMANENT);
}

#[test]
fn routes() {
    let route = |name: &str| Route::decode(&payload(name)).unwrap().unwrap();
    let hole = route("route_show.0");
    assert_eq!((hole.kind, hole.table, hole.link), (RouteKind::Blackhole, Table(1000), None));
    let default = route("route_show.1");
    assert!(default.is_default());
    assert_eq!(default.gateway, Some([10, 1, 2, 1].into()));
    let full = route("route_show.5");
    assert_eq!(full.to_string(), "route 10.20.0.0/16 via 10.1.2.1 on link #3 metric 50");
    assert_eq!(full.preferred_source, Some([10, 1, 2, 3].into()));
    let many = route("route_show.6");
    let hop = |last, weight, onlink| NextHop {
        gateway: Some([10, 1, 2, last].into()),
        link: Some(crate::Index::new(3)),
        weight,
        onlink,
    };
    assert_eq!(many.hops, [hop(1, 3, false), hop(9, 1, true)]);
    let six = route("route6_show.1");
    assert_eq!((six.metric, six.gateway), (Some(9), Some("2001:db8::2".parse().unwrap())));
    // RTA_CACHEINFO (12) and RTA_PREF (20) have no field.
    assert!(six.unknown().find(12).is_some() && six.unknown().find(20).is_some());
}

#[test]
fn neighbours_rules_and_namespace_ids() {
    let entry = Neighbour::decode(&payload("fdb_show.0")).unwrap();
    assert_eq!((entry.state, entry.address), (NeighbourState::NO_ARP, None));
    assert_eq!((entry.vlan, entry.master.map(crate::Index::get)), (None, Some(5)));
    let neighbour = Neighbour::decode(&payload("neigh_show.0")).unwrap();
    assert_eq!(neighbour.address, Some([10, 1, 2, 77].into()));
    assert_eq!(neighbour.mac, Some("02:aa:bb:cc:dd:ee".parse().unwrap()));
    assert_eq!((neighbour.state, neighbour.flags), (NeighbourState::PERMANENT, NeighbourFlags::empty()));
    let rule = Rule::decode(&payload("rule_show.1")).unwrap().unwrap();
    assert_eq!((rule.priority, rule.table, rule.mark), (Some(500), Table(1234), Some((7, 0xff))));
    assert_eq!(rule.to_string(), "IPv4 rule 500 from 10.0.0.0/8 to 10.1.0.0/16 table 1234");
    assert_eq!(rule.input.unwrap().as_bytes(), b"veth0");
    assert_eq!(crate::nsid::decode(&payload("nsid_list.0")), Some(7));
}

#[test]
fn a_refusal_with_the_kernels_words() {
    let line = include_str!("captures.txt").lines().rfind(|line| line.starts_with("link_add_vlan.error "));
    let hex = line.unwrap().rsplit(' ').next().unwrap();
    let bytes: Vec<u8> =
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
    let frame = Frames::new(&bytes).next().unwrap().unwrap();
    let refusal = acknowledgement(&frame, &capture("link_add_vlan")).unwrap().unwrap();
    let error = refusal.into_error("add link \"v5\" (vlan)".to_owned(), Some("8021q"));
    assert_eq!(error.errno(), Some(libc::EOPNOTSUPP));
    let text = "add link \"v5\" (vlan): Operation not supported (os error 95): Unknown device type \
                (needs the kernel module 8021q)";
    assert_eq!(error.to_string(), text);
}

#[test]
fn attributes_are_named_by_offset() {
    let request = capture("link_add_vlan");
    for (offset, name) in [
        (4, "fixed header"),
        (32, "IFLA_LINK"),
        (40, "IFLA_IFNAME"),
        (48, "IFLA_LINKINFO"),
        (52, "IFLA_LINKINFO/IFLA_INFO_KIND"),
        (60, "IFLA_LINKINFO/IFLA_INFO_DATA"),
        (64, "IFLA_LINKINFO/IFLA_INFO_DATA/5"),
        (5000, "attribute"),
    ] {
        assert_eq!(crate::names::at(&request, offset), name, "{offset}");
    }
}

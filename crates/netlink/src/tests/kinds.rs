//! What the kernel says of links of each kind and of every option, field by field.
use super::capture;
use crate::{
    Address, AddressFlags, BridgePort, Family, Index, Lifetime, Link, LinkKind, LinkView, MacvlanMode,
    Neighbour, NeighbourFlags, NeighbourState, Route, RouteKind, RouteProtocol, Rule, RuleAction, Scope,
    Table, TunKind, Vxlan,
};

fn payload(name: &str) -> Vec<u8> {
    capture(name)[16..].to_vec()
}

fn link(name: &str) -> Link {
    LinkView::parse(&payload(name)).expect(name).to_link()
}

#[test]
fn links_of_each_kind() {
    let vxlan = |remote: &str, local: &str, learning| {
        let (remote, local) = (remote.parse().unwrap(), local.parse().unwrap());
        Some(LinkKind::Vxlan(Box::new(Vxlan {
            id: 43,
            remote: Some(remote),
            local: Some(local),
            link: Some(Index::new(3)),
            port: Some(4789),
            ttl: Some(3),
            learning: Some(learning),
        })))
    };
    for (name, kind) in [
        ("vxk", vxlan("192.0.2.7", "192.0.2.8", false)),
        ("vx6", vxlan("2001:db8::2", "2001:db8::1", true)),
        ("mvk", Some(LinkKind::Macvlan(MacvlanMode::Vepa))),
        ("mvtk", Some(LinkKind::Macvtap(MacvlanMode::Private))),
        ("ifbk", Some(LinkKind::Ifb)),
        ("tapk", Some(LinkKind::Tun(TunKind::Tap))),
        ("tunk", Some(LinkKind::Tun(TunKind::Tun))),
    ] {
        let link = link(&format!("kernel_{name}"));
        assert_eq!(link.name.to_string(), name);
        assert_eq!(link.kind, kind, "{name}");
        let on_a_parent = matches!(kind, Some(LinkKind::Macvlan(_) | LinkKind::Macvtap(_)));
        assert_eq!(link.parent, on_a_parent.then(|| Index::new(3)), "{name}");
        assert!(!link.is_up());
    }
    // A tun has no hardware address.
    assert_eq!((link("kernel_tunk").mac, link("kernel_tunk").hardware), (None, 0xfffe));
}

#[test]
fn a_port_with_all_options() {
    let port = BridgePort {
        priority: Some(9),
        cost: Some(8),
        hairpin: Some(false),
        guard: Some(false),
        root_block: Some(false),
        fast_leave: Some(true),
        learning: Some(true),
        flood: Some(true),
        multicast_flood: Some(true),
        proxy_arp: Some(true),
        neighbour_suppress: Some(true),
        isolated: Some(true),
    };
    let found = link("kernel_port_all");
    assert_eq!((found.bridge_port, found.master), (Some(port), Some(Index::new(5))));
}

/// All 24 counters of the message stand where `struct rtnl_link_stats64` has them.
#[test]
fn counters() {
    let bytes = payload("kernel_veth");
    let link = LinkView::parse(&bytes).unwrap();
    let value = link.attributes().find(libc::IFLA_STATS64).unwrap();
    let word = |at: usize| u64::from_ne_bytes(value[at * 8..at * 8 + 8].try_into().unwrap());
    let stats = link.stats();
    assert!(stats.rx_packets > 0 && stats.tx_packets > 0 && stats.rx_bytes > 50 && stats.tx_bytes > 50);
    let json = serde_json::to_value(stats).unwrap();
    let names = "rx_packets tx_packets rx_bytes tx_bytes rx_errors tx_errors rx_dropped tx_dropped multicast \
                 collisions rx_length_errors rx_over_errors rx_crc_errors rx_frame_errors rx_fifo_errors \
                 rx_missed_errors tx_aborted_errors tx_carrier_errors tx_fifo_errors tx_heartbeat_errors \
                 tx_window_errors rx_compressed tx_compressed rx_nohandler";
    let mut count = 0;
    for (at, name) in names.split_whitespace().enumerate() {
        assert_eq!(json[name], word(at), "{name}");
        count += 1;
    }
    assert_eq!(count, 24);
    let link = link.to_link();
    assert_eq!((link.group, link.queue_length, link.alias.as_deref()), (9, 66, Some("mine".as_ref())));
    // Each word by itself: those that are 0 in the capture too.
    let words: Vec<u8> = (1..=24_u64).flat_map(u64::to_ne_bytes).collect();
    let json = serde_json::to_value(crate::Stats64::decode(&words)).unwrap();
    for (at, name) in names.split_whitespace().enumerate() {
        assert_eq!(json[name], at + 1, "{name}");
    }
}

#[test]
fn addresses() {
    let address = |number: usize| Address::decode(&payload(&format!("kernel_addr.{number}"))).unwrap();
    let metric = address(1).unwrap();
    assert_eq!((metric.address.to_string().as_str(), metric.metric), ("10.7.0.1/24", Some(77)));
    assert_eq!((metric.scope, metric.flags), (Scope::Universe, AddressFlags::PERMANENT));
    assert_eq!(metric.lifetime, Some(Lifetime::FOREVER));
    let temporary = address(2).unwrap();
    assert_eq!(temporary.address.to_string(), "2001:db8:9::1/64");
    let flags = AddressFlags::MANAGE_TEMPORARY | AddressFlags::NO_PREFIX_ROUTE | AddressFlags::NO_DAD;
    assert_eq!(temporary.flags, flags | AddressFlags::DEPRECATED);
    assert_eq!(temporary.lifetime, Some(Lifetime { valid: 300, preferred: 0 }));
    assert_eq!(address(4).unwrap().scope, Scope::Link);
}

#[test]
fn routes() {
    let route = |number: usize| Route::decode(&payload(&format!("kernel_route.{number}"))).unwrap().unwrap();
    let made = route(0);
    assert_eq!(
        (made.table, made.protocol, made.scope),
        (Table(99), RouteProtocol::STATIC, Some(Scope::Link))
    );
    assert_eq!((made.link, made.gateway, made.metric), (Some(Index::new(3)), None, None));
    for (number, kind, table) in [
        (1, RouteKind::Unreachable, 101),
        (2, RouteKind::Prohibit, 102),
        (3, RouteKind::Throw, 103),
        (4, RouteKind::Local, 104),
    ] {
        let found = route(number);
        assert_eq!((found.kind, found.table), (kind, Table(table)), "{number}");
    }
    let linked = route(6);
    assert_eq!(linked.preferred_source, Some([10, 7, 0, 1].into()));
    assert_eq!((linked.protocol, linked.metric), (RouteProtocol::KERNEL, Some(77)));
    assert!(route(7).onlink && !route(8).onlink);
    assert_eq!((route(7).mtu, route(8).mtu), (None, Some(1280)));
    assert_eq!((route(9).kind, route(10).kind), (RouteKind::Local, RouteKind::Broadcast));
    assert_eq!((route(9).table, route(9).scope), (Table::LOCAL, Some(Scope::Host)));
    let source = route(17);
    assert_eq!(source.source, Some("2001:db8:8::/64".parse().unwrap()));
    assert_eq!(source.gateway, Some("2001:db8::2".parse().unwrap()));
    assert_eq!(route(23).kind, RouteKind::Multicast);
    for (number, family) in [(0, Family::V4), (24, Family::V6)] {
        assert_eq!(route(number).family, family);
    }
}

#[test]
fn neighbours_and_rules() {
    let neighbour = Neighbour::decode(&payload("kernel_neigh6.1")).unwrap();
    assert_eq!(neighbour.address, Some("2001:db8::77".parse().unwrap()));
    assert_eq!((neighbour.state, neighbour.flags), (NeighbourState::PERMANENT, NeighbourFlags::ROUTER));
    let entry = Neighbour::decode(&payload("kernel_fdb.0")).unwrap();
    assert_eq!((entry.master, entry.state), (Some(Index::new(5)), NeighbourState::PERMANENT));
    assert!(entry.mac.is_some() && entry.address.is_none());
    let rule = |number: usize| Rule::decode(&payload(&format!("kernel_rule.{number}"))).unwrap().unwrap();
    let not = rule(1);
    assert_eq!((not.invert, not.output), (true, Some("veth0".parse().unwrap())));
    assert_eq!((not.source, not.table), (Some("10.2.0.0/16".parse().unwrap()), Table(1235)));
    assert_eq!((rule(2).suppress_prefix, rule(1).suppress_prefix), (Some(0), None));
    assert_eq!(
        (rule(3).action, rule(3).destination),
        (RuleAction::Blackhole, Some("10.4.0.0/16".parse().unwrap()))
    );
    assert_eq!((rule(4).action, rule(4).priority), (RuleAction::Prohibit, Some(540)));
    assert_eq!((rule(0).priority, rule(0).table), (Some(0), Table::LOCAL));
}

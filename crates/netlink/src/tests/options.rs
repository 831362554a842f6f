//! Every option that we can send, against what `ip` and `bridge` send for it. They write attributes in the order of their command
//! line, we in a fixed one, and the kernel heeds neither: compared is each attribute, byte for byte, sorted by its bytes.
use super::capture;
use crate::attribute::Attributes;
use crate::message::{Message, Object, Verb};
use crate::{
    Address, AddressFlags, Bridge, BridgePort, Cidr, Family, Index, Ipvlan, IpvlanIsolation, IpvlanMode,
    Lifetime, LinkChange, LinkKind, MacvlanMode, Neighbour, NeighbourFlags, NewLink, Peer, Route, RouteKind,
    RouteProtocol, Rule, RuleAction, Scope, Table, Vlan, VlanProtocol, Vxlan,
};

const RTM_NEWLINK: u16 = 16;
/// `IFLA_LINKINFO`, and in it data of a kind and of a port; in veth's data the peer, behind a `struct ifinfomsg`.
const NESTED: [&[u16]; 4] = [&[18], &[18, 2], &[18, 5], &[18, 2, 1]];
const PEER: &[u16] = &[18, 2, 1];

/// The attributes, sorted, with what is nested in them sorted too.
fn sorted(bytes: &[u8], path: &[u16]) -> Vec<u8> {
    let mut all: Vec<Vec<u8>> = Attributes::new(bytes)
        .map(|attribute| {
            let path = [path, &[attribute.kind]].concat();
            let header = if path == PEER { 16 } else { 0 };
            let nested = NESTED.contains(&&*path) && attribute.value.len() >= header;
            let (head, rest) = attribute.value.split_at(if nested { header } else { attribute.value.len() });
            let value = [head, &sorted(rest, &path)].concat();
            let length = u16::try_from(attribute.value.len()).unwrap();
            [&attribute.kind.to_ne_bytes()[..], &length.to_ne_bytes(), &value].concat()
        })
        .collect();
    all.sort();
    all.concat()
}

/// Bytes of the fixed header behind the netlink header, by message type.
const fn fixed(kind: u16) -> usize {
    match kind {
        16..=19 => 16,
        20..=23 => 8,
        _ => 12,
    }
}

fn check(name: &str, verb: Verb, object: &impl Object) {
    let expected = capture(name);
    let mut message = Message::default();
    object.encode(verb, &mut message).expect(name);
    let ours = message.seal(0, 0).expect(name);
    assert_eq!(ours[..8], expected[..8], "{name}: length, type and flags");
    let kind = u16::from_ne_bytes([expected[4], expected[5]]);
    let start = 16 + fixed(kind);
    assert_eq!(ours[16..start], expected[16..start], "{name}: header");
    let path: &[u16] = if kind == RTM_NEWLINK { &[] } else { &[0] };
    let order = |bytes: &[u8]| sorted(&bytes[start..], path);
    assert_eq!(order(ours), order(&expected), "{name}: attributes");
}

fn new(name: &str, kind: LinkKind) -> NewLink<'static> {
    NewLink::new(name.parse().unwrap(), kind)
}

fn cidr(text: &str) -> Cidr {
    text.parse().expect(text)
}

const VETH0: Index = Index::new(3);
const VETH1: Index = Index::new(2);
const PORT: Index = Index::new(11);

#[test]
fn bridges_and_their_ports() {
    let bridge = Bridge {
        forward_delay: Some(400),
        hello_time: Some(100),
        ageing_time: Some(6000),
        stp: Some(true),
        priority: Some(4096),
        vlan_filtering: Some(true),
        default_pvid: Some(7),
        multicast_snooping: Some(false),
    };
    check("link_add_bridge_all", Verb::Add, &new("br9", LinkKind::Bridge(bridge)));
    let port = BridgePort {
        priority: Some(9),
        cost: Some(8),
        hairpin: Some(true),
        guard: Some(true),
        root_block: Some(true),
        fast_leave: Some(true),
        learning: Some(false),
        flood: Some(false),
        multicast_flood: Some(false),
        proxy_arp: Some(true),
        neighbour_suppress: Some(true),
        isolated: Some(true),
    };
    check("link_port_all", Verb::Set, &LinkChange::new(PORT).bridge_port(port));
}

#[test]
fn kinds_of_links() {
    let vlan = Vlan { id: 6, protocol: VlanProtocol::Customer };
    check("link_add_vlan_q", Verb::Add, &new("v6", LinkKind::Vlan(vlan)).parent(VETH0));
    for (name, mode) in [
        ("private", MacvlanMode::Private),
        ("vepa", MacvlanMode::Vepa),
        ("passthru", MacvlanMode::Passthru),
        ("source", MacvlanMode::Source),
    ] {
        let link = new("mv1", LinkKind::Macvlan(mode)).parent(VETH0);
        check(&format!("link_add_macvlan_{name}"), Verb::Add, &link);
    }
    for (name, mode) in [("l2", IpvlanMode::L2), ("l3s", IpvlanMode::L3S)] {
        let ipvlan = Ipvlan { mode, isolation: IpvlanIsolation::Vepa };
        let link = new("iv1", LinkKind::Ipvlan(ipvlan)).parent(VETH0);
        check(&format!("link_add_ipvlan_{name}"), Verb::Add, &link);
    }
    let vxlan = Vxlan {
        id: 43,
        remote: Some("2001:db8::2".parse().unwrap()),
        local: Some("2001:db8::1".parse().unwrap()),
        link: Some(VETH0),
        port: Some(4789),
        ttl: Some(3),
        learning: Some(true),
    };
    check("link_add_vxlan6", Verb::Add, &new("vx6", LinkKind::Vxlan(Box::new(vxlan))));
    let mac = |last| crate::Mac::new([2, 0, 0, 0, 0, last]);
    let peer = Peer { name: Some("veth9".parse().unwrap()), mac: Some(mac(9)), mtu: Some(1300) };
    let pair = new("veth8", LinkKind::Veth(peer)).mac(mac(8)).mtu(1400).queue_length(55);
    check("link_add_veth_all", Verb::Add, &pair);
}

#[test]
fn changes_of_links() {
    check("link_down", Verb::Set, &LinkChange::new(VETH1).down());
    check("link_alias", Verb::Set, &LinkChange::new(VETH1).alias("mine"));
}

#[test]
fn addresses() {
    let mut four = Address::new(VETH0, cidr("10.7.0.1/24"));
    four.metric = Some(77);
    check("addr_metric", Verb::Add, &four);
    let flags = AddressFlags::MANAGE_TEMPORARY | AddressFlags::NO_PREFIX_ROUTE | AddressFlags::NO_DAD;
    let mut six = Address::new(VETH0, cidr("2001:db8:9::1/64")).flags(flags);
    six.lifetime = Some(Lifetime { valid: 300, preferred: 0 });
    check("addr6_life", Verb::Add, &six);
}

#[test]
fn routes() {
    let via = |to: &str, gateway: [u8; 4]| Route::to(cidr(to)).via(gateway.into());
    let mut onlink = via("10.70.0.0/16", [192, 0, 2, 1]).link(VETH0);
    onlink.onlink = true;
    check("route_onlink", Verb::Add, &onlink);
    let mut mtu = via("10.71.0.0/16", [10, 1, 2, 1]);
    mtu.mtu = Some(1280);
    check("route_mtu", Verb::Add, &mtu);
    let mut six = Route::to(cidr("2001:db8:7::/48")).via("2001:db8::2".parse().unwrap());
    six.source = Some(cidr("2001:db8:8::/64"));
    check("route_src6", Verb::Add, &six);
    let mut scope = Route::to(cidr("10.72.0.0/16")).link(VETH0).table(Table(99));
    (scope.protocol, scope.scope) = (RouteProtocol::STATIC, Some(Scope::Link));
    check("route_scope", Verb::Add, &scope);
    for (name, kind, table) in [
        ("unreachable", RouteKind::Unreachable, 101),
        ("prohibit", RouteKind::Prohibit, 102),
        ("throw", RouteKind::Throw, 103),
    ] {
        let route = Route::to(cidr("10.73.0.0/16")).kind(kind).table(Table(table));
        check(&format!("route_{name}"), Verb::Add, &route);
    }
    let local =
        Route::to(cidr("10.74.0.0/16")).kind(RouteKind::Local).link(Index::LOOPBACK).table(Table(104));
    check("route_local", Verb::Add, &local);
    check("route_replace", Verb::Replace, &via("10.71.0.0/16", [10, 1, 2, 9]));
    check("route_append", Verb::Append, &via("10.71.0.0/16", [10, 1, 2, 8]).metric(4));
    check("route_del", Verb::Delete, &via("10.71.0.0/16", [10, 1, 2, 8]).metric(4));
}

#[test]
fn neighbours_and_rules() {
    let mac = |last| crate::Mac::new([2, 0xaa, 0xbb, 0xcc, 0xdd, last]);
    let mut six = Neighbour::new(VETH0, "2001:db8::77".parse().unwrap(), mac(0xee));
    six.flags = NeighbourFlags::ROUTER;
    check("neigh6", Verb::Add, &six);
    let mut entry = Neighbour::forwarding(PORT, mac(2));
    entry.vlan = Some(1);
    check("fdb_vlan", Verb::Add, &entry);
    let mut rule = Rule::new(Family::V4, Table(1235));
    (rule.source, rule.output, rule.invert) =
        (Some(cidr("10.2.0.0/16")), Some("veth0".parse().unwrap()), true);
    rule.priority = Some(510);
    check("rule_oif", Verb::Add, &rule);
    let mut rule = Rule::new(Family::V4, Table::MAIN);
    (rule.priority, rule.suppress_prefix) = (Some(520), Some(0));
    check("rule_suppress", Verb::Add, &rule);
    for (name, action, to, priority) in [
        ("blackhole", RuleAction::Blackhole, "10.4.0.0/16", 530),
        ("prohibit", RuleAction::Prohibit, "10.5.0.0/16", 540),
    ] {
        let mut rule = Rule::new(Family::V4, Table(0));
        (rule.destination, rule.action, rule.priority) = (Some(cidr(to)), action, Some(priority));
        check(&format!("rule_{name}"), Verb::Add, &rule);
    }
}

//! What we send, against what `ip` sends for the same.
use std::os::fd::{AsFd, AsRawFd};

use super::capture;
use crate::message::sealed::Encode;
use crate::message::{Message, Object, Verb};
use crate::{
    Address, AddressFlags, AltNames, Bridge, BridgePort, Index, Ipvlan, IpvlanIsolation, IpvlanMode,
    Lifetime, LinkChange, LinkKind, MacvlanMode, Neighbour, NewLink, NextHop, Route, RouteKind, Rule,
    RuleAction, Scope, Table, Vlan, VlanProtocol, Vxlan,
};

/// Checks type, flags (where `flags`), fixed header and all attributes.
fn check(capture_name: &str, verb: Verb, object: &impl Object) {
    let expected = capture(capture_name);
    let mut message = Message::default();
    object.encode(verb, &mut message).expect(capture_name);
    let ours = message.seal(0, 0).expect(capture_name);
    assert_eq!(ours[..6], expected[..6], "{capture_name}: length and type");
    // `ip` also sets NLM_F_APPEND for alternative names, which the kernel does not look at.
    let append = if capture_name == "link_alt" { 8 } else { 0 };
    assert_eq!([ours[6], ours[7] | append], expected[6..8], "{capture_name}: flags");
    assert_eq!(ours[16..], expected[16..], "{capture_name}: header and attributes");
}

fn link(index: u32) -> Index {
    Index::new(index)
}

fn new(name: &str, kind: LinkKind) -> NewLink<'static> {
    NewLink::new(name.parse().unwrap(), kind)
}

#[test]
fn links_are_made_as_ip_makes_them() {
    let parent = link(3);
    check("link_add_veth", Verb::Add, &NewLink::veth("veth0".parse().unwrap(), "veth1".parse().unwrap()));
    let bridge = Bridge { ageing_time: Some(3000), stp: Some(true), ..Bridge::default() };
    check("link_add_bridge", Verb::Add, &new("br9", LinkKind::Bridge(bridge)));
    let vlan = Vlan { id: 5, protocol: VlanProtocol::Service };
    check("link_add_vlan", Verb::Add, &new("v5", LinkKind::Vlan(vlan)).parent(parent));
    let macvlan = LinkKind::Macvlan(MacvlanMode::Bridge);
    check("link_add_macvlan", Verb::Add, &new("mv0", macvlan).parent(parent));
    let macvtap = LinkKind::Macvtap(MacvlanMode::Vepa);
    check("link_add_macvtap", Verb::Add, &new("mvt0", macvtap).parent(parent));
    let ipvlan = Ipvlan { mode: IpvlanMode::L3, isolation: IpvlanIsolation::Private };
    check("link_add_ipvlan", Verb::Add, &new("iv0", LinkKind::Ipvlan(ipvlan)).parent(parent));
    let vxlan = Vxlan {
        id: 42,
        remote: Some("192.0.2.1".parse().unwrap()),
        local: Some("192.0.2.2".parse().unwrap()),
        port: Some(4789),
        ttl: Some(64),
        learning: Some(false),
        link: None,
    };
    check("link_add_vxlan", Verb::Add, &new("vx0", LinkKind::Vxlan(Box::new(vxlan))));
    check("link_add_dummy", Verb::Add, &new("d0", LinkKind::Dummy));
    check("link_add_ifb", Verb::Add, &new("ifb7", LinkKind::Ifb));
}

#[test]
fn links_are_changed_as_ip_changes_them() {
    let change = |index| LinkChange::new(link(index));
    check("link_up", Verb::Set, &change(3).up());
    check("link_mtu", Verb::Set, &change(3).mtu(1400));
    check("link_mac", Verb::Set, &change(3).mac("02:11:22:33:44:55".parse().unwrap()));
    check("link_txq", Verb::Set, &change(3).queue_length(77));
    check("link_master", Verb::Set, &change(11).master(Some(link(5))));
    check("link_nomaster", Verb::Set, &change(11).master(None));
    check("link_rename", Verb::Set, &change(2).name("w1".parse().unwrap()));
    let port =
        BridgePort { cost: Some(7), hairpin: Some(true), isolated: Some(true), ..BridgePort::default() };
    check("link_slave2", Verb::Set, &change(11).bridge_port(port));
    let names = ["a-longer-alternative-name".as_ref()];
    check("link_alt", Verb::Add, &AltNames::new(link(3), &names));
    check("link_del", Verb::Delete, &link(3));
}

#[test]
fn addresses_are_added_as_ip_adds_them() {
    let mut four = Address::new(link(3), "10.1.2.3/24".parse().unwrap()).label("veth0:x").unwrap();
    four.flags = AddressFlags::NO_PREFIX_ROUTE;
    four.broadcast = Some([10, 1, 2, 255].into());
    four.scope = Scope::Link;
    four.lifetime = Some(Lifetime { valid: 100, preferred: 50 });
    check("addr4", Verb::Add, &four);
    let six = Address::new(link(3), "2001:db8::1/64".parse().unwrap());
    check("addr6", Verb::Add, &six.flags(AddressFlags::NO_DAD));
    let mut peer = Address::new(link(3), "10.8.0.1/32".parse().unwrap());
    peer.peer = Some([10, 8, 0, 2].into());
    check("addrpeer", Verb::Add, &peer);
    check("addr_del", Verb::Delete, &Address::new(link(3), "10.1.2.3/24".parse().unwrap()));
}

#[test]
fn routes_are_added_as_ip_adds_them() {
    let mut four =
        Route::to("10.20.9.9/16".parse().unwrap()).via([10, 1, 2, 1].into()).link(link(3)).metric(50);
    four.preferred_source = Some([10, 1, 2, 3].into());
    check("route4", Verb::Add, &four);
    let six = Route::to("2001:db8:5::/48".parse().unwrap()).via("2001:db8::2".parse().unwrap());
    check("route6", Verb::Add, &six.link(link(3)).metric(9));
    check("route_default", Verb::Add, &Route::default_via([10, 1, 2, 1].into()));
    let hole = Route::to("10.30.0.0/16".parse().unwrap()).table(Table(1000)).kind(RouteKind::Blackhole);
    check("route_bh", Verb::Add, &hole);
    let mut many = Route::to("10.40.0.0/16".parse().unwrap());
    let hop = |last, weight, onlink| NextHop {
        gateway: Some([10, 1, 2, last].into()),
        link: Some(link(3)),
        weight,
        onlink,
    };
    many.hops = vec![hop(1, 3, false), hop(9, 1, true)];
    check("route_mp", Verb::Add, &many);
}

#[test]
fn neighbours_and_rules_are_added_as_ip_adds_them() {
    let mac = "02:aa:bb:cc:dd:ee".parse().unwrap();
    check("neigh", Verb::Add, &Neighbour::new(link(3), [10, 1, 2, 77].into(), mac));
    check("neigh_proxy", Verb::Add, &Neighbour::proxy(link(3), [10, 1, 2, 78].into()));
    let mac = "02:aa:bb:cc:dd:01".parse().unwrap();
    check("fdb", Verb::Add, &Neighbour::forwarding(link(11), mac));
    let mut rule = Rule::new(crate::Family::V4, Table(1234));
    rule.source = Some("10.0.0.0/8".parse().unwrap());
    rule.destination = Some("10.1.0.0/16".parse().unwrap());
    rule.input = Some("veth0".parse().unwrap());
    rule.mark = Some((7, 0xff));
    rule.priority = Some(500);
    check("rule", Verb::Add, &rule);
    let mut rule = Rule::new(crate::Family::V6, Table(0));
    rule.destination = Some("2001:db8::/32".parse().unwrap());
    rule.action = RuleAction::Unreachable;
    rule.priority = Some(600);
    check("rule6", Verb::Add, &rule);
}

#[test]
fn a_namespace_id_is_set_as_ip_sets_it() {
    let file = std::fs::File::open("/dev/null").unwrap();
    let fd = u8::try_from(file.as_raw_fd()).unwrap();
    let mut expected = capture("nsid");
    // NETNSA_FD is whatever descriptor the caller has.
    assert_eq!(expected[20..24], [8, 0, 3, 0]);
    expected[24] = fd;
    let mut message = Message::default();
    crate::NamespaceId::new(file.as_fd(), Some(7)).encode(Verb::Add, &mut message).unwrap();
    let ours = message.seal(0, 0).unwrap();
    assert_eq!((&ours[..8], &ours[16..]), (&expected[..8], &expected[16..]));
}

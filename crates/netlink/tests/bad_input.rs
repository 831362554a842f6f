//! What can't be right is refused, with the object named and the reason given.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]
mod place;

use std::os::fd::AsFd;

use libcontainer_netlink::{
    Address, Batch, Bridge, Cidr, Error, Family, Index, LinkChange, LinkKind, Mac, MacvlanMode, Name,
    Namespace, Neighbour, Netlink, NewLink, NextHop, Object, Route, RouteKind, Rule, Table, Verb, Vxlan,
    legacy,
};
use place::in_namespace;

fn cidr(text: &str) -> Cidr {
    text.parse().expect(text)
}

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

#[test]
fn texts() {
    for (bad, why) in [
        ("", "empty"),
        ("sixteen-bytes-xx", "16 bytes long, at most 15"),
        ("a/b", "contains '/'"),
        ("a:b", "contains ':'"),
        ("a b", "white space"),
        ("a\0b", "NUL"),
        (".", "reserved"),
        ("..", "reserved"),
    ] {
        let error = bad.parse::<Name>().unwrap_err().to_string();
        assert!(error.contains(why), "{bad:?}: {error}");
    }
    for bad in
        ["10.0.0.1", "10.0.0.1/33", "::1/129", "10.0.0/8", "10.0.0.1/", "10.0.0.1/-1", "10.0.0.1/+8", "x/8"]
    {
        assert!(bad.parse::<Cidr>().is_err(), "{bad}");
    }
    for bad in [
        "",
        "02:00:00:00:00",
        "02:00:00:00:00:00:00",
        "02:00:00:00:00:zz",
        "2:0:0:0:0:1",
        "02-00-00-00-00-00",
    ] {
        assert!(bad.parse::<Mac>().is_err(), "{bad}");
    }
    assert_eq!(cidr("10.1.2.3/0").network(), cidr("0.0.0.0/0"));
    assert_eq!(cidr("2001:db8::ff/121").network(), cidr("2001:db8::80/121"));
    assert_eq!(cidr("10.1.2.3/8").broadcast(), Some([10, 255, 255, 255].into()));
}

fn refused(object: &impl Object, verb: Verb, why: &str) {
    let error = Batch::new().push(verb, object).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(why), "{why}: {error}");
}

#[test]
fn links_refused_before_anything_is_sent() {
    let (one, veth) = (Index::new(1), || NewLink::veth(name("a"), name("b")));
    refused(&veth().mtu(0), Verb::Add, "MTU: 0");
    refused(&veth().mtu(u32::MAX), Verb::Add, "more than 2147483647");
    refused(&veth().mac(Mac::new([1, 0, 0, 0, 0, 1])), Verb::Add, "no unicast address");
    refused(&veth().mac(Mac::new([0; 6])), Verb::Add, "no unicast address");
    refused(&NewLink::veth(name("a"), name("a")), Verb::Add, "the other end");
    refused(
        &NewLink::new(name("a"), LinkKind::Macvlan(MacvlanMode::Bridge)),
        Verb::Add,
        "a macvlan needs one",
    );
    refused(&NewLink::vlan(name("a"), one, 4095), Verb::Add, "more than 4094");
    let vxlan = Vxlan { id: 1 << 24, ..Vxlan::default() };
    refused(&NewLink::new(name("a"), LinkKind::Vxlan(Box::new(vxlan))), Verb::Add, "24 bits");
    refused(&veth().namespace(Namespace::Pid(0)), Verb::Add, "0 is no process");
    refused(&veth(), Verb::Delete, "not: delete");
    refused(&LinkChange::new(Index::new(0)).up(), Verb::Set, "index 0");
    refused(&LinkChange::new(one).mtu(0), Verb::Set, "MTU: 0");
    refused(&Index::new(0), Verb::Delete, "never 0");
}

#[test]
fn addresses_and_routes_refused_before_anything_is_sent() {
    let (one, six) = (Index::new(1), "2001:db8::1".parse().unwrap());
    refused(&Address::new(Index::new(0), cidr("10.0.0.1/8")), Verb::Add, "index 0");
    let mut address = Address::new(one, cidr("10.0.0.1/8"));
    address.peer = Some(six);
    refused(&address, Verb::Add, "peer");
    let mut address = Address::new(one, cidr("2001:db8::1/64"));
    address.broadcast = Some([10, 0, 0, 1].into());
    refused(&address, Verb::Add, "IPv6 knows no broadcast");
    refused(&Route::to(cidr("10.0.0.0/8")).via(six), Verb::Add, "gateway: not an IPv4 address");
    let mut route = Route::to(cidr("10.0.0.0/8"));
    route.source = Some(cidr("2001:db8::/64"));
    refused(&route, Verb::Add, "source: not an IPv4 address");
    refused(&Route::to(cidr("10.0.0.0/8")).kind(RouteKind::Blackhole).link(one), Verb::Add, "goes nowhere");
    let mut route = Route::to(cidr("10.0.0.0/8"));
    route.hops = vec![NextHop { link: Some(one), ..NextHop::default() }];
    refused(&route, Verb::Add, "not between 1 and 256");
    let mut rule = Rule::new(Family::V4, Table::MAIN);
    rule.source = Some(cidr("2001:db8::/64"));
    refused(&rule, Verb::Add, "source: not an IPv4 network");
    refused(&Rule::new(Family::V4, Table(0)), Verb::Add, "table: 0");
    let mut neighbour = Neighbour::forwarding(one, Mac::new([2; 6]));
    neighbour.vlan = Some(5000);
    refused(&neighbour, Verb::Add, "VLAN");
}

fn says(result: Result<(), Error>, parts: &[&str]) {
    let error = result.unwrap_err().to_string();
    parts.iter().for_each(|part| assert!(error.contains(part), "{part}: {error}"));
}

#[test]
fn the_kernel_refuses_and_says_why() {
    in_namespace("the_kernel_refuses_and_says_why", |netlink| {
        let lo = Index::LOOPBACK;
        let bridge = NewLink::bridge(name("br0"), Bridge::default());
        netlink.add(&bridge).unwrap();
        let bridge_index = netlink.index("br0").unwrap();
        says(netlink.add(&bridge), &["add link \"br0\" (bridge)", "File exists"]);
        says(netlink.link("nothing").map(|_| ()), &["get link \"nothing\"", "No such device"]);
        says(netlink.set(&LinkChange::new(Index::new(99)).up()), &["change link #99 up", "No such device"]);
        says(netlink.set(&LinkChange::new(bridge_index).master(Some(lo))), &["master #1", "not supported"]);
        says(
            netlink.set(&LinkChange::new(bridge_index).mtu(70_000)),
            &["mtu 70000", "mtu greater than device maximum"],
        );
        says(netlink.set(&LinkChange::new(lo).namespace(Namespace::Pid(1))), &["Invalid argument"]);
        says(legacy::add_link(netlink, "x0", "no-such-kind"), &["(no-such-kind)", "Unknown device type"]);
        says(
            netlink.add(&NewLink::macvlan(name("m"), Index::new(99), MacvlanMode::Bridge)),
            &["(macvlan)", "No such device"],
        );
        let route = Route::to(cidr("10.9.0.0/16")).via([10, 1, 1, 1].into());
        says(netlink.add(&route), &["add route 10.9.0.0/16 via 10.1.1.1", "unreachable"]);
        says(netlink.delete(&route), &["delete route", "No such process"]);
        says(legacy::add_route(netlink, "", "", "", "lo"), &["destination, source or gateway"]);
        says(legacy::add_route(netlink, "10.0.0.0/8", "", "::1", "lo"), &["gateway", "IPv4"]);
        says(legacy::add_route(netlink, "10.0.0.0/8", "", "", "gone0"), &["gone0"]);
        says(legacy::add_link(netlink, "", "dummy"), &["empty"]);
        says(legacy::add_link(netlink, "x0", ""), &["link kind: empty"]);
    });
}

#[test]
fn what_is_no_namespace() {
    let file = std::fs::File::open("/dev/null").unwrap();
    let error = Netlink::in_namespace(file.as_fd()).unwrap_err();
    assert!(error.to_string().contains("setns(CLONE_NEWNET)"), "{error}");
    assert!(error.to_string().contains("no network namespace") || error.is_permission(), "{error}");
    assert!(Netlink::open().unwrap().set_timeout(Some(std::time::Duration::ZERO)).is_err());
}

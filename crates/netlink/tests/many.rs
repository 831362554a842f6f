//! Many requests in one send, long lists, and changes as they happen.
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
    Address, Batch, Event, Family, Index, LinkChange, Monitor, Name, Netlink, NewLink, Route, RouteFilter,
    Table, Topics, Verb, legacy,
};
use place::in_namespace;

fn name(text: &str) -> Name {
    text.parse().expect(text)
}

fn pair(netlink: &mut Netlink) -> (Index, Index) {
    netlink.add(&NewLink::veth(name("a0"), name("b0")).up()).unwrap();
    let (a, b) = (netlink.index("a0").unwrap(), netlink.index("b0").unwrap());
    netlink.set(&LinkChange::new(b).up()).unwrap();
    (a, b)
}

#[test]
fn a_batch_has_a_result_for_each_request() {
    in_namespace("a_batch_has_a_result_for_each_request", |netlink| {
        let (a, _) = pair(netlink);
        let mut batch = Batch::new();
        for third in 0..500_u16 {
            let [high, low] = (third / 2).to_be_bytes();
            let address = Address::new(a, format!("10.{high}.{low}.1/24").parse().unwrap());
            batch.push(Verb::Add, &address).unwrap();
        }
        assert!(batch.push(Verb::Add, &Index::LOOPBACK).is_err());
        assert_eq!(batch.len(), 500);
        let results = netlink.run(&mut batch).unwrap();
        assert_eq!(results.len(), 500);
        for (place, result) in results.iter().enumerate() {
            match result {
                Ok(()) => assert_eq!(place % 2, 0),
                Err(error) => {
                    assert!(error.is_exists() && place % 2 == 1, "{place}: {error}");
                    assert!(error.to_string().contains(&format!("10.0.{}.1/24", place / 2)), "{error}");
                }
            }
        }
        assert_eq!(
            netlink.addresses(Some(a)).unwrap().iter().filter(|it| it.address.family() == Family::V4).count(),
            250
        );
    });
}

#[test]
fn a_thousand_links_while_others_come_and_go() {
    in_namespace("a_thousand_links_while_others_come_and_go", |netlink| {
        let mut batch = Batch::new();
        for number in 0..500 {
            let veth = NewLink::veth(name(&format!("a{number}")), name(&format!("b{number}")));
            batch.push(Verb::Add, &veth).unwrap();
        }
        netlink.run(&mut batch).unwrap().into_iter().for_each(|result| result.unwrap());
        assert_eq!(netlink.links().unwrap().len(), 1001);
        let theirs = place::json("ip -j link show");
        let theirs = theirs.iter().map(|link| link["ifname"].as_str().unwrap().to_owned());
        let ours = netlink.links().unwrap();
        assert!(ours.iter().map(|link| link.name.to_string()).eq(theirs));
        let space = std::fs::File::open("/proc/thread-self/ns/net").unwrap();
        let worker = std::thread::spawn(move || {
            let mut netlink = Netlink::in_namespace(space.as_fd()).unwrap();
            for _ in 0..20 {
                legacy::add_bridge(&mut netlink, "coming", false).unwrap();
                legacy::delete_link(&mut netlink, "coming").unwrap();
            }
        });
        while !worker.is_finished() {
            match netlink.links() {
                Ok(links) => assert!((1001..=1002).contains(&links.len()), "{}", links.len()),
                Err(error) => assert!(error.to_string().contains("gave up after 5 attempts"), "{error}"),
            }
        }
        worker.join().unwrap();
        assert_eq!(netlink.links().unwrap().len(), 1001);
    });
}

#[test]
fn ten_thousand_routes() {
    in_namespace("ten_thousand_routes", |netlink| {
        let (a, _) = pair(netlink);
        let mut batch = Batch::new();
        for number in 0..10_000_u16 {
            let [high, low] = number.to_be_bytes();
            batch
                .push(Verb::Add, &Route::to(format!("10.{high}.{low}.0/24").parse().unwrap()).link(a))
                .unwrap();
        }
        netlink.run(&mut batch).unwrap().into_iter().for_each(|result| result.unwrap());
        let filter = RouteFilter {
            family: Some(Family::V4),
            link: Some(a),
            table: Some(Table::MAIN),
            ..RouteFilter::default()
        };
        assert_eq!(netlink.routes(&filter).unwrap().len(), 10_000);
    });
}

#[test]
fn a_monitor_tells_of_changes_and_never_waits() {
    in_namespace("a_monitor_tells_of_changes_and_never_waits", |netlink| {
        let mut monitor = Monitor::open(Topics::LINKS | Topics::ADDRESSES | Topics::ROUTES).unwrap();
        assert_eq!(monitor.next().unwrap(), None);
        let (a, _) = pair(netlink);
        netlink.add(&Address::new(a, "10.1.2.3/24".parse().unwrap())).unwrap();
        netlink.delete(&a).unwrap();
        let mut seen = [false; 4];
        while let Some(event) = monitor.next().unwrap() {
            match event {
                Event::Link(link) => seen[0] |= link.name == name("a0"),
                Event::LinkGone(link) => seen[1] |= link.index == a,
                Event::Address(address) => seen[2] |= address.address.to_string() == "10.1.2.3/24",
                Event::Route(route) => seen[3] |= route.destination == Some("10.1.2.0/24".parse().unwrap()),
                _ => {}
            }
        }
        assert_eq!(seen, [true; 4]);
    });
}

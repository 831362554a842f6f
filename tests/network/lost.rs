//! A fault at each call on a netlink socket, before and after the kernel has acted, of a create and of a destroy: the host is as before,
//! at the latest after one more destroy.

use std::cell::Cell;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use libcontainer::network::netlink::faults::{Call, Fault, Injected, inject};
use libcontainer::network::netlink::nft::Nft;
use libcontainer::network::netlink::{
    Address, AddressFlags, Family, Ipvlan, LinkChange, LinkKind, MacvlanMode, Netlink, NewLink, RouteFilter,
    Table,
};
use libcontainer::{Config, Factory, Namespace, NamespaceKind, Network};
use libcontainer_tests::{Place, skip};
use nix::sched::{CloneFlags, unshare};

use super::host::{bridge, name, networked, on_a_host, port, rootfs, translates, veth};

/// What there is in the network namespace of the calling thread.
#[derive(Debug, PartialEq, Eq)]
struct There(Vec<String>);

impl There {
    fn look(netlink: &mut Netlink) -> Self {
        let links = netlink.links().unwrap();
        let of = |index| links.iter().find(|link| link.index == index).map(|link| link.name.to_string());
        let mut all: Vec<_> = links
            .iter()
            .map(|link| {
                let (master, alias) = (link.master.and_then(of), link.alias.as_ref());
                // A bridge without an address of its own has that of one port or another.
                let mac = link.mac.filter(|_| !matches!(link.kind, Some(LinkKind::Bridge(_))));
                format!("{} {} {} {master:?} {alias:?} {mac:?}", link.name, link.is_up(), link.mtu)
            })
            .collect();
        let permanent = |one: &&Address| one.flags.contains(AddressFlags::PERMANENT);
        let global = |one: &&Address| !one.address.to_string().starts_with("fe80");
        let addresses = netlink.addresses(None).unwrap();
        all.extend(
            addresses.iter().filter(permanent).filter(global).map(|one| format!("{one} {:?}", of(one.link))),
        );
        let main = RouteFilter { table: Some(Table::MAIN), ..RouteFilter::default() };
        let routes = netlink.routes(&main).unwrap();
        let ours = |route: &&libcontainer::network::netlink::Route| {
            route.destination.is_none_or(|to| !to.to_string().starts_with("fe80"))
        };
        all.extend(routes.iter().filter(ours).map(ToString::to_string));
        for family in [Family::V4, Family::V6] {
            all.extend(netlink.rules(family).unwrap().iter().map(ToString::to_string));
        }
        Self(all)
    }

    fn here() -> Self {
        let mut there = Self::look(&mut Netlink::open().unwrap());
        let tables = Nft::open().and_then(|mut nft| nft.tables(None)).unwrap_or_default();
        there.0.extend(tables.into_iter().map(|table| table.name));
        there.0.sort();
        there
    }

    /// Here and, if there is one, in the namespace that is joined.
    fn both(joined: Option<&File>) -> (Self, Option<Self>) {
        use std::os::fd::AsFd;
        let inside = |namespace: &File| Self::look(&mut Netlink::in_namespace(namespace.as_fd()).unwrap());
        (Self::here(), joined.map(inside))
    }
}

/// All is as it was, in the end: the kernel takes pairs away a little after their container.
fn as_before(before: &(There, Option<There>), joined: Option<&File>, what: &str) {
    let until = Instant::now() + Duration::from_secs(20);
    while There::both(joined) != *before && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(There::both(joined), *before, "{what}");
}

/// How many calls `work` makes on sockets.
fn calls<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let count = Rc::new(Cell::new(0));
    let seen = Rc::clone(&count);
    let _injected = inject(move |_| {
        count.set(count.get() + 1);
        None
    });
    let made = work();
    (seen.get(), made)
}

/// How many calls fail, from the one with this number on.
#[derive(Clone, Copy, Debug)]
struct Which {
    number: usize,
    count: usize,
}

fn fail(which: Which, fault: Fault) -> Injected {
    let next = Cell::new(0);
    inject(move |call| {
        let here = next.replace(next.get() + 1);
        let fault = match (fault, call) {
            // send(2) has no timeout.
            (Fault::Lost(libc::EAGAIN), Call::Send(_)) => Fault::Lost(libc::EIO),
            _ => fault,
        };
        (which.number..which.number.saturating_add(which.count)).contains(&here).then_some(fault)
    })
}

const FAULTS: [Fault; 4] = [
    Fault::Refused(libc::EIO),
    Fault::Lost(libc::EIO),
    Fault::Lost(libc::ENOBUFS),
    Fault::Lost(libc::EAGAIN),
];

/// One trial of a create: what was made goes with a destroy, what was not made is not there.
fn create(place: &Place, config: &Config, what: &str, injected: Injected) -> bool {
    let made = Factory::new().unwrap().create(place.join("c"), config);
    drop(injected);
    match made {
        Ok(container) => {
            container.destroy().expect(what);
            true
        }
        Err(error) => {
            let told = error.to_string();
            assert!(told.starts_with("create \"c\": ") && told.contains("host step"), "{what}: {told}");
            false
        }
    }
}

/// Walks through all calls of a create and a destroy, and says how many a create has. `renew` sets right what a destroy does not.
fn walk(place: &Place, config: &Config, joined: Option<&File>, renew: &dyn Fn()) -> usize {
    let before = There::both(joined);
    let (creates, container) = calls(|| Factory::new().unwrap().create(place.join("c"), config).unwrap());
    let (destroys, ()) = calls(|| container.destroy().unwrap());
    renew();
    assert!(creates > 4, "{creates} calls");
    as_before(&before, joined, "without a fault");
    let mut succeeded = 0;
    for (number, fault) in (0..creates).flat_map(|number| FAULTS.map(|fault| (number, fault))) {
        let what = format!("create, call {number} of {creates}, {fault:?}");
        let one = Which { number, count: 1 };
        if create(place, config, &what, fail(one, fault)) {
            succeeded += 1;
            renew();
        }
        // A single fault is taken back at once: nobody has to destroy anything.
        assert!(!place.join("c").exists(), "{what}");
        as_before(&before, joined, &what);
    }
    assert!(succeeded > 0, "no call was tried again");
    for (number, fault) in (0..destroys).flat_map(|number| FAULTS.map(|fault| (number, fault))) {
        let what = format!("destroy, call {number} of {destroys}, {fault:?}");
        let container = Factory::new().unwrap().create(place.join("c"), config).expect(&what);
        let injected = fail(Which { number, count: 1 }, fault);
        let destroyed = container.destroy();
        drop(injected);
        if let Err(error) = destroyed {
            assert!(error.to_string().starts_with("destroy \"c\": "), "{what}: {error}");
            container.destroy().expect(&what);
        }
        renew();
        assert!(!place.join("c").exists(), "{what}");
        as_before(&before, joined, &what);
    }
    creates
}

/// No call gets through from one on, those of the undo included: the record stays, and one destroy ends what it speaks of.
fn dead_from(place: &Place, config: &Config, joined: Option<&File>, creates: usize, renew: &dyn Fn()) {
    let before = There::both(joined);
    for (number, fault) in (0..creates).flat_map(|number| [(number, FAULTS[0]), (number, FAULTS[1])]) {
        let what = format!("create, all calls from {number} on, {fault:?}");
        create(place, config, &what, fail(Which { number, count: usize::MAX }, fault));
        if place.join("c").exists() {
            let left = Factory::new().unwrap().load(place.join("c")).expect(&what);
            left.destroy().expect(&what);
            renew();
        }
        assert!(!place.join("c").exists(), "{what}");
        as_before(&before, joined, &what);
    }
}

fn trial(called: &str, networks: impl FnOnce(&Place) -> Option<Vec<Network>> + Send) {
    on_a_host(called, |place| {
        if let Some(networks) = networks(place) {
            let config = networked(&rootfs(place), networks);
            let creates = walk(place, &config, None, &|| {});
            dead_from(place, &config, None, creates, &|| {});
        }
    });
}

#[test]
fn a_pair_and_a_bridge_of_its_own() {
    trial("lost-own", |_| {
        let addresses = vec!["10.9.0.1/24".to_owned(), "fd09::1/64".to_owned()];
        let own =
            Network { create_bridge: true, bridge_addresses: addresses, ..veth("10.9.0.2/24", "10.9.0.1") };
        Some(vec![own])
    });
}

#[test]
fn a_pair_on_a_bridge_that_stays() {
    trial("lost-bridge", |_| {
        bridge("docker0", &["10.9.0.1/24"]);
        Some(vec![veth("10.9.0.2/24", "10.9.0.1")])
    });
}

#[test]
fn translation_and_ports() {
    trial("lost-nat", |_| {
        bridge("docker0", &["10.9.0.1/24"]);
        let both = Network { nat: true, forward: true, ..veth("10.9.0.2/24", "10.9.0.1") };
        translates("translation_and_ports")
            .then(|| vec![Network { ports: vec![port(8080, 80, "tcp")], ..both }])
    });
}

fn other(kind: &str, address: &str) -> Network {
    Network {
        kind: kind.to_owned(),
        device: "base0".to_owned(),
        name: "net0".to_owned(),
        address: address.to_owned(),
        ..Network::default()
    }
}

/// What a destroy does not give back to a device.
fn set_up() {
    let mut host = Netlink::open().unwrap();
    let index = host.index(&name("base0")).unwrap();
    for address in ["10.1.0.1/24", "fd01::1/64"] {
        let address = Address::new(index, address.parse().unwrap()).flags(AddressFlags::NO_DAD);
        host.replace(&address).unwrap();
    }
    host.set(&LinkChange::new(index).up().mtu(1400)).unwrap();
}

/// A pair to stand on, with addresses; whether a link of this kind can stand on it.
fn base(test: &str, kind: LinkKind) -> bool {
    let mut host = Netlink::open().unwrap();
    host.add(&NewLink::veth(name("base0"), name("base1"))).unwrap();
    let index = host.index(&name("base0")).unwrap();
    host.set(&LinkChange::new(index).alias("the administrator's")).unwrap();
    set_up();
    let made = host.add(&NewLink::new(name("probe0"), kind).parent(index));
    if let Err(error) = made {
        skip(test, &error.to_string());
        return false;
    }
    let index = host.index(&name("probe0")).unwrap();
    host.delete(&index).unwrap();
    true
}

#[test]
fn a_macvlan() {
    let macvlan = LinkKind::Macvlan(MacvlanMode::Bridge);
    trial("lost-macvlan", |_| base("a_macvlan", macvlan).then(|| vec![other("macvlan", "10.1.0.2/24")]));
}

#[test]
fn an_ipvlan() {
    let ipvlan = LinkKind::Ipvlan(Ipvlan::default());
    trial("lost-ipvlan", |_| base("an_ipvlan", ipvlan).then(|| vec![other("ipvlan", "10.1.0.2/24")]));
}

#[test]
fn a_device_of_the_host() {
    on_a_host("lost-device", |place| {
        base("a_device_of_the_host", LinkKind::Macvlan(MacvlanMode::Bridge));
        let network = Network { mtu: 1300, ..other("host-device", "10.1.0.2/24") };
        let config = networked(&rootfs(place), vec![network]);
        let creates = walk(place, &config, None, &set_up);
        dead_from(place, &config, None, creates, &set_up);
    });
}

/// A network namespace that outlives the container, with a link that has a name of ours.
fn outliving(link: &str) -> File {
    let link = name(link);
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        Netlink::open().unwrap().add(&NewLink::veth(link, name("peer0"))).unwrap();
        File::open("/proc/thread-self/ns/net").unwrap()
    });
    thread.join().unwrap()
}

fn joining(root: &Path, namespace: &File, networks: Vec<Network>) -> Config {
    let path = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
    let mut config = networked(root, networks);
    config.namespaces.set(NamespaceKind::Network, Namespace::Join(path.into()));
    config
}

#[test]
fn in_a_namespace_that_stays() {
    on_a_host("lost-joined", |place| {
        if !base("in_a_namespace_that_stays", LinkKind::Macvlan(MacvlanMode::Bridge)) {
            return;
        }
        bridge("docker0", &["10.9.0.1/24"]);
        let pair = Network { name: "eth7".to_owned(), ..veth("10.9.0.2/24", "") };
        let networks = vec![pair, other("macvlan", "10.1.0.2/24")];
        let namespace = outliving("theirs0");
        let config = joining(&rootfs(place), &namespace, networks);
        let creates = walk(place, &config, Some(&namespace), &|| {});
        dead_from(place, &config, Some(&namespace), creates, &|| {});
    });
}

/// Whatever fails, a link of others that has the name is not taken for ours.
#[test]
fn a_name_that_others_have_inside() {
    on_a_host("lost-name", |place| {
        if !base("a_name_that_others_have_inside", LinkKind::Macvlan(MacvlanMode::Bridge)) {
            return;
        }
        let (namespace, root) = (outliving("net0"), rootfs(place));
        for kind in ["macvlan", "host-device"] {
            let config = joining(&root, &namespace, vec![other(kind, "10.1.0.2/24")]);
            let before = There::both(Some(&namespace));
            let (creates, error) =
                calls(|| Factory::new().unwrap().create(place.join("c"), &config).unwrap_err());
            assert!(error.to_string().contains("net0"), "{error}");
            dead_from(place, &config, Some(&namespace), creates, &|| {});
            assert_eq!(There::both(Some(&namespace)), before);
        }
    });
}

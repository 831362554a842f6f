//! Published ports from within: a container reaches its own, and so does a neighbour, by every address of the host.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;

use libcontainer::network::netlink::{AddressFlags, Netlink};
use libcontainer::{Container, Factory, Network};

use super::host::{name, networked, port, rootfs};
use super::nat::{ask, ask_udp, both, inside, serve, serve_udp, with_world};

/// Where bridged packets pass the filter of IP, the kernel translates them on the bridge itself: other ways of the packets.
const FILTERED: [&str; 2] =
    ["/proc/sys/net/bridge/bridge-nf-call-iptables", "/proc/sys/net/bridge/bridge-nf-call-ip6tables"];

fn hairpin(container: &Container, number: usize) -> Option<bool> {
    let record = container.network_record().unwrap();
    let end = name(&record.interfaces[number].host_name);
    Netlink::open().unwrap().link(&end).unwrap().bridge_port.unwrap().hairpin
}

/// Each asks the published port by each address of the host; the server sees the host, which must get the answers.
fn reached_by(asking: &Container) {
    for (address, seen) in [
        ("10.0.0.1:8080", "10.0.0.1"),
        ("192.0.2.1:8080", "10.0.0.1"),
        ("[fd00::1]:8080", "fd00::1"),
        ("[2001:db8::1]:8080", "fd00::1"),
    ] {
        assert_eq!(inside(asking, || ask(address)).expect(address), seen, "{address}");
    }
    assert_eq!(inside(asking, || ask_udp("0.0.0.0:0", "192.0.2.1:5300")), "10.0.0.1");
    assert_eq!(inside(asking, || ask_udp("[::]:0", "[2001:db8::1]:5300")), "fd00::1");
}

#[test]
fn a_container_and_its_neighbours_reach_a_published_port() {
    with_world("hairpin", |place, _| {
        let root = rootfs(place);
        let factory = Factory::new().unwrap();
        let ports = vec![port(8080, 80, ""), port(5300, 53, "udp")];
        let published = Network { ports, nat: true, ..both(2) };
        let plain = Network { forward: false, ..both(3) };
        let container = factory.create(place.join("c"), &networked(&root, vec![published])).unwrap();
        let neighbour = factory.create(place.join("n"), &networked(&root, vec![plain])).unwrap();
        assert_eq!((hairpin(&container, 0), hairpin(&neighbour, 0)), (Some(true), Some(false)));
        let listener = inside(&container, || TcpListener::bind("[::]:80").unwrap());
        let socket = inside(&container, || UdpSocket::bind("[::]:53").unwrap());
        let modes: &[&str] = if Path::new(FILTERED[0]).exists() { &["0", "1"] } else { &[""] };
        for mode in modes {
            if !mode.is_empty() {
                FILTERED.iter().for_each(|path| std::fs::write(path, mode).unwrap());
            }
            std::thread::scope(|scope| {
                scope.spawn(|| serve(&listener, 8));
                scope.spawn(|| serve_udp(&socket, 4));
                reached_by(&container);
                reached_by(&neighbour);
            });
        }
        // What it says to all comes back to it: its own question for its address must not count as a duplicate.
        let addresses = container.network().unwrap().addresses;
        let local = addresses.iter().find(|one| one.address.to_string().starts_with("fe80:")).unwrap();
        assert!(!local.flags.contains(AddressFlags::DAD_FAILED), "{local:?}");
        container.destroy().unwrap();
        neighbour.destroy().unwrap();
    });
}

//! Outbound NAT and published ports, between a host and a world beyond it, each a network namespace.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use libcontainer::network::netlink::nft::{Nft, Table, Transaction};
use libcontainer::network::netlink::{
    Address, AddressFlags, Index, LinkChange, LinkKind, Name, Namespace, Netlink, NewLink, Peer,
};
use libcontainer::{Container, Factory, Network, Port};
use libcontainer_tests::Place;
use nix::poll::{PollFd, PollFlags, poll};

use super::host::{
    bridge, enter, links, name, networked, on_a_host, port, rootfs, settled, tables, translates, veth,
};

const WAIT: Duration = Duration::from_secs(10);
/// How long a server waits for each client, in milliseconds.
const PATIENCE: u16 = 60_000;

/// A network that the host is connected to, which knows no way to the containers.
pub(crate) struct World(File);

impl World {
    fn new() -> Self {
        let made = std::thread::spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        let world = made.join().unwrap();
        let mut host = Netlink::open().unwrap();
        let peer = Peer { name: Some(name("up1")), ..Peer::default() };
        let pair =
            NewLink::new(name("up0"), LinkKind::Veth(peer)).peer_namespace(Namespace::Fd(world.as_fd()));
        host.add(&pair).unwrap();
        set_up(&mut host, name("up0"), &["192.0.2.1/24", "2001:db8::1/64"]);
        host.set(&LinkChange::new(Index::LOOPBACK).up()).unwrap();
        let mut other = Netlink::in_namespace(world.as_fd()).unwrap();
        set_up(&mut other, name("up1"), &["192.0.2.2/24", "2001:db8::2/64"]);
        Self(world)
    }

    /// Does something there.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                nix::sched::setns(&self.0, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
                work()
            });
            thread.join().unwrap()
        })
    }
}

fn set_up(netlink: &mut Netlink, link: Name, addresses: &[&str]) {
    let index = netlink.index(&link).unwrap();
    for text in addresses {
        let mut address = Address::new(index, text.parse().unwrap());
        address.flags |= AddressFlags::NO_DAD;
        netlink.add(&address).unwrap();
    }
    netlink.set(&LinkChange::new(index).up()).unwrap();
}

pub(crate) fn inside<T: Send>(container: &Container, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            enter(container);
            work()
        });
        thread.join().unwrap()
    })
}

/// A container's network with both families, on the bridge of [`with_world`].
pub(crate) fn both(number: u8) -> Network {
    Network {
        addresses: vec![format!("fd00::{number}/64")],
        gateway_v6: "fd00::1".to_owned(),
        forward: true,
        ..veth(&format!("10.0.0.{number}/20"), "10.0.0.1")
    }
}

pub(crate) fn with_world(test: &str, run: impl FnOnce(&Place, &World) + Send) {
    on_a_host(test, |place| {
        if translates(test) {
            bridge("docker0", &["10.0.0.1/20", "fd00::1/64"]);
            run(place, &World::new());
        }
    });
}

/// Connects, sends, and gives back what came.
pub(crate) fn ask(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address.parse::<SocketAddr>().unwrap(), WAIT)?;
    stream.set_read_timeout(Some(WAIT))?;
    stream.write_all(b"?")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

pub(crate) fn ask_udp(from: &str, address: &str) -> String {
    let socket = UdpSocket::bind(from).unwrap();
    socket.set_read_timeout(Some(WAIT)).unwrap();
    socket.connect(address).unwrap();
    socket.send(b"?").unwrap();
    let mut buffer = [0; 200];
    let length = socket.recv(&mut buffer).unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// A server that answers `count` connections with the address of its client.
pub(crate) fn serve(listener: &TcpListener, count: usize) {
    for _ in 0..count {
        // Who never comes must fail the test, not keep it waiting.
        let mut polled = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        assert_eq!(poll(&mut polled, PATIENCE), Ok(1), "nobody connected");
        let (mut stream, client) = listener.accept().unwrap();
        stream.read_exact(&mut [0]).unwrap();
        stream.write_all(client.ip().to_canonical().to_string().as_bytes()).unwrap();
    }
}

pub(crate) fn serve_udp(socket: &UdpSocket, count: usize) {
    socket.set_read_timeout(Some(3 * WAIT)).unwrap();
    for _ in 0..count {
        let (_, client) = socket.recv_from(&mut [0; 9]).unwrap();
        socket.send_to(client.ip().to_canonical().to_string().as_bytes(), client).unwrap();
    }
}

#[test]
fn a_container_reaches_the_world_as_its_host() {
    with_world("nat-out", |place, world| {
        let before = links();
        let network = Network { nat: true, ..both(2) };
        let factory = Factory::new().unwrap();
        let container = factory.create(place.join("c"), &networked(&rootfs(place), vec![network])).unwrap();
        assert_eq!(tables(), [container.network_record().unwrap().nft_table]);
        for (server, seen) in [("192.0.2.2:7000", "192.0.2.1"), ("[2001:db8::2]:7000", "2001:db8::1")] {
            let listener = world.within(|| TcpListener::bind(server).unwrap());
            let socket = world.within(|| UdpSocket::bind(server).unwrap());
            let any = if server.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
            std::thread::scope(|scope| {
                scope.spawn(|| serve(&listener, 1));
                scope.spawn(|| serve_udp(&socket, 1));
                assert_eq!(inside(&container, || ask(server).unwrap()), seen);
                assert_eq!(inside(&container, || ask_udp(any, server)), seen);
            });
        }
        container.destroy().unwrap();
        assert!(tables().is_empty());
        settled(&before);
    });
}

#[test]
fn published_ports() {
    with_world("nat-ports", |place, world| {
        let root = rootfs(place);
        let factory = Factory::new().unwrap();
        let network = Network { ports: vec![port(8080, 80, ""), port(5300, 53, "udp")], ..both(2) };
        let container = factory.create(place.join("c"), &networked(&root, vec![network])).unwrap();
        let neighbour = factory.create(place.join("n"), &networked(&root, vec![both_plain(3)])).unwrap();
        let listener = inside(&container, || TcpListener::bind("[::]:80").unwrap());
        let socket = inside(&container, || UdpSocket::bind("[::]:53").unwrap());
        // The host's own server on loopback keeps its port.
        let own = TcpListener::bind("127.0.0.1:8080").unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| serve(&listener, 6));
            scope.spawn(|| serve_udp(&socket, 3));
            scope.spawn(|| serve(&own, 1));
            assert_eq!(ask("127.0.0.1:8080").unwrap(), "127.0.0.1");
            assert_eq!(world.within(|| ask("192.0.2.1:8080").unwrap()), "192.0.2.2");
            assert_eq!(world.within(|| ask("[2001:db8::1]:8080").unwrap()), "2001:db8::2");
            assert_eq!(world.within(|| ask_udp("0.0.0.0:0", "192.0.2.1:5300")), "192.0.2.2");
            assert_eq!(world.within(|| ask_udp("[::]:0", "[2001:db8::1]:5300")), "2001:db8::2");
            // The host itself.
            assert!(ask("192.0.2.1:8080").is_ok());
            assert!(ask("[2001:db8::1]:8080").is_ok());
            assert!(!ask_udp("0.0.0.0:0", "192.0.2.1:5300").is_empty());
            // A neighbour on the bridge: by way of the host, which the container sees as the other end.
            assert_eq!(inside(&neighbour, || ask("10.0.0.1:8080").unwrap()), "10.0.0.1");
            assert_eq!(inside(&neighbour, || ask("[fd00::1]:8080").unwrap()), "fd00::1");
        });
        container.destroy().unwrap();
        neighbour.destroy().unwrap();
        assert!(tables().is_empty());
        assert!(world.within(|| ask("192.0.2.1:8080")).is_err());
    });
}

fn both_plain(number: u8) -> Network {
    Network { forward: false, ..both(number) }
}

#[test]
fn a_port_has_one_container() {
    with_world("nat-clash", |place, _| {
        let root = rootfs(place);
        let factory = Factory::new().unwrap();
        let with = |number: u8, ports: Vec<Port>| networked(&root, vec![Network { ports, ..both(number) }]);
        let at = |address: &str, one: Port| Port { host_address: address.to_owned(), ..one };
        let first = factory.create(place.join("a"), &with(2, vec![port(8080, 80, "tcp")])).unwrap();
        let before = (links(), tables());
        for taken in
            [port(8080, 81, "tcp"), at("192.0.2.1", port(8080, 81, "")), at("::", port(8080, 81, ""))]
        {
            let error = factory.create(place.join("b"), &with(3, vec![taken])).unwrap_err().to_string();
            assert!(error.contains(":8080 of the host: another container has it as tcp "), "{error}");
            assert_eq!((links(), tables()), before);
        }
        let free = vec![port(8080, 81, "udp"), port(8081, 81, "tcp"), at("192.0.2.1", port(90, 81, ""))];
        let second = factory.create(place.join("b"), &with(3, free)).unwrap();
        let third =
            factory.create(place.join("d"), &with(4, vec![at("192.0.2.9", port(90, 81, ""))])).unwrap();
        for container in [first, second, third] {
            container.destroy().unwrap();
        }
        factory.create(place.join("b"), &with(3, vec![port(8080, 80, "")])).unwrap().destroy().unwrap();
        assert!(tables().is_empty());
    });
}

#[test]
fn of_many_that_want_a_port_one_gets_it() {
    with_world("nat-race", |place, _| {
        let root = rootfs(place);
        let made = std::sync::Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for number in 2..12_u8 {
                let (made, root) = (&made, &root);
                scope.spawn(move || {
                    let network = Network { ports: vec![port(8080, 80, "tcp")], ..both(number) };
                    let config = networked(root, vec![network]);
                    match Factory::new().unwrap().create(place.join(&format!("c{number}")), &config) {
                        Ok(container) => made.lock().unwrap().push(container),
                        Err(error) => assert!(error.to_string().contains("another container"), "{error}"),
                    }
                });
            }
        });
        let made = made.into_inner().unwrap();
        assert_eq!((made.len(), tables().len()), (1, 1));
        made[0].destroy().unwrap();
        assert!(tables().is_empty());
    });
}

#[test]
fn a_host_that_does_not_forward() {
    with_world("nat-forward", |place, _| {
        let settings = ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"];
        settings.iter().for_each(|path| std::fs::write(path, "0").unwrap());
        let root = rootfs(place);
        let network = Network { nat: true, forward: false, ..both(2) };
        let factory = Factory::new().unwrap();
        let before = links();
        for key in ["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"] {
            let config = networked(&root, vec![network.clone()]);
            let error = factory.create(place.join("c"), &config).unwrap_err().to_string();
            assert!(error.contains(&format!("{key} is 0")) && error.contains("set forward"), "{error}");
            assert_eq!((links(), tables()), (before.clone(), Vec::new()));
            let name = settings[usize::from(key.contains("ipv6"))];
            std::fs::write(name, "1").unwrap();
        }
        factory.create(place.join("c"), &networked(&root, vec![network.clone()])).unwrap().destroy().unwrap();
        settings.iter().for_each(|path| std::fs::write(path, "0").unwrap());
        let network = Network { forward: true, ..network };
        factory.create(place.join("c"), &networked(&root, vec![network])).unwrap().destroy().unwrap();
        for path in settings {
            assert_eq!(std::fs::read_to_string(path).unwrap().trim(), "1", "{path} stays");
        }
    });
}

#[test]
fn a_table_that_is_gone_or_not_ours() {
    with_world("nat-gone", |place, _| {
        let mut nft = Nft::open().unwrap();
        let mut other = Transaction::new();
        other.add_table(&Table::inet("firewall")).unwrap();
        nft.commit(&other).unwrap();
        let network = Network { nat: true, ..both(2) };
        let config = networked(&rootfs(place), vec![network]);
        let container = Factory::new().unwrap().create(place.join("c"), &config).unwrap();
        // An administrator's flush.
        nft.remove_table(&Table::inet(container.network_record().unwrap().nft_table)).unwrap();
        container.destroy().unwrap();
        assert_eq!(tables(), ["firewall"]);
    });
}

//! A host of a test's own, and containers with networks on it.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use libcontainer::network::netlink::nft::Nft;
use libcontainer::network::netlink::{Bridge, Cidr, Name, Netlink, NewLink};
use libcontainer::{Config, Container, Factory, Network, Port, ProcessConfig};
use libcontainer_tests::{Place, able, config, skip, text};

/// Runs `test` in a thread with a new network namespace, which is this test's host.
pub(crate) fn on_a_host(name: &str, test: impl FnOnce(&Place) + Send) {
    if !able(name) {
        return;
    }
    let place = Place::new(name);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            test(&place);
        });
        if let Err(panic) = run.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A bridge with an address, as an administrator makes it.
pub(crate) fn bridge(called: &str, addresses: &[&str]) {
    let mut host = Netlink::open().unwrap();
    host.add(&NewLink::bridge(name(called), Bridge::default()).up()).unwrap();
    let index = host.index(&name(called)).unwrap();
    for address in addresses {
        let cidr: Cidr = address.parse().unwrap();
        let mut address = libcontainer::network::netlink::Address::new(index, cidr);
        address.flags |= libcontainer::network::netlink::AddressFlags::NO_DAD;
        host.add(&address).unwrap();
    }
}

pub(crate) fn links() -> BTreeSet<String> {
    Netlink::open().unwrap().links().unwrap().iter().map(|link| link.name.to_string()).collect()
}

/// There are these links in the end: the kernel takes pairs away a little after their container.
pub(crate) fn settled(wanted: &BTreeSet<String>) {
    let until = Instant::now() + Duration::from_secs(20);
    while links() != *wanted && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(links(), *wanted);
}

/// Names of all tables of nf_tables; none if the kernel lacks it.
pub(crate) fn tables() -> Vec<String> {
    let tables = Nft::open().and_then(|mut nft| nft.tables(None));
    tables.map(|all| all.into_iter().map(|table| table.name).collect()).unwrap_or_default()
}

/// Whether the kernel translates addresses; if not, notes that the test is skipped.
pub(crate) fn translates(test: &str) -> bool {
    let able = Nft::open().and_then(|mut nft| nft.generation());
    able.map_err(|error| skip(test, &error.to_string())).is_ok()
}

pub(crate) fn port(host_port: i64, port: i64, protocol: &str) -> Port {
    Port { host_port, port, protocol: protocol.to_owned(), ..Port::default() }
}

pub(crate) fn veth(address: &str, gateway: &str) -> Network {
    Network {
        kind: "veth".to_owned(),
        bridge: "docker0".to_owned(),
        veth_prefix: "veth".to_owned(),
        address: address.to_owned(),
        gateway: gateway.to_owned(),
        mtu: 1500,
        ..Network::default()
    }
}

pub(crate) fn rootfs(place: &Place) -> std::path::PathBuf {
    let root = place.rootfs().unwrap();
    for applet in ["ping", "ip", "nc", "md5sum", "dd", "ifconfig", "route"] {
        let _ = std::os::unix::fs::symlink("busybox", root.join("bin").join(applet));
    }
    root
}

pub(crate) fn networked(root: &Path, networks: Vec<Network>) -> Config {
    let mut config = config(root);
    config.networks.extend(networks);
    config.capabilities.push("NET_RAW".to_owned());
    config
}

pub(crate) fn run(factory: &Factory, place: &Place, config: &Config, script: &str) -> String {
    let process = ProcessConfig::new(["sh", "-c", script]).piped();
    let (container, process) = factory.run(place.join("one"), config, process).unwrap();
    let found = text(&process.output(100_000).unwrap());
    container.destroy().unwrap();
    found
}

/// Goes on in the network namespace of the container.
pub(crate) fn enter(container: &Container) {
    let pid = container.init_pid().unwrap().unwrap();
    let namespace = std::fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
    nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
}

/// Sends bytes from a socket in one container to a socket in the other, and compares. 32 MiB, or LIBCONTAINER_TCP_MIB.
pub(crate) fn exchange(from: &Container, to: &Container, address: &str) {
    let amount =
        std::env::var("LIBCONTAINER_TCP_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(32_usize);
    let block: Vec<u8> =
        (0..1_u32 << 20).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (ready, listening) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            enter(to);
            let listener = TcpListener::bind(address).unwrap();
            ready.send(()).unwrap();
            let mut stream = listener.accept().unwrap().0;
            let mut found = vec![0; 1 << 20];
            for number in 0..amount {
                stream.read_exact(&mut found).unwrap();
                assert!(found == block, "block {number}");
            }
            assert_eq!(stream.read(&mut found).unwrap(), 0);
        });
        let block = &block;
        scope.spawn(move || {
            enter(from);
            listening.recv().unwrap();
            let mut stream = TcpStream::connect(address).unwrap();
            (0..amount).for_each(|_| stream.write_all(block).unwrap());
        });
        assert!(receiver.join().is_ok());
    });
}

//! Two containers of 2014's `attach_to_bridge` config: they reach each other, a GiB goes across whole, and the host counts it.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;

use libcontainer::network::netlink::{Netlink, Stats64};
use libcontainer::{Config, Container, Factory, ProcessConfig, Stdio};
use libcontainer_tests::{Place, text};

use super::host::{bridge, links, name, on_a_host, rootfs, settled};
use super::nat::inside;

const GIB: u64 = 1 << 30;
const BLOCK: usize = 16 << 20;

/// The sample with another address, and IPv6 beside it.
fn sample(place: &Place, number: u8) -> Config {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/libcontainer/samples/attach_to_bridge.json");
    let (mut config, _) = Config::from_file(&path, libcontainer::Mode::Strict).unwrap();
    config.rootfs = place.join("rootfs");
    config.tty = false;
    config.user = String::new();
    config.cgroups = None;
    config.capabilities.push("NET_RAW".to_owned());
    config.capabilities.dedup();
    let veth = config.networks.iter_mut().find(|network| network.kind == "veth").unwrap();
    veth.address = format!("10.31.0.{number}/24");
    veth.addresses = vec![format!("fd31::{number}/64")];
    veth.gateway_v6 = "fd31::1".to_owned();
    config
}

/// Both ends of a connection from a socket in one container to one in the other.
fn connect(from: &Container, to: &Container, address: &str) -> (OwnedFd, OwnedFd) {
    let listener = inside(to, || TcpListener::bind(address).unwrap());
    let stream = inside(from, || TcpStream::connect(address).unwrap());
    (stream.into(), listener.accept().unwrap().0.into())
}

/// Programs inside do the work: the one writes to its socket and sums up the same, the other sums up what arrives.
fn transfer(from: &Container, to: &Container) {
    let (out, into) = connect(from, to, "10.31.0.102:7777");
    let all = "all() { i=0; while [ $i -lt 64 ]; do cat /tmp/block; i=$((i + 1)); done; }";
    let script = format!("{all}; all | md5sum >&2 & all; exec >&-; wait");
    let mut sender = ProcessConfig::new(["sh", "-c", &script]);
    (sender.stdout, sender.stderr) = (Stdio::Fd(out), Stdio::Pipe);
    let mut receiver = ProcessConfig::new(["md5sum"]).piped();
    receiver.stdin = Stdio::Fd(into);
    let receiver = to.start(receiver).unwrap();
    let sent = from.start(sender).unwrap().output(1000).unwrap();
    let received = receiver.output(1000).unwrap();
    assert!(sent.status.success() && received.status.success(), "{}{}", text(&sent), text(&received));
    let sum = text(&received);
    assert_eq!(text(&sent), sum);
    assert!(sum.len() > 32 && sum.bytes().take(32).all(|byte| byte.is_ascii_hexdigit()), "{sum}");
}

/// What the host counts at its end lies between two looks at it from the container, with the directions swapped.
fn swapped(container: &Container) -> Stats64 {
    let record = container.network_record().unwrap();
    let end = name(&record.interfaces[0].host_name);
    let own = || {
        let view = container.network().unwrap();
        view.links.iter().find(|link| link.name == name("eth0")).unwrap().stats
    };
    let before = own();
    let host = Netlink::open().unwrap().link(&end).unwrap().stats;
    let told = container.network_stats().unwrap()[0].1;
    let after = own();
    for (what, before, seen, told, after) in [
        ("received", before.rx_bytes, host.tx_bytes, told.rx_bytes, after.rx_bytes),
        ("sent", before.tx_bytes, host.rx_bytes, told.tx_bytes, after.tx_bytes),
        ("packets received", before.rx_packets, host.tx_packets, told.rx_packets, after.rx_packets),
        ("packets sent", before.tx_packets, host.rx_packets, told.tx_packets, after.tx_packets),
    ] {
        assert!(before <= seen && seen <= told && told <= after, "{what}: {before} {seen} {told} {after}");
    }
    after
}

#[test]
fn a_gib_between_two_containers() {
    on_a_host("net-gib", |place| {
        let root = rootfs(place);
        let random = std::fs::File::open("/dev/urandom").unwrap();
        let mut block = std::fs::File::create(root.join("tmp/block")).unwrap();
        std::io::copy(&mut std::io::Read::take(random, BLOCK as u64), &mut block).unwrap();
        bridge("br-sample", &["10.31.0.1/24", "fd31::1/64"]);
        let before = links();
        let factory = Factory::new().unwrap();
        let make = |called: &str, number| factory.create(place.join(called), &sample(place, number)).unwrap();
        let (first, second) = (make("first", 101), make("second", 102));
        for (container, target) in [
            (&first, "10.31.0.102"),
            (&first, "fd31::102"),
            (&second, "10.31.0.101"),
            (&second, "fd31::101"),
            (&first, "10.31.0.1"),
            (&first, "fd31::1"),
        ] {
            let process = ProcessConfig::new(["ping", "-c", "1", "-W", "10", target]).piped();
            let output = container.start(process).unwrap().output(10_000).unwrap();
            assert!(output.status.success(), "{target}: {}", text(&output));
        }
        transfer(&first, &second);
        let (sender, receiver) = (swapped(&first), swapped(&second));
        assert!(sender.tx_bytes > GIB && sender.rx_bytes < GIB / 2, "{sender:?}");
        assert!(receiver.rx_bytes > GIB && receiver.tx_bytes < GIB / 2, "{receiver:?}");
        first.destroy().unwrap();
        second.destroy().unwrap();
        settled(&before);
    });
}

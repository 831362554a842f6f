//! Devices of the host in containers, as OCI's `netDevices`.

use libcontainer::network::netlink::{
    Address, AddressFlags, Lifetime, Link, LinkChange, Netlink, NewLink, Scope,
};
use libcontainer::plan::{Fault, Lane};
use libcontainer::{Container, Factory, Namespace, NamespaceKind, Network};
use libcontainer_tests::Place;

use super::host::{bridge, name, networked, on_a_host, rootfs, veth};

/// A device that is up, with addresses that go along and others that don't.
pub(crate) fn device() {
    let mut host = Netlink::open().unwrap();
    host.add(&NewLink::veth(name("dev0"), name("dev1")).mtu(1400)).unwrap();
    let index = host.index("dev0").unwrap();
    let address = |text: &str| Address::new(index, text.parse().unwrap());
    let mut dynamic = address("10.3.0.3/24");
    dynamic.lifetime = Some(Lifetime { valid: 1000, preferred: 1000 });
    let mut narrow = address("10.4.0.3/24");
    narrow.scope = Scope::Link;
    let mut peer = address("10.5.0.1/32");
    peer.peer = Some([10, 5, 0, 2].into());
    let labelled = address("10.3.0.2/24").label("dev0:x").unwrap();
    let six = address("fd03::2/64").flags(AddressFlags::NO_DAD | AddressFlags::NO_PREFIX_ROUTE);
    for one in [labelled, dynamic, narrow, peer, six, address("fd03::3/64").flags(AddressFlags::NO_DAD)] {
        host.add(&one).unwrap();
    }
    let mac = "02:00:00:00:00:09".parse().unwrap();
    host.set(&LinkChange::new(index).mac(mac).up()).unwrap();
}

pub(crate) fn network(inside: &str) -> Network {
    Network {
        kind: "host-device".to_owned(),
        device: "dev0".to_owned(),
        name: inside.to_owned(),
        ..Network::default()
    }
}

/// Permanent global addresses in words.
pub(crate) fn global(addresses: &[Address]) -> Vec<String> {
    let kept = |one: &&Address| one.scope == Scope::Universe && one.flags.contains(AddressFlags::PERMANENT);
    let mut all: Vec<_> = addresses.iter().filter(kept).map(|one| one.address.to_string()).collect();
    all.sort();
    all
}

pub(crate) const KEPT: [&str; 4] = ["10.3.0.2/24", "10.5.0.1/32", "fd03::2/64", "fd03::3/64"];

fn on_the_host() -> Option<(Link, Vec<Address>)> {
    let mut host = Netlink::open().unwrap();
    let link = host.link("dev0").ok()?;
    let addresses = host.addresses(Some(link.index)).unwrap();
    Some((link, addresses))
}

/// What the container has: everything that a kept device is.
fn check(container: &Container, more: &[&str]) {
    let view = container.network().unwrap();
    let link = view.links.iter().find(|link| link.name == name("net0")).unwrap();
    assert!(link.is_up(), "{link:?}");
    assert_eq!((link.mtu, link.mac.unwrap().to_string().as_str()), (1400, "02:00:00:00:00:09"));
    let found: Vec<_> = view.addresses.iter().filter(|one| one.link == link.index).cloned().collect();
    let mut wanted: Vec<_> = KEPT.iter().chain(more).map(|text| (*text).to_owned()).collect();
    wanted.sort();
    assert_eq!(global(&found), wanted);
    assert!(found.iter().all(|one| !["10.3.0.3/24", "10.4.0.3/24"].contains(&&*one.address.to_string())));
    let one = |text: &str| found.iter().find(|one| one.address.to_string() == text).unwrap();
    assert_eq!(one("10.5.0.1/32").peer, Some([10, 5, 0, 2].into()));
    assert!(one("fd03::2/64").flags.contains(AddressFlags::NO_PREFIX_ROUTE));
    assert!(!one("fd03::3/64").flags.contains(AddressFlags::NO_PREFIX_ROUTE));
}

#[test]
fn a_device_keeps_its_addresses() {
    on_a_host("device-kept", |place| {
        device();
        let factory = Factory::new().unwrap();
        // One that it has anyway, and one in addition.
        let mut network = network("net0");
        network.addresses = vec!["10.3.0.2/24".to_owned(), "10.6.0.2/24".to_owned()];
        network.gateway = "10.6.0.1".to_owned();
        let container = factory.create(place.join("c"), &networked(&rootfs(place), vec![network])).unwrap();
        assert!(on_the_host().is_none());
        check(&container, &["10.6.0.2/24"]);
        container.destroy().unwrap();
        let (link, _) = on_the_host().unwrap();
        assert_eq!((link.mtu, link.is_up()), (1400, false));
    });
}

/// The device is as it was, whatever failed.
fn unharmed(what: &str) {
    let (link, addresses) = on_the_host().expect(what);
    assert!(link.is_up(), "{what}: {link:?}");
    assert_eq!(global(&addresses), KEPT, "{what}");
}

#[test]
fn a_failed_create_gives_a_device_back() {
    on_a_host("device-back", |place| {
        device();
        let mut network = network("net0");
        network.address = "10.6.0.2/24".to_owned();
        let config = networked(&rootfs(place), vec![network.clone()]);
        for step in 0.. {
            let factory = Factory::new().unwrap().inject(Fault { lane: Lane::Host, step, errno: libc::EIO });
            let Ok(container) = factory.create(place.join("c"), &config) else {
                unharmed(&format!("host step {step}"));
                continue;
            };
            container.destroy().unwrap();
            assert!(step > 3, "{step}");
            break;
        }
    });
}

fn refused(place: &Place, config: &libcontainer::Config, wanted: &str) {
    let error = Factory::new().unwrap().create(place.join("x"), config).unwrap_err().to_string();
    assert!(error.contains(wanted), "{error}");
    unharmed(wanted);
}

#[test]
fn a_device_that_cannot_be_moved_stays_as_it_is() {
    on_a_host("device-clash", |place| {
        device();
        bridge("docker0", &["10.0.0.1/24"]);
        let root = rootfs(place);
        let first = Factory::new().unwrap();
        let first =
            first.create(place.join("a"), &networked(&root, vec![veth("10.0.0.2/24", "10.0.0.1")])).unwrap();
        let pid = first.init_pid().unwrap().unwrap();
        let mut config = networked(&root, vec![network("eth0")]);
        let space = Namespace::Join(format!("/proc/{pid}/ns/net").into());
        config.namespaces.set(NamespaceKind::Network, space);
        refused(place, &config, "device dev0: can't be called eth0 inside: link #");
        refused(place, &networked(&root, vec![network("a"), network("b")]), "device dev0 is moved twice");
        let mut absent = network("net0");
        absent.device = "dev9".to_owned();
        refused(place, &networked(&root, vec![absent.clone()]), "device dev9: is not there");
        refused(place, &networked(&root, vec![network("a"), absent]), "device dev9: is not there");
        let mut stuck = network("net0");
        stuck.device = "lo".to_owned();
        refused(place, &networked(&root, vec![stuck]), "device lo");
        assert!(Netlink::open().unwrap().link("lo").is_ok());
        first.destroy().unwrap();
    });
}

/// A namespace that was joined outlives the container, and would keep the device.
#[test]
fn a_device_comes_back_from_a_namespace_that_was_joined() {
    on_a_host("device-joined", |place| {
        device();
        let (root, factory) = (rootfs(place), Factory::new().unwrap());
        let holder = factory.create(place.join("a"), &networked(&root, Vec::new())).unwrap();
        let pid = holder.init_pid().unwrap().unwrap();
        let mut config = networked(&root, vec![network("net0")]);
        let space = Namespace::Join(format!("/proc/{pid}/ns/net").into());
        config.namespaces.set(NamespaceKind::Network, space);
        for ended in [false, true] {
            let process =
                libcontainer::ProcessConfig::new(if ended { &["true"][..] } else { &["sleep", "1000"] });
            let (container, mut process) = factory.run(place.join("b"), &config, process).unwrap();
            assert!(on_the_host().is_none());
            if ended {
                process.wait().unwrap();
            }
            container.destroy().unwrap();
            let (link, _) = on_the_host().unwrap();
            assert_eq!((link.mtu, link.alias), (1400, None), "{ended}");
        }
        holder.destroy().unwrap();
    });
}

/// Who removes its directory by hand has not ended the container: the handle still knows what it has of the host's.
#[test]
fn what_a_container_has_of_the_host_is_given_back_by_a_handle_without_a_record() {
    on_a_host("device-taken", |place| {
        bridge("docker0", &["10.7.0.1/24"]);
        device();
        let before = super::host::links();
        let tables = super::host::tables();
        let networks = vec![network("net0"), veth("10.7.0.2/24", "10.7.0.1")];
        let config = networked(&rootfs(place), networks);
        let factory = Factory::new().unwrap();
        let container = factory.create(place.join("c"), &config).unwrap();
        std::fs::remove_dir_all(container.path()).unwrap();
        container.destroy().unwrap();
        let (link, _) = on_the_host().unwrap();
        assert_eq!(link.mtu, 1400);
        super::host::settled(&before);
        assert_eq!(super::host::tables(), tables);
        // A namesake in its directory is another container.
        let other = factory.create(place.join("c"), &config).unwrap();
        container.destroy().unwrap();
        assert!(on_the_host().is_none() && other.network().unwrap().links.len() >= 3);
        other.destroy().unwrap();
        super::host::settled(&before);
    });
}

/// Who makes a container and is killed behind the move leaves an init with the device, until destroy brings it home; else the kernel would have
/// deleted it.
#[test]
fn a_device_outlives_who_made_its_container() {
    on_a_host("device-killed", |place| {
        device();
        let (root, path) = (rootfs(place), place.join("0"));
        let factory = Factory::new().unwrap();
        let before = forsaken();
        for mode in ["reaper", "created", "run", "hooked"] {
            let mut away = 0;
            for step in 0..40 {
                let mut victim = std::process::Command::new(env!("CARGO_BIN_EXE_victim"));
                victim
                    .arg(place.path())
                    .arg(&root)
                    .args([mode, &step.to_string()])
                    .env("VICTIM_DEVICE", "dev0");
                let made = victim.stderr(std::process::Stdio::null()).status().unwrap().success();
                // Time for an init that leaves.
                std::thread::sleep(std::time::Duration::from_millis(20));
                away += usize::from(on_the_host().is_none());
                factory.destroy(&path).unwrap();
                let (link, _) = on_the_host().unwrap_or_else(|| panic!("{mode} {step}: the device is lost"));
                assert_eq!(link.mtu, 1400);
                if made {
                    break;
                }
            }
            assert!(away > 2, "{mode}: was away {away} times");
        }
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while forsaken().difference(&before).next().is_some() {
            assert!(std::time::Instant::now() < until, "left: {:?}", forsaken().difference(&before));
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    });
}

/// Inits whose makers are gone, and that have nothing open.
fn forsaken() -> std::collections::BTreeSet<i32> {
    let is_one = |pid: &i32| {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).map(Iterator::count);
        read("cmdline").starts_with("libcontainer-init")
            && read("status").contains("PPid:\t1\n")
            && matches!(open, Ok(0))
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_one).collect()
}

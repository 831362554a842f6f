//! Containers with networks of their own. Each test runs in a network namespace of its own, as its thread.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test ends by panicking"
)]

#[path = "network/command.rs"]
mod command;
#[path = "network/device.rs"]
mod device;
#[path = "network/failures.rs"]
mod failures;
#[path = "network/found.rs"]
mod found;
#[path = "network/going.rs"]
mod going;
#[path = "network/hairpin.rs"]
mod hairpin;
#[path = "network/held.rs"]
mod held;
#[path = "network/homecoming.rs"]
mod homecoming;
#[path = "network/host.rs"]
mod host;
#[path = "network/kinds.rs"]
mod kinds;
#[path = "network/lost.rs"]
mod lost;
#[path = "network/nat.rs"]
mod nat;
#[path = "network/transfer.rs"]
mod transfer;
#[path = "network/trial.rs"]
mod trial;

use std::path::Path;

use host::{bridge, exchange, links, name, networked, on_a_host, rootfs, run, settled, veth};
use libcontainer::network::netlink::{Ipvlan, LinkChange, LinkKind, MacvlanMode, Netlink, NewLink};
use libcontainer::{Config, ErrorKind, Factory, Namespace, NamespaceKind, Network, ProcessConfig, Route};
use libcontainer_tests::{config, skip, text};

/// Trap 20: counters of the host's end are told as the container's.
#[test]
fn two_containers_on_a_bridge() {
    on_a_host("net-pair", |place| {
        bridge("docker0", &["172.17.42.1/16", "fd00::1/64"]);
        let before = links();
        let root = rootfs(place);
        let factory = Factory::new().unwrap();
        let make = |called: &str, number: u8| {
            let mut network = veth(&format!("172.17.0.{number}/16"), "172.17.42.1");
            network.addresses = vec![format!("fd00::{number}/64")];
            network.gateway_v6 = "fd00::1".to_owned();
            factory.create(place.join(called), &networked(&root, vec![network])).unwrap()
        };
        let (first, second) = (make("first", 101), make("second", 102));
        for script in
            ["ping -c 1 -W 5 172.17.0.102", "ping -6 -c 1 -W 5 fd00::102", "ping -c 1 -W 5 172.17.42.1"]
        {
            let process = first.start(ProcessConfig::new(["sh", "-c", script]).piped()).unwrap();
            let output = process.output(10_000).unwrap();
            assert!(output.status.success(), "{script}: {}", text(&output));
        }
        exchange(&first, &second, "172.17.0.102:7777");
        exchange(&first, &second, "[fd00::102]:7778");
        let sent = first.network_stats().unwrap();
        assert_eq!(sent.first().map(|(name, _)| name.as_str()), Some("eth0"));
        assert!(sent[0].1.tx_bytes > 32 << 20 && second.network_stats().unwrap()[0].1.rx_bytes > 32 << 20);
        let state = std::fs::read_to_string(place.join("first/state.json")).unwrap();
        assert!(state.contains("\"veth_child\":\"eth0\""), "{state}");
        first.destroy().unwrap();
        second.destroy().unwrap();
        settled(&before);
    });
}

#[test]
fn the_sample_of_2014_works_as_written() {
    on_a_host("net-sample", |place| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../crates/libcontainer/samples/attach_to_bridge.json");
        let (mut config, _) = Config::from_file(&path, libcontainer::Mode::Strict).unwrap();
        config.rootfs = rootfs(place);
        config.tty = false;
        config.user = String::new();
        config.cgroups = None;
        let veth = config.networks.iter().find(|network| network.kind == "veth").unwrap().clone();
        let missing = Factory::new().unwrap().create(place.join("c"), &config).unwrap_err();
        assert!(missing.to_string().contains(&format!("bridge {}: is not there", veth.bridge)), "{missing}");
        bridge(&veth.bridge, &[&format!("{}/16", veth.gateway)]);
        let found =
            run(&Factory::new().unwrap(), place, &config, "ip -4 addr show; ip route; ip link show eth0");
        let address = veth.address;
        assert!(
            found.contains(&address) && found.contains(&format!("default via {}", veth.gateway)),
            "{found}"
        );
        assert!(
            found.contains("MULTICAST") && found.contains("mtu 1500") && found.contains("LOOPBACK,UP"),
            "{found}"
        );
    });
}

/// Trap 35: a bridge that is made for a container has a random address, another one each time.
#[test]
fn a_bridge_is_made_and_goes_with_its_last_port() {
    on_a_host("net-bridge", |place| {
        let root = rootfs(place);
        let factory = Factory::new().unwrap();
        let network = |number: u8| Network {
            create_bridge: true,
            bridge_addresses: vec!["10.9.0.1/24".to_owned()],
            ..veth(&format!("10.9.0.{number}/24"), "10.9.0.1")
        };
        let before = links();
        let mac = || Netlink::open().unwrap().link("docker0").unwrap().mac;
        let again = factory.create(place.join("a"), &networked(&root, vec![network(2)])).unwrap();
        let other = mac();
        again.destroy().unwrap();
        let one = factory.create(place.join("a"), &networked(&root, vec![network(2)])).unwrap();
        assert_ne!(mac(), other, "the address of the bridge before");
        let two = factory.create(place.join("b"), &networked(&root, vec![network(3)])).unwrap();
        let process =
            two.start(ProcessConfig::new(["ping", "-c", "1", "-W", "5", "10.9.0.1"]).piped()).unwrap();
        let output = process.output(1000).unwrap();
        assert!(output.status.success(), "{}", text(&output));
        one.destroy().unwrap();
        assert!(links().contains("docker0"));
        two.destroy().unwrap();
        settled(&before);
    });
}

/// Trap 18: each interface stands in the record, an MTU of 0 is the kernel's. Trap 19: `eth0` is only a default.
#[test]
fn every_interface_is_recorded() {
    on_a_host("net-several", |place| {
        bridge("docker0", &["10.9.0.1/24"]);
        let before = links();
        let plain = Network { mtu: 0, ..veth("10.9.0.2/24", "") };
        let named = Network { name: "uplink".to_owned(), mtu: 1400, ..veth("10.9.0.3/24", "10.9.0.1") };
        let last = Network { mtu: 0, ..veth("10.9.0.4/24", "") };
        let config = networked(&rootfs(place), vec![plain, named, last]);
        let container = Factory::new().unwrap().create(place.join("c"), &config).unwrap();
        let output = container.start(ProcessConfig::new(["ip", "addr"]).piped()).unwrap();
        let found = text(&output.output(10_000).unwrap());
        let words = found.split_whitespace().collect::<Vec<_>>();
        let mtu = |link: &str| {
            let at = words.iter().position(|word| word.starts_with(&format!("{link}@"))).unwrap();
            words[at..].iter().skip_while(|word| **word != "mtu").nth(1).unwrap().to_string()
        };
        assert_eq!([mtu("eth0"), mtu("uplink"), mtu("eth2")], ["1500", "1400", "1500"], "{found}");
        let state = std::fs::read_to_string(place.join("c/state.json")).unwrap();
        let state: serde_json::Value = serde_json::from_str(&state).unwrap();
        let all = state["network_state"]["interfaces"].as_array().unwrap().clone();
        let names: Vec<_> = all.iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["eth0", "uplink", "eth2"], "{state}");
        assert_eq!(state["network_state"]["veth_host"], all[0]["host_name"], "the first, as in 2014");
        let hosts: Vec<_> = all.iter().map(|one| one["host_name"].as_str().unwrap().to_owned()).collect();
        assert!(hosts.iter().all(|host| links().contains(host)), "{hosts:?}");
        container.destroy().unwrap();
        settled(&before);
    });
}

/// Whether the kernel can make links of this kind.
fn has(host: &mut Netlink, kind: &str) -> bool {
    let index = host.index(&name("base0")).unwrap();
    let kind = match kind {
        "macvlan" => LinkKind::Macvlan(MacvlanMode::Bridge),
        "ipvlan" => LinkKind::Ipvlan(Ipvlan::default()),
        _ => return true,
    };
    let made = host.add(&NewLink::new(name("probe0"), kind).parent(index));
    if made.is_ok() {
        let index = host.index(&name("probe0")).unwrap();
        host.delete(&index).unwrap();
    }
    made.is_ok()
}

#[test]
fn other_kinds_of_interfaces() {
    on_a_host("net-kinds", |place| {
        let mut host = Netlink::open().unwrap();
        host.add(&NewLink::veth(name("base0"), name("move0"))).unwrap();
        let index = host.index(&name("base0")).unwrap();
        host.set(&LinkChange::new(index).up()).unwrap();
        let before = links();
        let other = |kind: &str, device: &str, address: &str| Network {
            kind: kind.to_owned(),
            device: device.to_owned(),
            address: address.to_owned(),
            ..Network::default()
        };
        let mac = Network {
            mac_address: "02:00:00:00:00:07".to_owned(),
            mtu: 1400,
            name: "mac0".to_owned(),
            ..other("macvlan", "base0", "10.1.0.2/24")
        };
        let ipvlan = other("ipvlan", "base0", "10.2.0.2/24");
        let moved = Network { mtu: 1300, ..other("host-device", "move0", "10.3.0.2/24") };
        let root = rootfs(place);
        let kinds = [
            (vec![mac], vec!["mac0", "10.1.0.2/24", "02:00:00:00:00:07", "mtu 1400"]),
            (vec![ipvlan], vec!["eth0", "10.2.0.2/24"]),
            (vec![moved], vec!["eth0", "10.3.0.2/24", "mtu 1300"]),
        ];
        for (networks, wanted) in kinds {
            if let Some(kind) =
                networks.iter().map(|network| network.kind.as_str()).find(|kind| !has(&mut host, kind))
            {
                skip("other_kinds_of_interfaces", &format!("this kernel has no {kind}"));
                continue;
            }
            // The kernel deletes virtual devices with their namespace: it must live until they are brought back.
            let container =
                Factory::new().unwrap().create(place.join("one"), &networked(&root, networks)).unwrap();
            let process = container.start(ProcessConfig::new(["ip", "addr"]).piped()).unwrap();
            let found = text(&process.output(10_000).unwrap());
            container.destroy().unwrap();
            for part in wanted {
                assert!(found.contains(part), "{part}: {found}");
            }
            settled(&before);
        }
    });
}

/// Trap 17: a destination is masked, and a gateway needs no device.
#[test]
fn every_form_of_a_route() {
    on_a_host("net-routes", |place| {
        bridge("docker0", &["10.0.0.1/24"]);
        let before = links();
        let mut network = veth("10.0.0.2/24", "");
        network.addresses = vec!["fd01::2/64".to_owned()];
        let route = |destination: &str, source: &str, gateway: &str, interface_name: &str| Route {
            destination: destination.to_owned(),
            source: source.to_owned(),
            gateway: gateway.to_owned(),
            interface_name: interface_name.to_owned(),
        };
        let mut config = networked(&rootfs(place), vec![network]);
        config.routes = vec![
            // Host bits are masked, and a gateway needs no interface.
            route("192.168.7.9/24", "", "10.0.0.1", ""),
            route("192.168.8.0/24", "", "", "eth0"),
            route("", "", "10.0.0.1", "eth0"),
            route("fd02::1/48", "", "fd01::1", "eth0"),
            route("fd03::/48", "fd01::/64", "fd01::1", "eth0"),
            route("", "fd01::/64", "fd01::1", "eth0"),
        ];
        let found = run(&Factory::new().unwrap(), place, &config, "ip route; ip -6 route");
        for part in [
            "192.168.7.0/24 via 10.0.0.1",
            "192.168.8.0/24 dev eth0",
            "default via 10.0.0.1",
            "fd02::/48 via fd01::1",
            "fd03::/48 from fd01::/64",
            "default from fd01::/64",
        ] {
            assert!(found.contains(part), "{part}: {found}");
        }
        for (route, wanted) in [
            (route("10.5.0.0/16", "fd01::/64", "", "eth0"), "one family"),
            (route("10.5.0.0/16", "", "fd01::1", "eth0"), "one family"),
            (route("", "", "", "eth0"), "must not be blank"),
            (route("10.5.0.0/16", "", "", ""), "interface_name"),
            (route("10.5.0.0", "", "10.0.0.1", ""), "destination"),
            (route("", "", "10.0.0", ""), "no address"),
            (route("10.5.0.0/33", "", "10.0.0.1", ""), "destination"),
        ] {
            config.routes = vec![route.clone()];
            let error = Factory::new().unwrap().create(place.join("c"), &config).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(error.to_string().contains(wanted), "{route:?}: {error}");
        }
        config.routes = vec![route("10.5.0.0/16", "", "10.77.0.1", "eth0")];
        let error = Factory::new().unwrap().create(place.join("c"), &config).unwrap_err();
        assert!(error.to_string().contains("route to 10.5.0.0/16 via 10.77.0.1 dev eth0"), "{error}");
        settled(&before);
    });
}

#[test]
fn a_namespace_by_path() {
    on_a_host("net-path", |place| {
        let root = rootfs(place);
        bridge("docker0", &["10.0.0.1/24"]);
        let factory = Factory::new().unwrap();
        let first = factory
            .create(place.join("a"), &networked(&root, vec![veth("10.0.0.2/24", "10.0.0.1")]))
            .unwrap();
        let pid = first.init_pid().unwrap().unwrap();
        let mut config = config(&root);
        config.networks = vec![Network {
            kind: "netns".to_owned(),
            ns_path: format!("/proc/{pid}/ns/net"),
            ..Network::default()
        }];
        let both = factory.create(place.join("b"), &config).unwrap_err();
        assert!(both.to_string().contains("one network namespace"), "{both}");
        config.namespaces.share(NamespaceKind::Network);
        let found = run(&factory, place, &config, "ip -4 addr show eth0");
        assert!(found.contains("10.0.0.2/24"), "{found}");
        // One more interface in a namespace that was joined: made when the init is in it.
        config.networks = vec![Network {
            bridge: "docker0".to_owned(),
            name: "eth7".to_owned(),
            ..veth("10.0.0.7/24", "")
        }];
        config.namespaces.set(NamespaceKind::Network, Namespace::Join(format!("/proc/{pid}/ns/net").into()));
        let found = run(&factory, place, &config, "ip -4 addr show eth7");
        assert!(found.contains("10.0.0.7/24"), "{found}");
        config.networks[0] =
            Network { kind: "netns".to_owned(), ns_path: "/etc/passwd".to_owned(), ..Network::default() };
        config.namespaces.share(NamespaceKind::Network);
        let error = factory.create(place.join("b"), &config).unwrap_err();
        assert!(error.to_string().contains("is no net namespace"), "{error}");
        first.destroy().unwrap();
    });
}

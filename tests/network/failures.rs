//! Bad configs, failed and killed creates, many at a time: nothing is left.

use libcontainer::network::netlink::{Netlink, NewLink};
use libcontainer::plan::{Fault, Lane};
use libcontainer::{Factory, Network, Route};

use super::host::{
    bridge, links, name, networked, on_a_host, port, rootfs, settled, tables, translates, veth,
};

/// Trap 18: each step of a network is taken back.
#[test]
fn nothing_remains_of_a_failed_network() {
    on_a_host("net-faults", |place| {
        let mut network = Network {
            create_bridge: true,
            bridge_addresses: vec!["10.9.0.1/24".to_owned()],
            ..veth("10.9.0.2/24", "10.9.0.1")
        };
        if translates("nothing_remains_of_a_failed_network (NAT)") {
            (network.nat, network.forward, network.ports) = (true, true, vec![port(8080, 80, "tcp")]);
        }
        let mut config = networked(&rootfs(place), vec![network]);
        config.routes = vec![Route {
            destination: "10.8.0.0/16".to_owned(),
            gateway: "10.9.0.1".to_owned(),
            ..Route::default()
        }];
        let before = links();
        Factory::new().unwrap().create(place.join("c"), &config).unwrap().destroy().unwrap();
        for lane in [Lane::Host, Lane::Child] {
            let mut step = 0;
            loop {
                let factory = Factory::new().unwrap().inject(Fault { lane, step, errno: libc::EIO });
                let result =
                    factory.create(place.join("c"), &config).and_then(|container| container.destroy());
                settled(&before);
                assert!(tables().is_empty(), "{lane:?} {step}");
                assert!(!place.join("c").exists(), "{lane:?} {step}");
                if result.is_ok() && step > 12 {
                    break;
                }
                // The child's steps were failed one by one elsewhere; here every tenth will do.
                step += if lane == Lane::Host { 1 } else { 10 };
            }
        }
    });
}

#[test]
fn bad_networks() {
    on_a_host("net-bad", |place| {
        bridge("docker0", &[]);
        let mut host = Netlink::open().unwrap();
        host.add(&NewLink::veth(name("dummy0"), name("dummy1"))).unwrap();
        let root = rootfs(place);
        let before = links();
        let good = serde_json::to_value(veth("10.0.0.2/24", "")).unwrap();
        let mut count = 0;
        for line in include_str!("../bad_networks.txt")
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
        {
            let mut parts = line.split(" | ");
            let (Some(change), Some(wanted)) = (parts.next(), parts.next()) else { panic!("{line}") };
            let mut value = good.clone();
            let change: serde_json::Map<String, serde_json::Value> = serde_json::from_str(change).unwrap();
            value.as_object_mut().unwrap().extend(change);
            let network: Network = serde_json::from_value(value).unwrap();
            let error = Factory::new()
                .unwrap()
                .create(place.join("c"), &networked(&root, vec![network]))
                .expect_err(line);
            assert!(error.to_string().contains(wanted), "{line}: {error}");
            assert_eq!(links(), before, "{line}");
            assert!(!place.join("c").exists(), "{line}");
            count += 1;
        }
        assert!(count >= 40, "{count} cases");
    });
}

#[test]
fn five_hundred_containers_beside_a_busy_neighbour() {
    on_a_host("net-many", |place| {
        bridge("docker0", &["10.0.0.1/16"]);
        let before = links();
        let root = rootfs(place);
        let done = std::sync::atomic::AtomicBool::new(false);
        let next = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            // Threads are born in the network namespace of their parent: this test's host.
            scope.spawn(|| {
                let mut host = Netlink::open().unwrap();
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    host.add(&NewLink::veth(name("noise0"), name("noise1"))).unwrap();
                    let index = host.index(&name("noise0")).unwrap();
                    host.delete(&index).unwrap();
                }
            });
            let work = || {
                let factory = Factory::new().unwrap();
                loop {
                    let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    if number >= 500 {
                        return;
                    }
                    let address = format!("10.0.{}.{}/16", number / 250 + 1, number % 250 + 1);
                    let config = networked(&root, vec![veth(&address, "10.0.0.1")]);
                    let container = factory.create(place.join(&format!("c{number}")), &config).unwrap();
                    container.destroy().unwrap();
                }
            };
            let workers: Vec<_> = (0..20).map(|_| scope.spawn(work)).collect();
            let ended: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
            done.store(true, std::sync::atomic::Ordering::Relaxed);
            assert!(ended.iter().all(Result::is_ok));
        });
        settled(&before);
    });
}

#[test]
fn a_killed_creator_leaves_no_link() {
    on_a_host("net-killed", |place| {
        let root = rootfs(place);
        let before = links();
        let nat = translates("a_killed_creator_leaves_no_link (NAT)");
        for step in 0.. {
            let mut victim = std::process::Command::new(env!("CARGO_BIN_EXE_victim"));
            victim
                .arg(place.path())
                .arg(&root)
                .args(["reaper", &step.to_string()])
                .env("VICTIM_BRIDGE", "vicbr0");
            if nat {
                victim.env("VICTIM_NAT", "yes");
            }
            let status = victim.stderr(std::process::Stdio::null()).status().unwrap();
            Factory::new().unwrap().destroy(place.join("0")).unwrap();
            settled(&before);
            assert!(tables().is_empty(), "killed at host step {step}");
            if status.success() {
                assert!(step > 10, "{step}");
                break;
            }
        }
    });
}

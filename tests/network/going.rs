//! Nobody waits for the kernel to take a pair away, and nothing is left to it that does not go.

use std::cell::Cell;
use std::fs::File;
use std::rc::Rc;

use libcontainer::network::netlink::faults::{Call, Fault, inject};
use libcontainer::network::{Going, find_marked, remove_later};
use libcontainer::{Factory, Network, ProcessConfig};
use libcontainer_tests::text;

use super::host::{bridge, links, networked, on_a_host, rootfs, settled, tables, veth};

#[test]
fn the_next_container_has_the_address_of_the_last_at_once() {
    on_a_host("going-next", |place| {
        bridge("docker0", &["10.9.0.1/24"]);
        let before = links();
        let config = networked(&rootfs(place), vec![veth("10.9.0.2/24", "10.9.0.1")]);
        let factory = Factory::new().unwrap();
        for round in 0..10 {
            let container = factory.create(place.join("c"), &config).unwrap();
            let ping = ProcessConfig::new(["ping", "-c", "1", "-W", "5", "10.9.0.1"]).piped();
            let output = container.start(ping).unwrap().output(1000).unwrap();
            assert!(output.status.success(), "round {round}: {}", text(&output));
            container.destroy().unwrap();
            assert!(!place.join("c").exists());
        }
        settled(&before);
    });
}

/// Somebody has the namespace open: the kernel would keep it, and the pair.
#[test]
fn a_pair_whose_namespace_stays_is_deleted() {
    on_a_host("going-held", |place| {
        let before = links();
        let own = Network {
            create_bridge: true,
            bridge_addresses: vec!["10.9.0.1/24".to_owned()],
            ..veth("10.9.0.2/24", "10.9.0.1")
        };
        let config = networked(&rootfs(place), vec![own]);
        let container = Factory::new().unwrap().create(place.join("c"), &config).unwrap();
        let pid = container.init_pid().unwrap().unwrap();
        let held = File::open(format!("/proc/{pid}/ns/net")).unwrap();
        container.destroy().unwrap();
        assert_eq!(links(), before);
        drop(held);
    });
}

/// The same of a container that is young: it goes when it is let go of, and is found by its mark until then.
#[test]
fn a_pair_that_is_held_is_found() {
    on_a_host("going-young", |place| {
        bridge("docker0", &[]);
        let before = links();
        let config = networked(&rootfs(place), vec![veth("10.9.0.2/24", "")]);
        let factory = Factory::new().unwrap();
        for removed in [false, true] {
            let container = factory.create(place.join("c"), &config).unwrap();
            let pid = container.init_pid().unwrap().unwrap();
            let held = File::open(format!("/proc/{pid}/ns/net")).unwrap();
            container.destroy().unwrap();
            let found = find_marked(&place.join("c")).unwrap();
            assert!(found.links.len() <= 1 && found.bridges.is_empty(), "{found:?}");
            if removed {
                found.remove().unwrap();
                assert_eq!(links(), before);
            }
            drop(held);
            settled(&before);
        }
    });
}

/// That it can't be known whether a pair goes is no reason to leave it, and no reason to forget it.
#[test]
fn what_cannot_be_known_keeps_the_record() {
    on_a_host("going-unknown", |place| {
        let before = links();
        let own = Network { create_bridge: true, ..veth("10.9.0.2/24", "") };
        let config = networked(&rootfs(place), vec![own]);
        let container = Factory::new().unwrap().create(place.join("c"), &config).unwrap();
        let blind = inject(|call| (*call == Call::Receive).then_some(Fault::Refused(libc::EPROTO)));
        let error = container.destroy().unwrap_err().to_string();
        drop(blind);
        assert!(error.contains("bridge docker0") && error.contains("Protocol error"), "{error}");
        assert!(place.join("c").exists());
        container.destroy().unwrap();
        assert!(!place.join("c").exists());
        settled(&before);
    });
}

/// Each call of it fails once, before and after the kernel has acted; a second time it succeeds.
#[test]
fn settling_is_repeated() {
    on_a_host("going-faults", |place| {
        let before = links();
        let own = Network { create_bridge: true, ..veth("10.9.0.2/24", "") };
        let config = networked(&rootfs(place), vec![own]);
        for number in 0.. {
            let factory = Factory::new().unwrap();
            let container = factory.create(place.join("c"), &config).unwrap();
            // Its processes live, so that the namespace stands and all has to be deleted.
            let going = remove_later(&container.network_record().unwrap(), None).unwrap();
            let (next, hit) = (Cell::new(0), Rc::new(Cell::new(false)));
            let seen = Rc::clone(&hit);
            let fault = if number % 2 == 0 { Fault::Refused(libc::EPROTO) } else { Fault::Lost(libc::EIO) };
            let injected = inject(move |_| {
                let here = next.replace(next.get() + 1) == number / 2;
                hit.set(hit.get() || here);
                here.then_some(fault)
            });
            let settled = going.settle();
            drop(injected);
            if settled.is_err() {
                going.settle().unwrap();
            }
            assert_eq!(links(), before, "call {}, {fault:?}: {settled:?}", number / 2);
            container.destroy().unwrap();
            if !seen.get() {
                assert!(number > 8, "{number}");
                break;
            }
        }
    });
}

#[test]
fn what_is_left_is_plain_data() {
    on_a_host("going-data", |place| {
        bridge("docker0", &[]);
        let before = links();
        let config = networked(&rootfs(place), vec![veth("10.9.0.2/24", "")]);
        let container = Factory::new().unwrap().create(place.join("c"), &config).unwrap();
        let record = container.network_record().unwrap();
        let going = remove_later(&record, None).unwrap();
        assert_eq!(going.links().collect::<Vec<_>>(), [record.veth_host.as_str()]);
        let text = serde_json::to_string(&going).unwrap();
        let going: Going = serde_json::from_str(&text).unwrap();
        // Its processes live: it does not go by itself, and someone has to finish it.
        assert!(!going.is_gone().unwrap() && !going.is_empty());
        going.finish().unwrap();
        going.finish().unwrap();
        assert!(going.is_gone().unwrap());
        assert_eq!((links(), tables()), (before, Vec::new()));
        // With a namespace that was joined nothing is left to the kernel.
        let joined = libcontainer::NetworkState { ns_path: "/run/netns/x".to_owned(), ..record };
        assert!(remove_later(&joined, None).unwrap().is_empty());
        container.destroy().unwrap();
    });
}

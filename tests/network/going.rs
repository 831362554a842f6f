//! Nobody waits for the kernel to take a pair away, and nothing is left to it that does not go.

use std::fs::File;

use libcontainer::network::netlink::faults::{Call, Fault, inject};
use libcontainer::network::{Going, remove_later};
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

/// That it can't be known whether a pair goes is no reason to leave it, and no reason to forget it.
#[test]
fn what_cannot_be_known_keeps_the_record() {
    on_a_host("going-unknown", |place| {
        bridge("docker0", &[]);
        let before = links();
        let config = networked(&rootfs(place), vec![veth("10.9.0.2/24", "")]);
        let container = Factory::new().unwrap().create(place.join("c"), &config).unwrap();
        let blind = inject(|call| (*call == Call::Receive).then_some(Fault::Refused(libc::EPROTO)));
        let error = container.destroy().unwrap_err().to_string();
        drop(blind);
        assert!(error.contains("link veth") && error.contains("Protocol error"), "{error}");
        assert!(place.join("c").exists());
        container.destroy().unwrap();
        assert!(!place.join("c").exists());
        settled(&before);
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

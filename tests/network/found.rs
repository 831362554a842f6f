//! What is made is marked, and found again when its record is lost.

use libcontainer::network::netlink::{LinkChange, Netlink, NewLink};
use libcontainer::network::{Found, find_marked};
use libcontainer::{Factory, Network};

use super::host::{
    bridge, links, name, networked, on_a_host, port, rootfs, settled, tables, translates, veth,
};

fn own(number: u8) -> Network {
    Network {
        create_bridge: true,
        bridge_addresses: vec!["10.9.0.1/24".to_owned()],
        ..veth(&format!("10.9.0.{number}/24"), "10.9.0.1")
    }
}

#[test]
fn what_has_lost_its_record_is_found_and_removed() {
    on_a_host("net-found", |place| {
        let before = links();
        let root = rootfs(place);
        let mut network = own(2);
        let nat = translates("what_has_lost_its_record_is_found_and_removed (NAT)");
        if nat {
            (network.nat, network.forward, network.ports) = (true, true, vec![port(8080, 80, "tcp")]);
        }
        let factory = Factory::new().unwrap();
        // One whose path is the beginning of the other's.
        let (first, second) = (place.join("c"), place.join("cc"));
        let one = factory.create(&first, &networked(&root, vec![network])).unwrap();
        let two = factory.create(&second, &networked(&root, vec![own(3)])).unwrap();
        let record = one.network_record().unwrap();
        let found = find_marked(&first).unwrap();
        let host = name(&record.interfaces[0].host_name);
        let table = nat.then(|| record.nft_table.clone());
        let wanted = Found {
            links: vec![host],
            bridges: vec![name("docker0")],
            tables: table.into_iter().collect(),
            ..Found::default()
        };
        assert_eq!(found, wanted);
        assert_eq!(record.mark, format!("libcontainer:{}", first.display()));
        // Its port goes, but the bridge is the other's too.
        found.remove().unwrap();
        found.remove().unwrap();
        assert!(tables().is_empty() && links().contains("docker0") && !links().contains(&host.to_string()));
        assert_eq!(
            find_marked(&first).unwrap(),
            Found { bridges: vec![name("docker0")], ..Found::default() }
        );
        let other = find_marked(&second).unwrap();
        assert_eq!((other.links.len(), other.bridges.len()), (1, 1), "{other:?}");
        // It goes with its last port, whoever it was made for.
        other.remove().unwrap();
        settled(&before);
        assert!(find_marked(&first).unwrap().is_empty());
        // The records speak of what is gone.
        one.destroy().unwrap();
        two.destroy().unwrap();
    });
}

#[test]
fn what_others_have_made_is_left_alone() {
    on_a_host("net-theirs", |place| {
        bridge("docker0", &["10.9.0.1/24"]);
        let mut host = Netlink::open().unwrap();
        let before = links();
        let container = Factory::new()
            .unwrap()
            .create(place.join("c"), &networked(&rootfs(place), vec![own(2)]))
            .unwrap();
        // It was there: no mark of ours, and it stays.
        assert_eq!(host.link(&name("docker0")).unwrap().alias, None);
        let end = name(&container.network_record().unwrap().interfaces[0].host_name);
        // Somebody has renamed the end of the pair and made a bridge in its place.
        let index = host.index(&end).unwrap();
        host.set(&LinkChange::new(index).down()).unwrap();
        host.set(&LinkChange::new(index).name(name("renamed0"))).unwrap();
        host.add(&NewLink::bridge(end, Default::default())).unwrap();
        container.destroy().unwrap();
        assert!(links().contains(&end.to_string()) && links().contains("docker0"));
        // What has another name is still found by its mark, as long as the kernel has not taken it away with the other end.
        find_marked(&place.join("c")).unwrap().remove().unwrap();
        let index = host.index(&end).unwrap();
        host.delete(&index).unwrap();
        settled(&before);
    });
}

/// Before there was a turn, a bridge was deleted under a port that had just been added, and its container was cut off.
#[test]
fn a_bridge_is_not_deleted_under_a_new_port() {
    on_a_host("net-turns", |place| {
        let before = links();
        let root = rootfs(place);
        std::thread::scope(|scope| {
            for number in 2..6_u8 {
                let (root, place) = (&root, &place);
                scope.spawn(move || {
                    let factory = Factory::new().unwrap();
                    let mut host = Netlink::open().unwrap();
                    let config = networked(root, vec![own(number)]);
                    for round in 0..8 {
                        let container = factory.create(place.join(&format!("c{number}")), &config).unwrap();
                        let end = container.network_record().unwrap().interfaces[0].host_name.clone();
                        let end = host.link(&name(&end)).unwrap();
                        let master = host.link(&name("docker0")).unwrap();
                        assert_eq!(end.master, Some(master.index), "round {round}");
                        container.destroy().unwrap();
                    }
                });
            }
        });
        settled(&before);
    });
}

//! The host's side of a container's network (class 4).

use std::fs;
use std::path::Path;

use libcontainer::{Factory, Network};
use libcontainer_tests::skip;

use crate::{Attack, joined, sh};

/// Runs it in a thread with a new network namespace, which is this test's host.
fn on_a_host(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            test();
        });
        if let Err(panic) = run.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// CVE-2020-13401, CNI CVE-2020-10749: a container with the right to raw sockets says that it is a router. The host does not follow.
#[test]
fn the_host_follows_no_router_inside() {
    if !Path::new("/proc/sys/net/ipv6").exists() {
        return skip("the_host_follows_no_router_inside", "no IPv6");
    }
    let Some(mut attack) = Attack::new("router") else { return };
    attack.arm();
    attack.config.capabilities.push("NET_RAW".into());
    attack.config.networks.push(Network {
        kind: "veth".into(),
        bridge: "lcevil".into(),
        create_bridge: true,
        bridge_addresses: vec!["10.9.0.1/24".into()],
        veth_prefix: "evil".into(),
        address: "10.9.0.2/24".into(),
        ..Network::default()
    });
    on_a_host(|| {
        let container = Factory::new().unwrap().create(attack.place.join("c"), &attack.config).unwrap();
        // A bridge that has just come up forwards at once; its own address is not needed to be told of a router.
        let script =
            "for i in 1 2 3 4 5; do inside advertise $(cat /sys/class/net/eth0/ifindex); sleep 0.2; done";
        let sent = joined(&container, sh(script));
        let routes = fs::read_to_string("/proc/thread-self/net/ipv6_route").unwrap();
        let addresses = fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap();
        container.destroy().unwrap();
        assert!(sent.contains("ok "), "{sent}");
        for line in routes.lines().chain(addresses.lines()) {
            assert!(
                !line.contains("20010db80bad") && !line.contains("fe800000000000000000000000000bad"),
                "{routes}{addresses}"
            );
        }
    });
}

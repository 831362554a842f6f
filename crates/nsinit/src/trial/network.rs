//! The network of a trial.

use std::fs;

use libcontainer::Network;

use crate::failure::{Failure, Named};

/// Without root: the host's network, as far as its sockets go.
pub(super) fn borrowed() -> Network {
    Network { kind: "pasta".to_owned(), ..Network::default() }
}

const FORWARDS: &str = "/proc/sys/net/ipv4/ip_forward";

/// A bridge with the two of us on it, in a network that this host does not have yet. It goes with the container.
pub(super) fn private() -> Result<Network, Failure> {
    use libcontainer::network::netlink::{Cidr, Netlink};
    let failed = |error| Failure::new(format!("--net: {error}"));
    let mut host = Netlink::open().map_err(failed)?;
    let taken = host.addresses(None).map_err(failed)?;
    let pid = std::process::id();
    // RACE: another trial may look at the same time: where they begin to look depends on their pids.
    let free = (0..250 * 256).map(|step| (pid + step) % (250 * 256)).find_map(|number| {
        // Numbers in range always make an address.
        let gateway: Cidr = format!("10.{}.{}.1/24", 5 + number / 256, number % 256).parse().ok()?;
        let clash = |other: Cidr| other.contains(gateway.address()) || gateway.contains(other.address());
        (!taken.iter().any(|address| clash(address.address))).then_some(gateway)
    });
    let gateway = free.ok_or_else(|| Failure::new("--net: every network below 10.0.0.0/8 is taken"))?;
    let address = gateway.to_string().replace(".1/24", ".2/24");
    Ok(Network {
        kind: "veth".to_owned(),
        bridge: format!("try{pid}"),
        create_bridge: true,
        bridge_addresses: vec![gateway.to_string()],
        veth_prefix: "try".to_owned(),
        gateway: gateway.address().to_string(),
        address,
        // As far as this host forwards at all: whether it does is not for a trial to change.
        nat: fs::read(FORWARDS).named(format_args!("read {FORWARDS}"))?.starts_with(b"1"),
        ..Network::default()
    })
}

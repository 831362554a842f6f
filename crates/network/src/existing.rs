//! The network of a container that exists: measured, looked at.

use std::fs::File;
use std::os::fd::AsFd;

use libcontainer_netlink::{Address, Link, Name, Netlink, Route, RouteFilter, Stats64};
use serde::{Deserialize, Serialize};

use crate::config::NetworkState;
use crate::error::{Named, Result};

/// Counters, as the container sees them: 2014's eight keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names say it: bytes, packets, errors and drops of both directions")]
pub struct NetworkStats {
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

impl NetworkStats {
    fn of(stats: &Stats64) -> Self {
        Self {
            rx_bytes: stats.rx_bytes,
            rx_packets: stats.rx_packets,
            rx_errors: stats.rx_errors,
            rx_dropped: stats.rx_dropped,
            tx_bytes: stats.tx_bytes,
            tx_packets: stats.tx_packets,
            tx_errors: stats.tx_errors,
            tx_dropped: stats.tx_dropped,
        }
    }

    /// What the other end of a pair counts: what the one sends the other receives.
    #[must_use]
    pub fn swapped(self) -> Self {
        Self {
            rx_bytes: self.tx_bytes,
            rx_packets: self.tx_packets,
            rx_errors: self.tx_errors,
            rx_dropped: self.tx_dropped,
            tx_bytes: self.rx_bytes,
            tx_packets: self.rx_packets,
            tx_errors: self.rx_errors,
            tx_dropped: self.rx_dropped,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            rx_bytes: self.rx_bytes.wrapping_add(other.rx_bytes),
            rx_packets: self.rx_packets.wrapping_add(other.rx_packets),
            rx_errors: self.rx_errors.wrapping_add(other.rx_errors),
            rx_dropped: self.rx_dropped.wrapping_add(other.rx_dropped),
            tx_bytes: self.tx_bytes.wrapping_add(other.tx_bytes),
            tx_packets: self.tx_packets.wrapping_add(other.tx_packets),
            tx_errors: self.tx_errors.wrapping_add(other.tx_errors),
            tx_dropped: self.tx_dropped.wrapping_add(other.tx_dropped),
        }
    }

    /// The sum.
    #[must_use]
    pub fn total<'a>(all: impl IntoIterator<Item = &'a Self>) -> Self {
        all.into_iter().fold(Self::default(), |sum, one| sum.plus(*one))
    }
}

/// The network of a running container, from outside.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// All links, `lo` included, with their counters.
    pub links: Vec<Link>,
    /// Their addresses.
    pub addresses: Vec<Address>,
    /// Routes of the main table.
    pub routes: Vec<Route>,
}

/// Looks into a network namespace (an open `/proc/PID/ns/net`), by three dumps.
///
/// # Errors
/// [`crate::Error::Netlink`].
pub fn look(namespace: &File) -> Result<View> {
    view(&mut Netlink::in_namespace(namespace.as_fd()).named(of_the_container)?)
}

/// Looks into the network namespace of the calling thread, by three dumps: for programs that have entered a container's user
/// namespace, which is the only way to its network for those who are not root.
///
/// # Errors
/// [`crate::Error::Netlink`].
pub fn look_here() -> Result<View> {
    view(&mut Netlink::open().named(of_the_container)?)
}

fn of_the_container() -> String {
    "network of the container".to_owned()
}

fn view(netlink: &mut Netlink) -> Result<View> {
    let what = of_the_container;
    let links = netlink.links().named(what)?;
    let addresses = netlink.addresses(None).named(what)?;
    let filter = RouteFilter { table: Some(libcontainer_netlink::Table::MAIN), ..RouteFilter::default() };
    let routes = netlink.routes(&filter).named(what)?;
    Ok(View { links, addresses, routes })
}

/// Counters of each recorded interface, as the container sees them. Those of a veth pair are read at the host's end and swapped,
/// as in 2014; others need `namespace`, without which they are left out.
///
/// # Errors
/// [`crate::Error::Netlink`]. An interface that is gone is left out.
pub fn stats(state: &NetworkState, namespace: Option<&File>) -> Result<Vec<(String, NetworkStats)>> {
    let mut all = Vec::new();
    let (mut host, mut inside) = (None, None);
    for interface in &state.interfaces {
        let what = || format!("counters of {}", interface.name);
        let veth = interface.kind == "veth";
        let name = name(if veth { &interface.host_name } else { &interface.name })?;
        let side = if veth { &mut host } else { &mut inside };
        if side.is_none() {
            *side = match (veth, namespace) {
                (true, _) => Some(Netlink::open().named(what)?),
                (false, Some(namespace)) => Some(Netlink::in_namespace(namespace.as_fd()).named(what)?),
                (false, None) => None,
            };
        }
        let Some(netlink) = side else { continue };
        match netlink.link_with(&name, |link| NetworkStats::of(&link.stats())) {
            Err(error) if error.is_not_found() => {}
            stats => {
                let stats = stats.named(what)?;
                all.push((interface.name.clone(), if veth { stats.swapped() } else { stats }));
            }
        }
    }
    Ok(all)
}

fn name(text: &str) -> Result<Name> {
    Name::new(text).named(|| "network state".to_owned())
}

//! The operations on links: made from the host, configured inside, taken away.

use std::cell::Cell;
use std::fs::File;
use std::os::fd::AsFd;

use libcontainer_netlink::{
    Address, AddressFlags, Batch, Bridge, BridgePort, Cidr, Error as NetlinkError, Index, Ipvlan,
    IpvlanIsolation, Link, LinkChange, LinkKind, LinkView, Mac, Name, Namespace, Netlink, NewLink, Peer,
    Route, Verb,
};

use crate::device::{self, Kept};
use crate::error::{Error, Named, Result};
use crate::plan::{Interface, Kind, PlannedRoute};

/// The mark on bridges that go with their last port.
const OURS: &str = "made by libcontainer";
/// How often a bridge may vanish between two steps of ours.
const ATTEMPTS: usize = 5;

/// Makes the bridge if there is none, with addresses, up. Says whether it is new.
pub(crate) fn ensure_bridge(host: &mut Netlink, name: &Name, addresses: &[Cidr]) -> Result<bool> {
    let what = || format!("bridge {name}");
    // An address of its own: else it would have that of one port or another, and the neighbours' caches would be wrong whenever one goes.
    let mac = Mac::random().named(what)?;
    match host.add(&NewLink::bridge(*name, Bridge::default()).mac(mac)) {
        Ok(()) => {}
        Err(error) if error.is_exists() => return find_bridge(host, name).map(|_| false),
        Err(error) => return Err(error).named(what),
    }
    let set_up = set_up_bridge(host, name, addresses);
    if set_up.is_err() {
        // Half a bridge is worse than none; the first error is the one to tell.
        let _ = remove_unused_bridge(host, name);
    }
    set_up.map(|()| true)
}

fn set_up_bridge(host: &mut Netlink, name: &Name, addresses: &[Cidr]) -> Result<()> {
    let what = || format!("bridge {name}");
    let index = host.index(name).named(what)?;
    host.set(&LinkChange::new(index).alias(OURS).up()).named(what)?;
    let mut batch = Batch::new();
    for address in addresses {
        batch.push(Verb::Add, &plain(index, *address)).named(what)?;
    }
    run(host, &mut batch, what)
}

/// The bridge that a port is to be added to.
fn find_bridge(host: &mut Netlink, name: &Name) -> Result<Index> {
    let link = match host.link(name) {
        Err(error) if error.is_not_found() => {
            return Err(Error::wrong(
                format!("bridge {name}"),
                "is not there; make it, or set create_bridge",
            ));
        }
        link => link.named(|| format!("bridge {name}"))?,
    };
    if !matches!(link.kind, Some(LinkKind::Bridge(_))) {
        return Err(Error::wrong(format!("bridge {name}"), "is a link of another kind"));
    }
    Ok(link.index)
}

/// Deletes a bridge of ours that has no port (left).
pub(crate) fn remove_unused_bridge(host: &mut Netlink, name: &Name) -> Result<()> {
    let what = || format!("bridge {name}");
    let bridge = match host.link(name) {
        Err(error) if error.is_not_found() => return Ok(()),
        link => link.named(what)?,
    };
    if bridge.alias.as_deref() != Some(OURS.as_ref()) && !is_fresh(&bridge) {
        return Ok(());
    }
    let used = Cell::new(false);
    let look = |link: &LinkView<'_>| used.set(used.get() || link.master == Some(bridge.index));
    host.links_with(|| used.set(false), look).named(what)?;
    if used.get() { Ok(()) } else { delete(host, name) }
}

/// Made a moment ago, before it could be marked.
fn is_fresh(bridge: &Link) -> bool {
    bridge.alias.is_none() && !bridge.flags.contains(libcontainer_netlink::LinkFlags::UP)
}

/// Deletes a link of the host; one that isn't there is fine.
pub(crate) fn delete(host: &mut Netlink, name: &Name) -> Result<()> {
    let index = match host.index(name) {
        Err(error) if error.is_not_found() => return Ok(()),
        index => index.named(|| format!("link {name}"))?,
    };
    match host.delete(&index) {
        Err(error) if error.is_not_found() => Ok(()),
        result => result.named(|| format!("link {name}")),
    }
}

/// Makes the link, its end inside in `namespace`. Says what a device of the host's had there.
pub(crate) fn make(host: &mut Netlink, namespace: &File, interface: &Interface) -> Result<Kept> {
    let what = || format!("interface {}", interface.name);
    let inside = Namespace::Fd(namespace.as_fd());
    let parent = |host: &mut Netlink, name: &Name| match host.index(name) {
        Err(error) if error.is_not_found() => Err(Error::wrong(format!("device {name}"), "is not there")),
        index => index.named(|| format!("device {name}")),
    };
    match &interface.kind {
        Kind::Veth { host: end, bridge, create } => {
            make_veth(host, inside, interface, end, (bridge, create.as_deref()))
        }
        Kind::Macvlan { parent: device, mode } => {
            let index = parent(host, device)?;
            let link = NewLink::macvlan(interface.name, index, *mode).namespace(inside);
            host.add(&with(link, interface)).named(what)
        }
        Kind::Ipvlan { parent: device, mode } => {
            let index = parent(host, device)?;
            let kind = LinkKind::Ipvlan(Ipvlan { mode: *mode, isolation: IpvlanIsolation::default() });
            let link = NewLink::new(interface.name, kind).parent(index).namespace(inside);
            host.add(&with(link, interface)).named(what)
        }
        // Its program makes it.
        Kind::Pasta { .. } => Ok(()),
        Kind::Device { host: device } => return device::take(host, namespace, &interface.name, device),
    }
    .map(|()| Kept::default())
}

fn with<'a>(link: NewLink<'a>, interface: &Interface) -> NewLink<'a> {
    let link = interface.mac.map_or(link.clone(), |mac| link.mac(mac));
    interface.mtu.map_or(link.clone(), |mtu| link.mtu(mtu))
}

fn make_veth(
    host: &mut Netlink,
    inside: Namespace<'_>,
    interface: &Interface,
    end: &Name,
    (bridge, create): (&Name, Option<&[Cidr]>),
) -> Result<()> {
    let peer = Peer { name: Some(interface.name), mac: interface.mac, mtu: interface.mtu };
    for attempt in 1.. {
        let master = find_bridge(host, bridge)?;
        let link =
            NewLink::new(*end, LinkKind::Veth(peer.clone())).master(master).peer_namespace(inside).up();
        let link = interface.mtu.map_or(link.clone(), |mtu| link.mtu(mtu));
        match host.add(&link) {
            // RACE: the bridge went with the last port of another container; then it is ours to make.
            Err(error) if error.is_not_found() && attempt < ATTEMPTS => {
                if let Some(addresses) = create {
                    ensure_bridge(host, bridge, addresses)?;
                }
            }
            result => {
                result.named(|| format!("interface {}", interface.name))?;
                break;
            }
        }
    }
    let turned = reflect(host, interface, end);
    if turned.is_err() {
        // The undo of this step is not registered yet; the first error is the one to tell.
        let _ = delete(host, end);
    }
    turned
}

/// Lets packets leave by the port they came from, if a port is published. Where bridged packets pass the filter of IP, what a
/// container sends to its own published port is translated on the bridge itself, and would be dropped at the way back.
fn reflect(host: &mut Netlink, interface: &Interface, end: &Name) -> Result<()> {
    if interface.published.ports.is_empty() {
        return Ok(());
    }
    let what = || format!("port {end} of the bridge");
    let index = host.index(end).named(what)?;
    let options = BridgePort { hairpin: Some(true), ..BridgePort::default() };
    host.set(&LinkChange::new(index).bridge_port(options)).named(what)
}

/// Takes back [`make`].
pub(crate) fn unmake(namespace: &File, interface: &Interface, kept: &Kept) -> Result<()> {
    match &interface.kind {
        Kind::Veth { host: end, .. } => delete(&mut Netlink::open().named(|| format!("link {end}"))?, end),
        Kind::Device { host } => device::give_back(namespace, &interface.name, host, kept),
        Kind::Pasta { .. } => Ok(()),
        Kind::Macvlan { .. } | Kind::Ipvlan { .. } => {
            let what = || format!("link {}", interface.name);
            delete(&mut Netlink::in_namespace(namespace.as_fd()).named(what)?, &interface.name)
        }
    }
}

/// Addresses, up, default routes: inside the container.
pub(crate) fn configure(container: &mut Netlink, interface: &Interface, kept: &Kept) -> Result<()> {
    let what = || format!("interface {}", interface.name);
    let index = container.index(&interface.name).named(what)?;
    let mut change = LinkChange::new(index).up();
    if let Kind::Device { .. } = interface.kind {
        change = interface.mac.map_or(change.clone(), |mac| change.mac(mac));
        change = interface.mtu.map_or(change.clone(), |mtu| change.mtu(mtu));
    }
    let mut batch = Batch::new();
    for address in &interface.addresses {
        batch.push(Verb::Add, &plain(index, *address)).named(what)?;
    }
    kept.add_to(&mut batch, index, interface)?;
    run(container, &mut batch, what)?;
    // ORDER: up before the routes: the kernel refuses a gateway behind a link that is down.
    container.set(&change).named(what)?;
    batch.clear();
    for gateway in &interface.gateways {
        batch.push(Verb::Add, &Route::default_via(*gateway).link(index)).named(what)?;
    }
    run(container, &mut batch, what)
}

/// An address; one of IPv6 is used at once, since nobody else on a container's link has it.
fn plain(index: Index, cidr: Cidr) -> Address {
    let mut address = Address::new(index, cidr);
    if cidr.address().is_ipv6() {
        address.flags |= AddressFlags::NO_DAD;
    } else {
        address.broadcast = cidr.broadcast();
    }
    address
}

pub(crate) fn run(netlink: &mut Netlink, batch: &mut Batch, what: impl Fn() -> String + Copy) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let results: Vec<std::result::Result<(), NetlinkError>> = netlink.run(batch).named(what)?;
    results.into_iter().try_for_each(|result| result.named(what))
}

pub(crate) fn add_route(container: &mut Netlink, planned: &PlannedRoute) -> Result<()> {
    let what = || planned.text.clone();
    let mut route = planned.route.clone();
    if let Some(name) = &planned.link {
        route.link = Some(container.index(name).named(what)?);
    }
    container.add(&route).named(what)
}

//! The container's links: made from the host, configured inside.

use std::fs::File;
use std::os::fd::AsFd;

use libcontainer_netlink::{
    Batch, BridgePort, Index, Ipvlan, IpvlanIsolation, LinkChange, LinkKind, Name, Namespace, NamespaceId,
    Netlink, NewLink, Peer, Route, Verb,
};

use crate::address;
use crate::bridge::{self, OwnBridge};
use crate::device::Kept;
use crate::error::{Error, Named, Result};
use crate::mark::Mark;
use crate::plan::{Interface, Kind, PlannedRoute};
use crate::side;
use crate::turn::Turn;

/// The network namespace of the init, with a socket in it.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) namespace: File,
    pub(crate) netlink: Netlink,
}

/// Gives the container's namespace an id by which the host's knows it; 0 for none.
pub(crate) fn call(host: &mut Netlink, container: &Container, id: i32) -> Result<()> {
    if id == 0 {
        return Ok(());
    }
    let what = || "network namespace of the init".to_owned();
    let namespace = container.namespace.as_fd();
    match side::twice(|| host.add(&NamespaceId::new(namespace, Some(id)))) {
        // Of two attempts the first may have done it. Else somebody has called it otherwise, which nobody but us has reason to.
        Err(error) if error.is_exists() => match host.namespace_id(namespace).named(what)? {
            Some(known) if known == id => Ok(()),
            known => {
                Err(Error::wrong(what(), format!("has an id already, {known:?}, or {id} is another one's")))
            }
        },
        result => result.named(what),
    }
}

/// A veth pair: the host's end up on the bridge, the peer inside.
pub(crate) fn make_veth(
    host: &mut Netlink,
    inside: &Container,
    interface: &Interface,
    (end, bridge, own): (&Name, &Name, Option<&OwnBridge>),
    mark: &Mark,
) -> Result<()> {
    let what = || format!("interface {}", interface.name);
    let peer = Peer { name: Some(interface.name), mac: interface.mac, mtu: interface.mtu };
    let link =
        NewLink::new(*end, LinkKind::Veth(peer)).peer_namespace(Namespace::Fd(inside.namespace.as_fd())).up();
    let link = interface.mtu.map_or(link.clone(), |mtu| link.mtu(mtu));
    // RACE: a bridge of ours goes with the last port of another container: not while a port is added.
    let turn = own.map(|_| Turn::shared()).transpose()?;
    let master = bridge::master(host, bridge, own, mark)?;
    side::add(host, &link.master(master), |host| Ok(side::find(host, end)?.is_some())).named(what)?;
    drop(turn);
    let mut change = LinkChange::named(*end).alias(mark.as_str());
    if !interface.published.ports.is_empty() {
        // Packets may leave by the port they came from: where bridged packets pass the filter of IP, what a container sends to its
        // own published port is translated on the bridge itself, and would be dropped at the way back.
        change = change.bridge_port(BridgePort { hairpin: Some(true), ..BridgePort::default() });
    }
    side::twice(|| host.set(&change)).named(|| format!("port {end} of the bridge"))
}

/// A macvlan or ipvlan, under a name that nobody else has. `joined` says that its namespace outlives the container.
pub(crate) fn make_inside(
    host: &mut Netlink,
    inside: &mut Container,
    interface: &Interface,
    (parent, made_as): (&Name, &Name),
    joined: bool,
) -> Result<()> {
    let what = || format!("interface {}", interface.name);
    let device = || format!("device {parent}");
    let found = side::find(host, parent).named(device)?;
    let index = found.ok_or_else(|| Error::wrong(device(), "is not there"))?.index;
    let namespace = inside.namespace.as_fd();
    if joined {
        // ORDER: before the link, which is found by it when nobody is inside any more.
        match host.add(&NamespaceId::new(namespace, None)) {
            Err(error) if error.is_exists() => {}
            result => result.named(what)?,
        }
    }
    let link =
        NewLink::new(*made_as, kind(&interface.kind)).parent(index).namespace(Namespace::Fd(namespace));
    let link = interface.mac.map_or(link.clone(), |mac| link.mac(mac));
    let link = interface.mtu.map_or(link.clone(), |mtu| link.mtu(mtu));
    let netlink = &mut inside.netlink;
    side::add(host, &link, |_| Ok(side::find(netlink, made_as)?.is_some())).named(what)
}

fn kind(kind: &Kind) -> LinkKind {
    match kind {
        Kind::Ipvlan { mode, .. } => {
            LinkKind::Ipvlan(Ipvlan { mode: *mode, isolation: IpvlanIsolation::default() })
        }
        Kind::Macvlan { mode, .. } => LinkKind::Macvlan(*mode),
        Kind::Veth { .. } | Kind::Device { .. } | Kind::Pasta { .. } => LinkKind::Dummy,
    }
}

/// Addresses, up, default routes: inside the container.
pub(crate) fn configure(
    container: &mut Netlink,
    interface: &Interface,
    kept: &Kept,
    mark: &Mark,
) -> Result<()> {
    let what = || format!("interface {}", interface.name);
    let index = named(container, interface, mark)?;
    let mut change = LinkChange::new(index).up();
    if let Kind::Device { .. } = interface.kind {
        change = interface.mac.map_or(change.clone(), |mac| change.mac(mac));
        change = interface.mtu.map_or(change.clone(), |mtu| change.mtu(mtu));
    }
    let mut batch = Batch::new();
    for cidr in &interface.addresses {
        batch.push(Verb::Add, &address::plain(index, *cidr)).named(what)?;
    }
    kept.add_to(&mut batch, index, &interface.addresses).named(what)?;
    side::run(container, &mut batch, what)?;
    // ORDER: up before the routes: the kernel refuses a gateway behind a link that is down.
    side::twice(|| container.set(&change)).named(what)?;
    batch.clear();
    for gateway in &interface.gateways {
        batch.push(Verb::Add, &Route::default_via(*gateway).link(index)).named(what)?;
    }
    side::run(container, &mut batch, what)
}

/// The index of the link, which has its own name from now on.
fn named(container: &mut Netlink, interface: &Interface, mark: &Mark) -> Result<Index> {
    let what = || format!("interface {}", interface.name);
    let (Kind::Macvlan { made_as, .. } | Kind::Ipvlan { made_as, .. }) = &interface.kind else {
        return container.index(&interface.name).named(what);
    };
    let index = container.index(made_as).named(what)?;
    // ORDER: marked before it loses the name by which it is known.
    side::twice(|| container.set(&LinkChange::new(index).alias(mark.as_str()))).named(what)?;
    side::twice(|| container.set(&LinkChange::new(index).name(interface.name))).named(what)?;
    Ok(index)
}

pub(crate) fn add_route(container: &mut Netlink, planned: &PlannedRoute) -> Result<()> {
    let what = || planned.text.clone();
    let mut route = planned.route.clone();
    if let Some(name) = &planned.link {
        route.link = Some(container.index(name).named(what)?);
    }
    container.add(&route).named(what)
}

/// Brings up the loopback interface of a network namespace.
///
/// # Errors
/// That of opening a socket there, which takes setns(2), or of the request.
pub fn loopback_up(namespace: &File) -> Result<()> {
    let what = || "interface lo".to_owned();
    let mut inside = Netlink::in_namespace(namespace.as_fd()).named(what)?;
    side::twice(|| inside.set(&LinkChange::new(Index::LOOPBACK).up())).named(what)
}

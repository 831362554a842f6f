//! What the netlink package of docker/libcontainer offered in 2014, function by function, under clear names.
//!
//! The semantics are those of then, without the defects: changing an MTU, a master or a namespace neither brings a
//! link up nor clears its other flags; destinations may have host bits; a route by a gateway needs no device; the
//! hardware address of a bridge is random.
use std::net::IpAddr;
use std::os::fd::BorrowedFd;

use crate::{
    Address, Bridge, Cidr, Error, Family, Index, LinkChange, LinkKind, Mac, Name, Namespace, Netlink,
    NewLink, OtherKind, Result, Route, RouteFilter, Scope, Table,
};

/// A route as `NetworkGetRoutes` returned it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegacyRoute {
    /// The destination; none for a default route.
    pub network: Option<Cidr>,
    /// The link's name, where the route has a link.
    pub link: Option<Name>,
    /// Whether it is a default route.
    pub default: bool,
}

/// `AddRoute`: at least one of destination, source and gateway, all of one family; main table, protocol boot.
/// An empty `link` means none.
///
/// # Errors
/// [`Error::Invalid`] for what does not parse or fit together, and those of [`Netlink::add`].
pub fn add_route(
    netlink: &mut Netlink,
    destination: &str,
    source: &str,
    gateway: &str,
    link: &str,
) -> Result<()> {
    let destination = optional(destination, str::parse::<Cidr>)?;
    let source = optional(source, str::parse::<Cidr>)?;
    let gateway = optional(gateway, address)?;
    let family = destination.map(|network| network.family());
    let family = family.or(source.map(|network| network.family())).or(gateway.map(Family::of));
    let family = family
        .ok_or_else(|| Error::invalid("route", "one of destination, source or gateway must be given"))?;
    let mut route = Route::new(family);
    route.destination = destination;
    route.source = source;
    route.gateway = gateway;
    route.scope = Some(Scope::Universe);
    route.link = optional(link, |name| netlink.index(name))?;
    netlink.add(&route)
}

fn optional<T>(text: &str, parse: impl FnOnce(&str) -> Result<T>) -> Result<Option<T>> {
    if text.is_empty() { Ok(None) } else { parse(text).map(Some) }
}

fn address(text: &str) -> Result<IpAddr> {
    text.parse().map_err(|_| Error::invalid("gateway", format!("{text:?} is no address")))
}

/// `AddDefaultGw`.
///
/// # Errors
/// As of [`add_route`].
pub fn add_default_gateway(netlink: &mut Netlink, gateway: &str, link: &str) -> Result<()> {
    add_route(netlink, "", "", gateway, link)
}

/// `NetworkLinkUp`.
///
/// # Errors
/// As of [`Netlink::set`].
pub fn link_up(netlink: &mut Netlink, link: Index) -> Result<()> {
    netlink.set(&LinkChange::new(link).up())
}

/// `NetworkLinkDown`.
///
/// # Errors
/// As of [`Netlink::set`].
pub fn link_down(netlink: &mut Netlink, link: Index) -> Result<()> {
    netlink.set(&LinkChange::new(link).down())
}

/// `NetworkSetMTU`.
///
/// # Errors
/// As of [`Netlink::set`].
pub fn set_mtu(netlink: &mut Netlink, link: Index, mtu: u32) -> Result<()> {
    netlink.set(&LinkChange::new(link).mtu(mtu))
}

/// `NetworkSetMaster`, and `AddToBridge`, which used an ioctl.
///
/// # Errors
/// As of [`Netlink::set`].
pub fn set_master(netlink: &mut Netlink, link: Index, master: Index) -> Result<()> {
    netlink.set(&LinkChange::new(link).master(Some(master)))
}

/// `NetworkSetNsPid`.
///
/// # Errors
/// As of [`Netlink::set`]; `ESRCH` if there is no such process.
pub fn set_namespace_pid(netlink: &mut Netlink, link: Index, pid: u32) -> Result<()> {
    netlink.set(&LinkChange::new(link).namespace(Namespace::Pid(pid)))
}

/// `NetworkSetNsFd`.
///
/// # Errors
/// As of [`Netlink::set`].
pub fn set_namespace_fd(netlink: &mut Netlink, link: Index, namespace: BorrowedFd<'_>) -> Result<()> {
    netlink.set(&LinkChange::new(link).namespace(Namespace::Fd(namespace)))
}

/// `NetworkLinkAddIp`: without broadcast address and label.
///
/// # Errors
/// As of [`Netlink::add`].
pub fn add_address(netlink: &mut Netlink, link: Index, address: Cidr) -> Result<()> {
    netlink.add(&Address::new(link, address))
}

/// `NetworkLinkDelIp`.
///
/// # Errors
/// As of [`Netlink::delete`].
pub fn delete_address(netlink: &mut Netlink, link: Index, address: Cidr) -> Result<()> {
    netlink.delete(&Address::new(link, address))
}

/// `NetworkLinkAdd`: a link of a kind without parameters.
///
/// # Errors
/// [`Error::Invalid`] if either is empty, and those of [`Netlink::add`].
pub fn add_link(netlink: &mut Netlink, name: &str, kind: &str) -> Result<()> {
    let other = OtherKind { name: kind.as_bytes().to_vec(), data: Vec::new() };
    netlink.add(&NewLink::new(name.parse()?, LinkKind::Other(Box::new(other))))
}

/// `NetworkLinkDel`, and `DeleteBridge`, which used an ioctl.
///
/// # Errors
/// As of [`Netlink::link`] and [`Netlink::delete`].
pub fn delete_link(netlink: &mut Netlink, name: &str) -> Result<()> {
    let index = netlink.index(name)?;
    netlink.delete(&index)
}

/// `NetworkGetRoutes`: IPv4, main table.
///
/// # Errors
/// As of [`Netlink::routes`].
pub fn routes(netlink: &mut Netlink) -> Result<Vec<LegacyRoute>> {
    let filter = RouteFilter { family: Some(Family::V4), table: Some(Table::MAIN), ..RouteFilter::default() };
    let found = netlink.routes(&filter)?;
    let links = netlink.links()?;
    let name = |index| links.iter().find(|link| link.index == index).map(|link| link.name);
    Ok(found
        .iter()
        .map(|route| LegacyRoute {
            network: route.destination,
            link: route.link.and_then(name),
            default: route.is_default(),
        })
        .collect())
}

/// `NetworkChangeName`. Kernels before 6.2 want the link down.
///
/// # Errors
/// As of [`Netlink::set`].
pub fn rename(netlink: &mut Netlink, link: Index, name: &str) -> Result<()> {
    netlink.set(&LinkChange::new(link).name(name.parse()?))
}

/// `NetworkCreateVethPair`.
///
/// # Errors
/// As of [`Netlink::add`].
pub fn add_veth_pair(netlink: &mut Netlink, first: &str, second: &str) -> Result<()> {
    netlink.add(&NewLink::veth(first.parse()?, second.parse()?))
}

/// `CreateBridge`: with a random hardware address if asked for, so that it keeps it when ports come and go.
///
/// # Errors
/// As of [`Netlink::add`].
pub fn add_bridge(netlink: &mut Netlink, name: &str, set_mac: bool) -> Result<()> {
    let bridge = NewLink::bridge(name.parse()?, Bridge::default());
    netlink.add(&if set_mac { bridge.mac(Mac::random()?) } else { bridge })
}

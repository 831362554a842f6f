//! Builders of requests about links.
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use libc::{IFLA_GROUP, IFLA_IFALIAS, IFLA_MASTER, IFLA_TXQLEN};

use super::fields::mac_and_mtu;
use super::{Bridge, BridgePort, LinkFlags, LinkKind, MacvlanMode, Namespace, Peer, Vlan, VlanProtocol};
use crate::attribute::Writer;
use crate::name;
use crate::{Error, Index, Mac, Name, Result};

/// What new and existing links have in common.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    mac: Option<Mac>,
    mtu: Option<u32>,
    queue_length: Option<u32>,
    master: Option<u32>,
    group: Option<u32>,
    alias: Option<Vec<u8>>,
}

impl Settings {
    fn check(&self) -> Result<()> {
        if let Some(mtu) = self.mtu {
            check_mtu(mtu)?;
        }
        if self.alias.as_ref().is_some_and(|alias| alias.len() > 255) {
            return Err(Error::invalid("alias", "longer than 255 bytes"));
        }
        self.mac.map_or(Ok(()), |mac| mac.check())
    }

    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<()> {
        mac_and_mtu(writer, self.mac, self.mtu)?;
        self.queue_length.map_or(Ok(()), |length| writer.u32(IFLA_TXQLEN, length))?;
        self.master.map_or(Ok(()), |master| writer.u32(IFLA_MASTER, master))?;
        self.group.map_or(Ok(()), |group| writer.u32(IFLA_GROUP, group))?;
        self.alias.as_ref().map_or(Ok(()), |alias| writer.bytes(IFLA_IFALIAS, alias))
    }
}

fn check_mtu(mtu: u32) -> Result<()> {
    match i32::try_from(mtu) {
        Ok(0) => Err(Error::invalid("MTU", "0; leave it out to keep the kernel's default")),
        Ok(_) => Ok(()),
        Err(_) => Err(Error::invalid("MTU", format!("{mtu} is more than 2147483647"))),
    }
}

/// A link to be made: `netlink.add(&NewLink::bridge(name, Bridge::default()))`. It stays down unless [`NewLink::up`].
#[derive(Debug, Clone)]
pub struct NewLink<'a> {
    pub(super) name: Name,
    pub(super) kind: LinkKind,
    pub(super) parent: Option<Index>,
    pub(super) settings: Settings,
    pub(super) namespace: Option<Namespace<'a>>,
    pub(super) peer_namespace: Option<Namespace<'a>>,
    pub(super) up: bool,
}

impl<'a> NewLink<'a> {
    /// A link of any kind.
    #[must_use]
    pub fn new(name: Name, kind: LinkKind) -> Self {
        let settings = Settings::default();
        Self { name, kind, parent: None, settings, namespace: None, peer_namespace: None, up: false }
    }

    /// A pair of links, the second of which is `peer`.
    #[must_use]
    pub fn veth(name: Name, peer: Name) -> Self {
        Self::new(name, LinkKind::Veth(Peer { name: Some(peer), ..Peer::default() }))
    }

    /// A bridge.
    #[must_use]
    pub fn bridge(name: Name, bridge: Bridge) -> Self {
        Self::new(name, LinkKind::Bridge(bridge))
    }

    /// A macvlan on `parent`.
    #[must_use]
    pub fn macvlan(name: Name, parent: Index, mode: MacvlanMode) -> Self {
        Self::new(name, LinkKind::Macvlan(mode)).parent(parent)
    }

    /// A VLAN (802.1Q) on `parent`.
    #[must_use]
    pub fn vlan(name: Name, parent: Index, id: u16) -> Self {
        Self::new(name, LinkKind::Vlan(Vlan { id, protocol: VlanProtocol::Customer })).parent(parent)
    }

    /// The link it stands on (`IFLA_LINK`).
    #[must_use]
    pub fn parent(mut self, parent: Index) -> Self {
        self.parent = Some(parent);
        self
    }

    /// Its hardware address.
    #[must_use]
    pub fn mac(mut self, mac: Mac) -> Self {
        self.settings.mac = Some(mac);
        self
    }

    /// Its MTU in bytes.
    #[must_use]
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.settings.mtu = Some(mtu);
        self
    }

    /// The length of its transmit queue, in packets.
    #[must_use]
    pub fn queue_length(mut self, length: u32) -> Self {
        self.settings.queue_length = Some(length);
        self
    }

    /// The bridge it becomes a port of.
    #[must_use]
    pub fn master(mut self, master: Index) -> Self {
        self.settings.master = Some(master.get());
        self
    }

    /// Makes it directly in another network namespace. A veth's peer stays in the socket's namespace
    /// unless [`NewLink::peer_namespace`] says where.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace<'a>) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Makes the peer of a veth in another network namespace.
    #[must_use]
    pub fn peer_namespace(mut self, namespace: Namespace<'a>) -> Self {
        self.peer_namespace = Some(namespace);
        self
    }

    /// Sets it up in the same request.
    #[must_use]
    pub fn up(mut self) -> Self {
        self.up = true;
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        name::check(self.name.as_bytes(), "link name")?;
        self.settings.check()?;
        if self.kind.needs_parent() && self.parent.is_none() {
            return Err(Error::invalid("parent", format!("a {} needs one", self.kind)));
        }
        match &self.kind {
            LinkKind::Vlan(vlan) if vlan.id > 4094 => {
                Err(Error::invalid("VLAN id", format!("{} is more than 4094", vlan.id)))
            }
            LinkKind::Vxlan(vxlan) if vxlan.id >> 24 != 0 => {
                Err(Error::invalid("VXLAN id", format!("{} has more than 24 bits", vxlan.id)))
            }
            LinkKind::Other(other) if other.name.is_empty() => Err(Error::invalid("link kind", "empty")),
            LinkKind::Veth(peer) => check_peer(peer, self.name, self.peer_namespace.is_some()),
            _ => Ok(()),
        }
    }
}

fn check_peer(peer: &Peer, name: Name, elsewhere: bool) -> Result<()> {
    if peer.name == Some(name) && !elsewhere {
        return Err(Error::invalid("peer name", format!("{name:?} is the name of the other end, too")));
    }
    peer.mtu.map_or(Ok(()), check_mtu)?;
    peer.mac.map_or(Ok(()), |mac| mac.check())
}

impl fmt::Display for NewLink<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link {:?} ({})", self.name, self.kind)
    }
}

/// The link that is changed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which {
    Index(Index),
    Name(Name),
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => index.fmt(f),
            Self::Name(name) => write!(f, "link {name:?}"),
        }
    }
}

/// A change of an existing link, all in one request; what is not named stays as it is.
///
/// Nothing brings the link up or down but [`LinkChange::up`] and [`LinkChange::down`].
#[derive(Debug, Clone)]
pub struct LinkChange<'a> {
    pub(super) link: Which,
    pub(super) flags: LinkFlags,
    pub(super) mask: LinkFlags,
    pub(super) name: Option<Name>,
    pub(super) settings: Settings,
    pub(super) namespace: Option<Namespace<'a>>,
    pub(super) kind: Option<LinkKind>,
    pub(super) port: Option<BridgePort>,
}

impl<'a> LinkChange<'a> {
    /// No change yet.
    #[must_use]
    pub fn new(index: Index) -> Self {
        Self::of(Which::Index(index))
    }

    /// No change yet of the link that has this name when the kernel gets to it: saves asking for its index. It can't be renamed.
    #[must_use]
    pub fn named(name: Name) -> Self {
        Self::of(Which::Name(name))
    }

    fn of(link: Which) -> Self {
        let (flags, mask, settings) = (LinkFlags::empty(), LinkFlags::empty(), Settings::default());
        Self { link, flags, mask, name: None, settings, namespace: None, kind: None, port: None }
    }

    /// Sets or clears flags; the others stay.
    #[must_use]
    pub fn flags(mut self, flags: LinkFlags, on: bool) -> Self {
        self.mask |= flags;
        self.flags.set(flags, on);
        self
    }

    /// Sets it up.
    #[must_use]
    pub fn up(self) -> Self {
        self.flags(LinkFlags::UP, true)
    }

    /// Sets it down.
    #[must_use]
    pub fn down(self) -> Self {
        self.flags(LinkFlags::UP, false)
    }

    /// Renames it. Kernels before 6.2 want it down for that.
    #[must_use]
    pub fn name(mut self, name: Name) -> Self {
        self.name = Some(name);
        self
    }

    /// Its MTU in bytes.
    #[must_use]
    pub fn mtu(mut self, mtu: u32) -> Self {
        self.settings.mtu = Some(mtu);
        self
    }

    /// Its hardware address.
    #[must_use]
    pub fn mac(mut self, mac: Mac) -> Self {
        self.settings.mac = Some(mac);
        self
    }

    /// The length of its transmit queue, in packets.
    #[must_use]
    pub fn queue_length(mut self, length: u32) -> Self {
        self.settings.queue_length = Some(length);
        self
    }

    /// Makes it a port of `master`, or of nothing.
    #[must_use]
    pub fn master(mut self, master: Option<Index>) -> Self {
        self.settings.master = Some(master.unwrap_or_default().get());
        self
    }

    /// A note for humans, up to 255 bytes; empty removes it.
    #[must_use]
    pub fn alias(mut self, alias: impl AsRef<OsStr>) -> Self {
        self.settings.alias = Some(alias.as_ref().as_bytes().to_vec());
        self
    }

    /// Moves it to another network namespace, where it gets another index if its own is taken, and is down.
    #[must_use]
    pub fn namespace(mut self, namespace: Namespace<'a>) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Changes the parameters of its kind; those that are `None` stay.
    #[must_use]
    pub fn kind(mut self, kind: LinkKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Changes its options as the port of a bridge, which it must be already.
    #[must_use]
    pub fn bridge_port(mut self, port: BridgePort) -> Self {
        self.port = Some(port);
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        match (self.link, self.name) {
            (Which::Index(index), _) if index.get() == 0 => return Err(Error::invalid("link", "index 0")),
            (Which::Name(_), Some(_)) => {
                return Err(Error::invalid(
                    "link name",
                    "a link that is given by its name can't get another",
                ));
            }
            (Which::Name(name), None) | (Which::Index(_), Some(name)) => {
                name::check(name.as_bytes(), "link name")?;
            }
            (Which::Index(_), None) => {}
        }
        self.settings.check()
    }
}

impl fmt::Display for LinkChange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.link)?;
        if let Some(name) = self.name {
            write!(f, " name {name:?}")?;
        }
        for (text, value) in [
            (" mtu ", self.settings.mtu),
            (" master #", self.settings.master),
            (" queue length ", self.settings.queue_length),
        ] {
            value.map_or(Ok(()), |value| write!(f, "{text}{value}"))?;
        }
        if self.mask.contains(LinkFlags::UP) {
            f.write_str(if self.flags.contains(LinkFlags::UP) { " up" } else { " down" })?;
        }
        if self.namespace.is_some() { f.write_str(" to another namespace") } else { Ok(()) }
    }
}

/// A link of another network namespace, which has an id in the socket's: it can be deleted without anybody's entering there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteLink {
    /// The id ([`Netlink::namespace_ids`](crate::Netlink::namespace_ids)).
    pub namespace: i32,
    /// Its index there.
    pub index: Index,
}

impl fmt::Display for RemoteLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of namespace {}", self.index, self.namespace)
    }
}

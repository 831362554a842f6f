//! What the kernel tells about a link.
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use libc::{
    IFLA_ADDRESS, IFLA_BROADCAST, IFLA_GROUP, IFLA_IFALIAS, IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND,
    IFLA_INFO_SLAVE_DATA, IFLA_INFO_SLAVE_KIND, IFLA_LINK, IFLA_LINK_NETNSID, IFLA_LINKINFO, IFLA_MASTER,
    IFLA_MTU, IFLA_OPERSTATE, IFLA_STATS, IFLA_STATS64, IFLA_TXQLEN,
};

use super::kind::{
    Bridge, BridgePort, Ipvlan, IpvlanIsolation, IpvlanMode, LinkFlags, LinkKind, MacvlanMode, OperState,
    OtherKind, Peer, TunKind, Vlan, VlanProtocol, Vxlan,
};
use super::stats::Stats64;
use crate::attribute::{Attribute, Attributes, align, keep};
use crate::{Error, Index, Mac, Name, Result};

/// Bytes of `struct ifinfomsg`.
const HEADER: usize = 16;
const PROP_LIST: u16 = 52;
const ALT_IFNAME: u16 = 53;

/// A link as it stands in the receive buffer. Nothing is copied; [`LinkView::to_link`] does.
#[derive(Debug, Clone, Copy)]
pub struct LinkView<'a> {
    /// Its index.
    pub index: Index,
    /// Its flags.
    pub flags: LinkFlags,
    /// The hardware type (`ARPHRD_…`): 1 Ethernet, 772 loopback.
    pub hardware: u16,
    /// Its name.
    pub name: Name,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// The link it stands on, or a veth's peer; an index in the namespace [`LinkView::parent_namespace`] if that is given.
    pub parent: Option<Index>,
    /// The id of the namespace that `parent` is in, where that is another one (`IFLA_LINK_NETNSID`).
    pub parent_namespace: Option<i32>,
    /// The bridge it is a port of.
    pub master: Option<Index>,
    /// Operational state.
    pub state: OperState,
    /// Length of the transmit queue in packets.
    pub queue_length: u32,
    /// Group of links (`IFLA_GROUP`).
    pub group: u32,
    mac: &'a [u8],
    info: &'a [u8],
    stats: &'a [u8],
    alias: Option<&'a [u8]>,
    names: &'a [u8],
    unknown: usize,
    attributes: &'a [u8],
}

impl<'a> LinkView<'a> {
    /// Reads `struct ifinfomsg` and its attributes.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the header or an attribute is cut off: what is missing must not look like what isn't so.
    pub fn parse(payload: &'a [u8]) -> Result<Self> {
        let header = payload.first_chunk::<HEADER>().ok_or(Error::Malformed { what: "link header" })?;
        let [_, _, h0, h1, i0, i1, i2, i3, f0, f1, f2, f3, ..] = *header;
        let mut view = Self {
            index: Index::new(u32::from_ne_bytes([i0, i1, i2, i3])),
            flags: LinkFlags::from_bits_retain(u32::from_ne_bytes([f0, f1, f2, f3])),
            hardware: u16::from_ne_bytes([h0, h1]),
            name: Name::from_kernel(b"").ok_or(Error::Malformed { what: "link name" })?,
            mtu: 0,
            parent: None,
            parent_namespace: None,
            master: None,
            state: OperState::Unknown,
            queue_length: 0,
            group: 0,
            mac: &[],
            info: &[],
            stats: &[],
            alias: None,
            names: &[],
            unknown: 0,
            attributes: payload.get(HEADER..).unwrap_or_default(),
        };
        let mut attributes = view.attributes();
        for attribute in attributes.by_ref() {
            view.take(attribute).ok_or(Error::Malformed { what: "link attribute" })?;
        }
        if attributes.is_cut_off() { Err(Error::Malformed { what: "link attributes" }) } else { Ok(view) }
    }

    /// None if the value is too short or too long for what it means.
    fn take(&mut self, attribute: Attribute<'a>) -> Option<()> {
        let index = || attribute.u32().map(|index| (index != 0).then_some(Index::new(index)));
        match attribute.kind {
            IFLA_ADDRESS => self.mac = attribute.value,
            IFLA_IFNAME => self.name = attribute.name()?,
            IFLA_MTU => self.mtu = attribute.u32()?,
            IFLA_LINK => self.parent = index()?,
            IFLA_LINK_NETNSID => self.parent_namespace = Some(attribute.i32()?),
            IFLA_MASTER => self.master = index()?,
            IFLA_OPERSTATE => self.state = OperState::from_number(attribute.u8()?),
            IFLA_TXQLEN => self.queue_length = attribute.u32()?,
            IFLA_GROUP => self.group = attribute.u32()?,
            IFLA_LINKINFO => self.info = attribute.value,
            IFLA_STATS64 => self.stats = attribute.value,
            IFLA_IFALIAS => self.alias = Some(attribute.value),
            PROP_LIST => self.names = attribute.value,
            _ if is_unknown(&attribute) => self.unknown += align(attribute.value.len() + 4),
            _ => {}
        }
        Some(())
    }

    /// All attributes as the kernel sent them.
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.attributes)
    }

    /// Its hardware address; none for links that have none, as tun.
    #[must_use]
    pub fn mac(&self) -> Option<Mac> {
        Mac::from_slice(self.mac).filter(|mac| !mac.as_bytes().is_empty())
    }

    /// The note for humans (`IFLA_IFALIAS`).
    #[must_use]
    pub fn alias(&self) -> Option<&'a OsStr> {
        self.alias.map(|value| OsStr::from_bytes(Attribute { kind: IFLA_IFALIAS, value }.text()))
    }

    /// The name of its kind, as `veth`; none for hardware and loopback.
    #[must_use]
    pub fn kind_name(&self) -> Option<&'a OsStr> {
        let name = Attributes::new(self.info).find(IFLA_INFO_KIND)?;
        Some(OsStr::from_bytes(Attribute { kind: 0, value: name }.text()))
    }

    /// Its kind with the parameters.
    #[must_use]
    pub fn kind(&self) -> Option<LinkKind> {
        let info = Attributes::new(self.info);
        let data = info.clone().find(IFLA_INFO_DATA).unwrap_or_default();
        Some(kind(self.kind_name()?.as_bytes(), data))
    }

    /// Its options as the port of a bridge.
    #[must_use]
    pub fn bridge_port(&self) -> Option<BridgePort> {
        let info = Attributes::new(self.info);
        let kind = info.clone().find(IFLA_INFO_SLAVE_KIND)?;
        kind.starts_with(b"bridge").then(|| port(info.find(IFLA_INFO_SLAVE_DATA).unwrap_or_default()))
    }

    /// Its counters.
    #[must_use]
    pub fn stats(&self) -> Stats64 {
        Stats64::decode(self.stats)
    }

    /// Its alternative names.
    pub fn alt_names(&self) -> impl Iterator<Item = &'a OsStr> + use<'a> {
        Attributes::new(self.names)
            .filter(|attribute| attribute.kind == ALT_IFNAME)
            .map(|attribute| OsStr::from_bytes(attribute.text()))
    }

    /// An owned copy.
    #[must_use]
    pub fn to_link(&self) -> Link {
        let mut link = Link {
            index: self.index,
            flags: self.flags,
            hardware: self.hardware,
            name: self.name,
            mtu: self.mtu,
            mac: self.mac(),
            parent: self.parent,
            parent_namespace: self.parent_namespace,
            master: self.master,
            state: self.state,
            queue_length: self.queue_length,
            group: self.group,
            kind: self.kind(),
            bridge_port: self.bridge_port(),
            alias: self.alias().map(OsStr::to_owned),
            alt_names: self.alt_names().map(OsStr::to_owned).collect(),
            stats: self.stats(),
            unknown: Vec::with_capacity(self.unknown),
        };
        self.attributes().filter(is_unknown).for_each(|attribute| keep(&mut link.unknown, attribute));
        link
    }
}

/// Whether none of the fields holds an attribute. `IFLA_STATS` is the same as `IFLA_STATS64`, cut to 32 bits.
fn is_unknown(attribute: &Attribute<'_>) -> bool {
    !matches!(
        attribute.kind,
        IFLA_ADDRESS
            | IFLA_BROADCAST
            | IFLA_IFNAME
            | IFLA_MTU
            | IFLA_LINK
            | IFLA_LINK_NETNSID
            | IFLA_MASTER
            | IFLA_OPERSTATE
            | IFLA_TXQLEN
            | IFLA_GROUP
            | IFLA_LINKINFO
            | IFLA_STATS
            | IFLA_STATS64
            | IFLA_IFALIAS
            | PROP_LIST
    )
}

/// A link.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Link {
    /// Its index.
    pub index: Index,
    /// Its flags.
    pub flags: LinkFlags,
    /// The hardware type (`ARPHRD_…`).
    pub hardware: u16,
    /// Its name.
    pub name: Name,
    /// Its MTU in bytes.
    pub mtu: u32,
    /// Its hardware address.
    pub mac: Option<Mac>,
    /// The link it stands on, or a veth's peer.
    pub parent: Option<Index>,
    /// The id of the namespace that `parent` is in, where that is another one.
    pub parent_namespace: Option<i32>,
    /// The bridge it is a port of.
    pub master: Option<Index>,
    /// Operational state.
    pub state: OperState,
    /// Length of the transmit queue in packets.
    pub queue_length: u32,
    /// Group of links.
    pub group: u32,
    /// Its kind; none for hardware and loopback.
    pub kind: Option<LinkKind>,
    /// Its options as the port of a bridge.
    pub bridge_port: Option<BridgePort>,
    /// The note for humans.
    pub alias: Option<OsString>,
    /// Its alternative names.
    pub alt_names: Vec<OsString>,
    /// Its counters.
    pub stats: Stats64,
    unknown: Vec<u8>,
}

impl Link {
    /// The attributes that no field holds, as the kernel sent them.
    #[must_use]
    pub fn unknown(&self) -> Attributes<'_> {
        Attributes::new(&self.unknown)
    }

    /// Whether it is set up.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        self.flags.contains(LinkFlags::UP)
    }
}

/// A parameter that an older kernel does not tell is the kernel's default.
fn kind(name: &[u8], data: &[u8]) -> LinkKind {
    let find = |kind| Attributes::new(data).find(kind).map(|value| Attribute { kind, value });
    let word = |kind| find(kind).and_then(|attribute| attribute.u32());
    let half = |kind| find(kind).and_then(|attribute| attribute.u16());
    match name {
        b"veth" => LinkKind::Veth(Peer::default()),
        b"bridge" => LinkKind::Bridge(bridge(data)),
        b"vlan" => LinkKind::Vlan(Vlan {
            id: half(1).unwrap_or_default(),
            protocol: match find(5).and_then(|attribute| attribute.u16_be()) {
                Some(0x88a8) => VlanProtocol::Service,
                _ => VlanProtocol::Customer,
            },
        }),
        b"macvlan" => LinkKind::Macvlan(macvlan(word(1))),
        b"macvtap" => LinkKind::Macvtap(macvlan(word(1))),
        b"ipvlan" => LinkKind::Ipvlan(ipvlan(half(1), half(2))),
        b"vxlan" => LinkKind::Vxlan(Box::new(vxlan(data))),
        b"dummy" => LinkKind::Dummy,
        b"ifb" => LinkKind::Ifb,
        b"tun" if find(3).and_then(|attribute| attribute.u8()) == Some(2) => LinkKind::Tun(TunKind::Tap),
        b"tun" => LinkKind::Tun(TunKind::Tun),
        _ => LinkKind::Other(Box::new(OtherKind { name: name.to_vec(), data: data.to_vec() })),
    }
}

fn macvlan(number: Option<u32>) -> MacvlanMode {
    let known = MacvlanMode::ALL.iter().find(|(mode, _)| Some(*mode) == number);
    known.map_or(MacvlanMode::default(), |(_, mode)| *mode)
}

fn ipvlan(mode: Option<u16>, flags: Option<u16>) -> Ipvlan {
    let mode = match mode {
        Some(1) => IpvlanMode::L3,
        Some(2) => IpvlanMode::L3S,
        _ => IpvlanMode::L2,
    };
    let isolation = match flags.unwrap_or_default() {
        flags if flags & 1 != 0 => IpvlanIsolation::Private,
        flags if flags & 2 != 0 => IpvlanIsolation::Vepa,
        _ => IpvlanIsolation::Bridge,
    };
    Ipvlan { mode, isolation }
}

fn bridge(data: &[u8]) -> Bridge {
    let mut bridge = Bridge::default();
    for attribute in Attributes::new(data) {
        match attribute.kind {
            1 => bridge.forward_delay = attribute.u32(),
            2 => bridge.hello_time = attribute.u32(),
            4 => bridge.ageing_time = attribute.u32(),
            5 => bridge.stp = attribute.u32().map(|state| state != 0),
            6 => bridge.priority = attribute.u16(),
            7 => bridge.vlan_filtering = on(attribute),
            23 => bridge.multicast_snooping = on(attribute),
            39 => bridge.default_pvid = attribute.u16(),
            _ => {}
        }
    }
    bridge
}

fn on(attribute: Attribute<'_>) -> Option<bool> {
    attribute.u8().map(|value| value != 0)
}

fn vxlan(data: &[u8]) -> Vxlan {
    let mut vxlan = Vxlan::default();
    for attribute in Attributes::new(data) {
        match attribute.kind {
            1 => vxlan.id = attribute.u32().unwrap_or_default(),
            2 | 16 => vxlan.remote = attribute.ip(),
            3 => vxlan.link = attribute.u32().filter(|index| *index != 0).map(Index::new),
            4 | 17 => vxlan.local = attribute.ip(),
            5 => vxlan.ttl = attribute.u8(),
            7 => vxlan.learning = on(attribute),
            15 => vxlan.port = attribute.u16_be(),
            _ => {}
        }
    }
    vxlan
}

fn port(data: &[u8]) -> BridgePort {
    let mut port = BridgePort::default();
    for attribute in Attributes::new(data) {
        match attribute.kind {
            2 => port.priority = attribute.u16(),
            3 => port.cost = attribute.u32(),
            4 => port.hairpin = on(attribute),
            5 => port.guard = on(attribute),
            6 => port.root_block = on(attribute),
            7 => port.fast_leave = on(attribute),
            8 => port.learning = on(attribute),
            9 => port.flood = on(attribute),
            10 => port.proxy_arp = on(attribute),
            27 => port.multicast_flood = on(attribute),
            32 => port.neighbour_suppress = on(attribute),
            33 => port.isolated = on(attribute),
            _ => {}
        }
    }
    port
}

//! What a link is, with the parameters of each kind.
use std::fmt;
use std::net::IpAddr;

use bitflags::bitflags;

use crate::{Index, Mac, Name};

/// The kind of a link (`IFLA_INFO_KIND`) with its parameters (`IFLA_INFO_DATA`).
///
/// A parameter that is `None` is left to the kernel's default when a link is made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkKind {
    /// One end of a pair.
    Veth(Peer),
    /// A bridge.
    Bridge(Bridge),
    /// One VLAN of a parent link.
    Vlan(Vlan),
    /// A further MAC address on a parent link.
    Macvlan(MacvlanMode),
    /// The same as a character device.
    Macvtap(MacvlanMode),
    /// A further IP address on a parent link, with its MAC address.
    Ipvlan(Ipvlan),
    /// Ethernet in UDP. Boxed, as it has many parameters.
    Vxlan(Box<Vxlan>),
    /// A link that throws everything away.
    Dummy,
    /// An intermediate functional block.
    Ifb,
    /// Made by `/dev/net/tun`; see [`crate::tun`].
    Tun(TunKind),
    /// Any other kind, its parameters as raw attributes.
    Other(Box<OtherKind>),
}

/// The other end of a veth pair, as wished. The kernel does not tell these of a pair that exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peer {
    /// Its name; the kernel picks `veth0`, `veth1` … if none is given.
    pub name: Option<Name>,
    /// Its hardware address.
    pub mac: Option<Mac>,
    /// Its MTU.
    pub mtu: Option<u32>,
}

/// Parameters of a bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bridge {
    /// `IFLA_BR_FORWARD_DELAY`, in hundredths of a second.
    pub forward_delay: Option<u32>,
    /// `IFLA_BR_HELLO_TIME`, in hundredths of a second.
    pub hello_time: Option<u32>,
    /// `IFLA_BR_AGEING_TIME`, in hundredths of a second.
    pub ageing_time: Option<u32>,
    /// `IFLA_BR_STP_STATE`: spanning tree.
    pub stp: Option<bool>,
    /// `IFLA_BR_PRIORITY`.
    pub priority: Option<u16>,
    /// `IFLA_BR_VLAN_FILTERING`.
    pub vlan_filtering: Option<bool>,
    /// `IFLA_BR_VLAN_DEFAULT_PVID`.
    pub default_pvid: Option<u16>,
    /// `IFLA_BR_MCAST_SNOOPING`.
    pub multicast_snooping: Option<bool>,
}

/// Parameters of a VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vlan {
    /// The number, 1 to 4094 (0 is for priority tags).
    pub id: u16,
    /// The Ethernet protocol of the tag.
    pub protocol: VlanProtocol,
}

/// The Ethernet protocol of a VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VlanProtocol {
    /// 802.1Q, `0x8100`.
    #[default]
    Customer,
    /// 802.1ad, `0x88a8`.
    Service,
}

impl VlanProtocol {
    pub(crate) const fn number(self) -> u16 {
        match self {
            Self::Customer => 0x8100,
            Self::Service => 0x88a8,
        }
    }
}

/// How the macvlans of one parent reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MacvlanMode {
    /// Not at all.
    Private,
    /// By a switch outside that reflects frames.
    Vepa,
    /// Directly.
    #[default]
    Bridge,
    /// One macvlan takes the parent over.
    Passthru,
    /// By a list of source addresses.
    Source,
}

impl MacvlanMode {
    pub(crate) const ALL: [(u32, Self); 5] =
        [(1, Self::Private), (2, Self::Vepa), (4, Self::Bridge), (8, Self::Passthru), (16, Self::Source)];

    pub(crate) fn number(self) -> u32 {
        Self::ALL.iter().find(|(_, mode)| *mode == self).map_or(0, |(number, _)| *number)
    }
}

/// Parameters of an ipvlan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ipvlan {
    /// The layer at which it takes packets.
    pub mode: IpvlanMode,
    /// Who may talk to whom.
    pub isolation: IpvlanIsolation,
}

/// The layer at which an ipvlan takes packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum IpvlanMode {
    /// Ethernet.
    #[default]
    L2,
    /// IP, routed by the parent's namespace.
    L3,
    /// The same, with its connection tracking.
    L3S,
}

/// Whether ipvlans of one parent reach each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum IpvlanIsolation {
    /// They do.
    #[default]
    Bridge,
    /// They don't.
    Private,
    /// Only by way of a switch outside.
    Vepa,
}

/// Parameters of a VXLAN.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vxlan {
    /// The network identifier, 24 bits.
    pub id: u32,
    /// Where frames for unknown addresses go: a unicast address or a group.
    pub remote: Option<IpAddr>,
    /// The source address.
    pub local: Option<IpAddr>,
    /// The link below.
    pub link: Option<Index>,
    /// The UDP port; the kernel's default is 8472, not the registered 4789.
    pub port: Option<u16>,
    /// Time to live.
    pub ttl: Option<u8>,
    /// Whether addresses are learned from incoming frames.
    pub learning: Option<bool>,
}

/// Layer of a tun or tap link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TunKind {
    /// IP packets.
    #[default]
    Tun,
    /// Ethernet frames.
    Tap,
}

/// A kind this crate has no type for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OtherKind {
    /// The name, as `wireguard`.
    pub name: Vec<u8>,
    /// The attributes within `IFLA_INFO_DATA`.
    pub data: Vec<u8>,
}

impl LinkKind {
    /// The kernel's name of the kind.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        match self {
            Self::Veth(_) => b"veth",
            Self::Bridge(_) => b"bridge",
            Self::Vlan(_) => b"vlan",
            Self::Macvlan(_) => b"macvlan",
            Self::Macvtap(_) => b"macvtap",
            Self::Ipvlan(_) => b"ipvlan",
            Self::Vxlan(_) => b"vxlan",
            Self::Dummy => b"dummy",
            Self::Ifb => b"ifb",
            Self::Tun(_) => b"tun",
            Self::Other(other) => &other.name,
        }
    }

    /// The kernel module that brings the kind.
    pub(crate) fn module(&self) -> Option<&'static str> {
        Some(match self {
            Self::Veth(_) => "veth",
            Self::Bridge(_) => "bridge",
            Self::Vlan(_) => "8021q",
            Self::Macvlan(_) => "macvlan",
            Self::Macvtap(_) => "macvtap",
            Self::Ipvlan(_) => "ipvlan",
            Self::Vxlan(_) => "vxlan",
            Self::Dummy => "dummy",
            Self::Ifb => "ifb",
            Self::Tun(_) => "tun",
            Self::Other(_) => return None,
        })
    }

    /// Whether it stands on another link.
    pub(crate) const fn needs_parent(&self) -> bool {
        matches!(self, Self::Vlan(_) | Self::Macvlan(_) | Self::Macvtap(_) | Self::Ipvlan(_))
    }
}

impl fmt::Display for LinkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.name()))
    }
}

/// Options of a bridge's port (`IFLA_INFO_SLAVE_DATA`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BridgePort {
    /// `IFLA_BRPORT_PRIORITY`.
    pub priority: Option<u16>,
    /// `IFLA_BRPORT_COST`.
    pub cost: Option<u32>,
    /// `IFLA_BRPORT_MODE`: frames may leave by the port they came from.
    pub hairpin: Option<bool>,
    /// `IFLA_BRPORT_GUARD`: frames of the spanning tree are refused.
    pub guard: Option<bool>,
    /// `IFLA_BRPORT_PROTECT`: never the root port.
    pub root_block: Option<bool>,
    /// `IFLA_BRPORT_FAST_LEAVE`.
    pub fast_leave: Option<bool>,
    /// `IFLA_BRPORT_LEARNING`.
    pub learning: Option<bool>,
    /// `IFLA_BRPORT_UNICAST_FLOOD`.
    pub flood: Option<bool>,
    /// `IFLA_BRPORT_MCAST_FLOOD`.
    pub multicast_flood: Option<bool>,
    /// `IFLA_BRPORT_PROXYARP`.
    pub proxy_arp: Option<bool>,
    /// `IFLA_BRPORT_NEIGH_SUPPRESS`.
    pub neighbour_suppress: Option<bool>,
    /// `IFLA_BRPORT_ISOLATED`: no traffic between isolated ports.
    pub isolated: Option<bool>,
}

bitflags! {
    /// Flags of a link (`IFF_…`, netdevice(7)).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct LinkFlags: u32 {
        /// Switched on by the administrator.
        const UP = 1;
        /// Has a broadcast address.
        const BROADCAST = 1 << 1;
        /// The loopback link.
        const LOOPBACK = 1 << 3;
        /// Has one peer.
        const POINT_TO_POINT = 1 << 4;
        /// Resources are allocated.
        const RUNNING = 1 << 6;
        /// No neighbour discovery.
        const NO_ARP = 1 << 7;
        /// Takes every frame.
        const PROMISCUOUS = 1 << 8;
        /// Takes every multicast frame.
        const ALL_MULTICAST = 1 << 9;
        /// Can multicast.
        const MULTICAST = 1 << 12;
        /// The driver signals a carrier.
        const LOWER_UP = 1 << 16;
        /// Dormant.
        const DORMANT = 1 << 17;
        /// Others the kernel may have.
        const _ = !0;
    }
}

/// Operational state (`IFLA_OPERSTATE`, RFC 2863).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OperState {
    /// The driver doesn't say.
    #[default]
    Unknown,
    /// Hardware missing.
    NotPresent,
    /// Can't pass packets.
    Down,
    /// A link below is down.
    LowerLayerDown,
    /// Under test.
    Testing,
    /// Waits for something.
    Dormant,
    /// Passes packets.
    Up,
}

impl OperState {
    pub(crate) const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::NotPresent,
            2 => Self::Down,
            3 => Self::LowerLayerDown,
            4 => Self::Testing,
            5 => Self::Dormant,
            6 => Self::Up,
            _ => Self::Unknown,
        }
    }
}

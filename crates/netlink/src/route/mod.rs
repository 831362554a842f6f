//! Routes.
mod codec;
mod query;
mod view;

use std::fmt;
use std::net::IpAddr;

pub use query::RouteFilter;
pub use view::RouteView;

use crate::attribute::Attributes;
use crate::{Cidr, Error, Family, Index, Result, Scope};

/// A routing table, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Table(pub u32);

impl Table {
    /// The table of routes that users make.
    pub const MAIN: Self = Self(254);
    /// The table of the kernel's routes to its own addresses.
    pub const LOCAL: Self = Self(255);
    /// Looked at last.
    pub const DEFAULT: Self = Self(253);
}

/// Who made a route (`RTPROT_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteProtocol(pub u8);

impl RouteProtocol {
    /// The kernel.
    pub const KERNEL: Self = Self(2);
    /// Made at boot, or by `ip route add`.
    pub const BOOT: Self = Self(3);
    /// An administrator.
    pub const STATIC: Self = Self(4);
    /// Router advertisements.
    pub const RA: Self = Self(9);
}

/// What becomes of packets that a route matches (`RTN_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum RouteKind {
    /// Sent on.
    #[default]
    Unicast,
    /// For this host.
    Local,
    /// To all on the link.
    Broadcast,
    /// To one of many.
    Anycast,
    /// To a group.
    Multicast,
    /// Thrown away in silence.
    Blackhole,
    /// Refused: unreachable.
    Unreachable,
    /// Refused: prohibited.
    Prohibit,
    /// Looked up in the next table.
    Throw,
    /// Any other.
    Other(u8),
}

impl RouteKind {
    /// From 1 upwards.
    const NUMBERS: [(u8, Self); 9] = [
        (1, Self::Unicast),
        (2, Self::Local),
        (3, Self::Broadcast),
        (4, Self::Anycast),
        (5, Self::Multicast),
        (6, Self::Blackhole),
        (7, Self::Unreachable),
        (8, Self::Prohibit),
        (9, Self::Throw),
    ];

    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Other(number) => number,
            _ => Self::NUMBERS.iter().find(|(_, kind)| *kind == self).map_or(0, |(number, _)| *number),
        }
    }

    #[inline]
    pub(crate) fn from_number(number: u8) -> Self {
        let known = usize::from(number).checked_sub(1).and_then(|place| Self::NUMBERS.get(place));
        known.map_or(Self::Other(number), |(_, kind)| *kind)
    }

    /// Whether packets go nowhere, so that neither a device nor a gateway makes sense.
    const fn is_dead_end(self) -> bool {
        matches!(self, Self::Blackhole | Self::Unreachable | Self::Prohibit | Self::Throw)
    }
}

/// One of several ways of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NextHop {
    /// The next router.
    pub gateway: Option<IpAddr>,
    /// The link it is reached by; the kernel finds it from the gateway if not given.
    pub link: Option<Index>,
    /// Share of the flows, 1 to 256.
    pub weight: u16,
    /// The gateway is on the link, whatever the addresses say.
    pub onlink: bool,
}

/// A route.
///
/// Host bits of the destination and the source are cleared before it is sent. All addresses must be of one family.
/// A device is not needed where a gateway is given.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// The family.
    pub family: Family,
    /// Where to; everything if not given, so this is a default route.
    pub destination: Option<Cidr>,
    /// Only for packets from here. Only IPv6 heeds it.
    pub source: Option<Cidr>,
    /// The address that packets made on this host get.
    pub preferred_source: Option<IpAddr>,
    /// The next router.
    pub gateway: Option<IpAddr>,
    /// The link.
    pub link: Option<Index>,
    /// Lower is better. The kernel takes 1024 for IPv6 if not given.
    pub metric: Option<u32>,
    /// The table.
    pub table: Table,
    /// How far; chosen as `ip` does if not given: link scope where there is no gateway (IPv4).
    pub scope: Option<Scope>,
    /// Who made it.
    pub protocol: RouteProtocol,
    /// What becomes of the packets.
    pub kind: RouteKind,
    /// The gateway is on the link, whatever the addresses say (`RTNH_F_ONLINK`).
    pub onlink: bool,
    /// MTU of the route, in bytes (`RTAX_MTU`).
    pub mtu: Option<u32>,
    /// Several ways, in place of `gateway` and `link`.
    pub hops: Vec<NextHop>,
    unknown: Vec<u8>,
}

impl Route {
    /// A route of a family, without destination: a default route, as soon as it has a gateway or a link.
    #[must_use]
    pub const fn new(family: Family) -> Self {
        Self {
            family,
            destination: None,
            source: None,
            preferred_source: None,
            gateway: None,
            link: None,
            metric: None,
            table: Table::MAIN,
            scope: None,
            protocol: RouteProtocol::BOOT,
            kind: RouteKind::Unicast,
            onlink: false,
            mtu: None,
            hops: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// A route to a network.
    #[must_use]
    pub const fn to(destination: Cidr) -> Self {
        let mut route = Self::new(destination.family());
        route.destination = Some(destination);
        route
    }

    /// The default route by a gateway.
    #[must_use]
    pub const fn default_via(gateway: IpAddr) -> Self {
        Self::new(Family::of(gateway)).via(gateway)
    }

    /// By a gateway.
    #[must_use]
    pub const fn via(mut self, gateway: IpAddr) -> Self {
        self.gateway = Some(gateway);
        self
    }

    /// By a link.
    #[must_use]
    pub const fn link(mut self, link: Index) -> Self {
        self.link = Some(link);
        self
    }

    /// With a metric.
    #[must_use]
    pub const fn metric(mut self, metric: u32) -> Self {
        self.metric = Some(metric);
        self
    }

    /// In a table.
    #[must_use]
    pub const fn table(mut self, table: Table) -> Self {
        self.table = table;
        self
    }

    /// Of a kind.
    #[must_use]
    pub const fn kind(mut self, kind: RouteKind) -> Self {
        self.kind = kind;
        self
    }

    /// Whether it matches everything.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.destination.is_none_or(|destination| destination.prefix() == 0)
    }

    /// The attributes that no field holds.
    #[must_use]
    pub fn unknown(&self) -> Attributes<'_> {
        Attributes::new(&self.unknown)
    }

    fn check(&self) -> Result<()> {
        let families = [
            ("destination", self.destination.map(|network| network.family())),
            ("source", self.source.map(|network| network.family())),
            ("preferred source", self.preferred_source.map(Family::of)),
            ("gateway", self.gateway.map(Family::of)),
        ];
        let hops = self.hops.iter().map(|hop| ("gateway of a next hop", hop.gateway.map(Family::of)));
        for (field, family) in families.into_iter().chain(hops) {
            if family.is_some_and(|family| family != self.family) {
                return Err(Error::invalid(
                    field,
                    format!("not an {} address, as the route is", self.family),
                ));
            }
        }
        let single = self.gateway.is_some() || self.link.is_some();
        if self.kind.is_dead_end() && (single || !self.hops.is_empty()) {
            return Err(Error::invalid("route", "a route that goes nowhere has neither gateway nor link"));
        }
        if !self.hops.is_empty() && single {
            return Err(Error::invalid("route", "either next hops, or a gateway and a link"));
        }
        if self.hops.iter().any(|hop| !(1..=256).contains(&hop.weight)) {
            return Err(Error::invalid("weight of a next hop", "not between 1 and 256"));
        }
        Ok(())
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.destination.filter(|_| !self.is_default()) {
            Some(destination) => write!(f, "route {}", destination.network())?,
            None => write!(f, "default {} route", self.family)?,
        }
        self.source.map_or(Ok(()), |source| write!(f, " from {}", source.network()))?;
        self.gateway.map_or(Ok(()), |gateway| write!(f, " via {gateway}"))?;
        self.link.map_or(Ok(()), |link| write!(f, " on {link}"))?;
        self.metric.map_or(Ok(()), |metric| write!(f, " metric {metric}"))?;
        if self.table == Table::MAIN { Ok(()) } else { write!(f, " table {}", self.table.0) }
    }
}

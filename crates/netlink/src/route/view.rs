//! What the kernel tells about a route, where it stands.
use std::net::IpAddr;

use libc::{
    RTA_DST, RTA_GATEWAY, RTA_METRICS, RTA_MULTIPATH, RTA_OIF, RTA_PREFSRC, RTA_PRIORITY, RTA_SRC, RTA_TABLE,
};

use super::codec::{HEADER, ONLINK, RTAX_MTU, hops};
use super::{NextHop, Route, RouteKind, RouteProtocol, Table};
use crate::attribute::{Attribute, Attributes, keep};
use crate::{Cidr, Error, Family, Index, Result, Scope};

/// A route as it stands in the receive buffer. Nothing is allocated; [`RouteView::to_route`] does.
#[derive(Debug, Clone, Copy)]
pub struct RouteView<'a> {
    /// The family.
    pub family: Family,
    /// Where to; everything if not given.
    pub destination: Option<Cidr>,
    /// Only for packets from here.
    pub source: Option<Cidr>,
    /// The address that packets made on this host get.
    pub preferred_source: Option<IpAddr>,
    /// The next router.
    pub gateway: Option<IpAddr>,
    /// The link.
    pub link: Option<Index>,
    /// Lower is better.
    pub metric: Option<u32>,
    /// The table.
    pub table: Table,
    /// How far.
    pub scope: Scope,
    /// Who made it.
    pub protocol: RouteProtocol,
    /// What becomes of the packets.
    pub kind: RouteKind,
    /// The gateway is on the link, whatever the addresses say.
    pub onlink: bool,
    /// Whether attributes follow that only an owned route has fields for.
    rest: bool,
    attributes: &'a [u8],
}

impl<'a> RouteView<'a> {
    /// Reads `struct rtmsg` and its attributes; none for families other than IPv4 and IPv6.
    ///
    /// # Errors
    /// [`Error::Malformed`] if the header is cut off, [`Error::Invalid`] for a prefix longer than its address.
    #[inline]
    pub fn parse(payload: &'a [u8]) -> Result<Option<Self>> {
        let Some(header) = payload.first_chunk::<HEADER>() else {
            return Err(Error::Malformed { what: "route header" });
        };
        let [family, to, from, _, table, protocol, scope, kind, f0, f1, f2, f3] = *header;
        let Some(family) = Family::from_number(family) else { return Ok(None) };
        let mut view = Self {
            family,
            destination: None,
            source: None,
            preferred_source: None,
            gateway: None,
            link: None,
            metric: None,
            table: Table(table.into()),
            scope: Scope::from_number(scope),
            protocol: RouteProtocol(protocol),
            kind: RouteKind::from_number(kind),
            onlink: u32::from_ne_bytes([f0, f1, f2, f3]) & u32::from(ONLINK) != 0,
            rest: false,
            attributes: payload.get(HEADER..).unwrap_or_default(),
        };
        for attribute in view.attributes() {
            if !view.take(attribute, to, from) {
                return Err(Error::invalid("prefix length", format!("{to} or {from} is too long")));
            }
        }
        Ok(Some(view))
    }

    /// Whether the attribute makes sense.
    #[inline]
    fn take(&mut self, attribute: Attribute<'_>, to: u8, from: u8) -> bool {
        match attribute.kind {
            RTA_DST => return network(&mut self.destination, attribute, to),
            RTA_SRC => return network(&mut self.source, attribute, from),
            RTA_PREFSRC => self.preferred_source = attribute.ip(),
            RTA_GATEWAY => self.gateway = attribute.ip(),
            RTA_OIF => self.link = attribute.u32().map(Index::new),
            RTA_PRIORITY => self.metric = attribute.u32(),
            RTA_TABLE => self.table = Table(attribute.u32().unwrap_or(self.table.0)),
            _ => self.rest = true,
        }
        true
    }

    /// All attributes as the kernel sent them.
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.attributes)
    }

    /// Whether it matches everything.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.destination.is_none_or(|destination| destination.prefix() == 0)
    }

    /// Its ways, if it has several.
    #[must_use]
    pub fn hops(&self) -> Vec<NextHop> {
        self.attributes().find(RTA_MULTIPATH).map(hops).unwrap_or_default()
    }

    /// An owned copy. Allocates only for next hops and for attributes that no field holds.
    #[must_use]
    #[inline]
    pub fn to_route(&self) -> Route {
        let mut route = Route {
            family: self.family,
            destination: self.destination,
            source: self.source,
            preferred_source: self.preferred_source,
            gateway: self.gateway,
            link: self.link,
            metric: self.metric,
            table: self.table,
            scope: Some(self.scope),
            protocol: self.protocol,
            kind: self.kind,
            onlink: self.onlink,
            mtu: None,
            hops: Vec::new(),
            unknown: Vec::new(),
        };
        if self.rest {
            self.attributes().for_each(|attribute| route.take_rest(attribute));
        }
        route
    }
}

#[inline]
fn network(place: &mut Option<Cidr>, attribute: Attribute<'_>, prefix: u8) -> bool {
    let Some(address) = attribute.ip() else { return true };
    *place = Cidr::from_kernel(address, prefix);
    place.is_some()
}

impl Route {
    fn take_rest(&mut self, attribute: Attribute<'_>) {
        match attribute.kind {
            RTA_DST | RTA_SRC | RTA_PREFSRC | RTA_GATEWAY | RTA_OIF | RTA_PRIORITY | RTA_TABLE => {}
            RTA_METRICS => {
                let mtu = attribute.nested().find(RTAX_MTU);
                self.mtu = mtu.and_then(|value| Attribute { kind: RTAX_MTU, value }.u32());
                keep(&mut self.unknown, attribute);
            }
            RTA_MULTIPATH => self.hops = hops(attribute.value),
            _ => keep(&mut self.unknown, attribute),
        }
    }

    /// Reads a route; none for families other than IPv4 and IPv6.
    pub(crate) fn decode(payload: &[u8]) -> Result<Option<Self>> {
        Ok(RouteView::parse(payload)?.map(|view| view.to_route()))
    }
}

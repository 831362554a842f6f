//! `struct rtmsg` and its attributes.
use libc::{
    RTA_DST, RTA_GATEWAY, RTA_METRICS, RTA_MULTIPATH, RTA_OIF, RTA_PREFSRC, RTA_PRIORITY, RTA_SRC, RTA_TABLE,
    RTM_DELROUTE, RTM_NEWROUTE,
};

use super::{NextHop, Route, RouteKind};
use crate::attribute::{Attribute, Attributes, Writer, align};
use crate::message::Message;
use crate::message::sealed::Encode;
use crate::{Cidr, Family, Index, Result, Scope, Verb};

/// Bytes of `struct rtmsg`.
pub(super) const HEADER: usize = 12;
/// Bytes of `struct rtnexthop`.
const HOP: usize = 8;
/// `RTNH_F_ONLINK`.
pub(super) const ONLINK: u8 = 4;
/// `RTAX_MTU`.
pub(super) const RTAX_MTU: u16 = 2;

impl Encode for Route {
    fn encode(&self, verb: Verb, message: &mut Message) -> Result<()> {
        self.check()?;
        let fixed = self.header(verb);
        let mut writer = message.start(verb.pick(RTM_NEWROUTE, RTM_DELROUTE), verb.flags(), &fixed);
        if let Some(destination) = self.destination.filter(|_| !self.is_default()) {
            writer.ip(RTA_DST, destination.network().address())?;
        }
        if let Some(source) = self.source.filter(|source| source.prefix() != 0) {
            writer.ip(RTA_SRC, source.network().address())?;
        }
        self.gateway.map_or(Ok(()), |gateway| writer.ip(RTA_GATEWAY, gateway))?;
        self.preferred_source.map_or(Ok(()), |source| writer.ip(RTA_PREFSRC, source))?;
        self.metric.map_or(Ok(()), |metric| writer.u32(RTA_PRIORITY, metric))?;
        self.link.map_or(Ok(()), |link| writer.u32(RTA_OIF, link.get()))?;
        if self.table.0 > 255 {
            writer.u32(RTA_TABLE, self.table.0)?;
        }
        self.mtu.map_or(Ok(()), |mtu| writer.nest(RTA_METRICS, |metrics| metrics.u32(RTAX_MTU, mtu)))?;
        if self.hops.is_empty() {
            return Ok(());
        }
        writer.nest(RTA_MULTIPATH, |list| self.hops.iter().try_for_each(|hop| write_hop(list, hop)))
    }
}

impl Route {
    fn header(&self, verb: Verb) -> [u8; HEADER] {
        let prefix = |network: Option<Cidr>| network.map_or(0, |network| network.prefix());
        // A table that does not fit stands in RTA_TABLE alone.
        let table = u8::try_from(self.table.0).unwrap_or(0);
        let [f0, f1, f2, f3] = u32::from(if self.onlink { ONLINK } else { 0 }).to_ne_bytes();
        // A delete without a kind or a maker matches all of them.
        let (protocol, kind) = match (verb, self.kind) {
            (Verb::Delete, RouteKind::Unicast) => (0, 0),
            (Verb::Delete, kind) => (0, kind.number()),
            (_, kind) => (self.protocol.0, kind.number()),
        };
        let scope = self.scope.map_or_else(|| self.natural_scope(verb), Scope::number);
        let (to, from) = (prefix(self.destination), prefix(self.source));
        [self.family.number(), to, from, 0, table, protocol, scope, kind, f0, f1, f2, f3]
    }

    /// As `ip` chooses: anything when deleting, link scope for IPv4 on a link without a gateway.
    fn natural_scope(&self, verb: Verb) -> u8 {
        let by_gateway = self.gateway.is_some() || self.hops.iter().any(|hop| hop.gateway.is_some());
        let scope = match (verb, self.family, self.kind) {
            (Verb::Delete, _, _) => Scope::Nowhere,
            (_, Family::V4, RouteKind::Local) => Scope::Host,
            (_, Family::V4, RouteKind::Unicast) if !by_gateway => Scope::Link,
            _ => Scope::Universe,
        };
        scope.number()
    }
}

/// `struct rtnexthop` with its attributes behind it.
fn write_hop(list: &mut Writer<'_>, hop: &NextHop) -> Result<()> {
    let start = list.position();
    // Index 0: the kernel finds the link by the gateway.
    let [i0, i1, i2, i3] = hop.link.unwrap_or_default().to_bytes();
    let weight = u8::try_from(hop.weight.saturating_sub(1)).unwrap_or(u8::MAX);
    list.raw(&[0, 0, if hop.onlink { ONLINK } else { 0 }, weight, i0, i1, i2, i3]);
    hop.gateway.map_or(Ok(()), |gateway| list.ip(RTA_GATEWAY, gateway))?;
    list.patch_length(start)
}

pub(super) fn hops(mut rest: &[u8]) -> Vec<NextHop> {
    let mut hops = Vec::new();
    while let Some([l0, l1, flags, weight, i0, i1, i2, i3]) = rest.first_chunk::<HOP>().copied() {
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let Some(attributes) = rest.get(HOP..length) else { break };
        let gateway = Attributes::new(attributes).find(RTA_GATEWAY);
        hops.push(NextHop {
            gateway: gateway.and_then(|value| Attribute { kind: RTA_GATEWAY, value }.ip()),
            link: Some(Index::new(u32::from_ne_bytes([i0, i1, i2, i3]))),
            weight: u16::from(weight) + 1,
            onlink: flags & ONLINK != 0,
        });
        rest = rest.get(align(length)..).unwrap_or_default();
    }
    hops
}

//! Field by field: what `netlink-packet-route` has read must stand in our types.
use std::net::IpAddr;

use netlink_packet_route::RouteNetlinkMessage as Theirs;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkMessage};
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use netlink_packet_route::rule::{RuleAttribute, RuleMessage};

use crate::events::Event;
use crate::{Address, Index, Link, Neighbour, Route, Rule, Table};

/// Compares all fields that both have; says how many.
pub(super) fn agree(name: &str, theirs: &Theirs, ours: &Event) -> usize {
    let results = match (theirs, ours) {
        (Theirs::NewLink(theirs), Event::Link(ours)) => link(theirs, ours),
        (Theirs::NewAddress(theirs), Event::Address(ours)) => address(theirs, ours),
        (Theirs::NewRoute(theirs), Event::Route(ours)) => route(theirs, ours),
        (Theirs::NewNeighbour(theirs), Event::Neighbour(ours)) => neighbour(theirs, ours),
        (Theirs::NewRule(theirs), Event::Rule(ours)) => rule(theirs, ours),
        _ => Vec::new(),
    };
    for (place, same) in results.iter().enumerate() {
        assert!(same, "{name}, comparison {place}: {theirs:?} and {ours:?}");
    }
    results.len()
}

fn index(number: u32) -> Option<Index> {
    Some(Index::new(number))
}

fn link(theirs: &LinkMessage, ours: &Link) -> Vec<bool> {
    let attributes = theirs.attributes.iter().filter_map(|attribute| {
        Some(match attribute {
            LinkAttribute::IfName(name) => ours.name.as_bytes() == name.as_bytes(),
            LinkAttribute::Mtu(mtu) => ours.mtu == *mtu,
            LinkAttribute::Address(mac) => ours.mac.is_none_or(|our| our.as_bytes() == mac),
            LinkAttribute::Link(parent) => ours.parent == index(*parent).filter(|it| it.get() != 0),
            LinkAttribute::Controller(master) => ours.master == index(*master).filter(|it| it.get() != 0),
            LinkAttribute::TxQueueLen(length) => ours.queue_length == *length,
            LinkAttribute::Group(group) => ours.group == *group,
            LinkAttribute::IfAlias(alias) => ours.alias.as_deref() == Some(alias.as_ref()),
            LinkAttribute::Stats64(stats) => {
                (ours.stats.rx_packets, ours.stats.tx_bytes, ours.stats.rx_nohandler)
                    == (stats.rx_packets, stats.tx_bytes, stats.rx_nohandler)
            }
            _ => return None,
        })
    });
    [ours.index.get() == theirs.header.index, ours.flags.bits() == theirs.header.flags.bits()]
        .into_iter()
        .chain(attributes)
        .collect()
}

fn address(theirs: &AddressMessage, ours: &Address) -> Vec<bool> {
    let (header, own) = (&theirs.header, ours.address.address());
    let attributes = theirs.attributes.iter().filter_map(|attribute| {
        Some(match attribute {
            AddressAttribute::Local(ip) => own == *ip,
            AddressAttribute::Address(ip) => ours.peer.unwrap_or(own) == *ip,
            AddressAttribute::Label(label) => ours.label.unwrap().as_bytes() == label.as_bytes(),
            AddressAttribute::Broadcast(ip) => ours.broadcast == Some(*ip),
            AddressAttribute::Flags(flags) => ours.flags.bits() == flags.bits(),
            AddressAttribute::RoutePriority(metric) => ours.metric == Some(*metric),
            AddressAttribute::CacheInfo(info) => ours
                .lifetime
                .is_some_and(|life| (life.preferred, life.valid) == (info.ifa_preferred, info.ifa_valid)),
            _ => return None,
        })
    });
    [
        ours.link.get() == header.index,
        ours.address.prefix() == header.prefix_len,
        ours.scope.number() == u8::from(header.scope),
    ]
    .into_iter()
    .chain(attributes)
    .collect()
}

fn route(theirs: &RouteMessage, ours: &Route) -> Vec<bool> {
    let header = &theirs.header;
    let ip = |address: &RouteAddress| match address {
        RouteAddress::Inet(ip) => Some(IpAddr::from(*ip)),
        RouteAddress::Inet6(ip) => Some(IpAddr::from(*ip)),
        _ => None,
    };
    let attributes = theirs.attributes.iter().filter_map(|attribute| {
        Some(match attribute {
            RouteAttribute::Destination(to) => ours.destination.map(|it| it.address()) == ip(to),
            RouteAttribute::Source(from) => ours.source.map(|it| it.address()) == ip(from),
            RouteAttribute::Gateway(gateway) => ours.gateway == ip(gateway),
            RouteAttribute::PrefSource(source) => ours.preferred_source == ip(source),
            RouteAttribute::Oif(link) => ours.link == index(*link),
            RouteAttribute::Priority(metric) => ours.metric == Some(*metric),
            RouteAttribute::Table(table) => ours.table == Table(*table),
            RouteAttribute::MultiPath(hops) => hops.len() == ours.hops.len(),
            _ => return None,
        })
    });
    let to = ours.destination.map_or(0, |it| it.prefix());
    let from = ours.source.map_or(0, |it| it.prefix());
    [
        (to, from) == (header.destination_prefix_length, header.source_prefix_length),
        ours.protocol.0 == u8::from(header.protocol),
        ours.kind.number() == u8::from(header.kind),
        ours.scope.unwrap().number() == u8::from(header.scope),
    ]
    .into_iter()
    .chain(attributes)
    .collect()
}

fn neighbour(theirs: &NeighbourMessage, ours: &Neighbour) -> Vec<bool> {
    let header = &theirs.header;
    let attributes = theirs.attributes.iter().filter_map(|attribute| {
        Some(match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => ours.address == Some((*ip).into()),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => {
                ours.address == Some((*ip).into())
            }
            NeighbourAttribute::LinkLayerAddress(mac) => ours.mac.unwrap().as_bytes() == mac,
            NeighbourAttribute::Vlan(vlan) => ours.vlan == Some(*vlan),
            NeighbourAttribute::Controller(master) => ours.master == index(*master),
            _ => return None,
        })
    });
    [
        ours.link.get() == header.ifindex,
        ours.state.bits() == u16::from(header.state),
        ours.flags.bits() == header.flags.bits(),
    ]
    .into_iter()
    .chain(attributes)
    .collect()
}

fn rule(theirs: &RuleMessage, ours: &Rule) -> Vec<bool> {
    let header = &theirs.header;
    let attributes = theirs.attributes.iter().filter_map(|attribute| {
        Some(match attribute {
            RuleAttribute::Destination(to) => ours.destination.map(|it| it.address()) == Some(*to),
            RuleAttribute::Source(from) => ours.source.map(|it| it.address()) == Some(*from),
            RuleAttribute::Iifname(name) => ours.input.unwrap().as_bytes() == name.as_bytes(),
            RuleAttribute::Oifname(name) => ours.output.unwrap().as_bytes() == name.as_bytes(),
            RuleAttribute::Priority(priority) => ours.priority == Some(*priority),
            RuleAttribute::FwMark(mark) => ours.mark.unwrap().0 == *mark,
            RuleAttribute::FwMask(mask) => ours.mark.unwrap().1 == *mask,
            RuleAttribute::SuppressPrefixLen(u32::MAX) => ours.suppress_prefix.is_none(),
            RuleAttribute::SuppressPrefixLen(length) => ours.suppress_prefix == Some(*length),
            RuleAttribute::Table(table) => ours.table == Table(*table),
            _ => return None,
        })
    });
    let prefix = |network: Option<crate::Cidr>| network.map_or(0, |it| it.prefix());
    [(prefix(ours.destination), prefix(ours.source)) == (header.dst_len, header.src_len)]
        .into_iter()
        .chain(attributes)
        .collect()
}

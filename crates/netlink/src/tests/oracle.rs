//! A second opinion: what `netlink-packet-route` makes of our messages and of the kernel's, and what we make of its.
use netlink_packet_core::{Emitable, NetlinkDeserializable, NetlinkHeader, NetlinkSerializable};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    InfoData, InfoIpVlan, InfoKind, InfoVlan, IpVlanFlags, IpVlanMode, LinkAttribute, LinkInfo, LinkMessage,
    VlanProtocol as TheirProtocol,
};

use crate::events::{Event, event};
use crate::frame::{Frame, Frames};
use crate::{Ipvlan, IpvlanIsolation, IpvlanMode, LinkKind, LinkView, NextHop, Vlan, VlanProtocol, nsid};

fn read(kind: u16, payload: &[u8]) -> Option<RouteNetlinkMessage> {
    let mut header = NetlinkHeader::default();
    header.message_type = kind;
    RouteNetlinkMessage::deserialize(&header, payload).ok()
}

/// Their reading of a payload, written again by them.
fn by_them(kind: u16, payload: &[u8]) -> Option<Vec<u8>> {
    let message = read(kind, payload)?;
    let mut bytes = vec![0; NetlinkSerializable::buffer_len(&message)];
    message.serialize(&mut bytes);
    Some(bytes)
}

/// What our types hold, but for the attributes that they keep as they are.
fn told(event: &Event) -> String {
    let text = format!("{event:?}");
    text.split("unknown: [").next().unwrap_or_default().to_owned()
}

/// What they can't read: options of a port without the kind of its master.
const UNREAD: [&str; 2] = ["link_slave2", "link_port_all"];

/// Both read the same from every message: ours from the original, and ours from what they understood of it.
#[test]
#[cfg_attr(miri, ignore = "too long")]
fn what_they_understand_is_what_we_understand() {
    let (mut unread, mut fields) = (Vec::new(), 0);
    let mut compared = std::collections::BTreeMap::new();
    for line in include_str!("captures.txt").lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(' ').next().unwrap();
        let bytes = super::capture(name);
        for frame in Frames::new(&bytes) {
            let frame = frame.unwrap();
            let Ok(Some(ours)) = event(&frame) else { continue };
            let Some(theirs) = by_them(frame.kind, frame.payload) else {
                unread.push(name);
                continue;
            };
            let theirs = event(&Frame { payload: &theirs, ..frame }).unwrap().unwrap();
            assert_eq!(told(&theirs), told(&ours), "{name}");
            fields += super::fields::agree(name, &read(frame.kind, frame.payload).unwrap(), &ours);
            *compared.entry(frame.kind).or_insert(0) += 1;
        }
    }
    assert_eq!(unread, UNREAD);
    assert!(fields > 500, "{fields}");
    // New links, addresses, routes, neighbours and rules.
    for (kind, least) in [(16, 40), (20, 10), (24, 50), (28, 8), (32, 12)] {
        assert!(compared.get(&kind).is_some_and(|count| *count >= least), "{kind}: {compared:?}");
    }
}

fn kind_of(info: Vec<LinkInfo>) -> Option<LinkKind> {
    let mut message = LinkMessage::default();
    message.header.index = 7;
    message.attributes = vec![LinkAttribute::IfName("x0".to_owned()), LinkAttribute::LinkInfo(info)];
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    LinkView::parse(&bytes).unwrap().kind()
}

/// Kinds that the kernel of the captures lacks.
#[test]
fn kinds_as_they_write_them() {
    for (theirs, protocol) in [
        (TheirProtocol::Ieee8021Q, VlanProtocol::Customer),
        (TheirProtocol::Ieee8021Ad, VlanProtocol::Service),
    ] {
        let data = InfoData::Vlan(vec![InfoVlan::Id(77), InfoVlan::Protocol(theirs)]);
        let kind = kind_of(vec![LinkInfo::Kind(InfoKind::Vlan), LinkInfo::Data(data)]);
        assert_eq!(kind, Some(LinkKind::Vlan(Vlan { id: 77, protocol })));
    }
    for (their_mode, mode, flag, isolation) in [
        (IpVlanMode::L2, IpvlanMode::L2, 0, IpvlanIsolation::Bridge),
        (IpVlanMode::L3, IpvlanMode::L3, 1, IpvlanIsolation::Private),
        (IpVlanMode::L3S, IpvlanMode::L3S, 2, IpvlanIsolation::Vepa),
    ] {
        let flags = InfoIpVlan::Flags(IpVlanFlags::from_bits_retain(flag));
        let data = InfoData::IpVlan(vec![InfoIpVlan::Mode(their_mode), flags]);
        let kind = kind_of(vec![LinkInfo::Kind(InfoKind::IpVlan), LinkInfo::Data(data)]);
        assert_eq!(kind, Some(LinkKind::Ipvlan(Ipvlan { mode, isolation })));
    }
    assert_eq!(kind_of(vec![LinkInfo::Kind(InfoKind::Dummy)]), Some(LinkKind::Dummy));
}

#[test]
fn a_namespace_id_and_next_hops() {
    let bytes = super::capture("nsid_list.0");
    let theirs = by_them(88, &bytes[16..]).unwrap();
    assert_eq!(nsid::decode(&theirs), Some(7));
    let bytes = super::capture("route_show.6");
    let theirs = by_them(24, &bytes[16..]).unwrap();
    let hops = crate::Route::decode(&theirs).unwrap().unwrap().hops;
    let weights: Vec<_> = hops.iter().map(|NextHop { weight, onlink, .. }| (*weight, *onlink)).collect();
    assert_eq!(weights, [(3, false), (1, true)]);
}

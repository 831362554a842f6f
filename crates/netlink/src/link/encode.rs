//! Requests that make, change and delete links.
use libc::{
    IFLA_IFNAME, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_INFO_SLAVE_DATA, IFLA_LINK, IFLA_LINKINFO, RTM_DELLINK,
    RTM_NEWLINK,
};

use super::Namespace;
use super::fields::{TARGET_NETNSID, ifinfomsg, mac_and_mtu, namespace};
use super::kind::{Bridge, BridgePort, IpvlanIsolation, IpvlanMode, LinkKind, Peer, Vxlan};
use super::request::{RemoteLink, Which};
use crate::attribute::Writer;
use crate::message::Message;
use crate::message::sealed::Encode;
use crate::{Error, Index, Result, Verb};

/// `VETH_INFO_PEER`.
const VETH_INFO_PEER: u16 = 1;

impl Encode for Index {
    fn encode(&self, verb: Verb, message: &mut Message) -> Result<()> {
        if verb != Verb::Delete || self.get() == 0 {
            return Err(Error::invalid("link", "an index can only be deleted, and is never 0"));
        }
        message.start(RTM_DELLINK, verb.flags(), &ifinfomsg(0, *self, 0, 0));
        Ok(())
    }
}

impl Encode for RemoteLink {
    fn encode(&self, verb: Verb, message: &mut Message) -> Result<()> {
        if verb != Verb::Delete || self.index.get() == 0 {
            return Err(Error::invalid(
                "link",
                "one of another namespace can only be deleted, and is never 0",
            ));
        }
        let fixed = ifinfomsg(0, self.index, 0, 0);
        message.start(RTM_DELLINK, verb.flags(), &fixed).i32(TARGET_NETNSID, self.namespace)
    }
}

impl Encode for super::NewLink<'_> {
    fn encode(&self, verb: Verb, message: &mut Message) -> Result<()> {
        if verb != Verb::Add {
            return Err(Error::invalid("link", format!("a new link can be added, not: {verb}")));
        }
        self.check()?;
        let up = u32::from(self.up);
        let fixed = ifinfomsg(0, Index::default(), up, up);
        let mut writer = message.start(RTM_NEWLINK, verb.flags(), &fixed);
        if let Some(parent) = self.parent {
            writer.u32(IFLA_LINK, parent.get())?;
        }
        writer.text(IFLA_IFNAME, self.name.as_bytes())?;
        self.settings.write(&mut writer)?;
        if let Some(at) = self.namespace {
            namespace(&mut writer, at)?;
        }
        writer.nest(IFLA_LINKINFO, |info| {
            info.bytes(IFLA_INFO_KIND, self.kind.name())?;
            kind(info, &self.kind, self.peer_namespace)
        })
    }

    fn module(&self) -> Option<&'static str> {
        self.kind.module()
    }
}

impl Encode for super::LinkChange<'_> {
    fn encode(&self, verb: Verb, message: &mut Message) -> Result<()> {
        if verb != Verb::Set {
            return Err(Error::invalid("link", format!("a change can be made, not: {verb}")));
        }
        self.check()?;
        // Only the flags in the mask change: a link that is set up keeps MULTICAST and all others.
        let (index, name) = match self.link {
            Which::Index(index) => (index, self.name),
            Which::Name(name) => (Index::default(), Some(name)),
        };
        let fixed = ifinfomsg(0, index, self.flags.bits(), self.mask.bits());
        let mut writer = message.start(RTM_NEWLINK, verb.flags(), &fixed);
        if let Some(name) = name {
            writer.text(IFLA_IFNAME, name.as_bytes())?;
        }
        self.settings.write(&mut writer)?;
        if let Some(at) = self.namespace {
            namespace(&mut writer, at)?;
        }
        if self.kind.is_none() && self.port.is_none() {
            return Ok(());
        }
        writer.nest(IFLA_LINKINFO, |info| {
            if let Some(changed) = &self.kind {
                info.bytes(IFLA_INFO_KIND, changed.name())?;
                kind(info, changed, None)?;
            } else {
                info.bytes(IFLA_INFO_KIND, b"bridge_slave")?;
            }
            self.port.as_ref().map_or(Ok(()), |options| port(info, options))
        })
    }
}

/// `IFLA_INFO_DATA` of a kind.
fn kind(info: &mut Writer<'_>, kind: &LinkKind, peer_namespace: Option<Namespace<'_>>) -> Result<()> {
    match kind {
        LinkKind::Veth(other) => info.nest(IFLA_INFO_DATA, |data| peer(data, other, peer_namespace)),
        LinkKind::Bridge(bridge_) => info.nest(IFLA_INFO_DATA, |data| bridge(data, bridge_)),
        LinkKind::Vlan(vlan) => info.nest(IFLA_INFO_DATA, |data| {
            data.u16_be(5, vlan.protocol.number())?;
            data.u16(1, vlan.id)
        }),
        LinkKind::Macvlan(mode) | LinkKind::Macvtap(mode) => {
            info.nest(IFLA_INFO_DATA, |data| data.u32(1, mode.number()))
        }
        LinkKind::Ipvlan(ipvlan) => info.nest(IFLA_INFO_DATA, |data| {
            let mode = match ipvlan.mode {
                IpvlanMode::L2 => 0,
                IpvlanMode::L3 => 1,
                IpvlanMode::L3S => 2,
            };
            data.u16(1, mode)?;
            match ipvlan.isolation {
                IpvlanIsolation::Bridge => Ok(()),
                IpvlanIsolation::Private => data.u16(2, 1),
                IpvlanIsolation::Vepa => data.u16(2, 2),
            }
        }),
        LinkKind::Vxlan(tunnel) => info.nest(IFLA_INFO_DATA, |data| vxlan(data, tunnel)),
        LinkKind::Dummy | LinkKind::Ifb => Ok(()),
        LinkKind::Tun(_) => Err(Error::invalid("link kind", "tun and tap links are made by /dev/net/tun")),
        LinkKind::Other(other) if other.data.is_empty() => Ok(()),
        LinkKind::Other(other) => info.bytes(IFLA_INFO_DATA, &other.data),
    }
}

fn peer(data: &mut Writer<'_>, peer: &Peer, at: Option<Namespace<'_>>) -> Result<()> {
    data.nest(VETH_INFO_PEER, |data| {
        data.raw(&ifinfomsg(0, Index::default(), 0, 0));
        if let Some(name) = peer.name {
            data.text(IFLA_IFNAME, name.as_bytes())?;
        }
        mac_and_mtu(data, peer.mac, peer.mtu)?;
        at.map_or(Ok(()), |at| namespace(data, at))
    })
}

fn bridge(data: &mut Writer<'_>, bridge: &Bridge) -> Result<()> {
    let words = [(1, bridge.forward_delay), (2, bridge.hello_time), (4, bridge.ageing_time)];
    for (number, value) in words {
        value.map_or(Ok(()), |value| data.u32(number, value))?;
    }
    bridge.stp.map_or(Ok(()), |on| data.u32(5, on.into()))?;
    bridge.priority.map_or(Ok(()), |priority| data.u16(6, priority))?;
    bridge.vlan_filtering.map_or(Ok(()), |on| data.u8(7, on.into()))?;
    bridge.multicast_snooping.map_or(Ok(()), |on| data.u8(23, on.into()))?;
    bridge.default_pvid.map_or(Ok(()), |pvid| data.u16(39, pvid))
}

fn vxlan(data: &mut Writer<'_>, vxlan: &Vxlan) -> Result<()> {
    vxlan.ttl.map_or(Ok(()), |ttl| data.u8(5, ttl))?;
    data.u32(1, vxlan.id)?;
    if let Some(local) = vxlan.local {
        data.ip(if local.is_ipv4() { 4 } else { 17 }, local)?;
    }
    if let Some(remote) = vxlan.remote {
        data.ip(if remote.is_ipv4() { 2 } else { 16 }, remote)?;
    }
    vxlan.link.map_or(Ok(()), |link| data.u32(3, link.get()))?;
    vxlan.learning.map_or(Ok(()), |on| data.u8(7, on.into()))?;
    vxlan.port.map_or(Ok(()), |port| data.u16_be(15, port))
}

fn port(info: &mut Writer<'_>, port: &BridgePort) -> Result<()> {
    info.nest(IFLA_INFO_SLAVE_DATA, |data| {
        port.priority.map_or(Ok(()), |priority| data.u16(2, priority))?;
        port.cost.map_or(Ok(()), |cost| data.u32(3, cost))?;
        for (number, on) in port.switches() {
            on.map_or(Ok(()), |on| data.u8(number, on.into()))?;
        }
        Ok(())
    })
}

impl BridgePort {
    /// `IFLA_BRPORT_…` of all that are on or off.
    fn switches(&self) -> [(u16, Option<bool>); 10] {
        [
            (4, self.hairpin),
            (5, self.guard),
            (6, self.root_block),
            (7, self.fast_leave),
            (8, self.learning),
            (9, self.flood),
            (10, self.proxy_arp),
            (27, self.multicast_flood),
            (32, self.neighbour_suppress),
            (33, self.isolated),
        ]
    }
}

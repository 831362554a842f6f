//! Neighbours: entries of ARP and NDP, and forwarding entries of bridges.
use std::fmt;
use std::net::IpAddr;

use bitflags::bitflags;
use libc::{RTM_DELNEIGH, RTM_GETNEIGH, RTM_NEWNEIGH};

use crate::attribute::{Attributes, keep};
use crate::message::sealed::Encode;
use crate::message::{Message, NLM_F_DUMP, NLM_F_REQUEST};
use crate::{Error, Family, Index, Mac, Netlink, Result, Verb};

/// Bytes of `struct ndmsg`.
const HEADER: usize = 12;
/// `AF_BRIDGE`.
const BRIDGE: u8 = 7;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NDA_VLAN: u16 = 5;
const NDA_MASTER: u16 = 9;

bitflags! {
    /// State of a neighbour (`NUD_…`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct NeighbourState: u16 {
        /// Asked for.
        const INCOMPLETE = 1;
        /// Confirmed.
        const REACHABLE = 2;
        /// To be confirmed when used.
        const STALE = 4;
        /// About to be confirmed.
        const DELAY = 8;
        /// Being confirmed.
        const PROBE = 0x10;
        /// No answer.
        const FAILED = 0x20;
        /// Needs no confirmation.
        const NO_ARP = 0x40;
        /// Made by an administrator, for good.
        const PERMANENT = 0x80;
        /// Others the kernel may have.
        const _ = !0;
    }

    /// Flags of a neighbour (`NTF_…`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct NeighbourFlags: u8 {
        /// A forwarding entry of the link itself.
        const SELF = 2;
        /// A forwarding entry of the bridge that the link is a port of.
        const MASTER = 4;
        /// This host answers for the address.
        const PROXY = 8;
        /// Learned by other means than traffic.
        const EXTERNALLY_LEARNED = 0x10;
        /// Not overwritten by what is learned.
        const STICKY = 0x40;
        /// A router.
        const ROUTER = 0x80;
        /// Others the kernel may have.
        const _ = !0;
    }
}

/// A neighbour.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Neighbour {
    /// The link it is on.
    pub link: Index,
    /// Its address; none for a forwarding entry of a bridge.
    pub address: Option<IpAddr>,
    /// Its hardware address.
    pub mac: Option<Mac>,
    /// Its state.
    pub state: NeighbourState,
    /// Its flags.
    pub flags: NeighbourFlags,
    /// The VLAN of a forwarding entry.
    pub vlan: Option<u16>,
    /// The bridge of a forwarding entry, as listed.
    pub master: Option<Index>,
    unknown: Vec<u8>,
}

impl Neighbour {
    /// A permanent neighbour.
    #[must_use]
    pub const fn new(link: Index, address: IpAddr, mac: Mac) -> Self {
        Self::of(link, Some(address), Some(mac), NeighbourState::PERMANENT, NeighbourFlags::empty())
    }

    /// An address that this host answers for on a link.
    #[must_use]
    pub const fn proxy(link: Index, address: IpAddr) -> Self {
        Self::of(link, Some(address), None, NeighbourState::PERMANENT, NeighbourFlags::PROXY)
    }

    /// A static forwarding entry: frames for `mac` leave the bridge by its port `link`.
    #[must_use]
    pub const fn forwarding(link: Index, mac: Mac) -> Self {
        let state = NeighbourState::NO_ARP.union(NeighbourState::REACHABLE);
        Self::of(link, None, Some(mac), state, NeighbourFlags::MASTER)
    }

    const fn of(
        link: Index,
        address: Option<IpAddr>,
        mac: Option<Mac>,
        state: NeighbourState,
        flags: NeighbourFlags,
    ) -> Self {
        Self { link, address, mac, state, flags, vlan: None, master: None, unknown: Vec::new() }
    }

    /// The attributes that no field holds.
    #[must_use]
    pub fn unknown(&self) -> Attributes<'_> {
        Attributes::new(&self.unknown)
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self> {
        let header = payload.first_chunk::<HEADER>().ok_or(Error::Malformed { what: "neighbour header" })?;
        let [_, _, _, _, i0, i1, i2, i3, s0, s1, flags, _] = *header;
        let link = Index::new(u32::from_ne_bytes([i0, i1, i2, i3]));
        let state = NeighbourState::from_bits_retain(u16::from_ne_bytes([s0, s1]));
        let mut neighbour = Self::of(link, None, None, state, NeighbourFlags::from_bits_retain(flags));
        for attribute in Attributes::after(payload, HEADER) {
            match attribute.kind {
                NDA_DST => neighbour.address = attribute.ip(),
                NDA_LLADDR => neighbour.mac = Mac::from_slice(attribute.value),
                NDA_VLAN => neighbour.vlan = attribute.u16(),
                NDA_MASTER => neighbour.master = attribute.u32().map(Index::new),
                _ => keep(&mut neighbour.unknown, attribute),
            }
        }
        Ok(neighbour)
    }
}

impl Encode for Neighbour {
    fn encode(&self, verb: Verb, message: &mut Message) -> Result<()> {
        if self.link.get() == 0 {
            return Err(Error::invalid("link", "index 0"));
        }
        if self.address.is_none() && self.mac.is_none() {
            return Err(Error::invalid("neighbour", "neither address nor hardware address"));
        }
        if self.vlan.is_some_and(|vlan| vlan == 0 || vlan > 4094) {
            return Err(Error::invalid("VLAN id", "not between 1 and 4094"));
        }
        let family = self.address.map_or(BRIDGE, |address| Family::of(address).number());
        let ([i0, i1, i2, i3], [s0, s1]) = (self.link.to_bytes(), self.state.bits().to_ne_bytes());
        let fixed = [family, 0, 0, 0, i0, i1, i2, i3, s0, s1, self.flags.bits(), 0];
        let mut writer = message.start(verb.pick(RTM_NEWNEIGH, RTM_DELNEIGH), verb.flags(), &fixed);
        self.address.map_or(Ok(()), |address| writer.ip(NDA_DST, address))?;
        self.mac.map_or(Ok(()), |mac| writer.bytes(NDA_LLADDR, mac.as_bytes()))?;
        self.vlan.map_or(Ok(()), |vlan| writer.u16(NDA_VLAN, vlan))
    }
}

impl fmt::Display for Neighbour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.address, self.mac) {
            (Some(address), _) => write!(f, "neighbour {address} on {}", self.link),
            (None, Some(mac)) => write!(f, "forwarding entry {mac} on {}", self.link),
            (None, None) => write!(f, "neighbour on {}", self.link),
        }
    }
}

impl Netlink {
    /// The neighbours of a family, of one link or of all; without proxies.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if they change again and again, and what the kernel or the socket say.
    pub fn neighbours(&mut self, family: Family, link: Option<Index>) -> Result<Vec<Neighbour>> {
        let mut found = self.list_neighbours(family.number(), NeighbourFlags::empty())?;
        found.retain(|neighbour| link.is_none_or(|link| neighbour.link == link));
        Ok(found)
    }

    /// The addresses of a family that this host answers for.
    ///
    /// # Errors
    /// As of [`Netlink::neighbours`].
    pub fn proxies(&mut self, family: Family) -> Result<Vec<Neighbour>> {
        self.list_neighbours(family.number(), NeighbourFlags::PROXY)
    }

    /// The forwarding entries of all bridges and of links that have some of their own.
    ///
    /// # Errors
    /// As of [`Netlink::neighbours`].
    pub fn forwarding_entries(&mut self) -> Result<Vec<Neighbour>> {
        self.list_neighbours(BRIDGE, NeighbourFlags::empty())
    }

    fn list_neighbours(&mut self, family: u8, flags: NeighbourFlags) -> Result<Vec<Neighbour>> {
        let found = std::cell::RefCell::new(Vec::new());
        let write = |message: &mut Message| {
            let fixed = [family, 0, 0, 0, 0, 0, 0, 0, 0, 0, flags.bits(), 0];
            message.start(RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_DUMP, &fixed);
            Ok(())
        };
        let name = || "list neighbours".to_owned();
        self.query(&name, &write, &mut || found.borrow_mut().clear(), &mut |frame| {
            if frame.kind == RTM_NEWNEIGH {
                found.borrow_mut().push(Neighbour::decode(frame.payload)?);
            }
            Ok(())
        })?;
        Ok(found.into_inner())
    }
}

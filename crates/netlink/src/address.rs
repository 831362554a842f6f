//! Addresses of links.
use std::ffi::OsStr;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::ffi::OsStrExt;

use bitflags::bitflags;
use libc::{
    IFA_ADDRESS, IFA_BROADCAST, IFA_CACHEINFO, IFA_FLAGS, IFA_LABEL, IFA_LOCAL, RTM_DELADDR, RTM_GETADDR,
    RTM_NEWADDR,
};

use crate::attribute::{Attribute, Attributes, keep};
use crate::message::sealed::Encode;
use crate::message::{Message, NLM_F_DUMP, NLM_F_REQUEST};
use crate::{Cidr, Error, Family, Index, Name, Netlink, Result, Verb};

/// Bytes of `struct ifaddrmsg`.
const HEADER: usize = 8;
/// `IFA_RT_PRIORITY`.
const METRIC: u16 = 9;

bitflags! {
    /// Flags of an address (`IFA_F_…`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct AddressFlags: u32 {
        /// IPv4: not the first of its network. IPv6: temporary.
        const SECONDARY = 1;
        /// No duplicate address detection.
        const NO_DAD = 2;
        /// Duplicate address detection is optimistic.
        const OPTIMISTIC = 4;
        /// Duplicate address detection failed.
        const DAD_FAILED = 8;
        /// Home address of mobile IPv6.
        const HOME = 0x10;
        /// Not to be used for new connections.
        const DEPRECATED = 0x20;
        /// Duplicate address detection is under way.
        const TENTATIVE = 0x40;
        /// Without an end of its lifetime. The kernel sets it.
        const PERMANENT = 0x80;
        /// The kernel makes temporary addresses from it.
        const MANAGE_TEMPORARY = 0x100;
        /// No route to its network.
        const NO_PREFIX_ROUTE = 0x200;
        /// Join the multicast group on the link.
        const AUTO_JOIN = 0x400;
        /// Stable privacy mode.
        const STABLE_PRIVACY = 0x800;
        /// Others the kernel may have.
        const _ = !0;
    }
}

/// How far an address or a route is valid (`RT_SCOPE_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scope {
    /// Everywhere.
    #[default]
    Universe,
    /// In this site (IPv6, obsolete).
    Site,
    /// On the link.
    Link,
    /// On this host.
    Host,
    /// Nowhere.
    Nowhere,
    /// As the user defines it.
    Other(u8),
}

impl Scope {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Universe => 0,
            Self::Site => 200,
            Self::Link => 253,
            Self::Host => 254,
            Self::Nowhere => 255,
            Self::Other(number) => number,
        }
    }

    pub(crate) const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Universe,
            200 => Self::Site,
            253 => Self::Link,
            254 => Self::Host,
            255 => Self::Nowhere,
            _ => Self::Other(number),
        }
    }
}

/// How long an address lives, in seconds; `u32::MAX` is forever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lifetime {
    /// It is removed after this time.
    pub valid: u32,
    /// It is deprecated after this time.
    pub preferred: u32,
}

impl Lifetime {
    /// Without an end.
    pub const FOREVER: Self = Self { valid: u32::MAX, preferred: u32::MAX };
}

/// An address of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// The link.
    pub link: Index,
    /// The address with the prefix of its network.
    pub address: Cidr,
    /// The address of the other side, on a point-to-point link. The prefix then belongs to it.
    pub peer: Option<IpAddr>,
    /// The broadcast address (IPv4).
    pub broadcast: Option<Ipv4Addr>,
    /// A label that begins with the link's name (IPv4).
    pub label: Option<Name>,
    /// How far it is valid.
    pub scope: Scope,
    /// Its flags.
    pub flags: AddressFlags,
    /// How long it lives; forever if not given.
    pub lifetime: Option<Lifetime>,
    /// The metric of the route to its network.
    pub metric: Option<u32>,
    unknown: Vec<u8>,
}

impl Address {
    /// An address of a link, valid everywhere and forever, without broadcast address and label.
    #[must_use]
    pub const fn new(link: Index, address: Cidr) -> Self {
        Self {
            link,
            address,
            peer: None,
            broadcast: None,
            label: None,
            scope: Scope::Universe,
            flags: AddressFlags::empty(),
            lifetime: None,
            metric: None,
            unknown: Vec::new(),
        }
    }

    /// With these flags, as [`AddressFlags::NO_DAD`].
    #[must_use]
    pub const fn flags(mut self, flags: AddressFlags) -> Self {
        self.flags = flags;
        self
    }

    /// With a label (IPv4), by custom `LINK:ANYTHING`, at most 15 bytes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it is empty, too long, or contains NUL.
    pub fn label(mut self, label: impl AsRef<OsStr>) -> Result<Self> {
        let label = label.as_ref().as_bytes();
        let fits = !label.is_empty() && !label.contains(&0);
        let name = Name::from_kernel(label).filter(|_| fits);
        let problem = || Error::invalid("label", "1 to 15 bytes without NUL expected");
        self.label = Some(name.ok_or_else(problem)?);
        Ok(self)
    }

    /// The attributes that no field holds.
    #[must_use]
    pub fn unknown(&self) -> Attributes<'_> {
        Attributes::new(&self.unknown)
    }

    fn check(&self) -> Result<()> {
        let family = self.address.family();
        if self.link.get() == 0 {
            return Err(Error::invalid("link", "index 0"));
        }
        if self.peer.is_some_and(|peer| Family::of(peer) != family) {
            return Err(Error::invalid("peer", format!("not of the family of {}", self.address)));
        }
        if family == Family::V6 && (self.broadcast.is_some() || self.label.is_some()) {
            return Err(Error::invalid("address", "IPv6 knows no broadcast address and no label"));
        }
        if self.lifetime.is_some_and(|life| life.preferred > life.valid || life.valid == 0) {
            return Err(Error::invalid("lifetime", "preferred longer than valid, or valid for 0 seconds"));
        }
        Ok(())
    }

    /// Reads `struct ifaddrmsg` and its attributes; none for families other than IPv4 and IPv6.
    pub(crate) fn decode(payload: &[u8]) -> Result<Option<Self>> {
        let header = payload.first_chunk::<HEADER>().ok_or(Error::Malformed { what: "address header" })?;
        let [family, prefix, flags, scope, i0, i1, i2, i3] = *header;
        let Some(family) = Family::from_number(family) else { return Ok(None) };
        let mut address = Self::new(
            Index::new(u32::from_ne_bytes([i0, i1, i2, i3])),
            Cidr::new(family.unspecified(), prefix)?,
        );
        address.scope = Scope::from_number(scope);
        address.flags = AddressFlags::from_bits_retain(flags.into());
        let (mut local, mut other) = (None, None);
        for attribute in Attributes::after(payload, HEADER) {
            match attribute.kind {
                IFA_ADDRESS => other = attribute.ip(),
                IFA_LOCAL => local = attribute.ip(),
                _ => address.take(attribute),
            }
        }
        // IFA_LOCAL is this side's address. IPv6 sends it only where there is a peer.
        let own = local.or(other).filter(|ip| Family::of(*ip) == family);
        let own = own.ok_or(Error::Malformed { what: "address without an address" })?;
        address.address = Cidr::new(own, prefix)?;
        address.peer = other.filter(|other| *other != own);
        Ok(Some(address))
    }

    fn take(&mut self, attribute: Attribute<'_>) {
        match attribute.kind {
            IFA_BROADCAST => {
                self.broadcast = attribute.value.first_chunk::<4>().map(|octets| (*octets).into());
            }
            IFA_LABEL => self.label = attribute.name(),
            IFA_FLAGS => {
                self.flags = attribute.u32().map_or(self.flags, AddressFlags::from_bits_retain);
            }
            IFA_CACHEINFO => self.lifetime = lifetime(attribute.value),
            METRIC => self.metric = attribute.u32(),
            _ => keep(&mut self.unknown, attribute),
        }
    }
}

/// The first half of `struct ifa_cacheinfo`: preferred, valid.
fn lifetime(value: &[u8]) -> Option<Lifetime> {
    let [p0, p1, p2, p3, v0, v1, v2, v3] = *value.first_chunk::<8>()?;
    let (preferred, valid) = (u32::from_ne_bytes([p0, p1, p2, p3]), u32::from_ne_bytes([v0, v1, v2, v3]));
    Some(Lifetime { valid, preferred })
}

impl Encode for Address {
    fn encode(&self, verb: Verb, message: &mut Message) -> Result<()> {
        self.check()?;
        let [i0, i1, i2, i3] = self.link.to_bytes();
        // As `ip`: the header has the flags only if all of them fit, since the attribute takes its place.
        let low = u8::try_from(self.flags.bits()).unwrap_or(0);
        let family = self.address.family().number();
        let fixed = [family, self.address.prefix(), low, self.scope.number(), i0, i1, i2, i3];
        let mut writer = message.start(verb.pick(RTM_NEWADDR, RTM_DELADDR), verb.flags(), &fixed);
        writer.ip(IFA_LOCAL, self.address.address())?;
        if let Some(broadcast) = self.broadcast {
            writer.ip(IFA_BROADCAST, broadcast.into())?;
        }
        if let Some(label) = self.label {
            writer.text(IFA_LABEL, label.as_bytes())?;
        }
        if self.flags.bits() > 0xff {
            writer.u32(IFA_FLAGS, self.flags.bits())?;
        }
        writer.ip(IFA_ADDRESS, self.peer.unwrap_or(self.address.address()))?;
        self.metric.map_or(Ok(()), |metric| writer.u32(METRIC, metric))?;
        self.lifetime.map_or(Ok(()), |life| {
            let mut info = [0; 16];
            let words = [life.preferred.to_ne_bytes(), life.valid.to_ne_bytes()];
            info.iter_mut().zip(words.into_iter().flatten()).for_each(|(to, from)| *to = from);
            writer.bytes(IFA_CACHEINFO, &info)
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "address {} on {}", self.address, self.link)
    }
}

impl Netlink {
    /// The addresses of one link or of all, IPv4 before IPv6.
    ///
    /// # Errors
    /// [`Error::Interrupted`] if they change again and again, and what the kernel or the socket say.
    pub fn addresses(&mut self, link: Option<Index>) -> Result<Vec<Address>> {
        // Index 0 asks for those of all links.
        let index = link.unwrap_or_default();
        let found = std::cell::RefCell::new(Vec::new());
        let write = |message: &mut Message| {
            let [i0, i1, i2, i3] = index.to_bytes();
            message.start(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, &[0, 0, 0, 0, i0, i1, i2, i3]);
            Ok(())
        };
        let name =
            || link.map_or_else(|| "list addresses".to_owned(), |link| format!("list addresses of {link}"));
        self.query(&name, &write, &mut || found.borrow_mut().clear(), &mut |frame| {
            if frame.kind == RTM_NEWADDR {
                // Kernels without strict checking ignore the index.
                let address =
                    Address::decode(frame.payload)?.filter(|it| link.is_none_or(|link| it.link == link));
                found.borrow_mut().extend(address);
            }
            Ok(())
        })?;
        Ok(found.into_inner())
    }
}

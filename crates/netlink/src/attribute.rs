//! Attributes (`struct rtattr`): type, length, value, padded to four bytes. Read in place, written into one buffer.
//!
//! Netlink's integers have the byte order of the machine, except where an attribute says otherwise.
use crate::{Error, Name, Result};

/// Bytes of an attribute's header.
const HEADER: usize = 4;
/// `NLA_F_NESTED | NLA_F_NET_BYTEORDER`: flags in the type field.
const FLAGS: u16 = 0xc000;
/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;

/// One attribute, in the buffer that it was received in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The type, without its flag bits.
    pub kind: u16,
    /// The value, without padding.
    pub value: &'a [u8],
}

/// Iterates over attributes that stand one behind the other. Ends at the first one that doesn't fit.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// The attributes in `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Those behind a fixed header of `header` bytes; none if `bytes` is shorter.
    pub(crate) fn after(bytes: &'a [u8], header: usize) -> Self {
        Self::new(bytes.get(header..).unwrap_or_default())
    }

    /// Whether they ended, for one that has reached the end, at one that doesn't fit.
    pub(crate) const fn is_cut_off(&self) -> bool {
        !self.rest.is_empty()
    }

    /// The value of the first attribute of a type.
    #[must_use]
    pub fn find(mut self, kind: u16) -> Option<&'a [u8]> {
        self.find_map(|attribute| (attribute.kind == kind).then_some(attribute.value))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    #[inline]
    fn next(&mut self) -> Option<Attribute<'a>> {
        let (header, _) = self.rest.split_first_chunk::<HEADER>()?;
        let [l0, l1, k0, k1] = *header;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = self.rest.get(HEADER..length)?;
        self.rest = self.rest.get(align(length)..).unwrap_or_default();
        Some(Attribute { kind: u16::from_ne_bytes([k0, k1]) & !FLAGS, value })
    }
}

impl<'a> Attribute<'a> {
    /// The attributes within this one.
    #[must_use]
    pub const fn nested(&self) -> Attributes<'a> {
        Attributes::new(self.value)
    }

    /// One byte.
    #[must_use]
    pub fn u8(&self) -> Option<u8> {
        self.value.first().copied()
    }

    /// Two bytes in the machine's order.
    #[must_use]
    pub fn u16(&self) -> Option<u16> {
        self.value.first_chunk().copied().map(u16::from_ne_bytes)
    }

    /// Two bytes in network order.
    #[must_use]
    pub fn u16_be(&self) -> Option<u16> {
        self.value.first_chunk().copied().map(u16::from_be_bytes)
    }

    /// Four bytes in the machine's order.
    #[must_use]
    #[inline]
    pub fn u32(&self) -> Option<u32> {
        self.value.first_chunk().copied().map(u32::from_ne_bytes)
    }

    /// Four bytes in the machine's order, signed.
    #[must_use]
    pub fn i32(&self) -> Option<i32> {
        self.value.first_chunk().copied().map(i32::from_ne_bytes)
    }

    /// Eight bytes in the machine's order.
    #[must_use]
    pub fn u64(&self) -> Option<u64> {
        self.value.first_chunk().copied().map(u64::from_ne_bytes)
    }

    /// A string up to its NUL.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        self.value.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// An IPv4 or IPv6 address, told apart by the length.
    #[must_use]
    #[inline]
    pub fn ip(&self) -> Option<std::net::IpAddr> {
        match self.value.len() {
            4 => self.value.first_chunk::<4>().map(|octets| (*octets).into()),
            16 => self.value.first_chunk::<16>().map(|octets| (*octets).into()),
            _ => None,
        }
    }

    pub(crate) fn name(&self) -> Option<Name> {
        Name::from_kernel(self.text())
    }
}

/// The attributes behind a fixed header of `start` bytes, each with where it begins.
pub(crate) fn located<'a>(
    bytes: &'a [u8],
    start: usize,
) -> impl Iterator<Item = (usize, Attribute<'a>)> + use<'a> {
    let mut at = start;
    Attributes::after(bytes, start).map(move |attribute| {
        let here = at;
        at += align(attribute.value.len() + HEADER);
        (here, attribute)
    })
}

/// Keeps a copy of an attribute behind those already in `to`, with its header and padding.
pub(crate) fn keep(to: &mut Vec<u8>, attribute: Attribute<'_>) {
    // A value came out of a 16-bit length, so it goes back into one.
    let length = u16::try_from(attribute.value.len() + HEADER).unwrap_or(u16::MAX);
    to.extend_from_slice(&length.to_ne_bytes());
    to.extend_from_slice(&attribute.kind.to_ne_bytes());
    to.extend_from_slice(attribute.value);
    to.resize(align(to.len()), 0);
}

/// A length padded to four.
pub(crate) const fn align(length: usize) -> usize {
    (length + 3) & !3
}

/// Appends attributes to a buffer.
#[derive(Debug)]
pub(crate) struct Writer<'a> {
    buffer: &'a mut Vec<u8>,
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(buffer: &'a mut Vec<u8>) -> Self {
        Self { buffer }
    }

    /// Appends a fixed header; every one in rtnetlink is a multiple of four long.
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// One attribute of up to 65,531 bytes.
    pub(crate) fn bytes(&mut self, kind: u16, value: &[u8]) -> Result<()> {
        let length = u16::try_from(value.len() + HEADER)
            .map_err(|_| Error::invalid("attribute", "longer than 65531 bytes"))?;
        self.buffer.extend_from_slice(&length.to_ne_bytes());
        self.buffer.extend_from_slice(&kind.to_ne_bytes());
        self.buffer.extend_from_slice(value);
        self.buffer.resize(align(self.buffer.len()), 0);
        Ok(())
    }

    pub(crate) fn u8(&mut self, kind: u16, value: u8) -> Result<()> {
        self.bytes(kind, &[value])
    }

    pub(crate) fn u16(&mut self, kind: u16, value: u16) -> Result<()> {
        self.bytes(kind, &value.to_ne_bytes())
    }

    pub(crate) fn u16_be(&mut self, kind: u16, value: u16) -> Result<()> {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn u32(&mut self, kind: u16, value: u32) -> Result<()> {
        self.bytes(kind, &value.to_ne_bytes())
    }

    pub(crate) fn u32_be(&mut self, kind: u16, value: u32) -> Result<()> {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn i32(&mut self, kind: u16, value: i32) -> Result<()> {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// A string with its NUL.
    pub(crate) fn text(&mut self, kind: u16, value: &[u8]) -> Result<()> {
        let start = self.buffer.len();
        self.bytes(kind, value)?;
        self.buffer.truncate(start + HEADER + value.len());
        self.buffer.push(0);
        self.buffer.resize(align(self.buffer.len()), 0);
        self.set_length(start, HEADER + value.len() + 1)
    }

    pub(crate) fn ip(&mut self, kind: u16, value: std::net::IpAddr) -> Result<()> {
        match value {
            std::net::IpAddr::V4(ip) => self.bytes(kind, &ip.octets()),
            std::net::IpAddr::V6(ip) => self.bytes(kind, &ip.octets()),
        }
    }

    /// An attribute that holds those that `fill` writes. Without the flag `NLA_F_NESTED`, as `ip` does for most.
    pub(crate) fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Writer<'_>) -> Result<()>) -> Result<()> {
        let start = self.buffer.len();
        self.bytes(kind, &[])?;
        fill(&mut Writer::new(self.buffer))?;
        self.set_length(start, self.buffer.len() - start)
    }

    /// The same, with the flag, which newer parts of the kernel insist on.
    pub(crate) fn nest_flagged(
        &mut self,
        kind: u16,
        fill: impl FnOnce(&mut Writer<'_>) -> Result<()>,
    ) -> Result<()> {
        self.nest(kind | NESTED, fill)
    }

    fn set_length(&mut self, start: usize, length: usize) -> Result<()> {
        let length =
            u16::try_from(length).map_err(|_| Error::invalid("attribute", "longer than 65531 bytes"))?;
        if let Some(field) = self.buffer.get_mut(start..start + 2) {
            field.copy_from_slice(&length.to_ne_bytes());
        }
        Ok(())
    }

    /// Where the next byte goes, for lengths that are filled in later.
    pub(crate) fn position(&self) -> usize {
        self.buffer.len()
    }

    /// Writes a 16-bit length over what stands at `at`.
    pub(crate) fn patch_length(&mut self, at: usize) -> Result<()> {
        self.set_length(at, self.buffer.len() - at)
    }
}

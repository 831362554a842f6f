//! Names, indexes and hardware addresses of links: small values without an allocation.
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::str::FromStr;

use crate::{Error, Result};

/// Longest name of a link, in bytes (`IFNAMSIZ` less the NUL).
const LONGEST: usize = 15;
/// Longest hardware address, in bytes (`MAX_ADDR_LEN`).
const LONGEST_MAC: usize = 32;

/// A link's index in its network namespace (`ifi_index`), never 0 for a link that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Index(u32);

impl Index {
    /// Index `1`: the loopback link of every namespace.
    pub const LOOPBACK: Self = Self(1);

    /// An index that the kernel gave.
    #[must_use]
    pub const fn new(index: u32) -> Self {
        Self(index)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    pub(crate) const fn to_bytes(self) -> [u8; 4] {
        self.0.to_ne_bytes()
    }
}

impl fmt::Display for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "link #{}", self.0)
    }
}

/// A link's name: 1 to 15 bytes, no `/`, `:`, NUL or white space, not `.` or `..` (`dev_valid_name` in the kernel).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    bytes: [u8; LONGEST],
    length: u8,
}

impl Name {
    /// Checks and copies a name.
    ///
    /// # Errors
    /// [`Error::Invalid`] with what is wrong.
    pub fn new(name: impl AsRef<OsStr>) -> Result<Self> {
        let bytes = name.as_ref().as_bytes();
        check(bytes, "link name")?;
        Self::from_kernel(bytes).ok_or_else(|| {
            Error::invalid("link name", format!("{} bytes long, at most {LONGEST} are allowed", bytes.len()))
        })
    }

    /// The bytes, for what the kernel says; only the length counts here.
    pub(crate) fn from_kernel(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; LONGEST];
        bytes.get_mut(..text.len())?.copy_from_slice(text);
        Some(Self { bytes, length: u8::try_from(text.len()).ok()? })
    }

    /// The bytes, without NUL.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// As a string of the operating system.
    #[must_use]
    pub fn as_os_str(&self) -> &OsStr {
        OsStr::from_bytes(self.as_bytes())
    }
}

/// What is wrong with a name or an alternative name, whatever its length.
pub(crate) fn check(name: &[u8], field: &'static str) -> Result<()> {
    let problem = match name {
        [] => "empty",
        b"." | b".." => "reserved",
        _ if name.contains(&0) => "contains NUL",
        _ if name.contains(&b'/') => "contains '/'",
        _ if name.contains(&b':') => "contains ':'",
        _ if name.iter().any(|byte| byte.is_ascii_whitespace() || *byte == 0x0b) => "contains white space",
        _ => return Ok(()),
    };
    Err(Error::invalid(field, format!("{problem}: {:?}", OsStr::from_bytes(name))))
}

impl AsRef<OsStr> for Name {
    fn as_ref(&self) -> &OsStr {
        self.as_os_str()
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(self.as_bytes()))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_os_str().fmt(f)
    }
}

impl serde::Serialize for Name {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A hardware address: six bytes for Ethernet, up to 32 for others, written `02:00:00:00:00:01`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac {
    bytes: [u8; LONGEST_MAC],
    length: u8,
}

impl Mac {
    /// An Ethernet address.
    #[must_use]
    pub fn new(octets: [u8; 6]) -> Self {
        let mut bytes = [0; LONGEST_MAC];
        for (to, from) in bytes.iter_mut().zip(octets) {
            *to = from;
        }
        Self { bytes, length: 6 }
    }

    /// An address of any kind of hardware; none if it is longer than 32 bytes.
    #[must_use]
    pub fn from_slice(value: &[u8]) -> Option<Self> {
        let mut bytes = [0; LONGEST_MAC];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        Some(Self { bytes, length: u8::try_from(value.len()).ok()? })
    }

    /// A random address: locally administered, unicast. The randomness is the kernel's.
    ///
    /// # Errors
    /// That of reading `/dev/urandom`.
    pub fn random() -> Result<Self> {
        let mut octets = [0; 6];
        std::fs::File::open("/dev/urandom")
            .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut octets))
            .map_err(|source| Error::Socket { call: "read /dev/urandom", source })?;
        let [first, ..] = &mut octets;
        *first = (*first | 0b10) & !1;
        Ok(Self::new(octets))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// Whether it names a group: the lowest bit of the first byte.
    #[must_use]
    pub fn is_multicast(&self) -> bool {
        self.as_bytes().first().is_some_and(|byte| byte & 1 != 0)
    }

    /// Whether a link can have it: not a group, not all zero.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_multicast() || self.as_bytes().iter().all(|byte| *byte == 0) {
            return Err(Error::invalid("hardware address", format!("{self} is no unicast address")));
        }
        Ok(())
    }
}

impl FromStr for Mac {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            Error::invalid("hardware address", format!("{text:?}: six pairs of hexadecimal digits expected"))
        };
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2 && !part.starts_with('+'));
            *octet = part.and_then(|part| u8::from_str_radix(part, 16).ok()).ok_or_else(bad)?;
        }
        parts.next().is_none().then(|| Self::new(octets)).ok_or_else(bad)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.as_bytes().iter().enumerate() {
            write!(f, "{}{byte:02x}", if place == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

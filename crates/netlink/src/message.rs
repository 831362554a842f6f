//! What a request is made of: netlink header, fixed header, attributes; and the objects that can be requested.
use std::fmt;

use netlink_packet_core::{Emitable, NetlinkHeader};

use crate::attribute::Writer;
use crate::{Error, Result};

pub(crate) const NLM_F_REQUEST: u16 = 1;
pub(crate) const NLM_F_ACK: u16 = 4;
pub(crate) const NLM_F_DUMP: u16 = 0x300;
pub(crate) const NLM_F_REPLACE: u16 = 0x100;
pub(crate) const NLM_F_EXCL: u16 = 0x200;
pub(crate) const NLM_F_CREATE: u16 = 0x400;
pub(crate) const NLM_F_APPEND: u16 = 0x800;

/// Bytes of a netlink header.
pub(crate) const HEADER: usize = 16;

/// What is to be done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verb {
    /// Make it; fails with `EEXIST` if it is there.
    Add,
    /// Make it, or put it in the place of the one that is there.
    Replace,
    /// Make it behind those that are there (routes, forwarding entries).
    Append,
    /// Change one that is there.
    Set,
    /// Remove it.
    Delete,
}

impl Verb {
    pub(crate) const fn flags(self) -> u16 {
        NLM_F_REQUEST
            | NLM_F_ACK
            | match self {
                Self::Add => NLM_F_CREATE | NLM_F_EXCL,
                Self::Replace => NLM_F_CREATE | NLM_F_REPLACE,
                Self::Append => NLM_F_CREATE | NLM_F_APPEND,
                Self::Set | Self::Delete => 0,
            }
    }

    /// The message type out of the three of an object: new, delete; `Set` is a new one without `CREATE`.
    pub(crate) const fn pick(self, new: u16, delete: u16) -> u16 {
        match self {
            Self::Delete => delete,
            _ => new,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "add",
            Self::Replace => "replace",
            Self::Append => "append",
            Self::Set => "change",
            Self::Delete => "delete",
        })
    }
}

/// Something the kernel can be asked to add, change or delete. Implemented by this crate's types only.
pub trait Object: fmt::Display + sealed::Encode {}

impl<T: fmt::Display + sealed::Encode> Object for T {}

pub(crate) mod sealed {
    use super::{Message, Verb};
    use crate::Result;

    /// How an object is checked and written.
    pub trait Encode {
        /// Writes the request. Refuses what can't be right.
        fn encode(&self, verb: Verb, message: &mut Message) -> Result<()>;

        /// The kind of link that the request makes, for the hint that names a kernel module.
        fn module(&self) -> Option<&'static str> {
            None
        }
    }
}

/// One request under construction.
#[derive(Debug, Default)]
pub struct Message {
    bytes: Vec<u8>,
    kind: u16,
    flags: u16,
}

impl Message {
    /// Starts anew with a type, flags and a fixed header; the memory is used again.
    pub(crate) fn start(&mut self, kind: u16, flags: u16, fixed: &[u8]) -> Writer<'_> {
        self.bytes.clear();
        self.bytes.resize(HEADER, 0);
        self.bytes.extend_from_slice(fixed);
        self.kind = kind;
        self.flags = flags;
        Writer::new(&mut self.bytes)
    }

    /// Fills in the header.
    pub(crate) fn seal(&mut self, sequence: u32, port: u32) -> Result<&[u8]> {
        let length = u32::try_from(self.bytes.len()).map_err(|_| Error::invalid("request", "too long"))?;
        let mut header = NetlinkHeader::default();
        header.length = length;
        header.message_type = self.kind;
        header.flags = self.flags;
        header.sequence_number = sequence;
        header.port_number = port;
        if let Some(place) = self.bytes.first_chunk_mut::<HEADER>() {
            header.emit(place);
        }
        Ok(&self.bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

//! Messages that stand one behind the other in a datagram, and the kernel's answers among them.
use std::io;

use crate::attribute::{Attributes, align};
use crate::error::{BadAttribute, Error, Hint};
use crate::message::HEADER;
use crate::names;

pub(crate) const NLMSG_NOOP: u16 = 1;
pub(crate) const NLMSG_ERROR: u16 = 2;
pub(crate) const NLMSG_DONE: u16 = 3;
pub(crate) const NLMSG_OVERRUN: u16 = 4;
pub(crate) const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;

/// One message of a datagram.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: u16,
    pub(crate) flags: u16,
    pub(crate) sequence: u32,
    pub(crate) port: u32,
    pub(crate) payload: &'a [u8],
}

/// Splits a datagram. A message that doesn't fit is an error, once.
#[derive(Debug)]
pub(crate) struct Frames<'a> {
    rest: &'a [u8],
}

impl<'a> Frames<'a> {
    pub(crate) const fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.rest);
        let Some((frame, length)) = Frame::first(bytes) else {
            return Some(Err(Error::Malformed { what: "message length" }));
        };
        self.rest = bytes.get(align(length)..).unwrap_or_default();
        Some(Ok(frame))
    }
}

impl<'a> Frame<'a> {
    /// The first message and its length (`struct nlmsghdr`); none if it does not fit.
    #[inline]
    fn first(bytes: &'a [u8]) -> Option<(Self, usize)> {
        let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, p0, p1, p2, p3] =
            *bytes.first_chunk::<HEADER>()?;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
        let frame = Self {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
            port: u32::from_ne_bytes([p0, p1, p2, p3]),
            payload: bytes.get(HEADER..length)?,
        };
        Some((frame, length))
    }
}

/// What an acknowledgement says, without the request's name, which is rendered only for an error.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) errno: i32,
    message: Option<String>,
    attribute: Option<BadAttribute>,
}

/// Reads `NLMSG_ERROR` or `NLMSG_DONE`: none for success. `request` is the request as sent.
pub(crate) fn acknowledgement(frame: &Frame<'_>, request: &[u8]) -> Result<Option<Refusal>, Error> {
    let Some(code) = frame.payload.first_chunk::<4>() else {
        // A DONE without a code: nothing went wrong.
        let done = frame.kind == NLMSG_DONE;
        return if done { Ok(None) } else { Err(Error::Malformed { what: "acknowledgement length" }) };
    };
    let code = i32::from_ne_bytes(*code);
    if code >= 0 {
        return Ok(None);
    }
    let mut refusal = Refusal { errno: code.saturating_neg(), message: None, attribute: None };
    if frame.flags & NLM_F_ACK_TLVS != 0 {
        explain(&mut refusal, frame, request);
    }
    Ok(Some(refusal))
}

/// The extended acknowledgement, behind the original header (and its payload, unless capped).
fn explain(refusal: &mut Refusal, frame: &Frame<'_>, request: &[u8]) {
    let skip = match frame.kind {
        NLMSG_DONE => 4,
        _ if frame.flags & NLM_F_CAPPED != 0 => 4 + HEADER,
        _ => 4 + align(original_length(frame.payload)),
    };
    let (mut offset, mut missing) = (None, None);
    for attribute in Attributes::after(frame.payload, skip) {
        match attribute.kind {
            1 => refusal.message = Some(String::from_utf8_lossy(attribute.text()).into_owned()),
            2 => offset = attribute.u32(),
            5 => missing = attribute.u32(),
            _ => {}
        }
    }
    refusal.attribute = match (offset, missing) {
        (_, Some(kind)) => Some(BadAttribute { offset: None, name: names::missing(request, kind) }),
        (Some(offset), None) => Some(BadAttribute { offset: Some(offset), name: names::at(request, offset) }),
        (None, None) => None,
    };
}

fn original_length(payload: &[u8]) -> usize {
    let length = payload.get(4..8).and_then(|bytes| bytes.first_chunk::<4>().copied());
    length.and_then(|length| usize::try_from(u32::from_ne_bytes(length)).ok()).unwrap_or(HEADER)
}

impl Refusal {
    /// Where in the request the kernel stumbled.
    pub(crate) fn offset(&self) -> Option<u32> {
        self.attribute.as_ref()?.offset
    }

    /// The error, named.
    pub(crate) fn into_error(self, request: String, module: Option<&'static str>) -> Error {
        let hint = match self.errno {
            libc::EPERM => Some(Hint::NetAdmin),
            libc::EOPNOTSUPP => module.map(Hint::Module),
            _ => None,
        };
        let errno = io::Error::from_raw_os_error(self.errno);
        Error::Kernel { request, errno, message: self.message, attribute: self.attribute, hint }
    }
}

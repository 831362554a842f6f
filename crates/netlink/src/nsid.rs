//! Ids by which one network namespace knows others (`IFLA_LINK_NETNSID` speaks of them).
use std::fmt;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::attribute::{Attribute, Attributes};
use crate::message::sealed::Encode;
use crate::message::{Message, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use crate::{Error, Netlink, Result, Verb};

const RTM_NEWNSID: u16 = 88;
const RTM_GETNSID: u16 = 90;
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;
/// `struct rtgenmsg`, padded.
const FIXED: [u8; 4] = [0; 4];

/// The id of another network namespace. It can be added, and stays as long as that namespace.
#[derive(Debug, Clone, Copy)]
pub struct NamespaceId<'a> {
    namespace: BorrowedFd<'a>,
    id: Option<i32>,
}

impl<'a> NamespaceId<'a> {
    /// An id for a namespace; the kernel picks one if none is given.
    #[must_use]
    pub const fn new(namespace: BorrowedFd<'a>, id: Option<i32>) -> Self {
        Self { namespace, id }
    }
}

impl Encode for NamespaceId<'_> {
    fn encode(&self, verb: Verb, message: &mut Message) -> Result<()> {
        if verb != Verb::Add {
            return Err(Error::invalid("namespace id", format!("can be added, not: {verb}")));
        }
        if self.id.is_some_and(|id| id < 0) {
            return Err(Error::invalid("namespace id", "negative"));
        }
        let mut writer = message.start(RTM_NEWNSID, NLM_F_REQUEST | NLM_F_ACK, &FIXED);
        writer.i32(NETNSA_FD, self.namespace.as_raw_fd())?;
        writer.i32(NETNSA_NSID, self.id.unwrap_or(-1))
    }
}

impl fmt::Display for NamespaceId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            Some(id) => write!(f, "id {id} of a network namespace"),
            None => f.write_str("id of a network namespace"),
        }
    }
}

pub(crate) fn decode(payload: &[u8]) -> Option<i32> {
    let value = Attributes::after(payload, FIXED.len()).find(NETNSA_NSID)?;
    Attribute { kind: NETNSA_NSID, value }.i32().filter(|id| *id >= 0)
}

impl Netlink {
    /// The id that the socket's namespace has for another one, if it has one.
    ///
    /// # Errors
    /// [`Error::Kernel`] with `EINVAL` or `EBADF` if the descriptor is no network namespace.
    pub fn namespace_id(&mut self, namespace: BorrowedFd<'_>) -> Result<Option<i32>> {
        let mut id = None;
        let write = |message: &mut Message| {
            let mut writer = message.start(RTM_GETNSID, NLM_F_REQUEST | NLM_F_ACK, &FIXED);
            writer.i32(NETNSA_FD, namespace.as_raw_fd())
        };
        self.query(&|| "get id of a network namespace".to_owned(), &write, &mut || {}, &mut |frame| {
            id = id.or(decode(frame.payload));
            Ok(())
        })?;
        Ok(id)
    }

    /// Whether a network namespace has this id in the socket's. Not if it is ending: one that nobody refers to any more is not found, and
    /// nothing brings it back. Does not wait for others who change links.
    ///
    /// # Errors
    /// What the kernel or the socket say.
    pub fn has_namespace(&mut self, id: i32) -> Result<bool> {
        let write = |message: &mut Message| {
            let mut writer = message.start(RTM_GETNSID, NLM_F_REQUEST | NLM_F_ACK, &FIXED);
            writer.i32(NETNSA_NSID, id)
        };
        let found =
            self.query(&|| format!("get network namespace {id}"), &write, &mut || {}, &mut |_| Ok(()));
        match found {
            // KERNEL: so says rtnl_net_getid where get_net_ns_by_id finds none whose count is above zero.
            Err(error) if error.is_refusal(libc::ENOENT) => Ok(false),
            found => found.map(|()| true),
        }
    }

    /// All ids that the socket's namespace has for others.
    ///
    /// # Errors
    /// What the kernel or the socket say.
    pub fn namespace_ids(&mut self) -> Result<Vec<i32>> {
        let found = std::cell::RefCell::new(Vec::new());
        let write = |message: &mut Message| {
            message.start(RTM_GETNSID, NLM_F_REQUEST | NLM_F_DUMP, &FIXED);
            Ok(())
        };
        let name = || "list ids of network namespaces".to_owned();
        self.query(&name, &write, &mut || found.borrow_mut().clear(), &mut |frame| {
            found.borrow_mut().extend(decode(frame.payload));
            Ok(())
        })?;
        Ok(found.into_inner())
    }
}

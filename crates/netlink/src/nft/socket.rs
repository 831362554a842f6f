//! The socket: transactions, and which generation the rules are of.
use netlink_sys::protocols::NETLINK_NETFILTER;
use nix::sys::socket::{setsockopt, sockopt};

use super::objects::{Table, TableFamily};
use super::transaction::{Transaction, expression_at};
use super::wire::{FIXED, kind};
use crate::attribute::{Attribute, Attributes, located};
use crate::channel::Channel;
use crate::error::Hint;
use crate::frame::{self, Frame, Frames, NLMSG_ERROR, Refusal};
use crate::message::{Message, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use crate::{Error, Netlink, Result};

const NFT_MSG_GETGEN: u8 = 16;
const NFTA_GEN_ID: u16 = 1;
/// More than this needs a larger send buffer than sockets have by default.
const LONGEST_SEND: usize = 64 * 1024;
/// What the transaction as a whole is called.
const WHOLE: &str = "transaction of nf_tables";
/// Transactions larger than this are refused: 20,000 rules and more.
const LONGEST_TRANSACTION: usize = 16 * 1024 * 1024;

/// A nf_tables socket (`NETLINK_NETFILTER`) of one network namespace: the one that it was opened in.
#[derive(Debug)]
pub struct Nft {
    netlink: Netlink,
}

impl Nft {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`Error::Socket`] with the call that failed; `EPROTONOSUPPORT` if the kernel has no nfnetlink.
    pub fn open() -> Result<Self> {
        let netlink = Netlink::open_protocol(NETLINK_NETFILTER, "socket(AF_NETLINK, NETLINK_NETFILTER)")?;
        Ok(Self { netlink })
    }

    /// Does everything in a transaction, or nothing. One send(2).
    ///
    /// # Errors
    /// [`Error::Kernel`] with the request that failed first.
    pub fn commit(&mut self, transaction: &Transaction) -> Result<()> {
        self.commit_at(transaction, None)
    }

    /// The same, but only if no rule of the namespace was changed since [`Nft::generation`] said `generation`; else the error
    /// [`Nft::is_stale`].
    ///
    /// # Errors
    /// As of [`Nft::commit`].
    pub fn commit_unchanged(&mut self, transaction: &Transaction, generation: u32) -> Result<()> {
        self.commit_at(transaction, Some(generation))
    }

    /// Whether [`Nft::commit_unchanged`] failed because rules had changed: `ERESTART`, which no other call gives.
    #[must_use]
    pub fn is_stale(error: &Error) -> bool {
        const ERESTART: i32 = 85;
        matches!(error, Error::Kernel { errno, .. } if errno.raw_os_error() == Some(ERESTART))
    }

    /// Deletes a table with all that is in it; one that isn't there is fine. Says whether it was there.
    ///
    /// # Errors
    /// As of [`Nft::commit`].
    pub fn remove_table(&mut self, table: &Table) -> Result<bool> {
        let mut transaction = Transaction::new();
        transaction.delete_table(table)?;
        match self.commit(&transaction) {
            Err(error) if error.is_not_found() => Ok(false),
            result => result.map(|()| true),
        }
    }

    /// The number that every transaction in the namespace raises.
    ///
    /// # Errors
    /// What the kernel or the socket say.
    pub fn generation(&mut self) -> Result<u32> {
        let mut found = None;
        let write = |message: &mut Message| {
            let flags = NLM_F_REQUEST | NLM_F_ACK;
            message.start(kind(NFT_MSG_GETGEN), flags, &TableFamily::Other(0).header());
            Ok(())
        };
        let name = || "get the generation of nf_tables".to_owned();
        let result = self.netlink.query(&name, &write, &mut || {}, &mut |frame| {
            let value = Attributes::after(frame.payload, FIXED).find(NFTA_GEN_ID);
            found = found.or(value.and_then(|value| value.first_chunk().copied()).map(u32::from_be_bytes));
            Ok(())
        });
        result.map_err(without_nf_tables)?;
        found.ok_or_else(|| Error::NotFound { request: name() })
    }

    /// Lists by a dump; `visit` gets the payload of each message.
    pub(super) fn dump(
        &mut self,
        message: u8,
        family: TableFamily,
        what: &'static str,
        begin: &mut dyn FnMut(),
        visit: &mut dyn FnMut(&Frame<'_>) -> Result<()>,
    ) -> Result<()> {
        let write = |request: &mut Message| {
            request.start(kind(message), NLM_F_REQUEST | NLM_F_DUMP, &family.header());
            Ok(())
        };
        self.netlink.query(&|| format!("list {what}"), &write, begin, visit).map_err(without_nf_tables)
    }

    fn commit_at(&mut self, transaction: &Transaction, generation: Option<u32>) -> Result<()> {
        if transaction.is_empty() {
            return Ok(());
        }
        let first = self.netlink.next_sequence();
        for _ in 0..=transaction.len() {
            self.netlink.next_sequence();
        }
        let channel = &mut self.netlink.channel;
        let port = channel.port();
        let bytes = transaction.sealed(first, port, generation)?;
        make_room(channel, bytes.len())?;
        channel.send(&bytes)?;
        loop {
            channel.receive().map_err(|lost| lost.of_request(WHOLE.to_owned()))?;
            for frame in Frames::new(&channel.buffer) {
                if let Some(result) = outcome(&frame?, transaction, first, port) {
                    if result.is_ok() {
                        // The last acknowledgement; behind an error there may be more of them.
                        channel.answered();
                    }
                    return result;
                }
            }
        }
    }
}

/// A transaction is one datagram, whatever its size.
fn make_room(channel: &Channel, length: usize) -> Result<()> {
    if length > LONGEST_TRANSACTION {
        return Err(Error::invalid("transaction", "longer than 16 MiB"));
    }
    if length > LONGEST_SEND {
        setsockopt(channel, sockopt::SndBufForce, &(2 * length))
            .map_err(|errno| Error::Socket { call: "setsockopt(SO_SNDBUFFORCE)", source: errno.into() })?;
    }
    Ok(())
}

/// What a frame says about the transaction as a whole: done with the last acknowledgement, failed with the first error.
fn outcome(frame: &Frame<'_>, transaction: &Transaction, first: u32, port: u32) -> Option<Result<()>> {
    if frame.port != port || frame.kind != NLMSG_ERROR {
        return None;
    }
    let place = usize::try_from(frame.sequence.wrapping_sub(first)).ok()?;
    // One beyond is the end of the batch; what is farther belongs to something else.
    if place > transaction.len() + 1 {
        return None;
    }
    let request = place.checked_sub(1).and_then(|place| transaction.requests().get(place));
    match frame::acknowledgement(frame, request.map_or(&[], |request| &request.bytes)) {
        Err(error) => Some(Err(error)),
        Ok(None) => (place == transaction.len()).then_some(Ok(())),
        Ok(Some(refusal)) => {
            let name = request.map_or(WHOLE, |request| &request.name);
            Some(Err(explained(refusal, name, request.map_or(&[], |request| &request.bytes))))
        }
    }
}

/// The error, with the module that most likely is missing.
pub(super) fn explained(refusal: Refusal, name: &str, request: &[u8]) -> Error {
    let module = match refusal.errno {
        libc::ENOENT | libc::EOPNOTSUPP => missing_module(&refusal, request),
        _ => None,
    };
    let mut error = refusal.into_error(name.to_owned(), Some("nf_tables"));
    if let (Error::Kernel { hint, .. }, Some(module)) = (&mut error, module) {
        *hint = Some(Hint::Module(module));
    }
    error
}

/// The module of the expression that the kernel does not know; for a chain the one that translates addresses.
fn missing_module(refusal: &Refusal, request: &[u8]) -> Option<&'static str> {
    const NFT_MSG_NEWCHAIN: u8 = 3;
    let offset = refusal.offset()?;
    // NFTA_CHAIN_TYPE: "nat" is unknown.
    let is_chain = request.get(4..6) == Some(&kind(NFT_MSG_NEWCHAIN).to_ne_bytes()[..]);
    if is_chain && located(request, crate::message::HEADER + FIXED).any(|found| is_type(&found, offset)) {
        return Some("nft_chain_nat");
    }
    match expression_at(request, offset)? {
        b"nat" => Some("nft_nat"),
        b"masq" => Some("nft_masq"),
        b"ct" => Some("nft_ct"),
        b"fib" => Some("nft_fib_inet"),
        _ => None,
    }
}

fn is_type((at, attribute): &(usize, Attribute<'_>), offset: u32) -> bool {
    const NFTA_CHAIN_TYPE: u16 = 7;
    attribute.kind == NFTA_CHAIN_TYPE && usize::try_from(offset) == Ok(*at)
}

/// nfnetlink says `EINVAL` or `EOPNOTSUPP` to questions for a subsystem that isn't there.
fn without_nf_tables(mut error: Error) -> Error {
    if let Error::Kernel { errno, hint, .. } = &mut error {
        if matches!(errno.raw_os_error(), Some(libc::EINVAL | libc::EOPNOTSUPP)) {
            *hint = Some(Hint::Module("nf_tables"));
        }
    }
    error
}

//! The socket: requests with acknowledgements, and dumps.
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use netlink_sys::protocols::NETLINK_ROUTE;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeVal;

use crate::channel::{Channel, Lost, in_call};
use crate::faults::{self, Call};
use crate::frame::{
    self, Frame, Frames, NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_NOOP, NLMSG_OVERRUN,
};
use crate::message::{HEADER, Message, Object, Verb};
use crate::{Error, Result};

/// How often a list is asked for before giving up.
const ATTEMPTS: u32 = 5;

/// A rtnetlink socket of one network namespace.
///
/// It belongs to the namespace it was opened in, whatever its user does later. It can be sent to other threads;
/// the operations take `&mut self` because they use one buffer again and again, and answers belong to one
/// request at a time. Every operation waits for the kernel's answer, by default for at most ten seconds.
///
/// After an error that [`Error::is_uncertain`] the kernel may have done what was asked for. What is left of its answer is thrown away
/// before the next operation.
///
/// rtnetlink(7), netlink(7).
#[derive(Debug)]
pub struct Netlink {
    pub(crate) channel: Channel,
    sequence: u32,
    message: Message,
}

/// What came of waiting for answers.
enum Step {
    More,
    Done,
}

impl Netlink {
    /// Opens a socket in the network namespace of the calling thread: socket(2), bind(2), connect(2), setsockopt(2).
    ///
    /// # Errors
    /// [`Error::Socket`] with the call that failed.
    pub fn open() -> Result<Self> {
        Self::open_protocol(NETLINK_ROUTE, "socket(AF_NETLINK, NETLINK_ROUTE)")
    }

    /// The same for another protocol of netlink; `call` names it.
    pub(crate) fn open_protocol(protocol: isize, call: &'static str) -> Result<Self> {
        let channel = Channel::open(protocol, call)?;
        let mut netlink = Self { channel, sequence: 0, message: Message::default() };
        netlink.set_timeout(Some(Duration::from_secs(10)))?;
        Ok(netlink)
    }

    /// Opens a socket in another network namespace: a short-lived thread enters it by setns(2) and opens the
    /// socket there. The calling thread stays where it is.
    ///
    /// # Errors
    /// [`Error::Namespace`] if `namespace` is no network namespace or may not be entered, and those of [`Netlink::open`].
    pub fn in_namespace(namespace: BorrowedFd<'_>) -> Result<Self> {
        faults::of(&Call::Open).map_err(in_call("setns(CLONE_NEWNET)"))?;
        let opened = libcontainer_thread::apart("netlink-setns", || {
            setns(namespace, CloneFlags::CLONE_NEWNET)
                .map_err(|errno| Error::Namespace { source: errno.into() })?;
            Self::open()
        });
        let ended = Error::Malformed { what: "the thread in the namespace ended early" };
        opened.map_err(in_call("pthread_create"))?.unwrap_or(Err(ended))
    }

    /// How long to wait for an answer; `None` waits forever. Set by `SO_RCVTIMEO`, so it costs nothing later.
    ///
    /// # Errors
    /// [`Error::Socket`]: that of setsockopt(2); [`Error::Invalid`] for zero.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) -> Result<()> {
        if timeout == Some(Duration::ZERO) {
            return Err(Error::invalid("timeout", "zero"));
        }
        let timeout = timeout.unwrap_or_default();
        let seconds = i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX);
        let micros = i64::from(timeout.subsec_micros());
        let least = i64::from(!timeout.is_zero() && seconds == 0 && micros == 0);
        setsockopt(&self.channel, sockopt::ReceiveTimeout, &TimeVal::new(seconds, micros + least))
            .map_err(|errno| Error::Socket { call: "setsockopt(SO_RCVTIMEO)", source: errno.into() })
    }

    /// Adds an object: `EEXIST` if it is there already.
    ///
    /// # Errors
    /// [`Error::Invalid`] before anything is sent, [`Error::Kernel`] with the kernel's answer.
    pub fn add(&mut self, object: &impl Object) -> Result<()> {
        self.request(Verb::Add, object)
    }

    /// Adds an object, or replaces the one that is there.
    ///
    /// # Errors
    /// As of [`Netlink::add`].
    pub fn replace(&mut self, object: &impl Object) -> Result<()> {
        self.request(Verb::Replace, object)
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// As of [`Netlink::add`]; [`Error::is_not_found`] tells whether it was not there.
    pub fn delete(&mut self, object: &impl Object) -> Result<()> {
        self.request(Verb::Delete, object)
    }

    /// Does something with an object and waits for the acknowledgement: one send(2), one recv(2).
    ///
    /// # Errors
    /// As of [`Netlink::add`].
    pub fn request(&mut self, verb: Verb, object: &impl Object) -> Result<()> {
        let mut message = std::mem::take(&mut self.message);
        let result = object
            .encode(verb, &mut message)
            .and_then(|()| self.acknowledged(&mut message, &|| format!("{verb} {object}"), object.module()));
        self.message = message;
        result
    }

    /// Sends one message and waits for its acknowledgement.
    fn acknowledged(
        &mut self,
        message: &mut Message,
        name: &dyn Fn() -> String,
        module: Option<&'static str>,
    ) -> Result<()> {
        let sequence = self.next_sequence();
        let port = self.channel.port();
        self.channel.send(message.seal(sequence, port)?)?;
        loop {
            self.channel.receive().map_err(|lost| lost.of_request(name()))?;
            for frame in Frames::new(&self.channel.buffer) {
                let frame = frame?;
                if frame.sequence == sequence && frame.port == port && frame.kind == NLMSG_ERROR {
                    let refusal = frame::acknowledgement(&frame, message.bytes())?;
                    self.channel.answered();
                    return refusal.map_or(Ok(()), |refusal| Err(refusal.into_error(name(), module)));
                }
            }
        }
    }

    /// Sends a query and hands every message of the answer to `visit`, in place. `begin` is called before each
    /// attempt, so that what an interrupted one left can be thrown away.
    pub(crate) fn query(
        &mut self,
        name: &dyn Fn() -> String,
        write: &dyn Fn(&mut Message) -> Result<()>,
        begin: &mut dyn FnMut(),
        visit: &mut dyn FnMut(&Frame<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut message = std::mem::take(&mut self.message);
        let mut result = Err(Error::Malformed { what: "no attempt" });
        for _ in 0..ATTEMPTS {
            begin();
            result = write(&mut message).and_then(|()| self.attempt(&mut message, name, visit));
            match &result {
                // Looking changes nothing, so that what was lost is asked for again.
                Err(Error::Interrupted { .. } | Error::Unanswered { .. } | Error::Socket { .. }) => {}
                _ => break,
            }
        }
        self.message = message;
        result
    }

    /// One attempt; [`Error::Interrupted`] if it is worth another.
    fn attempt(
        &mut self,
        message: &mut Message,
        name: &dyn Fn() -> String,
        visit: &mut dyn FnMut(&Frame<'_>) -> Result<()>,
    ) -> Result<()> {
        let sequence = self.next_sequence();
        let port = self.channel.port();
        self.channel.send(message.seal(sequence, port)?)?;
        let mut changed = false;
        loop {
            self.channel.receive().map_err(|lost| of_list(lost, name))?;
            for frame in Frames::new(&self.channel.buffer) {
                let frame = frame?;
                if frame.sequence != sequence || frame.port != port {
                    continue;
                }
                changed |= frame.flags & NLM_F_DUMP_INTR != 0;
                if let Step::Done = answer(&frame, message.bytes(), name, visit)? {
                    self.channel.answered();
                    return if changed { Err(interrupted(name)) } else { Ok(()) };
                }
            }
        }
    }

    pub(crate) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

impl AsRawFd for Netlink {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.channel.as_raw_fd()
    }
}

fn interrupted(name: &dyn Fn() -> String) -> Error {
    Error::Interrupted { request: name(), attempts: ATTEMPTS }
}

fn of_list(lost: Lost, name: &dyn Fn() -> String) -> Error {
    match lost {
        Lost::Overflow => interrupted(name),
        other => other.of_request(name()),
    }
}

/// Sorts one message of an answer.
fn answer(
    frame: &Frame<'_>,
    request: &[u8],
    name: &dyn Fn() -> String,
    visit: &mut dyn FnMut(&Frame<'_>) -> Result<()>,
) -> Result<Step> {
    match frame.kind {
        NLMSG_NOOP => Ok(Step::More),
        NLMSG_OVERRUN => Err(interrupted(name)),
        NLMSG_ERROR | NLMSG_DONE => match frame::acknowledgement(frame, request)? {
            // RACE: a signal to a lock holder in the kernel, or a table resized under the dump; worth another attempt.
            Some(refusal) if refusal.errno == libc::EINTR => Err(interrupted(name)),
            Some(refusal) => Err(refusal.into_error(name(), None)),
            None => Ok(Step::Done),
        },
        _ if frame.payload.len() < HEADER / 4 => Err(Error::Malformed { what: "message without its header" }),
        _ => visit(frame).map(|()| Step::More),
    }
}

#[cfg(test)]
#[path = "tests/retries.rs"]
mod retries;

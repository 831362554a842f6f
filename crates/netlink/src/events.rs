//! Notifications of changes, as a descriptor to poll.
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use bitflags::bitflags;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use crate::channel::in_call;
use crate::frame::{Frame, Frames};
use crate::{Address, Error, Link, LinkView, Neighbour, Result, Route, Rule};

/// Bytes of the receive buffer; one notification is at most a few KiB.
const BUFFER: usize = 64 * 1024;

bitflags! {
    /// What to be told of.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Topics: u32 {
        /// Links made, changed, deleted.
        const LINKS = 1;
        /// Neighbours.
        const NEIGHBOURS = 2;
        /// IPv4 and IPv6 addresses.
        const ADDRESSES = 4;
        /// IPv4 and IPv6 routes.
        const ROUTES = 8;
        /// IPv4 and IPv6 rules.
        const RULES = 16;
    }
}

impl Topics {
    /// Multicast groups (`RTNLGRP_…`).
    const fn groups(self) -> &'static [u32] {
        match self {
            Self::LINKS => &[1],
            Self::NEIGHBOURS => &[3],
            Self::ADDRESSES => &[5, 9],
            Self::ROUTES => &[7, 11],
            _ => &[8, 19],
        }
    }
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A link was made or changed. Boxed, as it is large.
    Link(Box<Link>),
    /// A link is gone from this namespace.
    LinkGone(Box<Link>),
    /// An address was added or changed.
    Address(Address),
    /// An address is gone.
    AddressGone(Address),
    /// A route was added or changed.
    Route(Box<Route>),
    /// A route is gone.
    RouteGone(Box<Route>),
    /// A neighbour was added or changed.
    Neighbour(Neighbour),
    /// A neighbour is gone.
    NeighbourGone(Neighbour),
    /// A rule was added.
    Rule(Rule),
    /// A rule is gone.
    RuleGone(Rule),
    /// Changes came faster than they were read, and some are lost: list again.
    Lost,
}

/// Tells of changes in the network namespace it was opened in. Poll its descriptor for reading, then call
/// [`Monitor::next`] until it returns `None`.
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
    buffer: Vec<u8>,
    queue: VecDeque<Event>,
}

impl Monitor {
    /// Starts listening in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`Error::Socket`] with the call that failed.
    pub fn open(topics: Topics) -> Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE).map_err(in_call("socket(AF_NETLINK, NETLINK_ROUTE)"))?;
        socket.bind(&SocketAddr::new(0, 0)).map_err(in_call("bind(AF_NETLINK)"))?;
        socket.set_non_blocking(true).map_err(in_call("ioctl(FIONBIO)"))?;
        // Nothing depends on it: what overflows is told as `Lost`.
        let _ = socket.set_rx_buf_sz(1024_u32 * 1024);
        for group in topics.iter().flat_map(Topics::groups) {
            socket.add_membership(*group).map_err(in_call("setsockopt(NETLINK_ADD_MEMBERSHIP)"))?;
        }
        Ok(Self { socket, buffer: Vec::with_capacity(BUFFER), queue: VecDeque::new() })
    }

    /// The next change; `None` if there is none now. Never waits.
    ///
    /// # Errors
    /// [`Error::Socket`]: that of recv(2); [`Error::Malformed`].
    #[allow(clippy::should_implement_trait, reason = "an iterator that goes on after None would surprise")]
    pub fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Ok(Some(event));
            }
            self.buffer.clear();
            let capacity = self.buffer.capacity();
            match self.socket.recv_from(&mut self.buffer, libc::MSG_TRUNC) {
                // Only the kernel has port 0: others may not speak for it.
                Ok((_, sender)) if sender.port_number() != 0 => {}
                // The kernel sends none that is empty.
                Ok((0, _)) => return Ok(None),
                Ok((length, _)) if length > capacity => return Ok(Some(Event::Lost)),
                Ok(_) => self.take()?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(Some(Event::Lost)),
                Err(source) => return Err(Error::Socket { call: "recvfrom(netlink)", source }),
            }
        }
    }

    fn take(&mut self) -> Result<()> {
        for frame in Frames::new(&self.buffer) {
            self.queue.extend(event(&frame?)?);
        }
        Ok(())
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Reads one notification; none for kinds that no one asked for.
pub(crate) fn event(frame: &Frame<'_>) -> Result<Option<Event>> {
    let link = || LinkView::parse(frame.payload).map(|view| Box::new(view.to_link()));
    Ok(match frame.kind {
        libc::RTM_NEWLINK => Some(Event::Link(link()?)),
        libc::RTM_DELLINK => Some(Event::LinkGone(link()?)),
        libc::RTM_NEWADDR => Address::decode(frame.payload)?.map(Event::Address),
        libc::RTM_DELADDR => Address::decode(frame.payload)?.map(Event::AddressGone),
        libc::RTM_NEWROUTE => Route::decode(frame.payload)?.map(|route| Event::Route(Box::new(route))),
        libc::RTM_DELROUTE => Route::decode(frame.payload)?.map(|route| Event::RouteGone(Box::new(route))),
        libc::RTM_NEWNEIGH => Some(Event::Neighbour(Neighbour::decode(frame.payload)?)),
        libc::RTM_DELNEIGH => Some(Event::NeighbourGone(Neighbour::decode(frame.payload)?)),
        libc::RTM_NEWRULE => Rule::decode(frame.payload)?.map(Event::Rule),
        libc::RTM_DELRULE => Rule::decode(frame.payload)?.map(Event::RuleGone),
        _ => None,
    })
}

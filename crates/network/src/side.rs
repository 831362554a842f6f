//! One side of a container's network, the host's or the inner one: a socket that is opened when it is needed, and anew after a call on it
//! has failed.

use std::fs::File;
use std::os::fd::AsFd;

use libcontainer_netlink::{
    Batch, Error as NetlinkError, Index, Link, Name, Netlink, NewLink, Result as Answer,
};

use crate::error::{Named, Result};

/// How often something is tried that fails for reasons that pass.
pub(crate) const ATTEMPTS: usize = 3;

/// The network of the host or of a container, for looking and taking away.
#[derive(Debug, Default)]
pub(crate) struct Side {
    /// The container's; the calling thread's if none.
    namespace: Option<File>,
    socket: Option<Netlink>,
}

impl Side {
    pub(crate) fn host() -> Self {
        Self::default()
    }

    pub(crate) fn inside(namespace: File) -> Self {
        Self { namespace: Some(namespace), socket: None }
    }

    /// Does `work`, which looks before it changes anything, so that it may be done again after its answer was lost.
    pub(crate) fn again<T>(
        &mut self,
        what: impl Fn() -> String,
        mut work: impl FnMut(&mut Netlink) -> Answer<T>,
    ) -> Result<T> {
        let mut attempt = 1;
        loop {
            match self.socket().and_then(&mut work) {
                Err(error) if attempt < ATTEMPTS && passes(&error) => self.socket = None,
                result => return result.named(what),
            }
            attempt += 1;
        }
    }

    fn socket(&mut self) -> Answer<&mut Netlink> {
        match &mut self.socket {
            Some(socket) => Ok(socket),
            empty => Ok(empty.insert(match &self.namespace {
                Some(namespace) => Netlink::in_namespace(namespace.as_fd())?,
                None => Netlink::open()?,
            })),
        }
    }
}

/// Whether the same may succeed in a moment. Not after a timeout: that was a long moment already.
pub(crate) fn passes(error: &NetlinkError) -> bool {
    const PASSING: [i32; 5] = [libc::EINTR, libc::EAGAIN, libc::EBUSY, libc::ENOMEM, libc::ENOBUFS];
    match error {
        NetlinkError::Timeout { .. } => false,
        NetlinkError::Socket { .. } => true,
        error => error.is_uncertain() || PASSING.into_iter().any(|errno| error.is_refusal(errno)),
    }
}

/// The link with a name; none only if the kernel says so.
pub(crate) fn find(netlink: &mut Netlink, name: &Name) -> Answer<Option<Link>> {
    known(netlink.link(name))
}

/// What was asked for; none only if the kernel says that it is not there.
pub(crate) fn known<T>(answer: Answer<T>) -> Answer<Option<T>> {
    match answer {
        Err(error) if error.is_not_found() => Ok(None),
        answer => answer.map(Some),
    }
}

/// Deletes the link with a name if `ours` knows it; none is fine. An acknowledgement is how the kernel confirms it.
pub(crate) fn delete(netlink: &mut Netlink, name: &Name, ours: impl Fn(&Link) -> bool) -> Answer<()> {
    let Some(link) = find(netlink, name)?.filter(ours) else { return Ok(()) };
    known(netlink.delete(&link.index)).map(drop)
}

/// Whether a link goes for certain: it is gone, or the namespace of its other end ends, as nobody refers to that any more, and nothing
/// brings it back. Not known to be going is not going.
pub(crate) fn is_going(netlink: &mut Netlink, index: Index) -> Answer<bool> {
    let Some(link) = known(netlink.link(index))? else { return Ok(true) };
    match link.parent_namespace {
        // The other end is here, or there is none.
        None => Ok(false),
        // KERNEL: peernet2id_alloc gives one that lives an id if it has none, unless there is no memory for that: hence the second look.
        Some(..0) => {
            Ok(known(netlink.link(index))?.is_none_or(|link| link.parent_namespace.is_some_and(|id| id < 0)))
        }
        Some(namespace) => match netlink.link_in(namespace, Index::LOOPBACK) {
            // KERNEL: get_net_ns_by_id finds none whose count is zero.
            Err(error) if error.is_refusal(libc::EINVAL) => Ok(true),
            found => known(found).map(|_| false),
        },
    }
}

/// Adds a link. After a lost answer `there` tells whether it was done, for which the name must be nobody else's.
pub(crate) fn add(
    netlink: &mut Netlink,
    link: &NewLink<'_>,
    mut there: impl FnMut(&mut Netlink) -> Answer<bool>,
) -> Answer<()> {
    let mut attempt = 1;
    loop {
        match netlink.add(link) {
            Err(error) if attempt < ATTEMPTS && error.is_uncertain() => {
                if there(netlink)? {
                    return Ok(());
                }
            }
            answer => return answer,
        }
        attempt += 1;
    }
}

/// Does what does no harm if it is done twice.
pub(crate) fn twice<T>(mut work: impl FnMut() -> Answer<T>) -> Answer<T> {
    match work() {
        Err(error) if error.is_uncertain() => work(),
        answer => answer,
    }
}

/// All requests of a batch; the first error of them.
pub(crate) fn run(netlink: &mut Netlink, batch: &mut Batch, what: impl Fn() -> String + Copy) -> Result<()> {
    if batch.is_empty() {
        return Ok(());
    }
    let results: Vec<Answer<()>> = netlink.run(batch).named(what)?;
    results.into_iter().try_for_each(|result| result.named(what))
}

//! Descriptors that are waited for.

use std::fmt::Display;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::trouble::{Trouble, named};

/// One that is waited for when it is not ready.
pub(crate) type Ready = AsyncFd<OwnedFd>;

/// # Errors
/// What can't be waited for: epoll_ctl(2).
pub(crate) fn ready(fd: OwnedFd, interest: Interest, what: impl Display) -> Result<Ready, Trouble> {
    // SAFETY: an `OwnedFd` is one and the same open descriptor until it is dropped, which the `AsyncFd` that owns it does behind its removal.
    #[allow(unsafe_code, reason = "the only way to register a descriptor")]
    let registered = unsafe { AsyncFd::register_with_interest(fd, interest) };
    let registered = registered.map_err(|error| error.into_parts().1);
    named(registered, format_args!("epoll_ctl of {what}"))
}

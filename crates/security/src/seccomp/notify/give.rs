//! A listener on its way to its agent: one message over a Unix socket.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use libcontainer_plan::rest;
use nix::errno::Errno;
use nix::sys::socket::sockopt::SocketError;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, connect,
    getsockopt, recvmsg, sendmsg, socket,
};

use super::error::NotifyError;
use super::listener::Listener;
use super::raw;

/// Most that an agent believes of a message.
const LIMIT: usize = 1024 * 1024;

/// Who gets a listener.
#[derive(Clone, Copy, Debug)]
pub enum Agent<'a> {
    /// Who accepts at this socket: `listenerPath` of the profile.
    Socket(&'a Path),
    /// Who has the other end of this stream.
    Connected(BorrowedFd<'a>),
}

/// Sends `text` with the listener to the agent, and waits until it was taken. An agent that does not accept, or goes without
/// a look at it, is an error.
pub(super) fn give(
    agent: Agent<'_>,
    listener: &Listener,
    text: &[u8],
    end: Instant,
) -> Result<(), NotifyError> {
    match agent {
        Agent::Socket(path) => {
            let name = |call: &str| format!("{call} seccomp listener {}", path.display());
            deliver(connected(path, &name, end)?.as_fd(), listener, text, &name, end)
        }
        Agent::Connected(socket) => {
            let name = |call: &str| format!("{call} seccomp listener of this program");
            deliver(socket, listener, text, &name, end)
        }
    }
}

/// A connection to the socket at `path`.
fn connected(path: &Path, name: &dyn Fn(&str) -> String, end: Instant) -> Result<OwnedFd, NotifyError> {
    let failed = |call: &str, error: Errno| NotifyError::call(name(call), &error.into());
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)
        .map_err(|error| failed("socket for", error))?;
    let address = UnixAddr::new(path).map_err(|error| failed("address of", error))?;
    until(end, || match connect(socket.as_raw_fd(), &address) {
        // Its queue is full.
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(false),
        Ok(()) | Err(Errno::EISCONN) => Ok(true),
        Err(error) => Err(failed("connect to", error)),
    })
    .and_then(|done| in_time(done, || name("connect to")))?;
    Ok(socket)
}

fn deliver(
    socket: BorrowedFd<'_>,
    listener: &Listener,
    text: &[u8],
    name: &dyn Fn(&str) -> String,
    end: Instant,
) -> Result<(), NotifyError> {
    let failed = |call: &str, error: Errno| NotifyError::call(name(call), &error.into());
    send(socket, listener, text).map_err(|error| failed("send to", error))?;
    until(end, || {
        let left = raw::untaken(socket)
            .map_err(|error| NotifyError::call(name("ask for what is left of"), &error))?;
        // ORDER: behind the look: what is dropped unread leaves an error first.
        match getsockopt(&socket, SocketError) {
            Ok(0) => Ok(left == 0),
            Ok(errno) => Err(failed("send to", Errno::from_raw(errno))),
            Err(error) => Err(failed("ask for the error of", error)),
        }
    })
    .and_then(|done| in_time(done, || name("have the message taken by")))
}

fn in_time(done: bool, call: impl FnOnce() -> String) -> Result<(), NotifyError> {
    if done { Ok(()) } else { Err(NotifyError::Call { call: call(), errno: libc::ETIMEDOUT }) }
}

/// Asks again and again, less and less often; false if it took too long.
pub(super) fn until(
    end: Instant,
    mut done: impl FnMut() -> Result<bool, NotifyError>,
) -> Result<bool, NotifyError> {
    let mut pause = Duration::from_micros(50);
    loop {
        if done()? {
            return Ok(true);
        }
        if Instant::now() >= end {
            return Ok(false);
        }
        rest(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

fn send(socket: BorrowedFd<'_>, listener: &Listener, text: &[u8]) -> Result<(), Errno> {
    let fds = [listener.as_fd().as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    loop {
        match sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(text)], &rights, MsgFlags::MSG_NOSIGNAL, None)
        {
            Err(Errno::EINTR) => {}
            // A part of a text is none.
            Ok(len) if len < text.len() => return Err(Errno::EMSGSIZE),
            result => return result.map(drop),
        }
    }
}

/// Takes a listener from a connection that a runtime has made to an agent's socket: the listener, and the text that came with it, which is JSON of a
/// [`super::ProcessState`].
///
/// # Errors
/// That of recvmsg(2); [`NotifyError::Unexpected`] if no descriptor came, or more text than a MiB.
pub fn receive_listener(connection: &UnixStream) -> Result<(Listener, Vec<u8>), NotifyError> {
    let mut text = vec![0; LIMIT];
    let mut fds = Vec::new();
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; 8]);
    let len = loop {
        let mut slices = [IoSliceMut::new(&mut text)];
        match recvmsg::<()>(connection.as_raw_fd(), &mut slices, Some(&mut space), MsgFlags::MSG_CMSG_CLOEXEC)
        {
            Err(Errno::EINTR) => {}
            Err(error) => return Err(NotifyError::call("recvmsg of a seccomp listener", &error.into())),
            Ok(received) => {
                let messages = received.cmsgs().map_err(|error| {
                    NotifyError::call("recvmsg of a seccomp listener", &io::Error::from(error))
                })?;
                for message in messages {
                    if let ControlMessageOwned::ScmRights(numbers) = message {
                        fds.extend(numbers.into_iter().map(raw::own));
                    }
                }
                break received.bytes;
            }
        }
    };
    text.truncate(len);
    // More descriptors than the one that is the listener are closed.
    match fds.into_iter().next() {
        Some(fd) if len < LIMIT => Ok((Listener::from(fd), text)),
        Some(_) => {
            Err(NotifyError::Unexpected(format!("a message of {len} bytes or more with a seccomp listener")))
        }
        None => Err(NotifyError::Unexpected(format!("a message of {len} bytes without a seccomp listener"))),
    }
}

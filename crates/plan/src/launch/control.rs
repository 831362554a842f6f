//! Messages between host and init over a socket pair: one byte that names the point, and perhaps a descriptor.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, Shutdown, recvmsg, sendmsg, shutdown};

use crate::step::Point;

/// The host's end.
#[derive(Debug)]
pub(crate) struct Control {
    socket: OwnedFd,
}

/// What came from the init.
#[derive(Debug)]
pub(super) enum Message {
    /// The other end is closed: exec, or the init is gone.
    Closed,
    /// Up to 8 bytes, and perhaps a descriptor.
    Data([u8; 8], Option<OwnedFd>),
}

pub(super) fn pair() -> io::Result<(Control, OwnedFd)> {
    let [host, init] = super::raw::socket_pair()?;
    Ok((Control { socket: host }, init))
}

impl Control {
    pub(super) fn send(&self, point: Point, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let fds: Vec<_> = fd.iter().map(AsRawFd::as_raw_fd).collect();
        self.send_bytes([&[point.0], &[]], &fds)
    }

    /// Sends the length of a part, the part, or nothing if it is in the first of the descriptors, and the descriptors for its presets.
    pub(super) fn send_part(&self, len: u64, part: &[u8], fds: &[RawFd]) -> io::Result<()> {
        self.send_bytes([&len.to_ne_bytes(), part], fds)
    }

    fn send_bytes(&self, bytes: [&[u8]; 2], fds: &[RawFd]) -> io::Result<()> {
        let rights = [ControlMessage::ScmRights(fds)];
        let control = if fds.is_empty() { &rights[..0] } else { &rights[..] };
        loop {
            let sent = sendmsg::<()>(
                self.socket.as_raw_fd(),
                &bytes.map(IoSlice::new),
                control,
                MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT,
                None,
            );
            match sent {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// Ends what the init can read: it leaves at its next wait for the host.
    pub(super) fn close_writing(&self) {
        // The other end may be gone already.
        let _ = shutdown(self.socket.as_raw_fd(), Shutdown::Write);
    }

    /// Waits for a message. `Ok(None)` if `limit` passes first. `sender` is the pidfd of who is to send it: once that is gone, nothing
    /// comes any more, also while a child of it holds the other end.
    pub(super) fn receive(
        &self,
        limit: Duration,
        sender: Option<BorrowedFd<'_>>,
    ) -> io::Result<Option<Message>> {
        let socket = self.socket.as_fd();
        let end = Instant::now() + limit;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            // Rounded up: a poll of 0 ms just before the end would spin.
            let millis = i32::try_from(left.as_millis()).unwrap_or(i32::MAX - 1).saturating_add(1);
            let mut polled = [socket, sender.unwrap_or(socket)].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut polled, PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)) {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
                Ok(0) if left.is_zero() => return Ok(None),
                Ok(0) => {}
                // RACE: what it sent just before it went may have come after the look at the socket, so that is read anyway.
                Ok(_) => return self.read().map(Some),
            }
        }
    }

    fn read(&self) -> io::Result<Message> {
        let mut bytes = [0; 8];
        let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let received = loop {
            let flags = MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT;
            match recvmsg::<()>(self.socket.as_raw_fd(), &mut slices, Some(&mut space), flags) {
                // A reset says, once, that the init left without reading our last message; what it sent before is still there.
                Err(Errno::EINTR | Errno::ECONNRESET) => {}
                Err(Errno::EAGAIN) => return Ok(Message::Closed),
                Err(errno) => return Err(errno.into()),
                Ok(received) => break received,
            }
        };
        // ORDER: before what came with it: where nothing came there may be nothing, and nix would take it for a message.
        if received.bytes == 0 {
            return Ok(Message::Closed);
        }
        let mut fds = Vec::new();
        for message in received.cmsgs()? {
            if let ControlMessageOwned::ScmRights(numbers) = message {
                fds.extend(numbers.into_iter().map(super::raw::own));
            }
        }
        Ok(Message::Data(bytes, fds.pop()))
    }
}

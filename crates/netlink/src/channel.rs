//! One socket to the kernel: datagrams there and back, and what an answer is that never came.
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{NetlinkAddr, getsockname};

use crate::faults::{self, Call};
use crate::{Error, Result};

/// First size of the receive buffer. The kernel fills 32 KiB at a time where the reader's buffer allows it.
const BUFFER: usize = 64 * 1024;
/// The receive buffer never grows beyond this.
const LARGEST_BUFFER: usize = 16 * 1024 * 1024;
/// Asked for as `SO_RCVBUF`; the kernel takes what `net.core.rmem_max` allows.
const KERNEL_BUFFER: u32 = 1024 * 1024;
/// How often a call may fail while what is left of an answer is thrown away.
const PATIENCE: u32 = 64;

/// A socket that is connected to the kernel.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: Socket,
    port: u32,
    /// The last datagram.
    pub(crate) buffer: Vec<u8>,
    /// Whether an answer may be there that nobody has read to its end.
    unread: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// More came than the kernel's buffer or ours could hold; ours has grown.
    Overflow,
    /// None within the timeout.
    Time,
    /// recv(2) failed.
    Failed(io::Error),
}

impl Lost {
    /// The error of a request: the kernel may have done it.
    pub(crate) fn of_request(self, request: String) -> Error {
        match self {
            Self::Overflow => {
                Error::Unanswered { request, source: io::Error::from_raw_os_error(libc::ENOBUFS) }
            }
            Self::Time => Error::Timeout { request },
            Self::Failed(source) => Error::Unanswered { request, source },
        }
    }
}

impl Channel {
    pub(crate) fn open(protocol: isize, call: &'static str) -> Result<Self> {
        faults::of(&Call::Open).map_err(in_call(call))?;
        let mut socket = Socket::new(protocol).map_err(in_call(call))?;
        socket.bind(&SocketAddr::new(0, 0)).map_err(in_call("bind(AF_NETLINK)"))?;
        // Not by `bind_auto`, which asserts the length of the kernel's answer.
        let own = getsockname::<NetlinkAddr>(socket.as_raw_fd());
        let port = own.map_err(|errno| in_call("getsockname(AF_NETLINK)")(errno.into()))?.pid();
        // Only the kernel has that: an answer to this socket would be taken for another's, and waited for.
        if port == 0 {
            return Err(in_call("bind(AF_NETLINK)")(io::Error::from_raw_os_error(libc::EPROTO)));
        }
        // Connected to the kernel: messages of other processes are refused by the kernel itself.
        socket.connect(&SocketAddr::new(0, 0)).map_err(in_call("connect(AF_NETLINK)"))?;
        socket.set_ext_ack(true).map_err(in_call("setsockopt(NETLINK_EXT_ACK)"))?;
        socket.set_cap_ack(true).map_err(in_call("setsockopt(NETLINK_CAP_ACK)"))?;
        // The next two make things better where they are possible, nothing depends on them: filters are applied here again, and
        // what overflows is asked for again.
        let _ = socket.set_netlink_get_strict_chk(true);
        let _ = socket.set_rx_buf_sz(KERNEL_BUFFER);
        Ok(Self { socket, port, buffer: Vec::with_capacity(BUFFER), unread: false })
    }

    pub(crate) const fn port(&self) -> u32 {
        self.port
    }

    /// Sends one datagram. From here on an answer may come, until [`Channel::answered`].
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.drain()?;
        self.unread = true;
        loop {
            let sent = faults::around(&Call::Send(bytes), || self.socket.send(bytes, 0));
            match sent {
                // A datagram is sent whole, or there is no answer to wait for.
                Ok(length) if length != bytes.len() => {
                    self.unread = false;
                    let source = io::Error::from_raw_os_error(libc::EPROTO);
                    return Err(Error::Socket { call: Error::SEND, source });
                }
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Socket { call: Error::SEND, source }),
            }
        }
    }

    /// The answer was read to its end.
    pub(crate) const fn answered(&mut self) {
        self.unread = false;
    }

    /// Receives one datagram into the buffer.
    pub(crate) fn receive(&mut self) -> Result<(), Lost> {
        loop {
            match self.receive_once(0) {
                // The kernel sends none that is empty: this answer is not its.
                Ok(0) => return Err(Lost::Failed(io::Error::from_raw_os_error(libc::EPROTO))),
                Ok(length) if length <= self.buffer.capacity() => return Ok(()),
                Ok(length) if length <= LARGEST_BUFFER => {
                    self.buffer.clear();
                    self.buffer.reserve(length.next_power_of_two());
                    return Err(Lost::Overflow);
                }
                Ok(_) => return Err(Lost::Failed(io::Error::from_raw_os_error(libc::EMSGSIZE))),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::ENOBUFS) => return Err(Lost::Overflow),
                    Some(libc::EAGAIN) => return Err(Lost::Time),
                    _ => return Err(Lost::Failed(error)),
                },
            }
        }
    }

    /// The length that the datagram has, which may be more than is in the buffer.
    fn receive_once(&mut self, flags: libc::c_int) -> io::Result<usize> {
        let Self { socket, buffer, .. } = self;
        buffer.clear();
        let received = faults::around(&Call::Receive, || socket.recv(buffer, libc::MSG_TRUNC | flags));
        if received.is_err() {
            // What a failed call may have left is no datagram.
            self.buffer.clear();
        }
        received
    }

    /// Throws away what is left of an answer. The kernel goes on with a list only as it is read, and until its end refuses
    /// another one; and while the receive buffer is full it loses every answer in silence.
    fn drain(&mut self) -> Result<()> {
        let mut failures = 0;
        while self.unread {
            match self.receive_once(libc::MSG_DONTWAIT) {
                Ok(0) => self.unread = false,
                Ok(_) => {}
                Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => self.unread = false,
                Err(error) => {
                    failures += 1;
                    let passing = matches!(error.raw_os_error(), Some(libc::EINTR | libc::ENOBUFS));
                    if !passing || failures > PATIENCE {
                        return Err(Error::Socket { call: "recv(netlink)", source: error });
                    }
                }
            }
        }
        Ok(())
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

pub(crate) fn in_call(call: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Socket { call, source }
}

#[cfg(test)]
impl Channel {
    /// Takes another process for the kernel.
    pub(crate) fn connect_to(&self, port: u32) {
        self.socket.connect(&SocketAddr::new(port, 0)).expect("connect");
    }
}

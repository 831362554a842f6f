//! Descriptors that a caller wants: the master of a terminal (`--console-socket`), a pidfd (`--pidfd-socket`), each sent to a Unix socket that the caller listens at.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use libcontainer::Process;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr, connect, sendmsg, setsockopt,
    socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::arguments::ProcessArgs;
use crate::failure::{Failure, Named};

/// Seconds that a listener has to take a connection if others wait before it.
const PATIENCE: i64 = 10;

/// The sockets, connected before anything is made: a wrong path is told first.
#[derive(Debug)]
pub(crate) struct Sockets {
    console: Option<Socket>,
    pidfd: Option<Socket>,
}

#[derive(Debug)]
struct Socket {
    option: &'static str,
    path: PathBuf,
    stream: UnixStream,
}

impl Sockets {
    pub(crate) fn connect(args: &ProcessArgs) -> Result<Self, Failure> {
        let socket = |option, path: &Option<PathBuf>| {
            path.as_deref().map(|path| Socket::connect(option, path)).transpose()
        };
        let console = socket("--console-socket", &args.console_socket)?;
        Ok(Self { console, pidfd: socket("--pidfd-socket", &args.pidfd_socket)? })
    }

    /// Whether the caller holds the terminal.
    pub(crate) fn console(&self) -> bool {
        self.console.is_some()
    }

    /// Sends what there is to be sent. The terminal is the caller's from then on.
    pub(crate) fn send(&self, process: &mut Process) -> Result<(), Failure> {
        if let Some(socket) = &self.console {
            if let Some(terminal) = process.terminal.take() {
                socket.send(b"/dev/pts/ptmx", &terminal)?;
            }
        }
        self.pidfd.as_ref().map_or(Ok(()), |socket| socket.send(b"pidfd", &*process))
    }
}

/// A connection to the socket at `path`, if one is taken or its queue has room within [`PATIENCE`].
fn connected(path: &Path) -> nix::Result<UnixStream> {
    let address = UnixAddr::new(path)?;
    let socket = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // unix(7) knows no EINPROGRESS: it is the time for sending that ends a connect(2).
    let seconds = |seconds| setsockopt(&socket, sockopt::SendTimeout, &TimeVal::seconds(seconds));
    seconds(PATIENCE)?;
    let made = loop {
        match connect(socket.as_raw_fd(), &address) {
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => break Err(Errno::ETIMEDOUT),
            made => break made,
        }
    };
    made.and_then(|()| seconds(0)).map(|()| UnixStream::from(socket))
}

impl Socket {
    fn connect(option: &'static str, path: &Path) -> Result<Self, Failure> {
        let stream = connected(path).named(format_args!("{option} {}: connect", path.display()))?;
        Ok(Self { option, path: path.to_owned(), stream })
    }

    /// One message with one descriptor; its text is for people.
    fn send(&self, text: &[u8], fd: impl AsFd) -> Result<(), Failure> {
        let (text, fds) = ([IoSlice::new(text)], [fd.as_fd().as_raw_fd()]);
        let rights = [ControlMessage::ScmRights(&fds)];
        loop {
            match sendmsg::<UnixAddr>(self.stream.as_raw_fd(), &text, &rights, MsgFlags::MSG_NOSIGNAL, None) {
                Err(Errno::EINTR) => {}
                sent => {
                    return sent.map(drop).named(format_args!(
                        "{} {}: sendmsg",
                        self.option,
                        self.path.display()
                    ));
                }
            }
        }
    }
}

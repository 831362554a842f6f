//! Descriptors that a caller wants: the master of a terminal (`--console-socket`), a pidfd (`--pidfd-socket`), each sent to a Unix socket that the caller listens at.

use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use libcontainer::Process;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, UnixAddr, sendmsg};

use crate::arguments::ProcessArgs;
use crate::failure::{Failure, Named};

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

impl Socket {
    fn connect(option: &'static str, path: &Path) -> Result<Self, Failure> {
        let stream = UnixStream::connect(path).named(format_args!("{option} {}: connect", path.display()))?;
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

//! One criu at work: `criu swrk`, which has one end of a pair of sockets. It is told what to do, tells what it is about to do, and says how it went.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use libcontainer_plan::{Pid, wait_readable};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, Shutdown, SocketFlags,
    SocketType, recvmsg, send, shutdown, socketpair,
};

use super::message::{Answer, Feature, Kind, feature_check, noted, question, work};
use super::protobuf::Message;
use super::request::Request;
use super::version::Version;
use crate::error::{Error, ErrorKind, Result};
use crate::process::{ExitStatus, Process};

/// How long it may take to say which version it is, and to end when it has done its work or is to leave it.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a message that it may send.
const LONGEST: usize = 64 * 1024;

/// The two ends of a connection: ours and criu's.
pub(crate) fn connection() -> io::Result<(OwnedFd, OwnedFd)> {
    let kind = SocketType::SEQPACKET;
    Ok(socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}

/// What criu is about to do, or has done.
#[derive(Debug)]
pub(crate) struct Event {
    /// By its name, such as `post-restore`.
    pub(crate) name: String,
    /// The process that it is about; 0 if none.
    pub(crate) pid: i32,
    /// A descriptor that comes with it.
    pub(crate) fd: Option<OwnedFd>,
}

/// A criu that runs.
#[derive(Debug)]
pub(crate) struct Session {
    socket: OwnedFd,
    process: Process,
    /// How long it may say nothing; for ever if `None`.
    limit: Option<Duration>,
    ended: bool,
    declined: bool,
}

impl Session {
    pub(crate) fn new(socket: OwnedFd, process: Process, limit: Option<Duration>) -> Self {
        Self { socket, process, limit, ended: false, declined: false }
    }

    /// Whether it was told to stop: then what it says of that is no cause.
    pub(crate) fn is_declined(&self) -> bool {
        self.declined
    }

    pub(crate) fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// Asks which version it is, and refuses one that is too old.
    pub(crate) fn version(&self) -> Result<Version> {
        let answer = self.ask(&question(Kind::Version), Kind::Version, "tell its version")?;
        let found = answer.version.ok_or_else(|| unlike("tell its version"))?;
        Version(found).check()
    }

    /// Whether it and the kernel have a feature.
    pub(crate) fn has(&self, feature: Feature) -> Result<bool> {
        let what = "tell its features";
        let answer = self.ask(&feature_check(feature), Kind::FeatureCheck, what)?;
        Ok(answer.features.contains(&(feature as u32)))
    }

    fn ask(&self, request: &Message, kind: Kind, what: &str) -> Result<Answer> {
        self.send(request)?;
        let limit = self.limit.map_or(PATIENCE, |limit| limit.min(PATIENCE));
        let (answer, _) = self.receive(Some(limit))?;
        if answer.kind == kind as u64 && answer.success { Ok(answer) } else { Err(refused(&answer, what)) }
    }

    /// Has it do its work. `attend` is told of each step that it announces; after an error of that, criu is to take back what it did.
    pub(crate) fn work(
        &mut self,
        request: &Request,
        attend: &mut dyn FnMut(Event) -> Result<()>,
    ) -> Result<()> {
        let kind = request.kind.number();
        self.send(&work(kind, &request.options))?;
        let answer = loop {
            let (answer, fd) = self.receive(self.limit)?;
            if answer.kind != Kind::Notify as u64 {
                break answer;
            }
            let event = Event { name: answer.script, pid: answer.notified, fd };
            let attended = attend(event);
            self.declined = attended.is_err();
            let sent = self.send(&noted(attended.is_ok()));
            attended.and(sent)?;
        };
        if answer.kind != kind as u64 || !answer.success {
            return Err(refused(&answer, "do it"));
        }
        self.finish(kind)
    }

    /// Waits until it has ended, as it does when its work is done.
    fn finish(&mut self, kind: Kind) -> Result<()> {
        // It may be gone already. After a first part of a checkpoint it waits for the next one: that it is to be none.
        let _ = shutdown(&self.socket, Shutdown::Both);
        let ended = self.process.wait_timeout(PATIENCE)?;
        match ended {
            Some(status) if status.success() || kind == Kind::PreDump => {
                self.ended = true;
                Ok(())
            }
            Some(status) => Err(died(status)),
            None => {
                let text = format!("criu has done its work and did not end within {} s", PATIENCE.as_secs());
                Err(Error::new(ErrorKind::Timeout, text))
            }
        }
    }

    fn send(&self, message: &Message) -> Result<()> {
        loop {
            match send(&self.socket, message.as_bytes(), SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::PIPE | rustix::io::Errno::CONNRESET) => return Err(self.gone()),
                Err(errno) => return Err(Error::io("send criu a message", errno.into())),
            }
        }
    }

    /// Waits for a message, at most for `limit`.
    fn receive(&self, limit: Option<Duration>) -> Result<(Answer, Option<OwnedFd>)> {
        let end = limit.and_then(|limit| Instant::now().checked_add(limit));
        let failed = |error| Error::io("wait for criu", error);
        while !self.is_heard(end).map_err(failed)? {
            if end.is_some_and(|end| Instant::now() >= end) {
                let text = format!("criu said nothing for {:?}", limit.unwrap_or_default());
                return Err(Error::new(ErrorKind::Timeout, text));
            }
        }
        let mut bytes = vec![0; LONGEST];
        let read = read(self.socket.as_fd(), &mut bytes).map_err(|error| Error::io("read from criu", error));
        match read? {
            Some((count, fd)) if count > 0 && count < LONGEST => {
                let bytes = bytes.get(..count).unwrap_or_default();
                let answer = Answer::read(bytes).map_err(|_| unlike("speak its protocol"))?;
                Ok((answer, fd))
            }
            Some((LONGEST, _)) => Err(unlike("send messages of less than 64 KiB")),
            _ => Err(self.gone()),
        }
    }

    /// Whether there is a message or an end; false when the time is up or nothing is known yet.
    fn is_heard(&self, end: Option<Instant>) -> io::Result<bool> {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()).as_micros().div_ceil(1000));
        let left = left.map(|left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        let polled = [self.socket.as_fd(), self.process.as_fd()];
        match poll(
            &mut polled.map(|fd| PollFd::new(fd, PollFlags::POLLIN)),
            left.unwrap_or(PollTimeout::NONE),
        ) {
            Err(Errno::EINTR) | Ok(0) => Ok(false),
            Ok(_) => Ok(true),
            Err(errno) => Err(errno.into()),
        }
    }

    /// How it has ended without an answer.
    fn gone(&self) -> Error {
        match self.process.wait_timeout(PATIENCE) {
            Ok(Some(status)) => died(status),
            Ok(None) => Error::new(ErrorKind::Os, "criu has closed the connection without an answer"),
            Err(error) => error,
        }
    }
}

/// ORDER: the connection first: who reads its end takes back what it did. Who does not is killed.
impl Drop for Session {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // Each is for the case that the one before it was not enough.
        let _ = shutdown(&self.socket, Shutdown::Both);
        if matches!(wait_readable(self.process.as_fd(), Some(PATIENCE)), Ok(true)) {
            let _ = self.process.try_wait();
            return;
        }
        let _ = self.process.signal(libc::SIGKILL);
        let _ = self.process.wait_timeout(PATIENCE);
    }
}

/// A message, and the descriptor that came with it; `None` if there is none.
fn read(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<Option<(usize, Option<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = loop {
        let mut slices = [io::IoSliceMut::new(bytes)];
        match recvmsg(socket, &mut slices, &mut rights, flags) {
            Err(rustix::io::Errno::INTR) => {}
            // It has gone with a message of ours unread.
            Err(rustix::io::Errno::CONNRESET | rustix::io::Errno::AGAIN) => return Ok(None),
            received => break received?,
        }
    };
    let mut fds = Vec::new();
    for message in rights.drain() {
        if let RecvAncillaryMessage::ScmRights(all) = message {
            fds.extend(all);
        }
    }
    Ok(Some((received.bytes, fds.pop())))
}

fn died(status: ExitStatus) -> Error {
    Error::new(ErrorKind::Os, format!("criu has ended without an answer: {status}"))
}

fn unlike(what: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("what was started as criu is none, or too new: it does not {what}"),
    )
}

/// What it says of itself.
fn refused(answer: &Answer, what: &str) -> Error {
    let number = answer.errno.unsigned_abs();
    let errno = i32::try_from(number).ok().filter(|errno| *errno != 0);
    let message = answer.message.trim();
    // Often that is the first line of its log, which is told anyway.
    let message = if message.is_empty() || message.starts_with("Error (") {
        String::new()
    } else {
        format!(": {message}")
    };
    let text = format!("criu can't {what}{message}");
    match errno {
        Some(errno) => Error::io(text, io::Error::from_raw_os_error(errno)),
        None => Error::new(ErrorKind::Os, text),
    }
}

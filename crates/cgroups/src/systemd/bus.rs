//! A connection to a bus: authentication, calls and their answers, signals; every wait has a deadline.

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, getsockopt, recv, send, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::address::{Endpoint, Environment, Socket, Which};
use super::value::Value;
use super::wire::{Kind, Message};
use crate::error::{Error, Result};

/// The bus itself, as a peer.
const DAEMON: &str = "org.freedesktop.DBus";
const DAEMON_PATH: &str = "/org/freedesktop/DBus";
/// Signals that came while an answer was awaited; the oldest go first when there are more.
const KEPT: usize = 1024;
/// The longest line of the authentication.
const LINE: usize = 4096;

/// A connection. It speaks for one thread at a time; dropped, it is closed.
#[derive(Debug)]
pub struct Bus {
    fd: OwnedFd,
    received: Vec<u8>,
    serial: u32,
    signals: VecDeque<Message>,
    name: Option<String>,
}

impl AsFd for Bus {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What a peer answered to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The method's return.
    Return(Message),
    /// The peer refused.
    Refused(Refusal),
}

/// An error reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The name of the error, such as `org.freedesktop.systemd1.UnitExists`.
    pub name: String,
    /// The peer's words, empty when it gave none.
    pub words: String,
}

impl Refusal {
    /// The error for the caller of `call`.
    #[must_use]
    pub fn into_error(self, call: &'static str) -> Error {
        let problem =
            if self.words.is_empty() { self.name } else { format!("{} ({})", self.words, self.name) };
        Error::Systemd { call, problem }
    }
}

impl Answer {
    /// The return; a refusal becomes the error of `call`.
    ///
    /// # Errors
    /// [`Error::Systemd`] with the peer's words.
    pub fn or_refuse(self, call: &'static str) -> Result<Message> {
        match self {
            Self::Return(message) => Ok(message),
            Self::Refused(refusal) => Err(refusal.into_error(call)),
        }
    }
}

impl Bus {
    /// Connects to the first endpoint of `which` that answers, as this process's environment names them.
    ///
    /// # Errors
    /// [`Error::Systemd`] of the first endpoint when none answers.
    pub fn connect(which: Which, deadline: Instant) -> Result<Self> {
        Self::connect_in(&Environment::current(), which, deadline)
    }

    /// [`Self::connect`] with another environment than that of this process.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn connect_in(environment: &Environment, which: Which, deadline: Instant) -> Result<Self> {
        let mut first = None;
        for endpoint in environment.endpoints(which)? {
            match Self::open(&endpoint, deadline) {
                Ok(bus) => return Ok(bus),
                Err(error) => {
                    first.get_or_insert(error);
                }
            }
        }
        Err(first.unwrap_or_else(|| failed("connect", "no address".to_owned())))
    }

    /// Connects to one endpoint: socket(2), connect(2), `AUTH EXTERNAL`, and `Hello` if it is a bus.
    ///
    /// # Errors
    /// [`Error::Systemd`] that names the socket; also when who listens there is outside of our pid namespace: systemd would take
    /// the numbers of our processes for others of its own.
    pub fn open(endpoint: &Endpoint, deadline: Instant) -> Result<Self> {
        let socket = &endpoint.socket;
        let failed = |errno: Errno| failed("connect", format!("{socket}: {}", errno.desc()));
        let fd = dial(socket, deadline).map_err(failed)?;
        if is_outside(&fd).map_err(failed)? {
            let problem =
                format!("{socket}: it belongs to another pid namespace, where our pids are other processes");
            return Err(Error::Systemd { call: "connect", problem });
        }
        Self::over(fd, endpoint.is_bus, deadline)
    }

    /// Speaks over a stream socket that is already connected.
    ///
    /// # Errors
    /// [`Error::Systemd`] when the other side refuses us or doesn't answer in time.
    pub fn over(fd: OwnedFd, is_bus: bool, deadline: Instant) -> Result<Self> {
        let mut bus = Self { fd, received: Vec::new(), serial: 0, signals: VecDeque::new(), name: None };
        bus.authenticate(deadline)?;
        if is_bus {
            let answer = bus.ask_daemon("Hello", &[], deadline)?.arguments()?;
            let name = answer.first().and_then(Value::text);
            bus.name =
                Some(name.ok_or_else(|| failed("Hello", "the answer has no name".to_owned()))?.to_owned());
        }
        Ok(bus)
    }

    /// The name that the bus gave this connection; None without a bus.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Asks the bus for signals that match `rule` (D-Bus specification, "Match Rules"). Without a bus all come anyway.
    ///
    /// # Errors
    /// [`Error::Systemd`].
    pub fn add_match(&mut self, rule: &str, deadline: Instant) -> Result<()> {
        match self.name {
            Some(_) => self.ask_daemon("AddMatch", &[Value::Text(rule.to_owned())], deadline).map(drop),
            None => Ok(()),
        }
    }

    fn ask_daemon(
        &mut self,
        member: &'static str,
        arguments: &[Value],
        deadline: Instant,
    ) -> Result<Message> {
        let call = Message::call(DAEMON, DAEMON_PATH, DAEMON, member).with(arguments)?;
        self.call(call, member, deadline)?.or_refuse(member)
    }

    /// Sends a method call and waits for its answer. Signals that come in between are kept for [`Self::signal`].
    ///
    /// # Errors
    /// [`Error::Systemd`] with `what`: the connection broke, or no answer came in time. A refusal is no error here.
    pub fn call(&mut self, message: Message, what: &'static str, deadline: Instant) -> Result<Answer> {
        let serial = self.send(message, what, deadline)?;
        loop {
            let message = self.receive(what, deadline)?;
            match message.kind {
                Kind::Return if message.reply_to == Some(serial) => return Ok(Answer::Return(message)),
                Kind::Error if message.reply_to == Some(serial) => {
                    return Ok(Answer::Refused(refusal(&message)));
                }
                Kind::Signal => self.keep(message),
                // Answers to calls that were given up, calls to us, kinds of the future.
                _ => {}
            }
        }
    }

    /// The next signal, one that was kept first. Forgets what is not a signal.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn signal(&mut self, what: &'static str, deadline: Instant) -> Result<Message> {
        if let Some(kept) = self.signals.pop_front() {
            return Ok(kept);
        }
        loop {
            let message = self.receive(what, deadline)?;
            if message.kind == Kind::Signal {
                return Ok(message);
            }
        }
    }

    /// Sends a message under the next serial, which is returned.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn send(&mut self, mut message: Message, what: &'static str, deadline: Instant) -> Result<u32> {
        self.serial = self.serial.checked_add(1).unwrap_or(1);
        message.serial = self.serial;
        self.send_bytes(&message.encode()?, what, deadline)?;
        Ok(self.serial)
    }

    /// Waits for the next message of any kind.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn receive(&mut self, what: &'static str, deadline: Instant) -> Result<Message> {
        loop {
            if let Some((message, length)) = Message::decode(&self.received)? {
                self.received.drain(..length);
                return Ok(message);
            }
            self.fill(what, deadline)?;
        }
    }

    fn keep(&mut self, signal: Message) {
        if self.signals.len() >= KEPT {
            self.signals.pop_front();
        }
        self.signals.push_back(signal);
    }

    /// `AUTH EXTERNAL` (D-Bus specification, "Authentication Protocol").
    ///
    /// No user id is sent at first: the other side then takes the one that the kernel tells it, which holds in user namespaces too.
    fn authenticate(&mut self, deadline: Instant) -> Result<()> {
        let mut reply = self.line("\0AUTH EXTERNAL\r\n", deadline)?;
        if is_word(&reply, "DATA") {
            reply = self.line("DATA\r\n", deadline)?;
        }
        if is_word(&reply, "REJECTED") || is_word(&reply, "ERROR") {
            let uid = nix::unistd::geteuid().to_string();
            let hex = uid.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
            reply = self.line(&format!("AUTH EXTERNAL {hex}\r\n"), deadline)?;
        }
        match is_word(&reply, "OK") {
            true => self.send_bytes(b"BEGIN\r\n", "authentication", deadline),
            false => Err(failed("authentication", format!("the bus says {reply:?}"))),
        }
    }

    /// Sends a line and reads one.
    fn line(&mut self, line: &str, deadline: Instant) -> Result<String> {
        self.send_bytes(line.as_bytes(), "authentication", deadline)?;
        loop {
            if let Some(end) = self.received.windows(2).position(|two| two == b"\r\n") {
                let line = self.received.drain(..end + 2).take(end).collect::<Vec<u8>>();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            if self.received.len() > LINE {
                return Err(failed("authentication", "a line without an end".to_owned()));
            }
            self.fill("authentication", deadline)?;
        }
    }

    fn send_bytes(&self, mut bytes: &[u8], what: &'static str, deadline: Instant) -> Result<()> {
        while !bytes.is_empty() {
            // A peer that went away must not raise SIGPIPE in the host.
            let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
            match send(self.fd.as_raw_fd(), bytes, flags) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => self.wait(PollFlags::POLLOUT, what, deadline)?,
                Err(errno) => return Err(failed(what, format!("send: {}", errno.desc()))),
            }
        }
        Ok(())
    }

    /// Receives some more. `decode` refuses large messages by their header, so at most one of [`super::wire::LARGEST`] and a chunk are kept.
    fn fill(&mut self, what: &'static str, deadline: Instant) -> Result<()> {
        let mut chunk = [0; 4096];
        loop {
            self.wait(PollFlags::POLLIN, what, deadline)?;
            match recv(self.fd.as_raw_fd(), &mut chunk, MsgFlags::MSG_DONTWAIT) {
                Ok(0) => return Err(failed(what, "the connection was closed".to_owned())),
                Ok(count) => {
                    self.received.extend(chunk.get(..count).unwrap_or_default());
                    return Ok(());
                }
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(errno) => return Err(failed(what, format!("recv: {}", errno.desc()))),
            }
        }
    }

    fn wait(&self, events: PollFlags, what: &'static str, deadline: Instant) -> Result<()> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(failed(what, "no answer in time".to_owned()));
            }
            // Rounded up, so that the last wait doesn't turn into a busy loop.
            let millis = u16::try_from(left.as_millis().saturating_add(1)).unwrap_or(u16::MAX);
            match poll(&mut [PollFd::new(self.fd.as_fd(), events)], PollTimeout::from(millis)) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(failed(what, format!("poll: {}", errno.desc()))),
            }
        }
    }
}

fn dial(to: &Socket, deadline: Instant) -> nix::Result<OwnedFd> {
    let address = match to {
        Socket::Path(path) => UnixAddr::new(path)?,
        Socket::Abstract(name) => UnixAddr::new_abstract(name)?,
    };
    let fd = socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    // A listener with a full queue lets connect(2) block; the send timeout is its deadline (unix(7) knows no EINPROGRESS).
    let left = deadline.saturating_duration_since(Instant::now()).as_millis().clamp(1, 3_600_000);
    let part = |number: u128| i64::try_from(number).map_err(|_| Errno::EOVERFLOW);
    setsockopt(&fd, sockopt::SendTimeout, &TimeVal::new(part(left / 1000)?, part(left % 1000 * 1000)?))?;
    loop {
        match connect(fd.as_raw_fd(), &address) {
            Ok(()) => return Ok(fd),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Err(Errno::ETIMEDOUT),
            Err(errno) => return Err(errno),
        }
    }
}

/// Whether the kernel has no number for the peer in our pid namespace (unix(7), `SO_PEERCRED`).
fn is_outside(fd: &OwnedFd) -> nix::Result<bool> {
    Ok(getsockopt(fd, sockopt::PeerCredentials)?.pid() == 0)
}

fn is_word(line: &str, word: &str) -> bool {
    line.split(' ').next() == Some(word)
}

fn refusal(message: &Message) -> Refusal {
    // An error without words, or with some that are not understood, is one all the same.
    let words = message.arguments().ok().and_then(|all| all.first().and_then(Value::text).map(str::to_owned));
    Refusal {
        name: message.error.clone().unwrap_or_else(|| "an error without a name".to_owned()),
        words: words.unwrap_or_default(),
    }
}

pub(super) fn failed(call: &'static str, problem: String) -> Error {
    Error::Systemd { call, problem }
}

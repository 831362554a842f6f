//! The agent's side: receive, look, answer.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::error::NotifyError;
use super::raw::{self, Request};
use crate::seccomp::filter::Filter;
use crate::seccomp::interpret::Data;

/// The descriptor by which the calls of processes are received that a filter has left to it.
///
/// Several threads may share one, but a kernel lets a second reader wait in [`Listener::receive`] past its limit if the first has taken what both were woken for.
#[derive(Debug)]
pub struct Listener(OwnedFd);

/// A call that waits for an answer: `struct seccomp_notif`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notification {
    /// By which it is answered.
    pub id: u64,
    /// The calling thread in the receiver's pid namespace; 0 if it has no number there.
    pub pid: u32,
    /// None so far.
    pub flags: u32,
    /// The call.
    pub data: Data,
}

/// What [`Listener::receive`] has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A call waits.
    Call(Notification),
    /// None came in time.
    TimedOut,
    /// No process has the filter any more.
    Ended,
}

/// What a call returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It succeeded with this value, and the kernel does nothing.
    Value(i64),
    /// It failed with this error number, 1 to 4095, and the kernel does nothing.
    Errno(i32),
    /// The kernel makes the call after all. No policy can be built on that: see the module.
    Continue,
}

/// How a descriptor is put into the caller's table: `struct seccomp_notif_addfd`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AddFd {
    /// The number that it gets there, whatever had that before; the lowest free one without.
    pub at: Option<u32>,
    /// Whether exec closes it.
    pub close_on_exec: bool,
    /// The call is answered by the number in the same act, so that none is left over if the caller goes. KERNEL(5.14).
    pub answer: bool,
}

impl From<OwnedFd> for Listener {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Listener {
    /// The next call, waited for at most that long, or without an end. Interruptions are no end, and calls whose processes have gone meanwhile are passed over.
    ///
    /// # Errors
    /// Those of poll(2), `SECCOMP_GET_NOTIF_SIZES` and `SECCOMP_IOCTL_NOTIF_RECV`: `ENOTTY` for a descriptor that is no listener.
    pub fn receive(&self, limit: Option<Duration>) -> Result<Event, NotifyError> {
        let end = limit.map(|limit| Instant::now() + limit);
        loop {
            match self.wait(end)? {
                Ready::No => return Ok(Event::TimedOut),
                Ready::Never => return Ok(Event::Ended),
                Ready::Yes => {}
            }
            // The kernel wants zeros.
            let mut words = Vec::new();
            match raw::request(self.as_fd(), Request::Receive, &mut words) {
                Ok(_) => return notification(&words).map(Event::Call),
                // RACE: the caller may be killed between the wake-up and the look, and this thread interrupted.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => {}
                Err(error) => return Err(NotifyError::call(Request::Receive.name(), &error)),
            }
        }
    }

    fn wait(&self, end: Option<Instant>) -> Result<Ready, NotifyError> {
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let timeout = left.map_or(PollTimeout::NONE, |left| {
                PollTimeout::try_from(left + Duration::from_micros(999)).unwrap_or(PollTimeout::MAX)
            });
            let mut polled = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
            match poll(&mut polled, timeout) {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(NotifyError::call("poll a seccomp listener", &errno.into())),
                Ok(0) if left.is_some_and(|left| left.is_zero()) => return Ok(Ready::No),
                Ok(0) => {}
                Ok(_) => return Ok(ready(&polled)),
            }
        }
    }

    /// Whether the call still waits. Anything learned by the caller's number counts only if it does afterwards.
    ///
    /// # Errors
    /// That of `SECCOMP_IOCTL_NOTIF_ID_VALID`: then it is not known.
    pub fn is_valid(&self, id: u64) -> Result<bool, NotifyError> {
        match raw::request(self.as_fd(), Request::IsValid, &mut vec![id]) {
            Ok(_) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(error) => Err(NotifyError::call(Request::IsValid.name(), &error)),
        }
    }

    /// Answers a call.
    ///
    /// # Errors
    /// That of `SECCOMP_IOCTL_NOTIF_SEND`: `ENOENT` if the call does not wait any more ([`NotifyError::is_gone`]), `EINPROGRESS` if it has an
    /// answer. `EINVAL` for an error number that is none.
    pub fn respond(&self, id: u64, answer: Answer) -> Result<(), NotifyError> {
        const CONTINUE: u32 = 1;
        let (value, error, flags) = match answer {
            Answer::Value(value) => (value, 0, 0),
            Answer::Errno(errno @ 1..=4095) => (0, -errno, 0),
            Answer::Errno(errno) => {
                let call = format!("answer a call with the error number {errno}");
                return Err(NotifyError::Call { call, errno: libc::EINVAL });
            }
            Answer::Continue => (0, 0, CONTINUE),
        };
        let mut words =
            vec![id, u64::from_ne_bytes(value.to_ne_bytes()), pair(error.to_ne_bytes(), flags.to_ne_bytes())];
        raw::request(self.as_fd(), Request::Send, &mut words)
            .map(drop)
            .map_err(|error| NotifyError::call(Request::Send.name(), &error))
    }

    /// Puts a copy of `fd` into the caller's table of descriptors, and returns its number there.
    ///
    /// # Errors
    /// That of `SECCOMP_IOCTL_NOTIF_ADDFD`: `ENOENT` if the call does not wait any more, `EMFILE`, `EBUSY` or `EBADF` by the caller's limits.
    pub fn add_fd(&self, id: u64, fd: BorrowedFd<'_>, how: AddFd) -> Result<RawFd, NotifyError> {
        const SET: u32 = 1;
        const SEND: u32 = 2;
        let flags = how.at.map_or(0, |_| SET) | if how.answer { SEND } else { 0 };
        let new_flags = if how.close_on_exec { libc::O_CLOEXEC } else { 0 };
        let mut words = vec![
            id,
            pair(flags.to_ne_bytes(), fd.as_raw_fd().to_ne_bytes()),
            pair(how.at.unwrap_or(0).to_ne_bytes(), new_flags.to_ne_bytes()),
        ];
        raw::request(self.as_fd(), Request::AddFd, &mut words)
            .map_err(|error| NotifyError::call(Request::AddFd.name(), &error))
    }
}

enum Ready {
    Yes,
    No,
    Never,
}

fn ready(polled: &[PollFd<'_>]) -> Ready {
    let events = polled.iter().filter_map(PollFd::revents).fold(PollFlags::empty(), |all, some| all | some);
    // An error of the descriptor is for the request to tell.
    let ended = events.contains(PollFlags::POLLHUP) && !events.contains(PollFlags::POLLIN);
    if ended { Ready::Never } else { Ready::Yes }
}

/// Two halves as they lie in memory.
fn pair(first: [u8; 4], second: [u8; 4]) -> u64 {
    let ([a, b, c, d], [e, f, g, h]) = (first, second);
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

fn halves(word: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = word.to_ne_bytes();
    (u32::from_ne_bytes([a, b, c, d]), u32::from_ne_bytes([e, f, g, h]))
}

/// What lies behind the words known here is a newer kernel's.
fn notification(words: &[u64]) -> Result<Notification, NotifyError> {
    let [id, who, call, instruction_pointer, a, b, c, d, e, f, ..] = *words else {
        return Err(NotifyError::Unexpected(format!("a notification of {} words", words.len())));
    };
    let ((pid, flags), (number, arch)) = (halves(who), halves(call));
    let data = Data { number, arch, instruction_pointer, args: [a, b, c, d, e, f] };
    Ok(Notification { id, pid, flags, data })
}

/// Loads a filter for the calling thread and what it starts from then on; the listener, if the filter notifies. It can't be taken back.
///
/// A thread that needs a notified call to hand its listener to another waits for ever.
///
/// # Errors
/// That of seccomp(2): `EACCES` without `no_new_privs` and `CAP_SYS_ADMIN`, `EINVAL` for flags that the kernel does not have, `EBUSY` if the thread
/// has a listener already.
pub fn load(filter: &Filter) -> Result<Option<Listener>, NotifyError> {
    let failed = |error: io::Error| NotifyError::call("seccomp(SECCOMP_SET_MODE_FILTER)", &error);
    let result = raw::load(filter.instructions(), filter.flags()).map_err(failed)?;
    match i32::try_from(result) {
        Ok(number) if filter.notifies() => Ok(Some(Listener(raw::own(number)))),
        Ok(0) => Ok(None),
        // TSYNC without a listener answers with a thread that could not get the filter.
        _ => Err(NotifyError::Unexpected(format!(
            "seccomp(SECCOMP_SET_MODE_FILTER): thread {result} has another filter"
        ))),
    }
}

//! From the init that loads a filter to the agent that listens.

use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use libcontainer_plan::{KNOCK, Pid, rest};

use super::error::NotifyError;
use super::give::{Agent, give};
use super::knock::Knock;
use super::listener::{Answer, Event, Listener, Notification};
use super::take::{listener_in, still_to_come, take};
use crate::seccomp::Arch;

/// How often it is looked whether the init still can knock.
const TICK: Duration = Duration::from_millis(20);
/// How long it is waited for the init's own listener when another one was there.
const SHORT: Duration = Duration::from_millis(1);

/// What is to be done with the listener of an init.
#[derive(Clone, Copy, Debug)]
pub struct Handover<'a> {
    /// Who gets it.
    pub agent: Agent<'a>,
    /// What the agent is told: JSON of a [`super::ProcessState`].
    pub text: &'a str,
    /// The bits with which the init knocks; without, only that it is a knock of that process is checked, which then must not have become its program.
    pub knock: Option<&'a Knock>,
    /// The listener's number is this or a higher one: one that the init was given has a lower one.
    pub least: RawFd,
    /// How long all of it may take.
    pub limit: Duration,
}

/// Takes the listener of an init that runs [`libcontainer_plan::Builder::listen`], gives it to the agent, and lets the init go on.
///
/// The init is stopped in its knock until then, and nothing is answered if anything failed: it is for the caller to kill it.
///
/// # Errors
/// Names what failed: the init ended first, its descriptors are closed to this user (`EACCES`, `EPERM`: its user is another, and it is not dumpable), nobody
/// takes the message (`ENOENT`, `ECONNREFUSED`, `ECONNRESET`, `ETIMEDOUT`).
pub fn hand_over(pid: Pid, pidfd: BorrowedFd<'_>, handover: &Handover<'_>) -> Result<(), NotifyError> {
    let end = Instant::now() + handover.limit;
    // ORDER: taken before the agent has the listener: it would find a call that it knows nothing of.
    let (listener, call) = loop {
        let (number, listener) = take(pid, pidfd, handover.least, end)?;
        let same = || Ok(listener_in(pid, handover.least)? == Some(number));
        if let Some(call) = knocked(&listener, (pid, pidfd), handover.knock, end, &same)? {
            break (listener, call);
        }
        rest(SHORT);
    };
    give(handover.agent, &listener, handover.text.as_bytes(), end)?;
    listener.respond(call.id, Answer::Value(0))
}

/// As [`hand_over`], of an init that runs [`libcontainer_plan::Builder::listen_and_send`]: its listener came from itself, and is not looked for.
///
/// # Errors
/// Names what failed: the init ended first, what it sent is no listener of its own, nobody takes the message (`ENOENT`, `ECONNREFUSED`, `ECONNRESET`, `ETIMEDOUT`).
pub fn hand_over_sent(
    pid: Pid,
    pidfd: BorrowedFd<'_>,
    sent: OwnedFd,
    handover: &Handover<'_>,
) -> Result<(), NotifyError> {
    let end = Instant::now() + handover.limit;
    let listener = Listener::from(sent);
    let call = knocked(&listener, (pid, pidfd), handover.knock, end, &|| Ok(true))?;
    let call =
        call.ok_or_else(|| NotifyError::Unexpected(format!("process {pid} has sent a listener of others")))?;
    give(handover.agent, &listener, handover.text.as_bytes(), end)?;
    listener.respond(call.id, Answer::Value(0))
}

/// The init is the only process that has the filter, so this is the first call of all. `None` if this is not its listener.
///
/// RACE: the init may not have moved the descriptors yet that it was given: one of these that is a listener too stands where its own will be.
fn knocked(
    listener: &Listener,
    (pid, pidfd): (Pid, BorrowedFd<'_>),
    knock: Option<&Knock>,
    end: Instant,
    same: &dyn Fn() -> Result<bool, NotifyError>,
) -> Result<Option<Notification>, NotifyError> {
    let call = loop {
        match listener.receive(Some(TICK))? {
            Event::Call(call) => break call,
            Event::TimedOut if Instant::now() < end => {
                still_to_come(pid, pidfd)?;
                if !same()? {
                    return Ok(None);
                }
            }
            Event::TimedOut => {
                let call = format!("wait for process {pid} to knock at its seccomp listener");
                return Err(NotifyError::Call { call, errno: libc::ETIMEDOUT });
            }
            Event::Ended if Instant::now() < end && still_to_come(pid, pidfd).is_ok() => return Ok(None),
            Event::Ended => {
                return Err(NotifyError::Unexpected(format!("process {pid} has ended under its filter")));
            }
        }
    };
    let prctl = Arch::native().and_then(|native| native.number("prctl"));
    let is_knock = Some(call.data.number) == prctl && call.data.args.first() == Some(&u64::from(KNOCK));
    let is_ours = knock.is_none_or(|knock| knock.is(&call.data));
    if i64::from(call.pid) == i64::from(pid.as_raw()) && is_knock && is_ours {
        return Ok(Some(call));
    }
    let (number, from) = (call.data.number, call.pid);
    Err(NotifyError::Unexpected(format!(
        "the first call that process {pid} leaves to its listener is {number} of process {from}, no knock"
    )))
}

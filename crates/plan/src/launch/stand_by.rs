//! A launch that stops behind its base: the init has built everything, and waits to be told which program it is for.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use super::executed::Name;
use super::request::{Launch, Launched};
use super::run::{Failure, Run};
use super::{left, prepare};
use crate::error::LaunchError;
use crate::host::HostOp;
use crate::ids::Pid;
use crate::wire;

/// An init that has run the base of its plan and waits for the rest. It holds no descriptor of the host's but its end of a socket, and leaves when this
/// is dropped or this process ends.
pub struct StandBy {
    run: Option<Run>,
    pid: Pid,
}

impl fmt::Debug for StandBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StandBy").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl Launch {
    /// Runs the base of the plan: its host steps and the init's. Returns when the init waits for the rest.
    ///
    /// # Errors
    /// As [`Launch::run`].
    pub fn stand_by(mut self) -> Result<StandBy, Box<LaunchError>> {
        left::reap_left();
        self.stands_by = true;
        let mut host = std::mem::take(&mut self.plan.host);
        host.truncate(self.plan.base_host);
        let mut run = Run::new(self, host.len()).walk(host, 0)?;
        let index = run.total;
        let waits = run.await_stand_by().and_then(|()| Ok(run.state.context.pid()?));
        match waits {
            Ok(pid) => {
                // Else it is opened when it is wanted.
                run.state.name = Name::of(pid).ok();
                Ok(StandBy { run: Some(run), pid })
            }
            Err(failure) => Err(Box::new(run.fail(index, "wait for init: it stands by".to_owned(), failure))),
        }
    }
}

impl StandBy {
    /// The init's pid in the host's pid namespace.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The init's pidfd: readable once it has ended.
    ///
    /// # Errors
    /// `ESRCH` if there is none.
    pub fn pidfd(&self) -> io::Result<BorrowedFd<'_>> {
        let run = self.run.as_ref().ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
        run.state.context.pidfd()
    }

    /// Hands the rest of `launch` over, whose plan goes on from the same base. Descriptors go by message.
    ///
    /// # Errors
    /// As [`Launch::run`]: what was done for the base is taken back too. `EINVAL` for a plan of another base, `E2BIG` for one whose program gets descriptors above 40.
    pub fn hand_over(mut self, launch: Launch) -> Result<Launched, Box<LaunchError>> {
        let Some(mut run) = self.run.take() else { return launch.run() };
        let fits = fits(&run.launch, &launch);
        run.launch = launch;
        run.launch.stands_by = true;
        let base = run.launch.plan.base_host;
        let mut host = std::mem::take(&mut run.launch.plan.host);
        run.total = host.len();
        run.state.timeline.begin(run.launch.trace);
        let give = || "give the rest of the plan to init".to_owned();
        if let Err(failure) = fits {
            return Err(Box::new(run.fail(base, give(), failure)));
        }
        let mut before: Vec<HostOp> = host.split_off(base.min(host.len()));
        let rest = before.split_off(ahead(&before));
        let here = base + before.len();
        let mut run = run.walk(before, base)?;
        if let Err(error) = run.send_rest() {
            return Err(Box::new(run.fail(here, give(), error.into())));
        }
        run.walk(rest, here)?.finish()
    }
}

impl StandBy {
    /// Ends the init, and takes back what was done for the base. Returns what could not be taken back.
    #[must_use]
    pub fn take_back(mut self) -> Vec<(String, io::Error)> {
        self.run.take().map(|mut run| run.take_back().errors).unwrap_or_default()
    }
}

impl Drop for StandBy {
    fn drop(&mut self) {
        let Some(mut run) = self.run.take() else { return };
        run.state.control = None;
        if let Some(pidfd) = run.state.context.pidfd.take() {
            // It leaves by itself when its socket is closed, so there is nothing to tell if it can't be killed.
            let _ = left::end(pidfd);
        }
    }
}

/// How many host steps come before the init gets the rest.
///
/// ORDER: all up to its exec, if it waits for no word of its host's: then the program may run as soon as the message is sent. Else none, so that they are
/// done while it goes on.
fn ahead(rest: &[HostOp]) -> usize {
    let speaks = |op: &HostOp| matches!(op, HostOp::Notify(_) | HostOp::Send(..) | HostOp::Respawn(_));
    if rest.iter().any(speaks) {
        return 0;
    }
    rest.iter().take_while(|op| matches!(op, HostOp::Step(_))).count()
}

/// Whether the plan of `next` goes on where that of `first` has stopped.
fn fits(first: &Launch, next: &Launch) -> Result<(), Failure> {
    let (base, (other, rest)) = (first.plan.halves().0, next.plan.halves());
    let same = rest.len() == 1
        && base.len() == other.len()
        && base.iter().zip(other).all(|(one, other)| Arc::ptr_eq(one, other));
    let errno = match (same, next.plan.low <= prepare::STANDS_BY_LOW) {
        (true, true) => return Ok(()),
        (false, _) => libc::EINVAL,
        (true, false) => libc::E2BIG,
    };
    Err(io::Error::from_raw_os_error(errno).into())
}

impl Run {
    fn send_rest(&mut self) -> io::Result<()> {
        let launch = &mut self.launch;
        let bytes = launch.plan.encode_rest(launch.fault, launch.trace);
        let slots: Vec<_> = launch.plan.halves().1.iter().flat_map(|part| &part.presets).collect();
        let mut given = Vec::with_capacity(slots.len());
        for preset in slots {
            let gift = launch.given.remove(&preset.slot);
            given.push(gift.ok_or_else(|| prepare::not_given(&preset.name))?.open()?);
        }
        let mut numbers: Vec<_> = given.iter().map(AsRawFd::as_raw_fd).collect();
        let (control, len) = (self.control()?, bytes.len() as u64);
        if bytes.len() <= wire::INLINE {
            match control.send_part(len, &bytes, &numbers) {
                // A host may have made its sockets' buffers small.
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {}
                sent => return sent,
            }
        }
        let file = prepare::sealed_memory(0, &bytes)?;
        numbers.insert(0, file.as_fd().as_raw_fd());
        control.send_part(len, &[], &numbers)
    }
}

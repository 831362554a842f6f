//! What ends of a container, in which order: its network, its processes, its control group, its class of resctrl.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant, UNIX_EPOCH};

use libcontainer_cgroups::systemd::Environment;
use libcontainer_cgroups::{Group, remove_empty};
use libcontainer_network::Going;
use libcontainer_plan::{signal_pidfd, wait_readable};

use super::again::again;
use crate::error::{Error, Result};
use crate::group::{self, PATIENCE};
use crate::process::reap_ended;
use crate::record::{Init, KILL, State, Store, is_of_this_boot};
use crate::resctrl;

const TICK: Duration = Duration::from_millis(1);
/// A container that was made less than that ago; records count in seconds.
const YOUNG: Duration = Duration::from_secs(2);

/// What is being ended, and what could not be.
pub(super) struct Teardown<'a> {
    state: &'a State,
    store: &'a Store,
    environment: &'a Environment,
    what: &'a str,
    errors: Vec<Error>,
}

impl<'a> Teardown<'a> {
    pub(super) fn new(
        state: &'a State,
        store: &'a Store,
        environment: &'a Environment,
        what: &'a str,
    ) -> Self {
        Self { state, store, environment, what, errors: Vec::new() }
    }

    /// Ends everything that the record speaks of: each thing is looked for, and what is not there is no error.
    pub(super) fn run(mut self) -> Vec<Error> {
        if self.state.boot_id.is_empty() && self.state.init_pid == 0 {
            // Nothing was made before the record said so.
            return self.errors;
        }
        let this_boot = match again(|| is_of_this_boot(self.state)) {
            Ok(yes) => yes,
            // It may all live: without an answer nothing is touched.
            Err(error) => return vec![error],
        };
        let init = if this_boot { self.look(|this| Init::open(this.state)).flatten() } else { None };
        let going = self.network();
        if this_boot {
            self.processes(init);
            // ORDER: behind those that are in it: else they would be in another class.
            let left = resctrl::remove(self.state.resctrl(), || {
                group::token_of(self.store.path(), self.store.dir())
            });
            self.errors.extend(left.into_iter().map(|error| Error::io(self.what, error)));
        }
        // ORDER: behind the processes, with which their network namespace ends, and links that go with it.
        if let Some(going) = going.filter(|going| !self.goes_unseen(going)) {
            self.look(|this| going.settle().map_err(|error| Error::network(this.what, error)));
        }
        self.errors
    }

    /// Does something again and again; an error that stays is noted.
    fn look<T>(&mut self, act: impl Fn(&Self) -> Result<T>) -> Option<T> {
        let found = again(|| act(self));
        found.map_err(|error| self.errors.push(error)).ok()
    }

    /// Takes the network away, but for what goes with its namespace.
    fn network(&mut self) -> Option<Going> {
        self.look(|this| {
            libcontainer_network::remove_later(&this.state.network_state, None)
                .map_err(|error| Error::network(this.what, error))
        })
    }

    /// Whether what is going needs no look. A namespace that is young still has the socket by which its links were set up: the kernel gives that
    /// back some ms after it was closed, and to wait for it would take as long as to delete the links.
    fn goes_unseen(&self, going: &Going) -> bool {
        let made = UNIX_EPOCH + Duration::from_secs(self.state.created);
        // A clock that was set back makes no container young.
        let young = made.elapsed().is_ok_and(|age| age < YOUNG);
        going.is_empty() || (young && self.errors.is_empty() && !going.has_bridges())
    }

    /// Kills everything, and removes the control group. `init` is the first process, if it lives.
    fn processes(&mut self, init: Option<Init>) {
        let (state, unit) = (self.state, self.state.unit());
        // Usually nothing runs any more, and a rmdir in each hierarchy is all there is to do. If that does not do, or fails, the long way
        // finds out why.
        let alone = unit.is_none() && init.is_none() && self.errors.is_empty();
        if alone && matches!(remove_empty(state.places()), Ok(true)) {
            return reap_ended();
        }
        let group = self.look(|this| this.group()).flatten();
        let killed = group.as_ref().map_or(Ok(()), |group| group.kill(PATIENCE));
        if let Some(Init { pid, pidfd }) = init {
            if let Err(error) = kill(&pidfd) {
                self.errors.push(match killed {
                    // What stands still does not die: that is the cause.
                    Err(cause) => Error::cgroup(self.what, cause),
                    Ok(()) => Error::io(format!("{}: kill process {pid}", self.what), error),
                });
            }
        }
        reap_ended();
        // ORDER: systemd removes what it made; what it knows nothing of is left to us.
        let stopped = unit.map_or(Ok(()), |unit| group::stop(unit, self.environment));
        // What is left is killed again, and told, by this.
        let removed = group.map_or(Ok(()), |group| group.destroy(PATIENCE));
        let ended = match (stopped, removed) {
            // A scope without processes ends by itself: when its group is gone, it is all the same that systemd can't be asked.
            (Err(_), Ok(())) if !state.places().is_empty() => Ok(()),
            (stopped, Ok(())) => stopped,
            (Ok(()), removed) => removed,
            (Err(stopped), Err(removed)) => Err(libcontainer_cgroups::Error::Several(vec![stopped, removed])),
        };
        self.errors.extend(ended.err().map(|error| Error::cgroup(self.what, error)));
    }

    /// The control group, as far as it is ours.
    fn group(&self) -> Result<Option<Group>> {
        group::own(self.state).map_err(|error| Error::cgroup(self.what, error))
    }
}

fn kill(pidfd: &OwnedFd) -> io::Result<()> {
    match signal_pidfd(pidfd.as_fd(), libc::SIGKILL) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => return Err(error),
        _ => {}
    }
    let end = Instant::now() + KILL;
    // Pid 1 of a namespace is gone only when all in it are reaped, and some may be children of this program.
    while !wait_readable(pidfd.as_fd(), Some(TICK))? {
        reap_ended();
        if Instant::now() >= end {
            return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
        }
    }
    Ok(())
}

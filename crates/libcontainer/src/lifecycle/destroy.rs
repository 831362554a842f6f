//! The end of a container: its processes are killed, its network and its control group go, the record last.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use libcontainer_cgroups::systemd::Environment;
use libcontainer_cgroups::{Group, remove_empty};
use libcontainer_network::Going;
use libcontainer_plan::{signal_pidfd, wait_readable};

use super::again::again;
use super::criu::end_left;
use super::devices;
use super::hooks::{Of, after_end};
use super::host::Host;
use super::recover::{end_marked, recover};
use crate::error::{Error, ErrorKind, Result};
use crate::group::{self, PATIENCE};
use crate::process::reap_ended;
use crate::record::{Init, KILL, State, Store, is_of_this_boot};
use crate::resctrl;

const TICK: Duration = Duration::from_millis(1);
/// A container that was made less than that ago; records count in seconds.
const YOUNG: Duration = Duration::from_secs(2);

/// Kills every process and removes everything. `handle` is the record as it was read or written last; a container that is gone is no error.
///
/// Goes on past errors, but for a device of the host's that can't be brought home: then nothing is ended. After an error the record stays,
/// and a second call ends what is left.
pub(crate) fn destroy(store: &Store, id: &str, handle: Option<Arc<State>>, host: &Host) -> Result<()> {
    if let Some(state) = end(store, id, handle, host)? {
        after_end(host, Of { config: &state.config, id, dir: store.path() });
    }
    Ok(())
}

/// The same, and no hook is told. The record of what was ended, if there was any.
pub(super) fn end(
    store: &Store,
    id: &str,
    handle: Option<Arc<State>>,
    host: &Host,
) -> Result<Option<Arc<State>>> {
    let what = format!("destroy {id:?}");
    let _lock = match again(|| store.lock(true)) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return end_unrecorded(store, host, handle, &what);
        }
        lock => lock?,
    };
    let io = |text: &str| {
        let text = format!("{what}: {text} {}", store.path().display());
        move |error| Error::io(text, error)
    };
    if !again(|| store.stands().map_err(io("fstat")))? {
        return end_unrecorded(store, host, handle, &what);
    }
    let known = recover(store, handle)?;
    let environment = &host.environment();
    let (state, dir) = (&known.state, store.path());
    // ORDER: before anything ends that may hold the namespace in which they are.
    devices::bring_home(state, dir, host, &what)?;
    // ORDER: before the processes, of which it makes more, and which it waits for.
    let mut errors = Vec::from_iter(again(|| end_left(store, &what)).err());
    errors.extend(Teardown { state, dir, environment, what: &what, errors: Vec::new() }.run());
    if known.by_marks {
        match end_marked(host, store.path(), &what) {
            Ok(true) => {}
            Ok(false) => errors.extend(known.doubt(&what)),
            Err(left) => errors.extend(left.into_iter().chain(known.doubt(&what))),
        }
    }
    if !errors.is_empty() {
        return Err(Error::several(what, errors));
    }
    again(|| store.remove().map_err(io("remove")))?;
    Ok(Some(known.state))
}

/// Its directory is gone. That goes last, so this is no more than a look, unless it was somebody else who took it: then processes and control group
/// are ended as the handle knows them. Both are known by more than their names, which may be another's by now.
fn end_unrecorded(
    store: &Store,
    host: &Host,
    handle: Option<Arc<State>>,
    what: &str,
) -> Result<Option<Arc<State>>> {
    let surely = |state: &Arc<State>| {
        state.unit().is_none() && state.places().iter().all(|place| place.new == 0 || place.inode.is_some())
    };
    let Some(state) = handle.filter(|state| !state.boot_id.is_empty()).filter(surely) else {
        return Ok(None);
    };
    if !again(|| is_of_this_boot(&state))? {
        return Ok(None);
    }
    let environment = &host.environment();
    let mut teardown = Teardown { state: &state, dir: store.path(), environment, what, errors: Vec::new() };
    let init = teardown.look(|this| Init::open(this.state)).flatten();
    teardown.processes(init);
    let errors = teardown.errors;
    if errors.is_empty() { Ok(None) } else { Err(Error::several(what, errors)) }
}

/// What is being ended, and what could not be.
struct Teardown<'a> {
    state: &'a State,
    dir: &'a Path,
    environment: &'a Environment,
    what: &'a str,
    errors: Vec<Error>,
}

impl Teardown<'_> {
    /// Ends everything that the record speaks of: each thing is looked for, and what is not there is no error.
    fn run(mut self) -> Vec<Error> {
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
            let left = resctrl::remove(self.state.resctrl(), || group::token(self.dir));
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

/// Kills the first process, if it lives, and waits for nothing.
pub(crate) fn kill_first(state: &State) -> Result<()> {
    let Some(Init { pid, pidfd }) = Init::open(state)? else { return Ok(()) };
    match signal_pidfd(pidfd.as_fd(), libc::SIGKILL) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => {
            Err(Error::io(format!("kill process {pid}"), error))
        }
        _ => Ok(()),
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

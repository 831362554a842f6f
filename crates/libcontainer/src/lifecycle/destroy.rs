//! The end of a container: its processes are killed, its network and its control group go, the record last.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use libcontainer_cgroups::systemd::Environment;
use libcontainer_cgroups::{Group, Place, remove_empty};
use libcontainer_plan::{signal_pidfd, wait_readable};

use crate::error::{Error, Result};
use crate::group::{self, PATIENCE};
use crate::process::reap_ended;
use crate::record::{Init, KILL, State, Store, boot_id};

const TICK: Duration = Duration::from_millis(1);

/// Kills every process and removes everything. `known` is the record as it was read last; a container that is gone is no error.
pub(crate) fn destroy(store: &Store, id: &str, known: Arc<State>, environment: &Environment) -> Result<()> {
    let what = format!("destroy {id:?}");
    let _lock = store.lock(true)?;
    if !store.stands() {
        return Ok(());
    }
    // A damaged record names nothing that lives: its process, if there was one, is known to the handle.
    let state = store.read().unwrap_or(known);
    let init = Init::open(&state)?;
    // ORDER: devices of the host's come back from the namespace before that ends with its processes.
    let namespace = init.as_ref().and_then(Init::network_namespace);
    let network = libcontainer_network::remove(&state.network_state, namespace.as_ref());
    drop(namespace);
    end(&state, init, environment, &what)?;
    network.map_err(|error| Error::network(what.clone(), error))?;
    let path = store.path().display();
    store.remove().map_err(|error| Error::io(format!("{what}: remove {path}"), error))
}

/// Kills everything, and removes the control group. `init` is the first process, if it lives.
fn end(state: &State, init: Option<Init>, environment: &Environment, what: &str) -> Result<()> {
    // Usually nothing runs any more, and a rmdir in each hierarchy is all there is to do.
    let unit = state.unit().filter(|_| state.boot_id == boot_id());
    if unit.is_none()
        && init.is_none()
        && state.boot_id == boot_id()
        && remove_empty(state.places()).unwrap_or(false)
    {
        reap_ended();
        return Ok(());
    }
    let (group, killed) = match end_group(state) {
        Ok((group, killed)) => (Ok(group), killed),
        Err(error) => (Err(error), Ok(())),
    };
    if let Some(Init { pid, pidfd }) = init {
        kill(&pidfd).map_err(|error| match killed {
            // What stands still does not die: that is the cause.
            Err(cause) => Error::cgroup(what.to_owned(), cause),
            Ok(()) => Error::io(format!("{what}: kill process {pid}"), error),
        })?;
    }
    reap_ended();
    // ORDER: systemd removes what it made; what it knows nothing of is left to us.
    let stopped = unit.map_or(Ok(()), |unit| group::stop(unit, environment));
    let removed = group.and_then(|group| group.map_or(Ok(()), |group| group.destroy(PATIENCE)));
    let ended = match (stopped, removed) {
        // A scope without processes ends by itself: when its group is gone, it is all the same that systemd can't be asked.
        (_, Ok(())) => Ok(()),
        (Ok(()), removed) => removed,
        (Err(stopped), Err(removed)) => Err(libcontainer_cgroups::Error::Several(vec![stopped, removed])),
    };
    ended.map_err(|error| Error::cgroup(what.to_owned(), error))
}

/// Kills what is in the control group, frozen or not. The group is removed later, when the first process was reaped.
fn end_group(
    state: &State,
) -> libcontainer_cgroups::Result<(Option<Group>, libcontainer_cgroups::Result<()>)> {
    if state.places().is_empty() || state.boot_id != boot_id() {
        return Ok((None, Ok(())));
    }
    // What was there before, and is not noted as taken by us, belongs to somebody else.
    let ours = |place: &&Place| place.inode.is_some() || place.new > 0;
    let ours: Vec<_> = state.places().iter().filter(ours).cloned().collect();
    let group = Group::open(&ours)?;
    // What is left is killed again, and told, by the removal.
    let killed = if group.is_gone() { Ok(()) } else { group.kill(PATIENCE) };
    Ok((Some(group), killed))
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

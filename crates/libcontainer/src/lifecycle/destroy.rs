//! The end of a container: its processes are killed, its network and its control group go, the record last.

use std::os::fd::AsFd;
use std::sync::Arc;

use libcontainer_plan::signal_pidfd;

use super::again::again;
use super::criu::end_left;
use super::devices;
use super::hooks::{Of, after_end};
use super::host::Host;
use super::recover::{end_marked, recover};
use super::teardown::Teardown;
use super::unrecorded::end_unrecorded;
use crate::error::{Error, ErrorKind, Result};
use crate::record::{Init, State, Store};

/// Kills every process and removes everything. `handle` is the record as it was read or written last; a container that is gone is no error.
///
/// Goes on past errors, but for a device of the host's that can't be brought home: then nothing is ended. After an error the record stays,
/// and a second call ends what is left.
pub(crate) fn destroy(store: &Store, id: &str, handle: Option<Arc<State>>, host: &Host) -> Result<()> {
    if let Some(state) = end(store, id, handle, host)? {
        after_end(host, Of { config: &state.config, id, dir: store.path(), host });
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
    let state = &known.state;
    // ORDER: before anything ends that may hold the namespace in which they are.
    devices::bring_home(state, Some(store.path()), host, &what)?;
    // ORDER: before the processes, of which it makes more, and which it waits for.
    let mut errors = Vec::from_iter(again(|| end_left(store, &what)).err());
    errors.extend(Teardown::new(state, store, environment, &what).run());
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

//! What follows when a program was started: its hooks, and the end of the container if one of them fails.

use std::io;
use std::sync::Arc;

use super::destroy::destroy;
use super::hooks::Of;
use super::host::Host;
use crate::error::{Error, ErrorKind, FailedHook, Result};
use crate::hooks::Moment;
use crate::record::{State, Store};

/// Runs the `poststart` hooks.
pub(super) fn poststart(host: &Host, store: &Store, state: &Arc<State>, what: &str) -> Result<()> {
    let of = Of { config: &state.config, id: &state.id, dir: store.path(), host };
    let ran = of.all_on_host(Moment::Poststart, state.init_pid);
    ran.map_err(|failed| end(host, store, state, (what, failed)))
}

/// What was begun of a container that another process has destroyed: whatever has failed, that is why.
pub(super) fn destroyed(what: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{what}: another process has deleted the container meanwhile"))
}

/// Ends a container whose hook has failed at its start: runtime-spec, runtime.md, "Lifecycle", steps 7 and 9, which go on with 12.
pub(super) fn end(
    host: &Host,
    store: &Store,
    state: &Arc<State>,
    (what, failed): (&str, FailedHook),
) -> Error {
    // What can't be found out is told by the hook's own error.
    if matches!(store.stands(), Ok(false)) {
        return destroyed(what);
    }
    let error = Error::hook(what, failed);
    match destroy(store, &state.id, Some(Arc::clone(state)), host) {
        Ok(()) => error,
        Err(left) => {
            error.with_undo(vec![("end the container".to_owned(), io::Error::other(left.to_string()))])
        }
    }
}

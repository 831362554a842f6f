//! What programs that were killed have left: containers half-made, or kept ready for nobody.

use std::fs::File;
use std::path::Path;

use libcontainer_plan::names;

use super::destroy::destroy;
use super::host::Host;
use crate::error::{Error, ErrorKind, Result};
use crate::record::{Init, Status, Store, is_left};

/// Ends what was left in `dir`, and returns the names.
pub(crate) fn sweep(host: &Host, dir: &Path) -> Result<Vec<String>> {
    let failed = |error| Error::io(format!("look for containers in {}", dir.display()), error);
    let (mut ended, mut first) = (Vec::new(), None);
    for name in File::open(dir).and_then(names).map_err(failed)? {
        match sweep_one(host, &dir.join(&name)) {
            Ok(true) => ended.push(name.to_string_lossy().into_owned()),
            Ok(false) => {}
            // ORDER: one that can't be ended keeps no other from being ended.
            Err(error) => first = first.or(Some(error)),
        }
    }
    first.map_or(Ok(ended), Err)
}

/// Whether it was left by somebody who is gone, and is ended now. What is no container, or has a damaged record, is not for us to judge.
fn sweep_one(host: &Host, path: &Path) -> Result<bool> {
    let store = match Store::open(path) {
        Err(error) if is_other(&error) => return Ok(false),
        store => store?,
    };
    let Some(lock) = store.try_lock()? else { return Ok(false) };
    let state = match store.read() {
        Err(error) if is_other(&error) => return Ok(false),
        state => state?,
    };
    // The init of each of these leaves with its maker, or lets go of everything.
    let is_left = match state.status {
        Status::Creating => is_left(&state)?,
        Status::Warm => Init::open(&state)?.is_none(),
        _ => false,
    };
    if !is_left {
        return Ok(false);
    }
    drop(lock);
    let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    destroy(&store, &id, Some(state), host).map(|()| true)
}

/// It is gone, another's, damaged, or no directory.
fn is_other(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::Corrupt)
        || matches!(error.errno(), Some(libc::ENOTDIR | libc::ELOOP))
}

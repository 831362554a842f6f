//! What a container consists of, where its record can't tell: by the second file, by the handle, by the marks that the kernel has.

use std::path::Path;
use std::sync::Arc;

use super::again::again;
use super::host::Host;
use crate::error::{Error, ErrorKind, Result};
use crate::group;
use crate::record::{State, StateError, Store};
use crate::resctrl;

/// By what a container is ended.
#[derive(Default)]
pub(super) struct Known {
    /// What was recorded.
    pub(super) state: Arc<State>,
    /// Neither file says what there is: the marks are to be looked for.
    pub(super) by_marks: bool,
    /// Why something may live that nothing speaks of, unless a marked group had it.
    pub(super) unsure: Option<String>,
}

/// Looks at both files. `handle` is the record as the caller has read or written it.
///
/// # Errors
/// A call that failed says nothing about what there is.
pub(super) fn recover(store: &Store, handle: Option<Arc<State>>) -> Result<Known> {
    let record = match again(|| settled(store, store.try_read()))? {
        Ok(state) => return Ok(Known { state, ..Known::default() }),
        Err(error) => error,
    };
    let ending = match again(|| settled(store, store.read_ending()))? {
        Ok(state) => return Ok(Known { state: Arc::new(state), ..Known::default() }),
        Err(error) => error,
    };
    if let Some(state) = handle.filter(|state| !state.boot_id.is_empty()) {
        return Ok(Known { state, by_marks: true, unsure: None });
    }
    let path = store.path().display();
    let has_files = || store.has_files().map_err(|error| Error::io(format!("list {path}"), error));
    // Both are written before anything is made, and removed when everything else is.
    let never_was = record.is_not_found() && ending.is_not_found() && !again(has_files)?;
    let unsure = (!never_was).then(|| {
        format!(
            "state.json: {record}; ending.json: {ending}; no control group has the container's mark: whether a process of it lives \
             can't be known; what else has its mark was taken away; when no process of it is left, remove {path}"
        )
    });
    Ok(Known { state: Arc::default(), by_marks: true, unsure })
}

/// Tells damage from a call that failed.
fn settled<T>(
    store: &Store,
    read: std::result::Result<T, StateError>,
) -> Result<std::result::Result<T, StateError>> {
    match read {
        Err(StateError::Io(error)) if StateError::is_unknown(&error) => {
            Err(Error::io(format!("read the record in {}", store.path().display()), error))
        }
        read => Ok(read),
    }
}

/// Takes away what has the marks of the container in `dir`. Whether a control group had one.
///
/// # Errors
/// Everything that could not be looked for or taken away.
pub(super) fn end_marked(host: &Host, dir: &Path, what: &str) -> std::result::Result<bool, Vec<Error>> {
    let dir = std::path::absolute(dir)
        .map_err(|error| vec![Error::io(format!("{what}: path of {}", dir.display()), error)])?;
    let mut errors = Vec::new();
    let network = again(|| {
        let found = libcontainer_network::find_marked(&dir);
        found.and_then(|found| found.remove()).map_err(|error| Error::network(what, error))
    });
    // Who may not look at the host's network could make nothing there; the files of a pasta lie in the directory.
    let root = nix::unistd::geteuid().is_root();
    errors.extend(network.err().filter(|error| root || error.errno() != Some(libc::EPERM)));
    let token = || group::token(&dir).map_err(|error| Error::io(format!("{what}: {}", dir.display()), error));
    let group = again(|| group::end_marked(&token()?).map_err(|error| Error::cgroup(what, error)));
    // ORDER: behind those that are in it.
    errors.extend(again(|| resctrl::remove_marked(host.resctrl.as_deref(), &token()?, what)).err());
    match group {
        Ok(found) if errors.is_empty() => Ok(found),
        other => Err(errors.into_iter().chain(other.err()).collect()),
    }
}

impl Known {
    /// The error for what may live all the same.
    pub(super) fn doubt(&self, what: &str) -> Option<Error> {
        self.unsure.as_ref().map(|text| Error::new(ErrorKind::Corrupt, format!("{what}: {text}")))
    }
}

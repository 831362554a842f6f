//! A container that is paused while a process is on its way in: that stands still too, once it is in the control group.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use libcontainer_plan::{Cause, LaunchError};

use crate::error::{Error, ErrorKind};
use crate::group::frozen;
use crate::record::State;

/// Whether it was found paused.
pub(super) struct Held {
    state: Arc<State>,
    seen: Arc<AtomicBool>,
}

impl Held {
    pub(super) fn new(state: &State) -> Self {
        Self { state: Arc::new(state.clone()), seen: Arc::default() }
    }

    /// What is asked while the process makes no progress. What can't be found out is no reason to stop waiting.
    pub(super) fn asked(&self) -> impl Fn() -> bool + Send + 'static {
        let (state, seen) = (Arc::clone(&self.state), Arc::clone(&self.seen));
        move || {
            let paused = matches!(frozen(&state), Ok(Some(_)));
            seen.fetch_or(paused, Ordering::Relaxed);
            paused
        }
    }

    /// The error of a join that was waited for in vain.
    pub(super) fn told(&self, error: &LaunchError, what: &str) -> Option<Error> {
        let waited = matches!(error.failure.cause, Cause::Timeout(_));
        let paused = self.seen.load(Ordering::Relaxed) || matches!(frozen(&self.state), Ok(Some(_)));
        let text = || {
            format!(
                "{what}: the container was paused while the process was on its way in: resume it, and start the process again; what was \
                 begun of it is killed, and gone when the container goes on, if not before{}",
                error.taken_back()
            )
        };
        (waited && paused).then(|| Error::new(ErrorKind::WrongState, text()))
    }
}

//! The thread of a template: makes containers that stand by, and ends those that nobody wants any more.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use libcontainer_thread::{Thread, spawn};

use super::pool::Job;
use super::shared::Shared;
use crate::container::{Container, Undertaker};
use crate::error::{Error, Result};
use crate::lifecycle::Warm;
use crate::process::{Reaper, reap_ended};

/// The thread, begun when there is something to do first. When the last handle of the template is gone, what stands by is taken back, what is
/// going is ended, and the thread with it.
#[derive(Debug)]
pub(super) struct Worker {
    shared: Arc<Shared>,
    thread: Mutex<Option<Thread<()>>>,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, thread: Mutex::default() }
    }

    /// Has the thread look again, now.
    ///
    /// # Errors
    /// If it can't be made or woken.
    pub(super) fn wake(&self) -> Result<()> {
        self.begin_if_needed()?;
        self.shared.notify();
        self.shared.alert(false)
    }

    /// The same for who has a program that runs: it is not woken beside that, and what keeps it from being woken is in the statistics alone.
    pub(super) fn wake_later(&self) {
        if let Err(error) = self.begin_if_needed().and_then(|()| self.shared.alert(true)) {
            self.shared.pool().fail(error.to_string());
        }
    }

    fn begin_if_needed(&self) -> Result<()> {
        if self.shared.pool().is_settled() { Ok(()) } else { self.begin() }
    }

    fn begin(&self) -> Result<()> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let spawned = spawn("container-template", move || work(&shared));
            *thread = Some(spawned.map_err(|error| Error::io("start the template's thread", error))?);
            self.shared.pool().serve();
        }
        Ok(())
    }
}

/// The thread as its containers and their processes know it: they don't keep it, and so it is never the thread itself that ends it.
#[derive(Debug)]
pub(super) struct Ending {
    worker: Weak<Worker>,
    // A process is locked when it asks, and the thread may be about to reap it: whoever asks is not to be the last to have the thread, for which it would wait.
    shared: Weak<Shared>,
}

impl Ending {
    pub(super) fn of(worker: &Arc<Worker>) -> Self {
        Self { worker: Arc::downgrade(worker), shared: Arc::downgrade(&worker.shared) }
    }
}

impl Reaper for Ending {
    fn reap_later(&self) -> bool {
        self.shared.upgrade().is_some_and(|shared| shared.reap_later())
    }
}

impl Undertaker for Ending {
    fn take(&self, container: Container) -> bool {
        // Without a thread, or if it can't be woken, who has it ends it.
        self.worker.upgrade().is_some_and(|worker| worker.begin().is_ok() && worker.shared.bury(container))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.pool().stop();
        self.shared.notify();
        let woken = self.shared.alert(false).is_ok();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        match thread.filter(|_| woken) {
            // A panic in it would be a bug, which it has told on standard error.
            Some(thread) => drop(thread.join()),
            // There is none, or it can't be woken.
            None => work(&self.shared),
        }
    }
}

fn work(shared: &Shared) {
    while let Some(job) = shared.next_job() {
        let result = match job {
            Job::Reap => {
                reap_ended();
                Ok(None)
            }
            Job::Clear(used) => {
                drop(used);
                Ok(None)
            }
            Job::Make => shared.make_warm().map(Some).map_err(|error| error.to_string()),
            Job::End(container, attempt) => end(shared, &container, attempt).map(|()| None),
            Job::TakeBack(warm) => take_back(*warm).map(|()| None),
        };
        shared.pool().done(result);
        shared.notify();
    }
}

fn end(shared: &Shared, container: &Container, attempt: u32) -> std::result::Result<(), String> {
    container.destroy_now().map_err(|error| {
        shared.pool().try_again(container.clone(), attempt);
        error.to_string()
    })
}

fn take_back(warm: Warm) -> std::result::Result<(), String> {
    let path = warm.path().display().to_string();
    let left = warm.take_back();
    if left.is_empty() {
        return Ok(());
    }
    let left: Vec<_> = left.iter().map(|(name, error)| format!("{name}: {error}")).collect();
    Err(format!("take back {path}, which stood by: {}", left.join("; ")))
}

#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "pthread_create(3)")]
mod posix;

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use posix::Handle;

/// A thread that was started. It goes on by itself if this is dropped.
pub struct Thread<T> {
    handle: Handle,
    answer: Arc<Mutex<Option<T>>>,
}

impl<T> fmt::Debug for Thread<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Thread")
    }
}

impl<T> Thread<T> {
    /// Waits for its end. `None` if it has panicked, which it has told on standard error.
    pub fn join(self) -> Option<T> {
        self.handle.join();
        self.answer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Starts a thread. Of `name` at most 15 bytes are shown.
///
/// # Errors
/// That of pthread_create(3): `EAGAIN` for want of memory or of processes.
pub fn spawn<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Thread<T>> {
    let answer = Arc::new(Mutex::new(None));
    let place = Arc::clone(&answer);
    let handle = posix::start(name, Box::new(move || put(&place, work())))?;
    Ok(Thread { handle, answer })
}

/// Does `work` in a thread of its own and waits for that. `None` if it has panicked.
///
/// # Errors
/// As [`spawn`].
pub fn apart<T: Send>(name: &'static str, work: impl FnOnce() -> T + Send) -> io::Result<Option<T>> {
    let answer = Mutex::new(None);
    posix::run(name, Box::new(|| put(&answer, work())))?;
    Ok(answer.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn put<T>(place: &Mutex<Option<T>>, answer: T) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
}

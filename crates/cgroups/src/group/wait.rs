//! Waiting with an end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::poll::ppoll;
use nix::sys::time::TimeSpec;

use crate::error::{Error, Result};

/// Pauses that grow, up to a moment in time.
pub(super) struct Patience {
    end: Instant,
    allowed: Duration,
    pause: Duration,
}

const FIRST: Duration = Duration::from_micros(50);
const LONGEST: Duration = Duration::from_millis(20);
/// How long what has to be undone is tried again.
const AGAIN: Duration = Duration::from_secs(2);

impl Patience {
    pub(super) fn new(allowed: Duration) -> Self {
        let now = Instant::now();
        // A time that the clock can't hold: about 30 years will do, and no time at all if it can't hold these.
        let end = now.checked_add(allowed).or_else(|| now.checked_add(Duration::from_secs(1 << 30)));
        Self { end: end.unwrap_or(now), allowed, pause: FIRST }
    }

    /// For what has to be undone.
    pub(super) fn to_undo() -> Self {
        Self::new(AGAIN)
    }

    pub(super) fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Sleeps a little longer than the last time. False when the time is up.
    pub(super) fn pause(&mut self) -> bool {
        let left = self.left();
        if left.is_zero() {
            return false;
        }
        rest(self.pause.min(left));
        self.pause = (self.pause * 2).min(LONGEST);
        true
    }

    /// Does `work`, and does it again while it fails, there is time, and `is_final` doesn't say that it is of no use. What is gone needs
    /// no more work.
    pub(super) fn again(
        &mut self,
        mut work: impl FnMut() -> Result<()>,
        is_final: impl Fn(&Error) -> bool,
    ) -> Result<()> {
        loop {
            match work() {
                Err(error) if error.is_gone() => return Ok(()),
                Err(error) if is_final(&error) || !self.pause() => return Err(error),
                Err(_) => {}
                Ok(()) => return Ok(()),
            }
        }
    }

    pub(super) fn timeout(&self, what: &'static str, path: PathBuf) -> Error {
        Error::Timeout { what, path, after: self.allowed }
    }
}

/// Sleeps by ppoll(2): std's sleep panics on what clock_nanosleep(2) may answer. An error ends the rest, and only that.
fn rest(time: Duration) {
    let _ = ppoll(&mut [], Some(TimeSpec::from_duration(time)), None);
}

/// True for what stays forbidden.
pub(super) fn is_forbidden(error: &Error) -> bool {
    matches!(error.errno(), Some(libc::EACCES | libc::EPERM | libc::EROFS))
}

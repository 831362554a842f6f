//! Waiting with an end.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::Error;

/// Pauses that grow, up to a moment in time.
pub(super) struct Patience {
    end: Instant,
    allowed: Duration,
    pause: Duration,
}

const FIRST: Duration = Duration::from_micros(50);
const LONGEST: Duration = Duration::from_millis(20);

impl Patience {
    pub(super) fn new(allowed: Duration) -> Self {
        let now = Instant::now();
        // A time that the clock can't hold: about 30 years will do.
        let end = now.checked_add(allowed).unwrap_or_else(|| now + Duration::from_secs(1 << 30));
        Self { end, allowed, pause: FIRST }
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
        std::thread::sleep(self.pause.min(left));
        self.pause = (self.pause * 2).min(LONGEST);
        true
    }

    pub(super) fn timeout(&self, what: &'static str, path: PathBuf) -> Error {
        Error::Timeout { what, path, after: self.allowed }
    }
}

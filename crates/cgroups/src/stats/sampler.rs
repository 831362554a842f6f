//! Processor use as a percentage: the difference of two readings, the first of which the handle remembers.

use std::time::Instant;

use super::Stats;

/// Remembers the last reading of one group. Never sleeps: the caller's own rhythm is the interval.
#[derive(Debug, Clone, Default)]
pub struct Sampler {
    last: Option<(Instant, u64)>,
}

impl Sampler {
    /// A sampler without a reading.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Percent of one processor used since the last call (200 is two processors). None at the first call.
    ///
    /// Call it directly after the reading: the time is taken here, clock `CLOCK_MONOTONIC`.
    pub fn sample(&mut self, stats: &Stats) -> Option<f64> {
        self.sample_at(stats.cpu.usage?, Instant::now())
    }

    /// The same with `usage` nanoseconds used until `now`. None too when no time has passed or the usage fell
    /// (a new group of the same name).
    pub fn sample_at(&mut self, usage: u64, now: Instant) -> Option<f64> {
        let (then, before) = self.last.replace((now, usage))?;
        let passed = now.checked_duration_since(then)?.as_secs_f64();
        let used = std::time::Duration::from_nanos(usage.checked_sub(before)?).as_secs_f64();
        (passed > 0.0).then_some(100.0 * used / passed)
    }
}

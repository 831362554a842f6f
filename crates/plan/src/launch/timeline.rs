//! When each step began, on one clock.

use std::time::{Duration, Instant};

use super::clone;
use crate::board::Board;
use crate::error::Lane;
use crate::plan::Plan;

/// A step and when it began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The lane.
    pub lane: Lane,
    /// Index in the lane.
    pub index: usize,
    /// What the step is for, or what it does.
    pub text: String,
    /// Time since the launch began.
    pub at: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Timeline {
    start: Option<(Instant, u64)>,
    stamps: Vec<Stamp>,
}

impl Timeline {
    pub(super) fn begin(&mut self, trace: bool) {
        self.start = trace.then(|| (Instant::now(), clone::stamp()));
    }

    pub(super) fn host(&mut self, index: usize, text: &str) {
        if let Some((start, _)) = self.start {
            let stamp = Stamp { lane: Lane::Host, index, text: text.to_owned(), at: start.elapsed() };
            self.stamps.push(stamp);
        }
    }

    /// Both lanes, in order of time. The processor's counter is scaled by how far it went during the launch.
    pub(super) fn finish(&mut self, plan: &Plan, board: Option<&Board>) -> Vec<Stamp> {
        let Some((start, first)) = self.start else { return Vec::new() };
        let (elapsed, last) = (start.elapsed(), clone::stamp());
        let steps = plan.len(Lane::Child);
        let counters = board.and_then(|board| board.stamps(steps).ok()).unwrap_or_default();
        for (index, counter) in counters.into_iter().enumerate().filter(|(_, counter)| *counter != 0) {
            let view = plan.step_view(Lane::Child, index);
            let text = if view.purpose.is_empty() { view.call } else { view.purpose };
            let at = scale(counter.saturating_sub(first), last.saturating_sub(first), elapsed);
            self.stamps.push(Stamp { lane: Lane::Child, index, text, at });
        }
        self.stamps.sort_by_key(|stamp| stamp.at);
        std::mem::take(&mut self.stamps)
    }
}

fn scale(ticks: u64, whole: u64, elapsed: Duration) -> Duration {
    let nanos = u128::from(ticks) * elapsed.as_nanos() / u128::from(whole.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

//! The containers of a template that stand by, and those that are going: data and decisions, no work.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::alarm::Set;
use crate::container::Container;
use crate::lifecycle::{Used, Warm};

/// How long to wait after a failure before the next attempt: doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(5);
/// How long one that was taken is left alone: what is made beside it would have it wait for processors and for locks of the kernel.
pub(super) const REST: Duration = Duration::from_millis(2);
/// How often one is tried to be ended.
const ATTEMPTS: u32 = 3;

/// What there is of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TemplateStats {
    /// Containers that stand by.
    pub ready: usize,
    /// How many are to stand by.
    pub wanted: usize,
    /// Containers that are on their way out: killed, and not yet gone.
    pub ending: usize,
    /// Programs that were handed to one that stood by.
    pub handed_over: u64,
    /// Programs for which a container was made when they came.
    pub made: u64,
    /// Attempts that failed to make one to stand by, or to end one.
    pub failures: u64,
    /// The last of these errors.
    pub last_error: Option<String>,
}

/// What the worker is to do.
pub(super) enum Job {
    Reap,
    Clear(Vec<Used>),
    Make,
    TakeBack(Box<Warm>),
    End(Container, u32),
}

/// What there is, and what is wanted.
#[derive(Default)]
pub(super) struct Pool {
    ready: VecDeque<Warm>,
    unwanted: VecDeque<Warm>,
    /// Of starts.
    used: Vec<Used>,
    /// There are children to be reaped.
    zombies: bool,
    /// There is a thread that does all this.
    served: bool,
    /// With the number of attempts.
    ending: VecDeque<(Container, u32)>,
    /// A job is being done: one that makes, one that ends.
    making: bool,
    busy: bool,
    pause: Duration,
    not_before: Option<Instant>,
    /// When one was last taken.
    taken: Option<Instant>,
    stopped: bool,
    /// Of its thread.
    pub(super) alarm: Set,
    counts: TemplateStats,
}

impl Pool {
    pub(super) fn want(&mut self, count: usize) {
        self.counts.wanted = if self.stopped { 0 } else { count };
        (self.pause, self.not_before) = (Duration::ZERO, None);
        self.shrink();
    }

    fn shrink(&mut self) {
        while self.ready.len() > self.counts.wanted {
            self.unwanted.extend(self.ready.pop_back());
        }
    }

    /// One that stands by.
    pub(super) fn take(&mut self, now: Instant) -> Option<Warm> {
        self.taken = Some(now);
        self.ready.pop_front()
    }

    /// It is not wanted after all, or was just made.
    pub(super) fn put(&mut self, warm: Warm) {
        self.ready.push_front(warm);
        self.shrink();
    }

    /// It does not stand by any more.
    pub(super) fn discard(&mut self, warm: Warm) {
        self.unwanted.push_back(warm);
    }

    /// How long whoever has just started or ended one can let the thread sleep: until more may be made, if there are enough.
    pub(super) fn patience(&self) -> Duration {
        let spared = !self.stopped && is_enough(self.ready.len(), self.counts.wanted);
        if spared { REST } else { Duration::ZERO }
    }

    /// Takes over what is to be ended; false once nobody works any more.
    pub(super) fn bury(&mut self, container: Container) -> bool {
        if !self.stopped {
            self.ending.push_back((container, 0));
        }
        !self.stopped
    }

    /// There is a thread now.
    pub(super) fn serve(&mut self) {
        self.served = true;
    }

    /// Has children reaped; false if nobody does that, or does any more.
    pub(super) fn reap(&mut self) -> bool {
        self.zombies |= self.served && !self.stopped;
        self.served && !self.stopped
    }

    /// The next thing to do, or how long there is nothing.
    pub(super) fn next(&mut self, now: Instant) -> Result<Job, Option<Duration>> {
        if std::mem::take(&mut self.zombies) {
            self.busy = true;
            return Ok(Job::Reap);
        }
        if !self.used.is_empty() {
            self.busy = true;
            return Ok(Job::Clear(std::mem::take(&mut self.used)));
        }
        let lacks = self.ready.len() < self.counts.wanted && !self.stopped;
        let rest = self.taken.and_then(|time| rest(time, now, self.ready.len(), self.counts.wanted));
        let pause = self.not_before.map(|time| time.saturating_duration_since(now));
        let wait = pause.max(rest).filter(|left| !left.is_zero());
        let make = lacks && wait.is_none();
        // ORDER: whoever comes next wants one that is ready; but what is going must go too.
        if make && (self.ready.is_empty() || (self.ending.is_empty() && self.unwanted.is_empty())) {
            self.making = true;
            return Ok(Job::Make);
        }
        self.busy = true;
        if let Some((container, attempt)) = self.ending.pop_front() {
            return Ok(Job::End(container, attempt + 1));
        }
        if let Some(warm) = self.unwanted.pop_front() {
            return Ok(Job::TakeBack(Box::new(warm)));
        }
        self.busy = false;
        Err(wait.filter(|_| lacks))
    }

    /// One could not be ended: most of what hinders that passes. Its record stays in any case.
    pub(super) fn try_again(&mut self, container: Container, attempt: u32) {
        if attempt < ATTEMPTS {
            self.ending.push_back((container, attempt));
        }
    }

    /// A job is done.
    pub(super) fn done(&mut self, result: Result<Option<Warm>, String>) {
        let made = std::mem::take(&mut self.making);
        self.busy = false;
        match result {
            Ok(warm) => {
                if let Some(warm) = warm {
                    self.put(warm);
                }
                (self.pause, self.not_before) = (Duration::ZERO, None);
            }
            Err(text) => {
                self.fail(text);
                if made {
                    self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LAST_PAUSE);
                    self.not_before = Some(Instant::now() + self.pause);
                }
            }
        }
    }

    pub(super) fn fail(&mut self, text: String) {
        self.counts.failures += 1;
        self.counts.last_error = Some(text);
    }

    /// A program was handed over, by a start that has used this.
    pub(super) fn hand_over(&mut self, used: Option<Used>) {
        self.counts.handed_over += 1;
        self.used.extend(used.filter(|_| !self.stopped));
    }

    pub(super) fn count_made(&mut self) {
        self.counts.made += 1;
    }

    /// Nothing new is begun; what stands by is taken back.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
        self.want(0);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    pub(super) fn is_settled(&self) -> bool {
        let still = !self.making
            && !self.busy
            && !self.zombies
            && self.used.is_empty()
            && self.ending.is_empty()
            && self.unwanted.is_empty();
        still && self.ready.len() == self.counts.wanted
    }

    pub(super) fn stats(&self) -> TemplateStats {
        let ending = self.ending.len() + self.unwanted.len() + usize::from(self.busy);
        TemplateStats { ready: self.ready.len(), ending, ..self.counts.clone() }
    }
}

/// How long nothing is to be made yet. With less than half of what is wanted nobody is spared: the next would find none.
fn rest(taken: Instant, now: Instant, ready: usize, wanted: usize) -> Option<Duration> {
    is_enough(ready, wanted).then(|| REST.saturating_sub(now.saturating_duration_since(taken)))
}

fn is_enough(ready: usize, wanted: usize) -> bool {
    ready > 0 && ready * 2 >= wanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_took_one_is_left_alone_as_long_as_there_are_others() {
        let taken = Instant::now();
        let rest = |millis, ready, wanted| rest(taken, taken + Duration::from_millis(millis), ready, wanted);
        assert_eq!(rest(0, 1, 2), Some(REST));
        assert_eq!(rest(1, 1, 2), Some(REST - Duration::from_millis(1)));
        assert_eq!(rest(5, 1, 2), Some(Duration::ZERO));
        assert_eq!([rest(0, 0, 1), rest(0, 0, 2), rest(0, 1, 3), rest(0, 2, 5)], [None; 4]);
        assert_eq!([rest(0, 2, 3), rest(0, 3, 5)], [Some(REST); 2]);
    }
}

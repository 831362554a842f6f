//! The alarm of a template's thread, by timerfd_create(2): whoever sets it for later wakes nobody now, which takes longer than all else that a start has
//! to do behind the program's exec.

use std::io;
use std::time::{Duration, Instant};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

/// How long the thread sleeps if the alarm can't be set, or heard.
const DEAF: Duration = Duration::from_millis(5);

/// The alarm: a single one, for the thread alone.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: TimerFd,
}

/// For when it is set. Belongs to what the thread looks at, under the same lock.
#[derive(Debug, Default)]
pub(super) struct Set(Option<Instant>);

impl Alarm {
    /// One that is not set.
    ///
    /// # Errors
    /// That of timerfd_create(2).
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { timer: TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)? })
    }

    /// Has it ring within `wait`. One that rings before stays.
    ///
    /// # Errors
    /// That of timerfd_settime(2).
    pub(super) fn within(&self, set: &mut Set, wait: Duration) -> io::Result<()> {
        let at = Instant::now() + wait;
        if set.0.is_some_and(|other| other <= at) {
            return Ok(());
        }
        // 0 would turn it off.
        let wait = TimeSpec::from(wait.max(Duration::from_nanos(1)));
        let ring = || self.timer.set(Expiration::OneShot(wait), TimerSetTimeFlags::empty());
        // Once more: nobody else wakes the thread.
        ring().or_else(|_| ring())?;
        set.0 = Some(at);
        Ok(())
    }

    /// Waits until it rings.
    pub(super) fn wait(&self) {
        if self.timer.wait().is_err() {
            // Also where a signal came: the thread looks at what there is once more.
            libcontainer_plan::rest(DEAF);
        }
    }
}

impl Set {
    /// It has rung.
    pub(super) fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test ends by panicking")]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn it_rings_at_the_soonest_time_that_was_asked_for() {
        let (alarm, mut set) = (Alarm::new().unwrap(), Set::default());
        let begin = Instant::now();
        for wait in [60_000, 20, 40_000] {
            alarm.within(&mut set, Duration::from_millis(wait)).unwrap();
        }
        alarm.wait();
        assert!(begin.elapsed() >= Duration::from_millis(20));
        assert!(begin.elapsed() < Duration::from_secs(30), "the first is not the last");
        // Once it has rung any time is the soonest.
        set.clear();
        alarm.within(&mut set, Duration::ZERO).unwrap();
        alarm.wait();
    }
}

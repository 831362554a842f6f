//! Sleeping without a panic.

use std::time::Duration;

use nix::poll::ppoll;
use nix::sys::time::TimeSpec;

/// Sleeps by ppoll(2): the standard library's sleep panics on what clock_nanosleep(2) may answer. An error ends the rest, and only that.
pub fn rest(time: Duration) {
    let _ = ppoll(&mut [], Some(TimeSpec::from_duration(time)), None);
}

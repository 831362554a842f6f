//! Faults to inject.

use crate::error::Lane;

/// A fault to inject: that step is not run, and answered with that error number, or with success.
///
/// It is for tests: one asks what a failure leaves behind, the other whether a step that did nothing is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The lane of the step.
    pub lane: Lane,
    /// Its index, as in `explain`.
    pub step: usize,
    /// The error number, such as `libc::EIO`, 1 to 4095; 0 leaves the step out and goes on as if it had succeeded with the result 0.
    pub errno: i32,
}

impl Fault {
    /// The fault that leaves a step out, as if the kernel had said yes and done nothing.
    #[must_use]
    pub fn skip(lane: Lane, step: usize) -> Self {
        Self { lane, step, errno: 0 }
    }
}

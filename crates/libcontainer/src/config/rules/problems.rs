//! What is wrong with a config, and what has to be known to say so.

use crate::error::Problem;

/// What validation needs to know of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Effective user id of the caller.
    pub euid: u32,
}

pub(super) const PATH_MAX: usize = 4095;

/// All that was found so far.
#[derive(Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { pointer: pointer.into(), message: message.into(), remedy: None });
    }

    pub(super) fn hint(&mut self, pointer: impl Into<String>, message: impl Into<String>, remedy: &str) {
        let remedy = Some(remedy.to_owned());
        self.0.push(Problem { pointer: pointer.into(), message: message.into(), remedy });
    }
}

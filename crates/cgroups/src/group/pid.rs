//! The number of a process.

use std::fmt;

use crate::error::{Error, Result};

/// A process, by its number in the pid namespace of this process. Never 0 or negative, which mean something else to kill(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(i32);

impl Pid {
    /// The process `number`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for 0 and for negative numbers.
    pub fn new(number: i32) -> Result<Self> {
        if number > 0 {
            Ok(Self(number))
        } else {
            Err(Error::invalid("pid", format!("{number} is no process")))
        }
    }

    /// This process.
    #[must_use]
    pub fn own() -> Self {
        Self(nix::unistd::getpid().as_raw())
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

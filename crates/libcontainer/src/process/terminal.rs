//! A terminal of a container's own.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use libcontainer_plan::resize_terminal;

use crate::error::{Error, Result};

/// The master of a container's terminal: what is written to it is typed, what is read from it was printed.
#[derive(Debug)]
pub struct Terminal {
    master: File,
}

impl Terminal {
    pub(crate) fn new(master: OwnedFd) -> Self {
        Self { master: File::from(master) }
    }

    /// Sets the size of the terminal; its foreground processes get SIGWINCH.
    ///
    /// # Errors
    /// That of ioctl(TIOCSWINSZ).
    pub fn resize(&self, rows: u16, columns: u16) -> Result<()> {
        resize_terminal(self.master.as_fd(), rows, columns)
            .map_err(|error| Error::io("resize the terminal", error))
    }

    /// The master as a file. Reading fails with `EIO` once no process has the terminal open any more.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.master
    }
}

impl AsFd for Terminal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }
}

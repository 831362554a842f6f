//! The size of a terminal.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::termios::{Winsize, tcgetwinsize, tcsetwinsize};

/// Sets rows and columns of a terminal: `ioctl(TIOCSWINSZ)`.
///
/// # Errors
/// That of ioctl_tty(2).
pub fn resize_terminal(terminal: BorrowedFd<'_>, rows: u16, columns: u16) -> io::Result<()> {
    Ok(tcsetwinsize(terminal, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?)
}

/// Rows and columns of a terminal: `ioctl(TIOCGWINSZ)`. `None` if it is none, or does not tell.
#[must_use]
pub fn terminal_size(terminal: BorrowedFd<'_>) -> Option<(u16, u16)> {
    // A size that can't be had is no reason to do without a terminal: it begins with the kernel's.
    tcgetwinsize(terminal).ok().map(|size| (size.ws_row, size.ws_col))
}

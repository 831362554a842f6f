//! Rendering of error numbers: the symbol and the system's text.

use std::fmt;
use std::io;

use nix::errno::Errno;

/// Writes `EPERM: Operation not permitted`, or the error's own text if it has no number.
pub(crate) fn describe(f: &mut fmt::Formatter<'_>, error: &io::Error) -> fmt::Result {
    match error.raw_os_error() {
        Some(number) => {
            let errno = Errno::from_raw(number);
            write!(f, "{errno:?}: {}", errno.desc())
        }
        None => fmt::Display::fmt(error, f),
    }
}

/// `EPERM: Operation not permitted`.
#[must_use]
pub fn text(number: i32) -> String {
    let errno = Errno::from_raw(number);
    format!("{errno:?}: {}", errno.desc())
}

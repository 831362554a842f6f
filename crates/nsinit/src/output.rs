//! Standard output: a reader that goes away is no error, a full disk is.

use std::fmt::Arguments;
use std::io::{self, Write};
use std::sync::OnceLock;

use crate::Failure;

static FAILED: OnceLock<io::Error> = OnceLock::new();

/// Writes a line. An error is kept for [`check`].
pub(crate) fn line(text: Arguments<'_>) {
    let result = writeln!(io::stdout().lock(), "{text}").and_then(|()| io::stdout().flush());
    if let Some(error) = result.err().filter(|error| error.kind() != io::ErrorKind::BrokenPipe) {
        // Only the first one matters.
        let _ = FAILED.set(error);
    }
}

/// The error that a write has met, if one has.
pub(crate) fn check() -> Result<(), Failure> {
    FAILED.get().map_or(Ok(()), |error| Err(Failure::new(1, format!("write standard output: {error}"))))
}

/// Writes lines in columns, each as wide as its widest cell.
pub(crate) fn table(lines: &[Vec<String>]) {
    let columns = lines.first().map_or(0, Vec::len);
    let wide =
        |column: usize| lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(wide).collect();
    for cells in lines {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        line(format_args!("{}", padded.collect::<Vec<_>>().join("  ").trim_end()));
    }
}

/// Writes a line to standard output.
macro_rules! say {
    ($($part:tt)*) => { $crate::output::line(format_args!($($part)*)) };
}
pub(crate) use say;

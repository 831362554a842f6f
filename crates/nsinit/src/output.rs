//! What commands print.

use std::fmt::Arguments;
use std::io::IsTerminal;
use std::{env, io};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use nix::errno::Errno;

use crate::failure::{Failure, Named, Outcome};
use crate::streams::{self, harmless_part};

/// Writes a line to standard output.
///
/// # Errors
/// [`Failure::Unread`] if nobody reads it; what failed, such as a full disk.
pub(crate) fn line(text: Arguments<'_>) -> Result<(), Failure> {
    bytes(format!("{text}\n").as_bytes())
}

/// Writes bytes as they are.
///
/// # Errors
/// As [`line()`].
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    match streams::output(bytes) {
        Err(Errno::EPIPE) => Err(Failure::Unread),
        result => result.named("write standard output"),
    }
}

/// What clap has to say: help and version, or what is wrong with the command line.
pub(crate) fn answer(answer: &clap::Error) -> Outcome {
    let text = answer.render();
    let shown = |terminal: bool| {
        let text = if terminal && coloured() { text.ansi().to_string() } else { text.to_string() };
        without_help(answer, without_value(answer, text))
    };
    if answer.use_stderr() {
        streams::error(shown(io::stderr().is_terminal()).as_bytes());
    } else {
        bytes(shown(io::stdout().is_terminal()).as_bytes())?;
    }
    // clap's codes are 0 and 2.
    u8::try_from(answer.exit_code()).map_err(|_| Failure::usage("the command line is wrong"))
}

/// podman knows by these words whether `restore` has an option: it gives it without its value.
fn without_value(answer: &clap::Error, text: String) -> String {
    if answer.kind() == ErrorKind::InvalidValue && text.contains(NO_VALUE) {
        return text.replacen(NO_VALUE, "(it requires an argument)", 1);
    }
    text
}

/// Help that was asked for of a command that there is not: the words are runc's.
fn without_help(answer: &clap::Error, text: String) -> String {
    let asked = env::args_os().skip(1).any(|word| word == "-h" || word == "--help");
    match answer.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(name)) if asked => {
            let told = format!("unrecognized subcommand '{name}'");
            text.replacen(&told, &format!("{told}: No help topic for '{name}'"), 1)
        }
        _ => text,
    }
}

/// As clap has it.
const NO_VALUE: &str = "but none was supplied";

fn coloured() -> bool {
    let is = |name: &str, value: &str| env::var_os(name).is_some_and(|found| found == value);
    env::var_os("NO_COLOR").is_none() && !is("TERM", "dumb")
}

/// Writes lines in columns, each as wide as its widest cell, at once.
///
/// # Errors
/// As [`line()`].
pub(crate) fn table(lines: &[Vec<String>]) -> Result<(), Failure> {
    let lines: Vec<Vec<_>> =
        lines.iter().map(|cells| cells.iter().map(|cell| harmless_part(cell)).collect()).collect();
    let columns = lines.first().map_or(0, Vec::len);
    let wide = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.len()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(wide).collect();
    let mut text = String::new();
    for cells in &lines {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    bytes(text.as_bytes())
}

/// Writes a line to standard output; its result is [`line()`]'s.
macro_rules! say {
    ($($part:tt)*) => { $crate::output::line(format_args!($($part)*)) };
}
pub(crate) use say;

//! `--log`: errors and warnings for the program that called this one.
//!
//! Callers read the file: containerd takes the last line whose level is `error`, podman the whole file as one object.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;

use serde_json::json;

use crate::arguments::{Global, LogFormat};
use crate::clock;
use crate::failure::{Failure, Named};
use crate::streams;

/// Set once, before the command runs: what every part of it tells goes there.
static LOG: OnceLock<Log> = OnceLock::new();

#[derive(Debug)]
struct Log {
    file: File,
    format: LogFormat,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Warning,
    Error,
}

/// Opens the log, if the command line names one.
pub(crate) fn open(global: &Global) -> Result<(), Failure> {
    let Some(path) = &global.log else { return Ok(()) };
    let path = plain(path);
    let file = OpenOptions::new().append(true).create(true).mode(0o644).open(path);
    let file = file.named(format_args!("--log {}", path.display()))?;
    // It is opened once.
    let _ = LOG.set(Log { file, format: global.log_format });
    Ok(())
}

/// The file of `file:PATH`, as crun has it too.
fn plain(path: &Path) -> &Path {
    path.to_str().and_then(|text| text.strip_prefix("file:")).map_or(path, Path::new)
}

/// Tells people on standard error, and the caller by the log. What can't be written there is lost: standard error and the exit code remain.
pub(crate) fn tell(level: Level, text: &str) {
    streams::note(format_args!("{text}"));
    if let Some(log) = LOG.get() {
        let _ = streams::all(log.file.as_fd(), line(log.format, level, &clock::now(), text).as_bytes());
    }
}

fn line(format: LogFormat, level: Level, time: &str, text: &str) -> String {
    let level = match level {
        Level::Warning => "warning",
        Level::Error => "error",
    };
    match format {
        LogFormat::Json => format!("{}\n", json!({"level": level, "msg": text, "time": time})),
        LogFormat::Text => format!("time=\"{time}\" level={level} msg={text:?}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line() {
        let told = |format| line(format, Level::Error, "1970-01-01T00:00:00Z", "open \"x\"\nENOENT");
        assert_eq!(
            told(LogFormat::Json),
            "{\"level\":\"error\",\"msg\":\"open \\\"x\\\"\\nENOENT\",\"time\":\"1970-01-01T00:00:00Z\"}\n"
        );
        assert_eq!(
            told(LogFormat::Text),
            "time=\"1970-01-01T00:00:00Z\" level=error msg=\"open \\\"x\\\"\\nENOENT\"\n"
        );
    }

    #[test]
    fn the_prefix_of_crun_goes() {
        assert_eq!(plain(Path::new("file:/x")), Path::new("/x"));
        assert_eq!(plain(Path::new("x")), Path::new("x"));
    }
}

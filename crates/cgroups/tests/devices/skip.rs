//! Tests that can't run here say so.

use std::io::Write;

/// Notes that a test does not run, and why: on standard error, and in the file that counts skips.
pub(crate) fn skip(name: &str, reason: &str) {
    let line = format!("{name}: {reason}\n");
    let _ = std::io::stderr().write_all(format!("SKIP: {line}").as_bytes());
    if let Some(path) = std::env::var_os("LIBCONTAINER_SKIP_FILE") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

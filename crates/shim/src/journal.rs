//! What is told to containerd's log: it reads the fifo `log` in the bundle of the shim's first container.

use std::fmt::Display;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::OnceLock;

static LOG: OnceLock<File> = OnceLock::new();

/// Opens the fifo. If nobody reads it nothing is told.
pub(crate) fn open(bundle: &Path) {
    let opened = File::options().write(true).custom_flags(nix::libc::O_NONBLOCK).open(bundle.join("log"));
    if let Ok(file) = opened {
        // It is opened once.
        let _ = LOG.set(file);
    }
}

/// Tells what no caller is told.
pub(crate) fn warn(text: impl Display) {
    if let Some(mut log) = LOG.get() {
        let text = text.to_string().replace(['"', '\n'], "'");
        // A log that can't be written to is no reason to do anything else.
        let _ = log.write_all(format!("level=warning msg=\"nsinit: {text}\"\n").as_bytes());
    }
}

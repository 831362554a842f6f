//! A service manager for containers whose programs say when they are ready, and somebody who says so in their place.

use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

/// How often is looked whether a container waits for its program.
const TICK: Duration = Duration::from_millis(5);

/// Listens at `socket`, and says that the program is ready to whoever listens at `inside`, once; for as long as this process lives.
pub(crate) fn serve(socket: &Path, inside: PathBuf) -> Result<()> {
    let manager = UnixDatagram::bind(socket).with_context(|| socket.display().to_string())?;
    // What comes with a message is closed by the kernel, as nobody has room for it.
    std::thread::spawn(move || while manager.recv(&mut [0; 256]).is_ok() {});
    let program = UnixDatagram::unbound().context("a socket")?;
    std::thread::spawn(move || {
        let mut told = None;
        loop {
            std::thread::sleep(TICK);
            let now = inside.symlink_metadata().ok().map(|data| (data.dev(), data.ino(), data.ctime_nsec()));
            if now.is_some() && now != told && program.send_to(b"READY=1", &inside).is_ok() {
                told = now;
            }
        }
    });
    Ok(())
}

//! Where containerd wants a process's input read and its output written: fifos, or a file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::libc::O_NONBLOCK;
use tokio::io::Interest;
use tokio::time::{Duration, Instant};

use crate::ready::{Ready, ready};
use crate::trouble::{Trouble, named};

/// So long a reader is waited for.
const MOMENT: Duration = Duration::from_millis(200);

/// Where output goes.
#[derive(Debug)]
pub(crate) enum Sink {
    Fifo(Ready),
    /// What the kernel lets nobody wait for.
    File(File),
}

/// Where input comes from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) reader: Ready,
    /// While this is open the input does not end: clients come and go.
    pub(crate) keeper: Option<File>,
}

/// Where output is to go; nowhere if nothing is named.
///
/// # Errors
/// A kind of place that is none of ours, or that can't be opened.
pub(crate) fn sink(name: &str) -> Result<Option<Sink>, Trouble> {
    if name.is_empty() {
        return Ok(None);
    }
    let path = path(name)?;
    if name.starts_with("file:") {
        return named(appended(path), format_args!("open {}", path.display()))
            .map(|file| Some(Sink::File(file)));
    }
    // ORDER: to read as well, so that it is open before its reader is there, and so that a program is not killed while containerd is started anew.
    let opened = File::options().read(true).write(true).custom_flags(O_NONBLOCK).open(path);
    let file = named(opened, format_args!("open {}", path.display()))?;
    let kind = named(file.metadata(), format_args!("stat {}", path.display()))?.file_type();
    if kind.is_fifo() || kind.is_char_device() {
        return ready(file.into(), Interest::WRITABLE, path.display()).map(|fd| Some(Sink::Fifo(fd)));
    }
    Ok(Some(Sink::File(file)))
}

fn appended(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    File::options().append(true).create(true).open(path)
}

/// Where input comes from; from nowhere if nothing is named.
///
/// # Errors
/// As [`sink`].
pub(crate) fn source(name: &str) -> Result<Option<Source>, Trouble> {
    if name.is_empty() {
        return Ok(None);
    }
    let path = path(name)?;
    let what = || format!("open {}", path.display());
    let reader = named(File::options().read(true).custom_flags(O_NONBLOCK).open(path), what())?;
    // ORDER: behind the reader, without which there is nobody to write to.
    let keeper = named(File::options().write(true).custom_flags(O_NONBLOCK).open(path), what())?;
    let reader = ready(reader.into(), Interest::READABLE, path.display())?;
    Ok(Some(Source { reader, keeper: Some(keeper) }))
}

/// A path, or an address that is one.
fn path(name: &str) -> Result<&Path, Trouble> {
    let path = match name.split_once("://") {
        None | Some(("", _)) => name,
        Some(("fifo" | "file", path)) => path,
        Some((kind, _)) => {
            let text = format!("{name:?}: streams go to fifos and files, not to {kind}:");
            return Err(Trouble::unimplemented(text));
        }
    };
    if path.starts_with('/') {
        Ok(Path::new(path))
    } else {
        Err(Trouble::invalid(format!("{name:?}: must be absolute")))
    }
}

impl Sink {
    /// Writes all of it; waits while nobody reads.
    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let fifo = match self {
            Self::File(file) => {
                file.write_all(bytes)?;
                tokio::task::yield_now().await;
                return Ok(());
            }
            Self::Fifo(fifo) => fifo,
        };
        while !bytes.is_empty() {
            let mut ready = fifo.writable().await?;
            let Ok(written) = ready.try_io(|fd| Ok(rustix::io::write(fd.as_fd(), bytes)?)) else { continue };
            match written {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => bytes = bytes.get(written?..).unwrap_or_default(),
            }
        }
        Ok(())
    }

    /// Waits a moment until its reader has read what was written. The kernel tells nobody of that.
    pub(crate) async fn taken(&self) {
        let Self::Fifo(fifo) = self else { return };
        let end = Instant::now() + MOMENT;
        while Instant::now() < end && rustix::io::ioctl_fionread(fifo.get_ref()).is_ok_and(|left| left > 0) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::path;

    #[test]
    fn addresses_are_paths_or_refused() {
        for (name, wanted) in [("/a/b", "/a/b"), ("fifo:///a", "/a"), ("file:///a?x", "/a?x")] {
            assert_eq!(path(name).ok().and_then(|path| path.to_str()), Some(wanted), "{name}");
        }
        for name in ["binary:///bin/logger?a=b", "npipe://x", "a", "file://a"] {
            assert!(path(name).is_err(), "{name}");
        }
    }
}

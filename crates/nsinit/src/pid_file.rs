//! `--pid-file`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use libcontainer::Pid;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::libc;
use nix::unistd::linkat;

use crate::failure::{Failure, Named};

/// A file that is to hold a pid: made before there is a process, so that a wrong path is told first, and renamed into place. Until it is written it has no name, where the
/// filesystem has such files: who is killed leaves nothing. A character device or a pipe, such as `/dev/null` and `/dev/stdout`, is written into, and not replaced.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    temporary: PathBuf,
    file: File,
    is_named: bool,
    in_place: bool,
}

impl PidFile {
    pub(crate) fn prepare(path: &Path) -> Result<Self, Failure> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}", std::process::id()));
        let temporary = PathBuf::from(temporary);
        if let Some(file) = special(path).named(shown(path))? {
            return Ok(Self { path: path.to_owned(), temporary, file, is_named: false, in_place: true });
        }
        let unnamed = unnamed(path).named(shown(path))?;
        let is_named = unnamed.is_none();
        let file = unnamed.map_or_else(|| File::create(&temporary), Ok).named(shown(path))?;
        Ok(Self { path: path.to_owned(), temporary, file, is_named, in_place: false })
    }

    pub(crate) fn write(mut self, pid: Pid) -> Result<(), Failure> {
        let written = self.file.write_all(pid.to_string().as_bytes());
        written.and_then(|()| self.put()).named(shown(&self.path))
    }

    /// Gives it its name. linkat(2) replaces nothing: then it needs another one before.
    fn put(&mut self) -> io::Result<()> {
        if self.in_place {
            return Ok(());
        }
        if !self.is_named {
            match self.link(&self.path) {
                Err(Errno::EEXIST) => {}
                linked => return Ok(linked?),
            }
            // ORDER: an answer that is lost is no reason to leave it.
            self.is_named = true;
            match self.link(&self.temporary) {
                // Of one with this number who was killed.
                Err(Errno::EEXIST) => {
                    fs::remove_file(&self.temporary)?;
                    self.link(&self.temporary)?;
                }
                linked => linked?,
            }
        }
        fs::rename(&self.temporary, &self.path)
    }

    fn link(&self, name: &Path) -> nix::Result<()> {
        let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        linkat(AT_FDCWD, own.as_str(), AT_FDCWD, name, AtFlags::AT_SYMLINK_FOLLOW)
    }
}

/// What is there and can be written into, but is no file; `None` if there is a file, or nothing. Others are refused: their place is not taken.
fn special(path: &Path) -> io::Result<Option<File>> {
    let kind = match path.metadata() {
        Ok(found) => found.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // It may be a device.
        Err(error) => return Err(error),
    };
    if kind.is_char_device() || kind.is_fifo() {
        // A pipe that nobody reads is an error, and not waited for.
        let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
        return File::options().write(true).custom_flags(flags).open(path).map(Some);
    }
    let is_taken = kind.is_block_device() || kind.is_socket();
    if is_taken { Err(io::Error::from_raw_os_error(libc::EEXIST)) } else { Ok(None) }
}

/// A file without a name in the directory of `path`; `None` if there are none of that kind.
fn unnamed(path: &Path) -> io::Result<Option<File>> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match File::options().write(true).custom_flags(libc::O_TMPFILE).open(dir) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR)) => Ok(None),
        made => made.map(Some),
    }
}

fn shown(path: &Path) -> String {
    format!("--pid-file {}", path.display())
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if self.is_named {
            // Not there if it was renamed; and else the error that came before is the one that counts.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

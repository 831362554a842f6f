//! Directories by descriptor.

use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, fstatat};

pub(super) fn dir_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC
}

pub(super) fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    Ok(nix::fcntl::open(path, dir_flags(), Mode::empty())?)
}

/// Opens a directory by its name, but not a link to one.
pub(super) fn open_child(parent: &OwnedFd, name: &OsStr) -> nix::Result<OwnedFd> {
    openat(parent, name, dir_flags() | OFlag::O_NOFOLLOW, Mode::empty())
}

/// What stands under that name; `None` if nothing does. An error does not say so.
pub(super) fn look_at(parent: &OwnedFd, name: impl AsRef<OsStr>) -> io::Result<Option<FileStat>> {
    match fstatat(parent, name.as_ref(), AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => Ok(None),
        found => Ok(Some(found?)),
    }
}

/// The directory above, and the name in it.
pub(super) fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    let name = path.file_name().ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok((parent, name))
}

/// That what is to be removed is missing is no error.
pub(super) fn ignore_missing(result: nix::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::ENOENT) => Ok(()),
        result => Ok(result?),
    }
}

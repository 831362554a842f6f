//! Directories by descriptor.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::Dir;
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

/// The names in the directory at `path`. By getdents64(2) of the C library: std panics if closing a directory fails.
pub(crate) fn names_in(path: &Path) -> io::Result<Vec<OsString>> {
    names(&open_dir(path)?)
}

/// The names in a directory.
pub(super) fn names(dir: &OwnedFd) -> io::Result<Vec<OsString>> {
    let fd = openat(dir, ".", dir_flags(), Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::from_fd(fd)?.iter() {
        let name = OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned();
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// That what is to be removed is missing is no error.
pub(super) fn ignore_missing(result: nix::Result<()>) -> io::Result<()> {
    match result {
        Err(Errno::ENOENT) => Ok(()),
        result => Ok(result?),
    }
}

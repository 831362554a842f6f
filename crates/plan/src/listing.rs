//! Names in a directory.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{Dir, Mode, OFlags, openat};

/// All names in `dir` but `.` and `..`, in the kernel's order; none of a directory that was removed. `dir` may be opened with `O_PATH`, and
/// its position stays.
///
/// The iterators of the standard library and of nix panic when they are dropped and close(2) fails.
///
/// # Errors
/// Those of openat(2) and getdents64(2).
pub fn names(dir: impl AsFd) -> io::Result<Vec<OsString>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir = Dir::new(openat(dir, c".", flags, Mode::empty())?)?;
    let mut all = Vec::new();
    while let Some(entry) = dir.read() {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            all.push(name.to_owned());
        }
    }
    Ok(all)
}

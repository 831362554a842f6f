//! Names in a directory.

use std::ffi::CString;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{Dir, Mode, OFlags, openat};

/// All names in `dir` but `.` and `..`, in the kernel's order; none of a directory that was removed.
///
/// Those of nix and of the standard library panic when they are dropped and close(2) fails.
pub(crate) fn names(dir: impl AsFd) -> io::Result<Vec<CString>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir = Dir::new(openat(dir, c".", flags, Mode::empty())?)?;
    let mut all = Vec::new();
    while let Some(entry) = dir.read() {
        let name = entry?.file_name().to_owned();
        if name.as_c_str() != c"." && name.as_c_str() != c".." {
            all.push(name);
        }
    }
    Ok(all)
}

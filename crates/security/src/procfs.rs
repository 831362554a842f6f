//! Files below `/proc`, opened so that nothing mounted or linked over them is taken for them.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;

use crate::error::{Named, ThreadError};
use crate::raw;

/// Most bytes that a file is believed: 65536 supplementary groups of eleven bytes each, and the other lines.
const LIMIT: u64 = 1 << 20;

fn open(path: &str, flags: i32) -> io::Result<File> {
    let mut options = File::options();
    let proc =
        options.read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW).open("/proc")?;
    // Fits: the constant is 0x9fa0 on all targets.
    #[allow(clippy::unnecessary_cast, reason = "the width of the constant differs between targets")]
    if raw::filesystem(proc.as_fd())? != libc::PROC_SUPER_MAGIC as i64 {
        return Err(io::Error::from_raw_os_error(libc::ENOTSUP));
    }
    let path = CString::new(path)?;
    Ok(raw::open_beneath(proc.as_fd(), &path, flags)?.into())
}

pub(crate) fn read(path: &str) -> Result<Vec<u8>, ThreadError> {
    let whole = |mut bytes: Vec<u8>| {
        open(path, libc::O_RDONLY)?.take(LIMIT).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    whole(Vec::with_capacity(4096)).named(|| format!("read /proc/{path}"))
}

pub(crate) fn write(path: &str, value: &str) -> Result<(), ThreadError> {
    // One call: the kernel takes what a write brings for the whole value.
    let count = open(path, libc::O_WRONLY).and_then(|mut file| file.write(value.as_bytes()));
    let whole = count.and_then(|count| {
        if count == value.len() { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EIO)) }
    });
    whole.named(|| format!("write {value:?} to /proc/{path}"))
}

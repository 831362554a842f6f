//! Files below `/proc`, opened so that nothing mounted or linked over them is taken for them.

use std::fs::File;
use std::io::{self, Read, Write};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;
use nix::sys::statfs::{PROC_SUPER_MAGIC, fstatfs};

use crate::error::{Named, ThreadError};

/// Most bytes that a file is believed: 65536 supplementary groups of eleven bytes each, and the other lines.
const LIMIT: u64 = 1 << 20;

fn open(path: &str, flags: OFlag) -> io::Result<File> {
    let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let proc = nix::fcntl::open("/proc", directory, Mode::empty())?;
    if fstatfs(&proc)?.filesystem_type() != PROC_SUPER_MAGIC {
        return Err(io::Error::from_raw_os_error(libc::ENOTSUP));
    }
    // No other mount, and no way out of this one. Other links than those the kernel follows nobody can make there: `thread-self`.
    let beneath =
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS | ResolveFlag::RESOLVE_NO_XDEV;
    Ok(openat2(&proc, path, OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(beneath))?.into())
}

pub(crate) fn read(path: &str) -> Result<Vec<u8>, ThreadError> {
    let whole = |mut bytes: Vec<u8>| {
        open(path, OFlag::O_RDONLY)?.take(LIMIT).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    whole(Vec::with_capacity(4096)).named(|| format!("read /proc/{path}"))
}

pub(crate) fn write(path: &str, value: &str) -> Result<(), ThreadError> {
    // One call: the kernel takes what a write brings for the whole value.
    let count = open(path, OFlag::O_WRONLY).and_then(|mut file| file.write(value.as_bytes()));
    let whole = count.and_then(|count| {
        if count == value.len() { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EIO)) }
    });
    whole.named(|| format!("write {value:?} to /proc/{path}"))
}

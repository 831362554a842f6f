//! What a source is, before it is bound.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use libcontainer_plan::Seen;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{Mode, fstat};

/// Looks at a source as a bind will find it: `open` with `O_PATH`, and fstat(2). With `nofollow` a link in the last place is itself the source.
///
/// # Errors
/// Those of open(2).
pub fn look(source: &Path, nofollow: bool) -> io::Result<Seen> {
    let data = fstat(open(source, nofollow)?)?;
    Ok(Seen { device: data.st_dev, inode: data.st_ino, kind: data.st_mode & libc::S_IFMT })
}

fn open(source: &Path, nofollow: bool) -> io::Result<OwnedFd> {
    let last = if nofollow { OFlag::O_NOFOLLOW } else { OFlag::empty() };
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC | last;
    // An automount point: open_tree(2) has it mounted, and so has who asks for a directory, but not stat(2), nor `O_PATH` alone.
    match nix::fcntl::open(source, flags | OFlag::O_DIRECTORY, Mode::empty()) {
        Err(Errno::ENOTDIR) => Ok(nix::fcntl::open(source, flags, Mode::empty())?),
        opened => Ok(opened?),
    }
}

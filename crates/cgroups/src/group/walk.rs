//! Ways through a tree of groups, without a descriptor per level: a container may have made the tree as deep as it liked.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::uio::pread;

use crate::dir::{Dir, patient};
use crate::error::{Error, Result};
use crate::faults;

/// Longest path for one lookup; the kernel takes 4095 bytes.
const LOOKUP: usize = 3000;

/// Whether there may be groups below. A control group file system counts them as links; another one is to be listed.
pub(super) fn has_groups(dir: &Dir) -> Result<bool> {
    Ok(dir.inode_and_links()?.1 != 2)
}

/// Opens the group `below`, however long the way.
pub(super) fn descend(top: &Dir, below: &Path) -> Result<Dir> {
    if below.as_os_str().is_empty() {
        return top.again();
    }
    let mut dir: Option<Dir> = None;
    let mut part = PathBuf::new();
    for component in below.components() {
        if part.as_os_str().len() + component.as_os_str().len() > LOOKUP {
            dir = Some(dir.as_ref().unwrap_or(top).child(&part)?);
            part.clear();
        }
        part.push(component);
    }
    dir.as_ref().unwrap_or(top).child(&part)
}

/// The groups below `top`, each before those below it, as paths from `top`. What vanishes meanwhile is left out.
pub(super) fn tree(top: &Dir) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if has_groups(top)? {
        found.extend(top.groups()?.into_iter().map(PathBuf::from));
    }
    let mut at = 0;
    while let Some(path) = found.get(at).cloned() {
        at += 1;
        let below = |dir: Dir| if has_groups(&dir)? { dir.groups() } else { Ok(Vec::new()) };
        match descend(top, &path).and_then(below) {
            Ok(names) => found.extend(names.into_iter().map(|name| path.join(name))),
            Err(error) if error.is_gone() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Calls `each` with the numbers in `file` (`cgroup.procs`), without allocating; 0 stands for a process of an outer pid namespace.
pub(super) fn numbers(dir: &Dir, file: &str, each: impl FnMut(i32)) -> Result<()> {
    let fd = dir.file(file, OFlag::O_RDONLY)?;
    let read = faults::of("pread64", dir.path(), file).and_then(|()| numbers_in(&fd, each));
    read.map_err(|errno| Error::Read { path: dir.path().join(file), source: errno.into() })
}

/// Longest line of such a file, with room to spare.
const LINE: usize = 32;

/// [`numbers`] of an open file, from its start.
pub(super) fn numbers_in(fd: &OwnedFd, mut each: impl FnMut(i32)) -> nix::Result<()> {
    let mut buffer = [0_u8; 4096];
    let mut number: Option<i32> = None;
    let mut offset = 0;
    loop {
        let count = patient(|| pread(fd, &mut buffer, offset))?;
        for byte in buffer.iter().take(count) {
            match byte {
                b'0'..=b'9' => {
                    let digit = i32::from(byte - b'0');
                    let longer = number.unwrap_or(0).checked_mul(10).and_then(|ten| ten.checked_add(digit));
                    number = Some(longer.ok_or(Errno::EOVERFLOW)?);
                }
                _ => number.take().into_iter().for_each(&mut each),
            }
        }
        // The kernel fills a page with whole lines before it returns (fs/seq_file.c): what leaves room for one more was the end.
        if count + LINE < buffer.len() {
            break;
        }
        offset += i64::try_from(count).map_err(|_| Errno::EOVERFLOW)?;
    }
    number.into_iter().for_each(each);
    Ok(())
}

/// The one component that a path ends with.
pub(super) fn last(path: &Path) -> Result<&std::ffi::OsStr> {
    path.file_name()
        .filter(|name| !name.as_bytes().is_empty())
        .ok_or_else(|| Error::invalid("cgroupsPath", format!("{} names no group", path.display())))
}

//! The mark of a container on its control group, by which that is found without a record.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use libcontainer_cgroups::{
    Error, Group, Layout, Pid, Place, Result, find_marked, find_marked_like, mark_of,
};
use nix::sys::stat::fstat;

use super::PATIENCE;

/// What the group of the container in `dir` is marked with. The path alone could be another container's: that of a runtime with another root.
pub(crate) fn token(dir: &Path) -> io::Result<Vec<u8>> {
    let found = std::fs::symlink_metadata(dir)?;
    made_of(dir, (found.dev(), found.ino()))
}

/// The same of a directory that is open, as it may not be there any more.
pub(crate) fn token_of(path: &Path, dir: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    let found = fstat(dir)?;
    made_of(path, (found.st_dev, found.st_ino))
}

fn made_of(dir: &Path, (device, inode): (u64, u64)) -> io::Result<Vec<u8>> {
    let mut token = std::path::absolute(dir)?.into_os_string().into_vec();
    token.extend(format!("\0{device}:{inode}").bytes());
    Ok(token)
}

/// What the marks of containers in a directory that is not there any more begin with, if that was on the filesystem where it would be now.
pub(crate) fn beginning_of(dir: &Path) -> io::Result<Vec<u8>> {
    let dir = std::path::absolute(dir)?;
    let mut above = dir.ancestors().skip(1);
    let device = loop {
        let Some(at) = above.next() else { return Err(io::Error::from_raw_os_error(libc::ENOENT)) };
        match std::fs::metadata(at) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            found => break found?.dev(),
        }
    };
    let mut beginning = dir.into_os_string().into_vec();
    beginning.extend(format!("\0{device}:").bytes());
    Ok(beginning)
}

/// Groups whose marks begin so, each with the processes in it and below it, or why those are not known. One that has none, or is gone meanwhile, is left out.
pub(crate) fn living_like(beginning: &[u8]) -> Result<Vec<(PathBuf, Result<Vec<Pid>>)>> {
    let found = find_marked_like(&Layout::of_this_process()?, beginning);
    if let Some(error) = found.unseen.into_iter().next() {
        return Err(error);
    }
    let living = |place: Place| {
        let processes = Group::open(std::slice::from_ref(&place)).and_then(|group| group.processes());
        let lives = match &processes {
            Ok(all) => !all.is_empty(),
            Err(error) => !error.is_gone(),
        };
        lives.then(|| (place.path(), processes))
    };
    Ok(found.places.into_iter().filter_map(living).collect())
}

/// The groups with that mark, and why there may be more.
pub(crate) fn marked(token: &[u8]) -> Result<(Vec<Place>, Vec<Error>)> {
    let found = find_marked(&Layout::of_this_process()?, token);
    Ok((found.places, found.unseen))
}

/// Whether a directory is surely none of ours: it is not there, or has a mark, after those with ours were ended.
pub(crate) fn is_anothers(path: &Path) -> bool {
    match File::open(path) {
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(dir) => matches!(mark_of(dir), Ok(Some(_))),
    }
}

/// Kills and removes every group with that mark. Whether there was one.
///
/// # Errors
/// What could not be looked at or taken away: then there may be more.
pub(crate) fn end_marked(token: &[u8]) -> Result<bool> {
    let found = find_marked(&Layout::of_this_process()?, token);
    let destroyed = Group::open(&found.places).and_then(|group| group.destroy(PATIENCE));
    let mut errors = found.unseen;
    errors.extend(destroyed.err());
    match errors.len() {
        0 => Ok(!found.places.is_empty()),
        1 => Err(errors.remove(0)),
        _ => Err(Error::Several(errors)),
    }
}

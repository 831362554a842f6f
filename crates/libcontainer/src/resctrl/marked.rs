//! Groups that are found by their marks, without a record.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use libcontainer_cgroups::mark_of;
use libcontainer_plan::names;

use super::going::rmdir;
use super::mounted::ResctrlMount;
use crate::error::{Error, Result, named};

/// Removes every group with that mark: classes, and what measures in one of them. A machine without resctrl has none.
///
/// # Errors
/// What could not be looked at or removed: then there may be more.
pub(crate) fn remove_marked(mount: Option<&ResctrlMount>, token: &[u8], what: &str) -> Result<()> {
    let found = mount.cloned().map_or_else(ResctrlMount::mounted, |mount| Ok(Some(mount)))?;
    let Some(mount) = found else { return Ok(()) };
    let mut errors = Vec::new();
    let mut look = |dir: &Path| {
        directories(dir).unwrap_or_else(|error| {
            errors.push(error);
            Vec::new()
        })
    };
    let classes = look(&mount.root);
    // ORDER: a group that measures lies in its class.
    let measuring = classes.iter().chain([&mount.root]);
    let mut groups: Vec<_> = measuring.flat_map(|class| look(&class.join(&mount.monitors))).collect();
    groups.extend(classes);
    errors.extend(groups.iter().filter_map(|group| end(group, token).err()));
    let errors: Vec<_> = errors.into_iter().map(|error| Error::io(what, error)).collect();
    if errors.is_empty() { Ok(()) } else { Err(Error::several(what.to_owned(), errors)) }
}

/// Those in a directory; none if it is not there.
fn directories(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let failed = |error| named(format!("list {}", dir.display()), error);
    let found = match File::open(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found.and_then(names).map_err(failed)?,
    };
    let paths = found.into_iter().map(|name| dir.join(name));
    // RACE: another container's may go meanwhile. What can't be looked at is opened, and told.
    Ok(paths.filter(|path| fs::symlink_metadata(path).map_or(true, |found| found.is_dir())).collect())
}

fn end(group: &Path, token: &[u8]) -> io::Result<()> {
    let failed = |error| named(format!("read the mark of {}", group.display()), error);
    let found = match File::open(group) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found.and_then(mark_of).map_err(failed)?,
    };
    if found.is_some_and(|mark| mark == token) { rmdir(group) } else { Ok(()) }
}

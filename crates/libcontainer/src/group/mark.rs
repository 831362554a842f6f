//! The mark of a container on its control group, by which that is found without a record.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use libcontainer_cgroups::{Error, Group, Layout, Result, find_marked};

use super::PATIENCE;

/// What the group of the container in `dir` is marked with. The path alone could be another container's: that of a runtime with another root.
pub(crate) fn token(dir: &Path) -> io::Result<Vec<u8>> {
    let (path, found) = (std::path::absolute(dir)?, std::fs::symlink_metadata(dir)?);
    let mut token = path.as_os_str().as_bytes().to_vec();
    token.extend(format!("\0{}:{}", found.dev(), found.ino()).bytes());
    Ok(token)
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

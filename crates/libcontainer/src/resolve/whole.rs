//! What of the host's mounts must not be seen from inside where the old root stays.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The host's mounts of proc and sysfs as a whole, what lies in another before that; what lies below the rootfs is the container's.
pub(super) fn whole(rootfs: &Path) -> Result<Vec<PathBuf>> {
    const TABLE: &str = "/proc/self/mountinfo";
    let text = std::fs::read(TABLE).map_err(|error| Error::io(format!("read {TABLE}"), error))?;
    let mut found = Vec::new();
    for entry in libcontainer_mount::parse_mountinfo(&text) {
        let entry =
            entry.map_err(|error| Error::io(format!("read {TABLE}"), io::Error::other(error.to_string())))?;
        let target = Path::new(OsStr::from_bytes(&entry.target));
        if matches!(&*entry.fstype, b"proc" | b"sysfs") && *entry.root == *b"/" && !target.starts_with(rootfs)
        {
            found.push(target.to_owned());
        }
    }
    found.sort_by(|one, other| other.cmp(one));
    Ok(found)
}

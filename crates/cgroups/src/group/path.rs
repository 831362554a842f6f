//! The path of a group, as a config gives it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::discovery::Hierarchy;
use crate::error::{Error, Result};
use crate::stats::Version;

/// Where a group is to be, in every hierarchy alike. Checked when it is made: no `..`, no `.`, no empty component.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupPath {
    absolute: bool,
    below: PathBuf,
}

impl GroupPath {
    /// Reads `path`: with a slash in front, from the mount point of each hierarchy; without, below the group of this process.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a path with `..`, `.`, an empty component (a slash at the end, too), NUL or a newline, for a
    /// component above 255 bytes, and for the root of a hierarchy itself.
    pub fn new(path: impl AsRef<OsStr>) -> Result<Self> {
        let bytes = path.as_ref().as_bytes();
        let shown = || String::from_utf8_lossy(bytes).into_owned();
        let refuse = |problem: &str| Err(Error::invalid("cgroupsPath", format!("{:?} {problem}", shown())));
        let (absolute, below) = match bytes {
            [b'/', below @ ..] => (true, below),
            below => (false, below),
        };
        if below.is_empty() {
            return refuse("names no group");
        }
        if bytes.len() >= 4096 {
            return refuse("is longer than 4095 bytes");
        }
        for part in below.split(|byte| *byte == b'/') {
            match part {
                b"" => return refuse("has an empty component"),
                b"." | b".." => return refuse("has the component . or .."),
                _ if part.len() > 255 => return refuse("has a component above 255 bytes"),
                _ if part.iter().any(|byte| matches!(byte, 0 | b'\n')) => {
                    return refuse("has a NUL byte or a newline");
                }
                _ => {}
            }
        }
        Ok(Self { absolute, below: PathBuf::from(OsStr::from_bytes(below)) })
    }

    /// 2014's path: `name` in the directory `parent`, which may be empty.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn in_parent(parent: &str, name: &str) -> Result<Self> {
        if name.is_empty() {
            return Err(Error::invalid("cgroups.name", "empty"));
        }
        match parent {
            "" => Self::new(name),
            _ => Self::new(format!("{parent}/{name}")),
        }
    }

    /// True when it starts at the mount points.
    #[must_use]
    pub fn is_absolute(&self) -> bool {
        self.absolute
    }

    /// The path without a slash in front.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        &self.below
    }

    /// The way from the mount point of `hierarchy`. A relative path begins at the group of this process; on version 2 at the
    /// one above that, since a group with processes can't give controllers to groups below it. So does runc; crun begins at the
    /// mount point. A group above that can't be written to leaves version 2 out, which is an error only when limits ask for it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a relative path where the group of this process isn't below the mount point.
    pub fn below_mount(&self, hierarchy: &Hierarchy) -> Result<PathBuf> {
        if self.absolute {
            return Ok(self.below.clone());
        }
        let own = hierarchy.own_below()?;
        let base = match hierarchy.version {
            Version::V1 => own.as_path(),
            Version::V2 => own.parent().unwrap_or(&own),
        };
        Ok(base.join(&self.below))
    }
}

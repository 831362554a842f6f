//! How many processes were killed for want of memory, for who asks once.

use std::sync::Arc;

use nix::fcntl::OFlag;

use super::watch::read_numbers;
use crate::Dir;
use crate::error::{Error, Result};
use crate::group::Group;
use crate::stats::Version;

/// The count of kills for want of memory in a group and below it. Holds the group's directory open, and no file.
#[derive(Debug)]
pub struct OomKills {
    dir: Arc<Dir>,
    file: &'static str,
}

impl OomKills {
    /// Of `group`.
    ///
    /// # Errors
    /// [`Error::NotFound`] without a memory controller.
    pub fn of(group: &Group) -> Result<Self> {
        let found = group.controller("memory");
        let (dir, version) = found.ok_or_else(|| Error::NotFound { controller: "memory".to_owned() })?;
        let file = if version == Version::V1 { "memory.oom_control" } else { "memory.events" };
        Ok(Self { dir: Arc::clone(dir), file })
    }

    /// The count now (KERNEL(4.13)); None when the group is gone, and nobody knows any more.
    ///
    /// # Errors
    /// [`Error::Read`] and [`Error::Content`] of the file: then it can't be known either.
    pub fn count(&self) -> Result<Option<u64>> {
        match self.dir.file(self.file, OFlag::O_RDONLY) {
            Ok(file) => {
                let path = self.dir.path().join(self.file);
                Ok(read_numbers(&file, &path, ["oom_kill"])?.map(|[kills]| kills))
            }
            Err(error) if error.is_gone() => self.gone(error),
            Err(error) => Err(error),
        }
    }

    /// The file isn't there: is the group?
    fn gone(&self, missing: Error) -> Result<Option<u64>> {
        match self.dir.has("cgroup.procs") {
            Ok(_) => Err(missing),
            Err(error) if error.is_gone() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

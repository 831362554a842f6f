//! Where a group is in one hierarchy, in a form that can be kept on disk.

use std::path::{Path, PathBuf};

use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC};
use serde::{Deserialize, Serialize};

use super::walk;
use crate::dir::Dir;
use crate::discovery::Hierarchy;
use crate::error::{Error, Result};
use crate::stats::Version;

/// One group in one hierarchy. Write it down before [`Plan::make`](super::Plan::make): it is all that
/// [`Group::open`](super::Group::open) and [`Group::remove`](super::Group::remove) need later, in another process too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// True for version 2.
    pub unified: bool,
    /// The hierarchy's controllers or name.
    pub controllers: Vec<String>,
    /// Where the hierarchy is mounted.
    pub mountpoint: PathBuf,
    /// The group's path from there.
    pub below: PathBuf,
    /// How many directories at the end of `below` weren't there when this was planned: those are ours.
    pub new: usize,
    /// Number of the group's directory, known once it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
    /// See [`Hierarchy::no_prefix`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_prefix: bool,
}

impl Place {
    /// The group's directory.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.mountpoint.join(&self.below)
    }

    /// The directories that are ours, each before those below it.
    #[must_use]
    pub fn made(&self) -> Vec<PathBuf> {
        let mut made: Vec<PathBuf> = self.path().ancestors().take(self.new).map(Path::to_owned).collect();
        made.reverse();
        made
    }

    /// The group `below` of a hierarchy, none of whose directories is ours.
    pub(super) fn of(hierarchy: &Hierarchy, below: PathBuf) -> Self {
        Self {
            unified: hierarchy.version == Version::V2,
            controllers: hierarchy.controllers.clone(),
            mountpoint: hierarchy.mountpoint.clone(),
            below,
            new: 0,
            inode: None,
            no_prefix: hierarchy.no_prefix,
        }
    }

    /// Looks at what there is, and returns the root of the hierarchy too. Makes nothing.
    pub(super) fn plan(hierarchy: &Hierarchy, below: PathBuf) -> Result<(Self, Dir)> {
        let mut place = Self::of(hierarchy, below);
        let mount = place.open_mount()?;
        place.new = place.missing(&mount)?;
        Ok((place, mount))
    }

    /// How many of its directories are not there.
    pub(super) fn missing(&self, mount: &Dir) -> Result<usize> {
        let mut deepest: Option<Dir> = None;
        let components: Vec<_> = self.below.components().collect();
        for (index, component) in components.iter().enumerate() {
            match deepest.as_ref().unwrap_or(mount).child(component) {
                Ok(child) => deepest = Some(child),
                Err(error) if error.errno() == Some(libc::ENOENT) => return Ok(components.len() - index),
                Err(error) => return Err(error),
            }
        }
        Ok(0)
    }

    /// Opens the mount point, if a hierarchy of the right kind is there. That it isn't says nothing about the group, which a hierarchy
    /// keeps when it is unmounted: such an error is none of a group that is gone.
    pub(super) fn open_mount(&self) -> Result<Dir> {
        let dir = match Dir::open(&self.mountpoint) {
            Err(error) if error.is_gone() => return Err(self.unmounted()),
            dir => dir?,
        };
        let expected = if self.unified { CGROUP2_SUPER_MAGIC } else { CGROUP_SUPER_MAGIC };
        if dir.kind()? == expected { Ok(dir) } else { Err(self.unmounted()) }
    }

    fn unmounted(&self) -> Error {
        let problem = format!(
            "no control group hierarchy of version {} is mounted here (any more); mount it again",
            if self.unified { 2 } else { 1 }
        );
        Error::Content { path: self.mountpoint.clone(), problem }
    }

    /// Opens the directory above the group's.
    pub(super) fn open_parent(&self) -> Result<Dir> {
        let mount = self.open_mount()?;
        match self.below.parent() {
            Some(above) if !above.as_os_str().is_empty() => walk::descend(&mount, above),
            _ => Ok(mount),
        }
    }

    /// The name of a control file here.
    pub(super) fn file<'f>(&self, name: &'f str) -> &'f str {
        match name.split_once('.') {
            Some((_, short)) if self.no_prefix => short,
            _ => name,
        }
    }

    pub(super) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|own| own == controller)
    }
}

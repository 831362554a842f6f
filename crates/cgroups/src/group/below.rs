//! A group below one that there is.

use std::path::{Component, Path};
use std::sync::Arc;

use super::make::{inherit_cpuset, refuse_threaded};
use super::{Group, Node};
use crate::dir::Dir;
use crate::error::{Error, Result};

impl Group {
    /// The group `path` below this one, in each hierarchy in which this one is: opened, or made if it is missing. Version 1's `cpuset` gets the processors
    /// and nodes of the group above; on version 2 no controller is switched on for it.
    ///
    /// What is made goes with this group: [`Group::remove`] takes away what is below it. So it stays when this fails half-way.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `path` is empty or has more than plain names, or the group is threaded; [`Error::Directory`], [`Error::Write`].
    pub fn below(&self, path: &Path) -> Result<Self> {
        let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        if path.as_os_str().is_empty() || !path.components().all(plain) {
            let problem = format!("{}: not a relative path of plain names", path.display());
            return Err(Error::invalid("cgroupsPath", problem));
        }
        let nodes = self.present()?.iter().map(|node| node.below(path)).collect::<Result<Vec<_>>>()?;
        let places = nodes.iter().map(|node| node.place.clone()).collect();
        Ok(Self { nodes, places, missing: self.missing.clone(), unmarked: None })
    }
}

impl Node {
    fn below(&self, path: &Path) -> Result<Self> {
        let mut place = self.place.clone();
        place.below.push(path);
        (place.new, place.inode) = (0, None);
        let mut dir: Arc<Dir> = Arc::clone(&self.dir);
        for name in path {
            dir.make(name)?;
            let next = Arc::new(dir.child(name)?);
            if place.has("cpuset") && !place.unified {
                inherit_cpuset(&place, &dir, &next)?;
            }
            dir = next;
        }
        refuse_threaded(&place, &dir)?;
        Self::new(place, dir)
    }
}

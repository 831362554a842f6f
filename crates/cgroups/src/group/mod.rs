//! Groups: made, entered, listed, frozen, killed and removed, in all hierarchies at once.
//!
//! ```no_run
//! use std::time::Duration;
//! use libcontainer_cgroups::{Existing, GroupPath, Layout, Plan, Select};
//!
//! let plan = Plan::new(&Layout::of_this_process()?, &GroupPath::new("demo/one")?, &Select::Usable)?;
//! // Write plan.places() down here: from them Group::open finds everything again after a crash.
//! let group = plan.make(Existing::Refuse)?;
//! let join = group.join_files()?;
//! // ... start a process that writes "0" to join.tasks, or with CLONE_INTO_CGROUP and join.unified ...
//! group.destroy(Duration::from_secs(5))?;
//! # Ok::<(), libcontainer_cgroups::Error>(())
//! ```

mod below;
mod freeze;
mod give;
mod held;
mod join;
mod kill;
mod make;
mod mark;
mod member;
mod path;
mod pid;
mod place;
mod plan;
mod processes;
mod remove;
mod room;
mod wait;
mod walk;
mod way;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub use freeze::FreezerState;
pub use join::Join;
pub use make::Existing;
pub use mark::{Marked, find_marked, find_marked_like, mark_of, set_mark};
pub use member::{NotMember, check_member};
pub use path::GroupPath;
pub use pid::Pid;
pub use place::Place;
pub use plan::{Plan, Select};
pub use processes::ProcessReader;
pub use remove::remove_empty;
pub use room::check_own_room;

use crate::dir::Dir;
use crate::error::{Error, Result};
use crate::stats::{Sources, Version};

/// One group, in one or more hierarchies, held by descriptors.
///
/// A handle: dropping it changes nothing.
#[derive(Debug)]
pub struct Group {
    /// Where the group is.
    nodes: Vec<Node>,
    /// Where it is, was, or was to be.
    places: Vec<Place>,
    missing: BTreeMap<String, String>,
    unmarked: Option<Error>,
}

/// The group in one hierarchy.
#[derive(Debug)]
struct Node {
    place: Place,
    dir: Arc<Dir>,
    /// Controllers that have files here.
    usable: Vec<String>,
}

impl Group {
    /// Opens the group that was recorded as `places`. A directory that isn't there (any more), or that was made anew since, is
    /// left out: see [`Group::is_gone`].
    ///
    /// # Errors
    /// [`Error::Directory`] and [`Error::Read`], except for what isn't there.
    pub fn open(places: &[Place]) -> Result<Self> {
        let mut group =
            Self { nodes: Vec::new(), places: places.to_vec(), missing: BTreeMap::new(), unmarked: None };
        for place in places {
            match Self::open_node(place) {
                Ok(Some(node)) => group.nodes.push(node),
                Ok(None) => {}
                Err(error) if error.is_gone() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(group)
    }

    /// None when another directory has the name by now.
    fn open_node(place: &Place) -> Result<Option<Node>> {
        let dir = place.open_parent()?.child(walk::last(&place.below)?)?;
        let node = Node::new(place.clone(), Arc::new(dir))?;
        let is_other = place.inode.is_some_and(|recorded| Some(recorded) != node.place.inode);
        Ok((!is_other).then_some(node))
    }

    /// The group in each hierarchy, with inode numbers: what to write down once it is made.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// As [`Plan::paths`]: 2014's `cgroup_paths`.
    #[must_use]
    pub fn paths(&self) -> BTreeMap<String, PathBuf> {
        plan::paths(&self.places)
    }

    /// Controllers that can't be used, and why.
    #[must_use]
    pub fn missing(&self) -> &BTreeMap<String, String> {
        &self.missing
    }

    /// Why not all of its directories could be marked, if they were to be ([`Plan::mark`]): only told by the handle that made them.
    #[must_use]
    pub fn unmarked(&self) -> Option<&Error> {
        self.unmarked.as_ref()
    }

    /// True when none of the directories was there when the handle was made: also for a group in no hierarchy at all.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The directory that has the files of `controller`, and its kind.
    #[must_use]
    pub fn controller(&self, controller: &str) -> Option<(&Arc<Dir>, Version)> {
        let node = self.nodes.iter().find(|node| node.usable.iter().any(|own| own == controller))?;
        Some((&node.dir, if node.place.unified { Version::V2 } else { Version::V1 }))
    }

    /// The directory in version 2.
    #[must_use]
    pub fn unified(&self) -> Option<&Arc<Dir>> {
        self.nodes.iter().find(|node| node.place.unified).map(|node| &node.dir)
    }

    /// The directories for [`crate::stats`] and [`crate::events`].
    #[must_use]
    pub fn sources(&self) -> Sources {
        let mut sources = Sources::default();
        for node in &self.nodes {
            if node.place.unified {
                sources.v2 = Some(Arc::clone(&node.dir));
            } else {
                let controllers = node.place.controllers.iter().cloned();
                sources.v1.extend(controllers.map(|name| (name, Arc::clone(&node.dir))));
            }
        }
        sources
    }

    /// The name that a control file has on disk (see [`crate::discovery::Hierarchy::no_prefix`]).
    pub(crate) fn file_name<'f>(&self, controller: &str, file: &'f str) -> &'f str {
        match self.nodes.iter().find(|node| node.usable.iter().any(|own| own == controller)) {
            Some(node) => node.place.file(file),
            None => file,
        }
    }

    /// The group as it is named in messages.
    fn name(&self) -> PathBuf {
        self.places.first().map(Place::path).unwrap_or_default()
    }

    /// An error when the group was to be somewhere and is nowhere. A group in no hierarchy at all is fine.
    pub(crate) fn check_present(&self) -> Result<()> {
        if self.places.is_empty() { Ok(()) } else { self.present().map(drop) }
    }

    /// The nodes, or an error that says that there are none.
    fn present(&self) -> Result<&[Node]> {
        if self.nodes.is_empty() {
            return Err(Error::directory("open", self.name(), nix::errno::Errno::ENOENT));
        }
        Ok(&self.nodes)
    }
}

//! From a layout and a path to the list of directories, before the first of them is made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::path::GroupPath;
use super::place::Place;
use crate::dir::Dir;
use crate::discovery::{Hierarchy, Layout};
use crate::error::{Error, Result};
use crate::stats::Version;

/// In which hierarchies a group is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Select {
    /// All that can be used. One that can't (mounted read-only, no permission) is left out, and is an error only when
    /// limits ask for it.
    #[default]
    Usable,
    /// All that are mounted writable, for a caller whom nothing else should be refused: what is, is an error.
    All,
    /// Those with these controllers (`cpu`, `name=systemd`, `unified` for version 2 whatever its controllers): all of them, or an error.
    Only(BTreeSet<String>),
}

/// What a group to be made will consist of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub(super) places: Vec<Place>,
    pub(super) mounts: Mounts,
    pub(super) missing: BTreeMap<String, String>,
    pub(super) select: Select,
    /// The group is a unit's: what systemd has made of it when it is made here is systemd's, but for the group itself.
    pub(crate) of_unit: bool,
    /// The group is wanted in one hierarchy at least.
    pub(super) required: bool,
    /// What the directories are marked with.
    pub(super) mark: Option<Vec<u8>>,
}

impl Plan {
    /// Plans the group `path`. Looks at which of its directories are there; makes nothing.
    ///
    /// Without [`Select::Only`] and with no usable hierarchy the plan is empty, which is valid.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a controller of [`Select::Only`] that no hierarchy has, [`Error::Invalid`] for one that can't be
    /// used and for a relative path where the group of this process isn't below the mount, [`Error::Directory`].
    pub fn new(layout: &Layout, path: &GroupPath, select: &Select) -> Result<Self> {
        let mut plan = Self {
            places: Vec::new(),
            mounts: Mounts::default(),
            missing: BTreeMap::new(),
            select: select.clone(),
            of_unit: false,
            required: false,
            mark: None,
        };
        plan.check_selected(layout)?;
        let mut taken = BTreeSet::new();
        for hierarchy in layout.all().filter(|hierarchy| select.wants(hierarchy, layout)) {
            match place(hierarchy, path) {
                Ok((place, mount)) => {
                    plan.mounts.0.push(Arc::new(mount));
                    taken.extend(hierarchy.controllers.iter().cloned());
                    plan.places.push(place);
                }
                Err(error) if select.may_leave_out(&error) => {
                    plan.leave_out(&hierarchy.controllers, &error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        for name in &layout.disabled {
            plan.missing.entry(name.clone()).or_insert_with(|| layout.why_missing(name));
        }
        plan.missing.retain(|name, _| !taken.contains(name));
        Ok(plan)
    }

    /// The group in each hierarchy: what to write down before [`Plan::make`].
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Looks again which directories are missing: whoever shares one above the group may have removed it. Whether there are more than before: then the places are to be written
    /// down anew before they are made.
    ///
    /// # Errors
    /// [`Error::Directory`]; [`Error::Content`] if a hierarchy is not mounted any more.
    pub fn renew(&mut self) -> Result<bool> {
        let mut more = false;
        self.mounts = Mounts::default();
        for place in &mut self.places {
            let mount = place.open_mount()?;
            let missing = place.missing(&mount)?;
            // One that somebody else has made is none of ours: making tells.
            more |= missing > place.new;
            place.new = missing.max(place.new);
        }
        Ok(more)
    }

    /// Every directory that will be made, in the order of their making.
    #[must_use]
    pub fn directories(&self) -> Vec<PathBuf> {
        self.places.iter().flat_map(Place::made).collect()
    }

    /// The group's directory by controller (and by `name=...`); the empty name stands for version 2.
    #[must_use]
    pub fn paths(&self) -> BTreeMap<String, PathBuf> {
        paths(&self.places)
    }

    /// Controllers that can't be used, and why.
    #[must_use]
    pub fn missing(&self) -> &BTreeMap<String, String> {
        &self.missing
    }

    /// Wants the group in one hierarchy at least: if [`Select::Usable`] would leave all of them out, [`Plan::make`] fails with why.
    pub fn require(&mut self) {
        self.required = true;
    }

    /// Has the directories that are made marked with `token`, of at most 4096 bytes: [`find_marked`](super::find_marked) then finds the
    /// group without a record of it. So that it finds nobody else's, let the token be what only one owner can have at a time, such as the path of
    /// the directory where its record is.
    ///
    /// One fsetxattr(2) for each directory, as far as the kernel takes it: [`Group::unmarked`](super::Group::unmarked) says why not.
    pub fn mark(&mut self, token: impl Into<Vec<u8>>) {
        self.mark = Some(token.into());
    }

    pub(super) fn leave_out(&mut self, controllers: &[String], why: &str) {
        self.missing.extend(controllers.iter().map(|name| (name.clone(), why.to_owned())));
    }

    fn check_selected(&self, layout: &Layout) -> Result<()> {
        let Select::Only(names) = &self.select else { return Ok(()) };
        for name in names {
            let found =
                if name == "unified" { layout.v2.is_some() } else { layout.hierarchy(name).is_some() };
            if !found {
                return Err(Error::NotFound { controller: name.clone() });
            }
        }
        Ok(())
    }
}

/// The root of the hierarchy of each place, open since the plan looked at it, or none of them: a copy opens them anew. Tells no two plans apart.
#[derive(Debug, Default)]
pub(super) struct Mounts(pub(super) Vec<Arc<Dir>>);

impl Clone for Mounts {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Mounts {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Mounts {}

impl Select {
    fn wants(&self, hierarchy: &Hierarchy, layout: &Layout) -> bool {
        let Self::Only(names) = self else { return true };
        // A controller that both versions list belongs to version 1.
        let mine = |name: &String| layout.hierarchy(name).is_some_and(|found| found == hierarchy);
        names.iter().any(mine) || (hierarchy.version == Version::V2 && names.contains("unified"))
    }

    /// True for what makes a hierarchy unusable rather than a request wrong.
    fn may_leave_out(&self, error: &Error) -> bool {
        matches!(error, Error::Invalid { .. } | Error::Content { .. }) && !matches!(self, Self::Only(_))
            || self.is_refusal(error)
    }

    /// True for what nobody like the caller may do.
    pub(super) fn is_refusal(&self, error: &Error) -> bool {
        if !matches!(error, Error::Directory { .. } | Error::Write { .. } | Error::Read { .. }) {
            return false;
        }
        let unwritable = matches!((self, error.errno()), (Self::Usable | Self::All, Some(libc::EROFS)));
        unwritable || matches!((self, error.errno()), (Self::Usable, Some(libc::EACCES | libc::EPERM)))
    }
}

fn place(hierarchy: &Hierarchy, path: &GroupPath) -> Result<(Place, Dir)> {
    if hierarchy.read_only {
        let problem = format!("{} is mounted read-only", hierarchy.mountpoint.display());
        return Err(Error::invalid("cgroupsPath", problem));
    }
    Place::plan(hierarchy, path.below_mount(hierarchy)?)
}

pub(super) fn paths(places: &[Place]) -> BTreeMap<String, PathBuf> {
    let mut paths = BTreeMap::new();
    for place in places {
        if place.unified {
            paths.insert(String::new(), place.path());
        } else {
            paths.extend(place.controllers.iter().map(|name| (name.clone(), place.path())));
        }
    }
    paths
}

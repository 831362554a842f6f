//! Where the group of a unit is in each hierarchy.

use std::path::Path;

use super::unit::Placement;
use crate::discovery::{Hierarchy, Layout, Mode};
use crate::error::Result;
use crate::group::{GroupPath, Plan, Select};
use crate::stats::Version;

impl Plan {
    /// Plans the group of a unit that is not there yet, below `root`, the group of its manager. Start the unit, then
    /// [`Plan::make`] with [`Existing::Adopt`](crate::Existing::Adopt), which takes what systemd has made and makes what it has not (version 1's `freezer` …).
    ///
    /// # Errors
    /// As [`Plan::new`]; [`Error::Invalid`](crate::Error::Invalid) when there is such a group that has processes or is frozen.
    pub fn for_unit(layout: &Layout, root: &Path, placement: &Placement) -> Result<Self> {
        let path = Path::new("/").join(root).join(placement.path());
        let mut plan = Self::new(layout, &GroupPath::new(&path)?, &Select::Usable)?;
        plan.check_unused()?;
        plan.of_unit = true;
        Ok(plan)
    }
}

impl Layout {
    /// The version of the hierarchy whose controllers systemd sets limits with.
    #[must_use]
    pub fn of_controllers(&self) -> Version {
        let v1 = |hierarchy: &Hierarchy| hierarchy.controllers.iter().any(|name| !name.starts_with("name="));
        match self.mode {
            Mode::Unified => Version::V2,
            _ if self.v1.iter().any(v1) => Version::V1,
            _ => Version::V2,
        }
    }
}

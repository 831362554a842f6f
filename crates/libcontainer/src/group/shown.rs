//! A control group of a plan that is only shown.

use std::path::Path;

use libcontainer_cgroups::stats::Version;
use libcontainer_cgroups::{GroupPath, Layout, Resources};
use libcontainer_plan::HostStep;

use super::planned::{GroupSteps, UNDO, limits_text, make_text};
use super::unit;
use crate::config::Cgroup;
use crate::error::{Error, Result};
use crate::setup::CgroupSetup;

/// What its plan needs to know: by the layout, without a look at the directories.
pub(crate) fn shown(
    config: &Cgroup,
    id: &str,
    layout: &Layout,
    user: bool,
) -> Result<(CgroupSetup, GroupSteps)> {
    let failed = |error| Error::cgroup(format!("control group of {id:?}"), error);
    let mut steps = Vec::new();
    let path = if config.systemd {
        let placement = unit::placement(config, id, user).map_err(failed)?;
        unit::further(config).map_err(failed)?;
        steps.push(HostStep::new(unit::start_text(&placement), unit::STOP, |_| Ok(None)));
        GroupPath::new(Path::new("/").join(placement.path())).map_err(failed)?
    } else {
        config.group_path(id).map_err(failed)?
    };
    steps.push(HostStep::new(make_text(path.as_path()), UNDO, |_| Ok(None)));
    let resources = config.limits(true).map_err(failed)?;
    if resources != Resources::default() {
        steps.push(HostStep::new(limits_text(&resources), "", |_| Ok(None)));
    }
    let steps = GroupSteps::new(config.systemd, steps);
    let mut setup = CgroupSetup { moved: config.systemd, ..CgroupSetup::default() };
    if config.systemd {
        return Ok((setup, steps));
    }
    // Where the group can't be below the mount it is left out.
    for hierarchy in layout.all().filter(|hierarchy| path.below_mount(hierarchy).is_ok()) {
        match hierarchy.version {
            Version::V2 => setup.unified = true,
            Version::V1 => setup.tasks.push(hierarchy.mountpoint.clone()),
        }
        setup.shown.extend(path.below_mount(hierarchy).map(|below| (hierarchy.mountpoint.clone(), below)));
    }
    Ok((setup, steps))
}

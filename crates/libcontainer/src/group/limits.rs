//! Limits of a group that is in use: all of a change, or nothing.

use libcontainer_cgroups::limits::{self, OnRefusal};
use libcontainer_cgroups::systemd::{Environment, whole_percents};
use libcontainer_cgroups::{Group, Resources};

use super::unit;
use crate::config::Cgroup;
use crate::record::{State, UnitRecord};

/// Sets the limits `wanted`, of which `state` has the whole.
pub(crate) fn change(
    state: &State,
    before: Resources,
    wanted: &Resources,
    group: &Group,
    environment: &Environment,
) -> libcontainer_cgroups::Result<()> {
    let Some(unit) = state.unit() else { return limits::update(group, wanted, OnRefusal::RollBack) };
    let block = state.config.cgroups.clone().unwrap_or_default();
    let old = Cgroup { resources: before, ..block.clone() }.limits(false)?;
    let new = block.limits(false)?;
    let touched = |all| whole_percents(touched(all, wanted));
    let change = UnitChange { unit, old: touched(old), new: touched(new) };
    change_unit(group, &change, environment)
}

/// The properties, then the control files: systemd writes all of a controller when one changes.
fn change_unit(
    group: &Group,
    change: &UnitChange<'_>,
    environment: &Environment,
) -> libcontainer_cgroups::Result<()> {
    // What the control files can't take is refused before systemd is asked.
    limits::plan(&change.new, &limits::Facts::of(group, &change.new)?)?;
    let changed = unit::update(change.unit, environment, group.places(), &change.new)?;
    let Err(cause) = limits::update(group, &change.new, OnRefusal::RollBack) else { return Ok(()) };
    let files = |()| {
        limits::update(group, &Resources { devices: Vec::new(), ..change.old.clone() }, OnRefusal::Leave)
    };
    match changed.take_back().and_then(files) {
        Ok(()) => Err(cause),
        Err(left) => {
            Err(libcontainer_cgroups::Error::NotRolledBack { cause: Box::new(cause), left: vec![left] })
        }
    }
}

/// Limits of a unit, as they are and as they are to be.
struct UnitChange<'s> {
    unit: &'s UnitRecord,
    old: Resources,
    new: Resources,
}

/// Of `all` limits those of the controllers that `asked` names, and the files by name.
fn touched(all: Resources, asked: &Resources) -> Resources {
    Resources {
        devices: asked.devices.clone(),
        memory: all.memory.filter(|_| asked.memory.is_some()),
        cpu: all.cpu.filter(|_| asked.cpu.is_some()),
        pids: all.pids.filter(|_| asked.pids.is_some()),
        block_io: all.block_io.filter(|_| asked.block_io.is_some()),
        hugepage_limits: asked.hugepage_limits.clone(),
        network: asked.network.clone(),
        rdma: asked.rdma.clone(),
        unified: all.unified,
    }
}

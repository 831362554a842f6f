//! Limits to the properties of a unit (systemd.resource-control(5), org.freedesktop.systemd1(5)). Pure.

use std::collections::BTreeMap;

use nix::unistd::Pid;

use super::device_list::device_properties;
use super::processor::{cpuset, idles, quota};
use super::property::{List, Property, Target};
use super::unified::unified_properties;
use super::unit::Placement;
use super::value::Value;
use crate::devices::Rule;
use crate::error::{Error, Result};
use crate::stats::Version;

/// The limits that systemd has a property for. None leaves a property alone, [`INFINITY`](super::INFINITY) takes a limit away.
///
/// Everything else is written to the control files after the unit has started; so are these, for systemd rounds some.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UnitLimits {
    /// `MemoryMax` (version 2), `MemoryLimit` (version 1): bytes.
    pub memory_max: Option<u64>,
    /// `MemoryHigh`: bytes; version 2.
    pub memory_high: Option<u64>,
    /// `MemoryLow`: bytes; version 2.
    pub memory_low: Option<u64>,
    /// `MemoryMin`: bytes; version 2.
    pub memory_min: Option<u64>,
    /// `MemorySwapMax`: bytes of swap alone, not of memory and swap together; version 2.
    pub memory_swap_max: Option<u64>,
    /// `CPUShares`: 2 to 262144; version 1.
    pub cpu_shares: Option<u64>,
    /// `CPUWeight`: 1 to 10000; version 2.
    pub cpu_weight: Option<u64>,
    /// `CPUWeight` zero ("idle"), instead of the weight; version 2, systemd 252.
    pub cpu_idle: Option<bool>,
    /// `CPUQuotaPerSecUSec`: microseconds of CPU time in each period; [`crate::systemd::INFINITY`] for no limit.
    pub cpu_quota: Option<u64>,
    /// `CPUQuotaPeriodUSec`: microseconds; systemd 242.
    pub cpu_period: Option<u64>,
    /// `AllowedCPUs`: a list such as `0-3,8`; systemd 244.
    pub cpus: Option<String>,
    /// `AllowedMemoryNodes`: likewise.
    pub memory_nodes: Option<String>,
    /// `TasksMax`.
    pub tasks_max: Option<u64>,
    /// `BlockIOWeight` (version 1, 10 to 1000), `IOWeight` (version 2, 1 to 10000).
    pub io_weight: Option<u64>,
    /// `DevicePolicy` and `DeviceAllow`.
    pub devices: Option<Vec<Rule>>,
    /// Files of version 2 and their values; for these files they win over the fields above.
    pub unified: BTreeMap<String, String>,
}

/// The properties that a unit starts with: where it stands, who is in it, what is counted. Limits go after these.
///
/// A scope is delegated (`Delegate`), so systemd keeps its hands off the groups below it; a slice wants the one above (`Wants`).
/// `CollectMode` lets systemd forget the unit even after a failure, so the name is free again.
#[must_use]
pub fn unit_properties(
    placement: &Placement,
    description: &str,
    pid: Option<Pid>,
    hierarchy: Version,
) -> Vec<Property> {
    let mut list = List::default();
    list.set("Description", Value::Text(description.to_owned()));
    if placement.unit.is_slice() {
        list.set("Wants", Value::texts([placement.slice.name()]));
    } else {
        list.set("Slice", Value::Text(placement.slice.name().to_owned()));
        list.set("Delegate", Value::Bool(true));
    }
    if let Some(pid) = pid.and_then(|pid| u32::try_from(pid.as_raw()).ok()).filter(|pid| *pid != 0) {
        list.set("PIDs", Value::numbers(&[pid]));
    }
    let io = match hierarchy {
        Version::V1 => "BlockIOAccounting",
        Version::V2 => "IOAccounting",
    };
    for name in ["MemoryAccounting", "CPUAccounting", io, "TasksAccounting"] {
        list.set(name, Value::Bool(true));
    }
    list.set("DefaultDependencies", Value::Bool(false));
    list.set("CollectMode", Value::Text("inactive-or-failed".to_owned()));
    list.0
}

/// The property for `memory.oom.group` in the unified map: `OOMPolicy`, which systemd takes only when a unit starts.
///
/// # Errors
/// [`Error::Invalid`] for a value other than 0 and 1.
pub fn start_properties(limits: &UnitLimits) -> Result<Vec<Property>> {
    let Some(value) = limits.unified.get("memory.oom.group") else { return Ok(Vec::new()) };
    let policy = match value.trim() {
        "0" => "continue",
        "1" => "kill",
        other => {
            return Err(Error::invalid("unified[memory.oom.group]", format!("{other:?} is neither 0 nor 1")));
        }
    };
    Ok(vec![Property::new("OOMPolicy", Value::Text(policy.to_owned()))])
}

/// The properties for `limits`, for a unit that starts and for one that runs.
///
/// A property that this version of systemd does not know is left out, for the control files get the value as well.
///
/// # Errors
/// [`Error::Invalid`] for a value that systemd would not take, and for a limit that the hierarchy doesn't have.
pub fn limit_properties(limits: &UnitLimits, target: &Target) -> Result<Vec<Property>> {
    let mut list = List::default();
    if let Some(rules) = &limits.devices {
        list.0.extend(device_properties(rules, &target.drivers)?);
    }
    match target.hierarchy {
        Version::V1 => legacy(&mut list, limits)?,
        Version::V2 => modern(&mut list, limits, target),
    }
    quota(&mut list, limits.cpu_quota, limits.cpu_period, target)?;
    list.set_number("TasksMax", limits.tasks_max);
    cpuset(&mut list, "AllowedCPUs", limits.cpus.as_deref(), "cpu.cpus", target)?;
    cpuset(&mut list, "AllowedMemoryNodes", limits.memory_nodes.as_deref(), "cpu.mems", target)?;
    if target.hierarchy == Version::V2 {
        unified_properties(&mut list, &limits.unified, target)?;
    }
    Ok(list.0)
}

fn legacy(list: &mut List, limits: &UnitLimits) -> Result<()> {
    if !limits.unified.is_empty() {
        return Err(Error::invalid("unified", "files of cgroup v2 on a machine with cgroup v1"));
    }
    list.set_number("MemoryLimit", limits.memory_max);
    list.set_number("CPUShares", limits.cpu_shares);
    list.set_number("BlockIOWeight", limits.io_weight);
    Ok(())
}

fn modern(list: &mut List, limits: &UnitLimits, target: &Target) {
    list.set_number("MemoryMin", limits.memory_min);
    list.set_number("MemoryLow", limits.memory_low);
    list.set_number("MemoryHigh", limits.memory_high);
    list.set_number("MemoryMax", limits.memory_max);
    list.set_number("MemorySwapMax", limits.memory_swap_max);
    match idles(limits.cpu_idle == Some(true), target) {
        true => list.set("CPUWeight", Value::U64(0)),
        false => list.set_number("CPUWeight", limits.cpu_weight),
    }
    list.set_number("IOWeight", limits.io_weight);
}

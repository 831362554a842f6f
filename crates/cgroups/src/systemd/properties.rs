//! Limits to the properties of a unit (systemd.resource-control(5), org.freedesktop.systemd1(5)). Pure.

use std::collections::BTreeMap;

use nix::unistd::Pid;

use super::device_list::device_properties;
use super::unified::unified_properties;
use super::unit::Placement;
use super::value::{Array, Value};
use crate::devices::Rule;
use crate::error::{Error, Result};
use crate::stats::Version;

/// `infinity` in systemd's numbers, and "no limit" in [`UnitLimits`].
pub const INFINITY: u64 = u64::MAX;

/// The kernel has at most 8192 CPUs (`CONFIG_NR_CPUS`), and fewer nodes (`MAX_NUMNODES`).
const MOST_CPUS: usize = 8192;
/// The kernel's period when only a quota is given, in microseconds.
const PERIOD: u64 = 100_000;

/// A property of a unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// Its name over D-Bus (`CPUQuotaPerSecUSec`), which differs here and there from the one in unit files.
    pub name: String,
    /// Its value.
    pub value: Value,
}

impl Property {
    /// A property by its name and value.
    #[must_use]
    pub fn new(name: &str, value: Value) -> Self {
        Self { name: name.to_owned(), value }
    }

    /// As it goes over the bus: `(sv)`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Struct(vec![Value::Text(self.name.clone()), Value::variant(self.value.clone())])
    }

    /// All of them as `a(sv)`.
    #[must_use]
    pub fn list(all: &[Self]) -> Value {
        Value::Array(Array::known("(sv)", all.iter().map(Self::to_value).collect()))
    }
}

/// What the manager and the machine are, as far as properties depend on it.
#[derive(Debug, Clone)]
pub struct Target {
    /// The version of the hierarchy that has the controllers.
    pub hierarchy: Version,
    /// systemd's version, of [`Manager::version`](super::Manager::version).
    pub systemd: u32,
    /// The text of `/proc/devices`: systemd names major numbers by their drivers.
    pub drivers: String,
}

/// The limits that systemd has a property for. None leaves a property alone, [`INFINITY`] takes a limit away.
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
    /// `CPUQuotaPerSecUSec`: microseconds of CPU time in each period; [`INFINITY`] for no limit.
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

/// The properties in the making: each name once, the last value wins, in the order of the first.
#[derive(Debug, Default)]
pub(super) struct List(pub(super) Vec<Property>);

impl List {
    pub(super) fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|property| property.name == name) {
            Some(old) => old.value = value,
            None => self.0.push(Property::new(name, value)),
        }
    }

    pub(super) fn set_number(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.set(name, Value::U64(value));
        }
    }
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

/// Whether idle is said by a weight of zero.
pub(super) fn idles(idle: bool, target: &Target) -> bool {
    idle && target.systemd >= 252
}

pub(super) fn quota(list: &mut List, quota: Option<u64>, period: Option<u64>, target: &Target) -> Result<()> {
    if let Some(field) = [(quota, "cpu.quota"), (period, "cpu.period")]
        .iter()
        .find_map(|(value, field)| (*value == Some(0)).then_some(*field))
    {
        return Err(Error::invalid(field, "zero microseconds"));
    }
    if target.systemd >= 242 {
        list.set_number("CPUQuotaPeriodUSec", period);
    }
    if quota.is_some() || period.is_some() {
        let each_second = quota.filter(|quota| *quota != INFINITY).map_or(INFINITY, |quota| {
            let micros = u128::from(quota) * 1_000_000 / u128::from(period.unwrap_or(PERIOD).max(1));
            // systemd keeps whole percents of a second; rounded down, groups below could not have the exact quota.
            u64::try_from(micros.next_multiple_of(10_000)).unwrap_or(INFINITY)
        });
        list.set("CPUQuotaPerSecUSec", Value::U64(each_second));
    }
    Ok(())
}

pub(super) fn cpuset(
    list: &mut List,
    name: &str,
    text: Option<&str>,
    field: &str,
    target: &Target,
) -> Result<()> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(()) };
    let mask = bit_mask(text)
        .ok_or_else(|| Error::invalid(field, format!("{text:?} is no list of numbers below {MOST_CPUS}")))?;
    if target.systemd >= 244 {
        list.set(name, Value::bytes(&mask));
    }
    Ok(())
}

/// `0-2,9` as bits: CPU n is bit n % 8 of byte n / 8. None for what is no such list.
#[must_use]
pub fn bit_mask(text: &str) -> Option<Vec<u8>> {
    let mut mask = Vec::new();
    for range in text.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (number(first)?, number(last)?);
        if first > last || last >= MOST_CPUS {
            return None;
        }
        if mask.len() <= last / 8 {
            mask.resize(last / 8 + 1, 0);
        }
        for cpu in first..=last {
            if let Some(byte) = mask.get_mut(cpu / 8) {
                *byte |= 1_u8 << (cpu % 8);
            }
        }
    }
    (!mask.is_empty()).then_some(mask)
}

fn number(text: &str) -> Option<usize> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

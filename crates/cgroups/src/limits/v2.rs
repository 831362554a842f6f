//! Version 2's files.

use std::collections::BTreeMap;

use super::v1::{check_use, idle};
use super::{Facts, Undo, Writes, io_weight, swap_alone, weight_of_shares};
use crate::error::{Error, Result};
use crate::resources::{BlockIo, Cpu, Memory, given};

pub(super) fn memory(memory: &Memory, facts: &Facts, writes: &mut Writes) -> Result<()> {
    let lost = [
        ("memory.kernel", given(memory.kernel).is_some()),
        ("memory.kernelTCP", given(memory.kernel_tcp).is_some()),
        ("memory.swappiness", memory.swappiness.is_some()),
        ("memory.disableOOMKiller", memory.disable_oom_killer == Some(true)),
        ("memory.useHierarchy", memory.use_hierarchy == Some(false)),
    ];
    refuse_v1_only(&lost)?;
    check_use(memory, facts, "memory.current")?;
    let limit = given(memory.limit);
    if let Some(swap) = swap(memory, facts)? {
        match (facts.has("memory.swap.max"), swap) {
            (true, _) => writes.push("memory", "memory.swap.max", amount(swap)),
            // A kernel without swap: there is none to limit.
            (false, -1 | 0) => {}
            (false, _) if memory.swap_if_counted => {}
            (false, _) => facts.need_file("memory.swap", "memory.swap.max")?,
        }
    }
    if let Some(limit) = limit {
        writes.push("memory", "memory.max", amount(limit));
    }
    if let Some(reservation) = given(memory.reservation) {
        writes.push("memory", "memory.low", amount(reservation));
    }
    Ok(())
}

fn swap(memory: &Memory, facts: &Facts) -> Result<Option<i64>> {
    match (given(memory.swap), given(memory.limit)) {
        (None, Some(-1)) => Ok(Some(-1)),
        (None, _) => Ok(None),
        (Some(sum), Some(limit)) => swap_alone(sum, Some(limit)).map(Some),
        (Some(sum), None) => {
            // `max` is more than any sum: then there is no limit to take off it.
            let now = facts.amount("memory.max")?.and_then(|now| i64::try_from(now).ok());
            swap_alone(sum, now).map(Some)
        }
    }
}

pub(super) fn cpu(cpu: &Cpu, facts: &Facts, writes: &mut Writes) -> Result<()> {
    let lost = [
        ("cpu.realtimeRuntime", given(cpu.realtime_runtime).is_some()),
        ("cpu.realtimePeriod", given(cpu.realtime_period).is_some()),
    ];
    refuse_v1_only(&lost)?;
    idle(cpu, facts, writes)?;
    if let Some(shares) = given(cpu.shares) {
        writes.push("cpu", "cpu.weight", weight_of_shares(shares));
    }
    let burst = cpu.burst.filter(|burst| *burst != 0 || facts.has("cpu.max.burst"));
    if burst.is_some() {
        facts.need_file("cpu.burst", "cpu.max.burst")?;
    }
    // ORDER: a smaller burst before the quota that it must fit in, a larger one after it.
    let old_burst = facts.amount("cpu.max.burst")?.unwrap_or(0);
    let smaller = burst.filter(|burst| *burst <= old_burst);
    if let Some(burst) = smaller {
        writes.push("cpu", "cpu.max.burst", burst);
    }
    let (quota, period) = (given(cpu.quota), given(cpu.period));
    if quota.is_some() || period.is_some() {
        // The half that isn't asked for stays as it is.
        let now = facts.text("cpu.max").unwrap_or("max 100000");
        let (old_quota, old_period) = now.split_once(' ').unwrap_or((now, "100000"));
        let quota = quota.map_or_else(|| old_quota.to_owned(), amount);
        let period = period.map_or_else(|| old_period.to_owned(), |period| period.to_string());
        writes.push("cpu", "cpu.max", format!("{quota} {period}"));
    }
    if let Some(burst) = burst.filter(|_| smaller.is_none()) {
        writes.push("cpu", "cpu.max.burst", burst);
    }
    Ok(())
}

pub(super) fn block_io(io: &BlockIo, facts: &Facts, writes: &mut Writes) -> Result<()> {
    let leaf = |weight: Option<u16>| given(weight).is_some();
    refuse_v1_only(&[
        ("blockIO.leafWeight", leaf(io.leaf_weight)),
        ("blockIO.weightDevice", io.weight_device.iter().any(|device| leaf(device.leaf_weight))),
    ])?;
    let bfq = facts.has("io.bfq.weight");
    let file = if bfq { "io.bfq.weight" } else { "io.weight" };
    // Bfq has blkio's range; io.weight has its own.
    let value = |weight: u16| if bfq { u64::from(weight) } else { io_weight(weight) }.to_string();
    if let Some(weight) = given(io.weight) {
        facts.need_file("blockIO.weight", file)?;
        writes.line("io", file, ("default", &value(weight)), "100");
    }
    for device in &io.weight_device {
        if let Some(weight) = given(device.weight) {
            facts.need_file("blockIO.weightDevice", file)?;
            let key = format!("{}:{}", device.major, device.minor);
            writes.line("io", file, (&key, &value(weight)), "default");
        }
    }
    let mut devices: BTreeMap<(i64, i64), Vec<String>> = BTreeMap::new();
    let kinds = [
        ("rbps", &io.throttle_read_bps_device),
        ("wbps", &io.throttle_write_bps_device),
        ("riops", &io.throttle_read_iops_device),
        ("wiops", &io.throttle_write_iops_device),
    ];
    for (kind, list) in kinds {
        for device in list {
            let rate = if device.rate == 0 { "max".to_owned() } else { device.rate.to_string() };
            devices.entry((device.major, device.minor)).or_default().push(format!("{kind}={rate}"));
        }
    }
    for ((major, minor), rates) in devices {
        let none = "rbps=max wbps=max riops=max wiops=max";
        writes.line("io", "io.max", (&format!("{major}:{minor}"), &rates.join(" ")), none);
    }
    Ok(())
}

/// `unified`: files by their own names.
pub(super) fn unified(files: &BTreeMap<String, String>, facts: &Facts, writes: &mut Writes) -> Result<()> {
    for (file, value) in files {
        let refuse = |problem: String| Err(Error::invalid(format!("unified[{file:?}]"), problem));
        if !facts.has_unified() {
            return refuse("invalid configuration: version 2 of control groups is not used here".to_owned());
        }
        if !facts.has(file) {
            let controller = file.split('.').next().unwrap_or_default();
            let known = controller == "cgroup" || facts.is_v2(controller);
            return refuse(if known {
                "no such file in the group".to_owned()
            } else {
                format!("the controller {controller} is not enabled in the group")
            });
        }
        let mut lines = value.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
        if lines.peek().is_none() {
            return refuse("the value is empty".to_owned());
        }
        for line in lines {
            let keyed = line.split_once([' ', '\t']).filter(|_| is_keyed(file, facts.text(file)));
            let undo = keyed.map_or(Undo::Whole, |(key, _)| Undo::Line {
                key: key.to_owned(),
                absent: reset(file).map(|reset| format!("{key} {reset}")),
            });
            writes.add("unified", file, line.to_owned(), undo);
        }
    }
    Ok(())
}

/// What takes a line of a file away.
fn reset(file: &str) -> Option<&'static str> {
    match file {
        "io.max" => Some("rbps=max wbps=max riops=max wiops=max"),
        "io.latency" => Some("target=0"),
        "io.weight" | "io.bfq.weight" => Some("default"),
        "rdma.max" => Some("hca_handle=max hca_object=max"),
        "misc.max" => Some("max"),
        _ => None,
    }
}

/// True for a file with a line per device or resource.
fn is_keyed(file: &str, text: Option<&str>) -> bool {
    reset(file).is_some() || text.is_some_and(|text| text.lines().count() > 1)
}

fn amount(value: i64) -> String {
    if value < 0 { "max".to_owned() } else { value.to_string() }
}

fn refuse_v1_only(fields: &[(&str, bool)]) -> Result<()> {
    match fields.iter().find(|(_, asked)| *asked) {
        Some((field, _)) => Err(Error::invalid(*field, "has no counterpart in version 2 of control groups")),
        None => Ok(()),
    }
}

//! Version 1's files.

use super::{Facts, Undo, Writes};
use crate::error::{Error, Result};
use crate::resources::{BlockIo, Cpu, Memory, ThrottleDevice, given};

pub(super) fn memory(memory: &Memory, facts: &Facts, writes: &mut Writes) -> Result<()> {
    hierarchy(memory, facts, writes)?;
    check_use(memory, facts, "memory.usage_in_bytes")?;
    let limit = given(memory.limit);
    let counted = facts.has("memory.memsw.limit_in_bytes");
    let asked = given(memory.swap).filter(|_| counted || !memory.swap_if_counted);
    let swap = match (asked, limit) {
        // No limit of memory is none unless it is none with swap too.
        (None, Some(-1)) if counted => Some(-1),
        (Some(-1), _) if !counted => None,
        (Some(_), _) if !counted => {
            return Err(Error::invalid("memory.swap", "this kernel doesn't count swap (swapaccount=0)"));
        }
        (swap, _) => swap,
    };
    limits(limit, swap, facts, writes)?;
    if let Some(reservation) = given(memory.reservation) {
        writes.push("memory", "memory.soft_limit_in_bytes", reservation);
    }
    let kernel = [
        ("memory.kernel", memory.kernel, "memory.kmem.limit_in_bytes"),
        ("memory.kernelTCP", memory.kernel_tcp, "memory.kmem.tcp.limit_in_bytes"),
    ];
    for (field, amount, file) in kernel {
        if let Some(amount) = given(amount) {
            facts.need_file(field, file)?;
            writes.push("memory", file, amount);
        }
    }
    if let Some(swappiness) = memory.swappiness {
        writes.push("memory", "memory.swappiness", swappiness);
    }
    if let Some(off) = memory.disable_oom_killer {
        let now = facts.text("memory.oom_control").is_some_and(|text| text.contains("oom_kill_disable 1"));
        if off != now {
            let undo = Undo::Field("oom_kill_disable");
            writes.add("memory", "memory.oom_control", u8::from(off).to_string(), undo);
        }
    }
    Ok(())
}

fn hierarchy(memory: &Memory, facts: &Facts, writes: &mut Writes) -> Result<()> {
    let Some(whole) = memory.use_hierarchy else { return Ok(()) };
    match facts.text("memory.use_hierarchy") {
        Some(now) if now == u8::from(whole).to_string() => Ok(()),
        Some(_) => {
            writes.push("memory", "memory.use_hierarchy", u8::from(whole));
            Ok(())
        }
        None if whole => Ok(()),
        None => facts.need_file("memory.useHierarchy", "memory.use_hierarchy"),
    }
}

/// `checkBeforeUpdate`: refuses a limit below what is used already, of memory or of memory and swap together. The first words are runc's.
pub(super) fn check_use(memory: &Memory, facts: &Facts, file: &str) -> Result<()> {
    // No limit is below nothing.
    let size = |limit: Option<i64>| given(limit).and_then(|limit| u64::try_from(limit).ok());
    let limits =
        [("memory.swap", "memory+swap", size(memory.swap)), ("memory.limit", "memory", size(memory.limit))];
    if memory.check_before_update != Some(true) || limits.iter().all(|(.., limit)| limit.is_none()) {
        return Ok(());
    }
    facts.need_file("memory.checkBeforeUpdate", file)?;
    let Some(used) = facts.amount(file)? else { return Ok(()) };
    for (field, of, limit) in limits {
        if let Some(limit) = limit.filter(|limit| used > *limit) {
            let problem = format!("rejecting {of} limit {limit}, below the {used} bytes in use");
            return Err(Error::invalid(field, problem));
        }
    }
    Ok(())
}

/// At every moment the kernel wants the limit of memory to be no larger than that of memory and swap.
fn limits(limit: Option<i64>, swap: Option<i64>, facts: &Facts, writes: &mut Writes) -> Result<()> {
    let size = |amount: i64| u64::try_from(amount).unwrap_or(u64::MAX);
    // Without accounting of swap there is no limit of the sum.
    let now = facts.amount("memory.limit_in_bytes")?.unwrap_or(u64::MAX);
    let now_swap = facts.amount("memory.memsw.limit_in_bytes")?.unwrap_or(u64::MAX);
    let mut memory = |value: i64| writes.push("memory", "memory.limit_in_bytes", value);
    match (limit, swap) {
        (None, None) => {}
        (Some(limit), None) => {
            if size(limit) > now_swap {
                let problem = format!(
                    "{limit} is above the limit of memory and swap, {now_swap}: give memory.swap too"
                );
                return Err(Error::invalid("memory.limit", problem));
            }
            memory(limit);
        }
        (None, Some(swap)) => {
            if size(swap) < now {
                let problem =
                    format!("{swap} is below the limit of memory, {now}; it counts memory and swap together");
                return Err(Error::invalid("memory.swap", problem));
            }
            writes.push("memory", "memory.memsw.limit_in_bytes", swap);
        }
        // ORDER: the sum first where it makes room for the limit, else the limit first.
        (Some(limit), Some(swap)) if size(swap) >= now => {
            writes.push("memory", "memory.memsw.limit_in_bytes", swap);
            writes.push("memory", "memory.limit_in_bytes", limit);
        }
        (Some(limit), Some(swap)) => {
            memory(limit);
            writes.push("memory", "memory.memsw.limit_in_bytes", swap);
        }
    }
    Ok(())
}

pub(super) fn cpu(cpu: &Cpu, facts: &Facts, writes: &mut Writes) -> Result<()> {
    idle(cpu, facts, writes)?;
    if let Some(shares) = given(cpu.shares) {
        if shares < 2 {
            return Err(Error::invalid("cpu.shares", format!("{shares} is below 2")));
        }
        writes.push("cpu", "cpu.shares", shares);
    }
    let realtime = Band {
        quota: ("cpu.realtimeRuntime", "cpu.rt_runtime_us", given(cpu.realtime_runtime)),
        period: ("cpu.realtimePeriod", "cpu.rt_period_us", given(cpu.realtime_period)),
        usual: (0, 1_000_000),
    };
    realtime.plan(facts, writes)?;
    // ORDER: a smaller burst before the quota that it must fit in, a larger one after it.
    let burst = cpu.burst.filter(|burst| *burst != 0 || facts.has("cpu.cfs_burst_us"));
    if burst.is_some() {
        facts.need_file("cpu.burst", "cpu.cfs_burst_us")?;
    }
    let old_burst = facts.amount("cpu.cfs_burst_us")?.unwrap_or(0);
    let smaller = burst.filter(|burst| *burst <= old_burst);
    if let Some(burst) = smaller {
        writes.push("cpu", "cpu.cfs_burst_us", burst);
    }
    let fair = Band {
        quota: ("cpu.quota", "cpu.cfs_quota_us", given(cpu.quota)),
        period: ("cpu.period", "cpu.cfs_period_us", given(cpu.period)),
        usual: (-1, 100_000),
    };
    fair.plan(facts, writes)?;
    if let Some(burst) = burst.filter(|_| smaller.is_none()) {
        writes.push("cpu", "cpu.cfs_burst_us", burst);
    }
    Ok(())
}

/// `cpu.idle`, the same in both versions.
pub(super) fn idle(cpu: &Cpu, facts: &Facts, writes: &mut Writes) -> Result<()> {
    let Some(idle) = cpu.idle else { return Ok(()) };
    if idle == 1 {
        facts.need_file("cpu.idle", "cpu.idle")?;
    }
    if facts.text("cpu.idle").is_some_and(|now| now != idle.to_string()) {
        writes.push("cpu", "cpu.idle", idle);
    }
    Ok(())
}

/// A quota and its period, which are two files in version 1. Each is field, file, new value.
struct Band {
    quota: (&'static str, &'static str, Option<i64>),
    period: (&'static str, &'static str, Option<u64>),
    /// What holds where the kernel doesn't tell.
    usual: (i64, u64),
}

impl Band {
    fn plan(&self, facts: &Facts, writes: &mut Writes) -> Result<()> {
        for (field, file, asked) in [
            (self.quota.0, self.quota.1, self.quota.2.is_some()),
            (self.period.0, self.period.1, self.period.2.is_some()),
        ] {
            if asked {
                facts.need_file(field, file)?;
            }
        }
        let quota = self.quota.2.map(|quota| (self.quota.1, quota.to_string()));
        let period = self.period.2.map(|period| (self.period.1, period.to_string()));
        let both = if self.period_first(facts)? { [period, quota] } else { [quota, period] };
        for (file, value) in both.into_iter().flatten() {
            writes.push("cpu", file, value);
        }
        Ok(())
    }

    /// ORDER: the group above limits the share of time at every moment. Of the two states in between, the one with the smaller
    /// share is never above both the old and the new one. Without a quota the period is free, and the share is the one above.
    fn period_first(&self, facts: &Facts) -> Result<bool> {
        let (Some(quota), Some(period)) = (self.quota.2, self.period.2) else { return Ok(true) };
        let old_quota = facts.signed(self.quota.1)?.unwrap_or(self.usual.0);
        let old_period = facts.amount(self.period.1)?.unwrap_or(self.usual.1);
        // A negative quota is none.
        let size = |quota: i64| u128::try_from(quota).ok();
        Ok(match (size(old_quota), size(quota)) {
            // old quota / new period against new quota / old period, multiplied out.
            (Some(old), Some(new)) => old * u128::from(old_period) <= new * u128::from(period),
            (Some(_), None) => false,
            (None, _) => true,
        })
    }
}

pub(super) fn block_io(io: &BlockIo, facts: &Facts, writes: &mut Writes) -> Result<()> {
    // KERNEL(5.0): the scheduler that had these without bfq went away.
    let first = |names: [&'static str; 2]| names.into_iter().find(|file| facts.has(file));
    if let Some(weight) = given(io.weight) {
        let file = first(["blkio.weight", "blkio.bfq.weight"]);
        writes.push("blkio", file.ok_or_else(|| no_weight("blockIO.weight"))?, weight);
    }
    if let Some(weight) = given(io.leaf_weight) {
        facts.need_file("blockIO.leafWeight", "blkio.leaf_weight")?;
        writes.push("blkio", "blkio.leaf_weight", weight);
    }
    for (index, device) in io.weight_device.iter().enumerate() {
        let (key, field) =
            (format!("{}:{}", device.major, device.minor), format!("blockIO.weightDevice[{index}]"));
        if let Some(weight) = given(device.weight) {
            let file = first(["blkio.weight_device", "blkio.bfq.weight_device"]);
            let file = file.ok_or_else(|| no_weight(&field))?;
            writes.line("blkio", file, (&key, &weight.to_string()), "default");
        }
        if let Some(weight) = given(device.leaf_weight) {
            facts.need_file(&field, "blkio.leaf_weight_device")?;
            writes.line("blkio", "blkio.leaf_weight_device", (&key, &weight.to_string()), "default");
        }
    }
    for (kind, devices) in throttles(io) {
        for device in devices {
            let (key, rate) = (format!("{}:{}", device.major, device.minor), device.rate.to_string());
            writes.line("blkio", &format!("blkio.throttle.{kind}_device"), (&key, &rate), "0");
        }
    }
    Ok(())
}

fn throttles(io: &BlockIo) -> [(&'static str, &[ThrottleDevice]); 4] {
    [
        ("read_bps", &io.throttle_read_bps_device),
        ("write_bps", &io.throttle_write_bps_device),
        ("read_iops", &io.throttle_read_iops_device),
        ("write_iops", &io.throttle_write_iops_device),
    ]
}

fn no_weight(field: &str) -> Error {
    Error::invalid(field, "no scheduler of block devices with weights is loaded (bfq)")
}

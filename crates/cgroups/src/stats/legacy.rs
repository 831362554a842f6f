//! The measurements as of 2014, with the JSON keys of then. Three of them are misspelled for ever:
//! `throlling_data`, `io_serviced_recusrive`, `io_queue_recursive`.
//!
//! Zeros and empty lists are left out, except the times in user and kernel mode and `failcnt`. What isn't known is zero, since this form has
//! nothing else for it: [`super::Stats`] tells the two apart.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Io, IoEntry, Op};

/// All measurements.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Processor time.
    pub cpu_stats: CpuStats,
    /// Memory.
    pub memory_stats: MemoryStats,
    /// Block devices.
    pub blkio_stats: BlkioStats,
}

/// Processor time and its limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuStats {
    /// Use.
    pub cpu_usage: CpuUsage,
    /// What the limit did.
    #[serde(rename = "throlling_data")]
    pub throttling_data: ThrottlingData,
}

/// Use of the processors.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuUsage {
    /// Percent between two samples; 100 is one processor.
    #[serde(skip_serializing_if = "is_zero")]
    pub percent_usage: u64,
    /// Whole processors between two samples.
    #[serde(skip_serializing_if = "is_zero")]
    pub current_usage: u64,
    /// Nanoseconds in all.
    #[serde(skip_serializing_if = "is_zero")]
    pub total_usage: u64,
    /// Nanoseconds per processor.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub percpu_usage: Vec<u64>,
    /// Nanoseconds in the kernel.
    pub usage_in_kernelmode: u64,
    /// Nanoseconds in user mode.
    pub usage_in_usermode: u64,
}

/// What the bandwidth limit did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThrottlingData {
    /// Periods in which the group wanted to run.
    #[serde(skip_serializing_if = "is_zero")]
    pub periods: u64,
    /// Of them those in which the quota ran out.
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_periods: u64,
    /// Nanoseconds lost by that.
    #[serde(skip_serializing_if = "is_zero")]
    pub throttled_time: u64,
}

/// Memory in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryStats {
    /// In use.
    #[serde(skip_serializing_if = "is_zero")]
    pub usage: u64,
    /// The most there ever was.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_usage: u64,
    /// `memory.stat`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stats: BTreeMap<String, u64>,
    /// How often the limit was hit.
    pub failcnt: u64,
}

/// Block devices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlkioStats {
    /// Bytes by operation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub io_service_bytes_recursive: Vec<BlkioStatEntry>,
    /// Requests by operation.
    #[serde(rename = "io_serviced_recusrive", skip_serializing_if = "Vec::is_empty")]
    pub io_serviced_recursive: Vec<BlkioStatEntry>,
    /// Requests in the queue by operation.
    #[serde(rename = "io_queue_recursive", skip_serializing_if = "Vec::is_empty")]
    pub io_queued_recursive: Vec<BlkioStatEntry>,
    /// Sectors of 512 bytes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sectors_recursive: Vec<BlkioStatEntry>,
}

/// A number of one device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BlkioStatEntry {
    /// Major number.
    #[serde(skip_serializing_if = "is_zero")]
    pub major: u64,
    /// Minor number.
    #[serde(skip_serializing_if = "is_zero")]
    pub minor: u64,
    /// `Read`, `Write`, `Sync`, `Async`, `Total`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub op: String,
    /// The number.
    #[serde(skip_serializing_if = "is_zero")]
    pub value: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

impl Stats {
    /// Adds what needs two samples: percent of one processor, as of [`Sampler::sample`](super::Sampler::sample).
    #[must_use]
    pub fn with_percent(mut self, percent: Option<f64>) -> Self {
        let whole = percent
            .and_then(|percent| Duration::try_from_secs_f64(percent).ok())
            .map_or(0, |whole| whole.as_secs());
        self.cpu_stats.cpu_usage.percent_usage = whole;
        self.cpu_stats.cpu_usage.current_usage = whole / 100;
        self
    }
}

impl From<&super::Stats> for Stats {
    fn from(stats: &super::Stats) -> Self {
        Self {
            cpu_stats: (&stats.cpu).into(),
            memory_stats: (&stats.memory).into(),
            blkio_stats: (&stats.io).into(),
        }
    }
}

impl From<&super::Cpu> for CpuStats {
    fn from(cpu: &super::Cpu) -> Self {
        Self {
            cpu_usage: CpuUsage {
                percent_usage: 0,
                current_usage: 0,
                total_usage: cpu.usage.unwrap_or(0),
                percpu_usage: cpu.per_cpu.clone(),
                usage_in_kernelmode: cpu.system.unwrap_or(0),
                usage_in_usermode: cpu.user.unwrap_or(0),
            },
            throttling_data: ThrottlingData {
                periods: cpu.throttling.periods.unwrap_or(0),
                throttled_periods: cpu.throttling.throttled_periods.unwrap_or(0),
                throttled_time: cpu.throttling.throttled_time.unwrap_or(0),
            },
        }
    }
}

impl From<&super::Memory> for MemoryStats {
    fn from(memory: &super::Memory) -> Self {
        Self {
            usage: memory.total.usage.unwrap_or(0),
            max_usage: memory.total.max_usage.unwrap_or(0),
            stats: memory.stat.iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            failcnt: memory.total.failcnt.unwrap_or(0),
        }
    }
}

impl From<&Io> for BlkioStats {
    /// Version 2 has no lists by operation: reads and writes of each device stand in for them.
    fn from(io: &Io) -> Self {
        let unified = io.service_bytes.is_empty() && io.serviced.is_empty();
        let (bytes, requests) = if unified { lists_of_devices(io) } else { Default::default() };
        Self {
            io_service_bytes_recursive: if unified { bytes } else { entries(&io.service_bytes) },
            io_serviced_recursive: if unified { requests } else { entries(&io.serviced) },
            io_queued_recursive: entries(&io.queued),
            sectors_recursive: entries(&io.sectors),
        }
    }
}

fn entries(list: &[IoEntry]) -> Vec<BlkioStatEntry> {
    list.iter().map(BlkioStatEntry::from).collect()
}

impl From<&IoEntry> for BlkioStatEntry {
    fn from(entry: &IoEntry) -> Self {
        let op = entry.op.map_or("", Op::as_str).to_owned();
        Self { major: entry.major.into(), minor: entry.minor.into(), op, value: entry.value }
    }
}

fn lists_of_devices(io: &Io) -> (Vec<BlkioStatEntry>, Vec<BlkioStatEntry>) {
    let (mut bytes, mut requests) = (Vec::new(), Vec::new());
    for device in &io.devices {
        let push = |list: &mut Vec<BlkioStatEntry>, op: Op, value: Option<u64>| {
            if let Some(value) = value {
                list.push(
                    (&IoEntry { major: device.major, minor: device.minor, op: Some(op), value }).into(),
                );
            }
        };
        push(&mut bytes, Op::Read, device.read_bytes);
        push(&mut bytes, Op::Write, device.write_bytes);
        push(&mut requests, Op::Read, device.reads);
        push(&mut requests, Op::Write, device.writes);
    }
    (bytes, requests)
}

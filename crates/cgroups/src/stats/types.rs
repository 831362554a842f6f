//! What is measured. Every number has its unit; what a kernel doesn't tell is None.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::list::{List, Named, rename};
use super::memory::{Memory, NumaEntry, Usage};

/// Everything the control files of one group tell.
///
/// As JSON, one object per section, `null` fields left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Stats {
    /// Processor time.
    pub cpu: Cpu,
    /// Memory, swap, kernel memory.
    pub memory: Memory,
    /// Block devices.
    pub io: super::Io,
    /// Huge pages, one element per page size.
    pub hugetlb: List<HugePages>,
    /// Processes and threads.
    pub pids: Pids,
    /// RDMA devices.
    pub rdma: List<RdmaDevice>,
    /// The miscellaneous controller's resources.
    pub misc: List<MiscResource>,
    /// Processors and memory nodes that may be used.
    pub cpuset: Cpuset,
    /// Pressure stall information of the group (version 2 or hybrid).
    pub pressure: Pressures,
}

/// A limit.
///
/// As JSON, a number or `"max"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// This much, in the unit of what is limited.
    At(u64),
    /// None.
    Max,
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::At(value) => serializer.serialize_u64(*value),
            Self::Max => serializer.serialize_str("max"),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl de::Visitor<'_> for Either {
            type Value = Limit;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or \"max\"")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Limit, E> {
                Ok(Limit::At(value))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Limit, E> {
                match text {
                    "max" => Ok(Limit::Max),
                    _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
                }
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// Processor time, all in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Cpu {
    /// Used since the group was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<u64>,
    /// Of it in user mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<u64>,
    /// Of it in the kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<u64>,
    /// Of the user time that of processes with a positive nice value (version 2, KERNEL(6.12)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nice: Option<u64>,
    /// Time that a sibling thread stood idle because of core scheduling (version 2, KERNEL(6.1)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forced_idle: Option<u64>,
    /// Used per processor (version 1; the index is the processor's number).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub per_cpu: Vec<u64>,
    /// Of it in user mode (version 1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub per_cpu_user: Vec<u64>,
    /// Of it in the kernel (version 1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub per_cpu_system: Vec<u64>,
    /// What the bandwidth limit did.
    pub throttling: Throttling,
}

/// What the bandwidth limit (quota, period, burst) did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Throttling {
    /// Periods in which the group wanted to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub periods: Option<u64>,
    /// Of them those in which the quota ran out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_periods: Option<u64>,
    /// Nanoseconds that its run queues stood still for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_time: Option<u64>,
    /// Periods in which a burst was used (KERNEL(5.15)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bursts: Option<u64>,
    /// Nanoseconds used beyond the quota in bursts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst_time: Option<u64>,
}

/// Huge pages of one size, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct HugePages {
    /// The page's size as in the file names: `2MB`, `1GB`.
    pub size: String,
    /// Pages in use.
    pub used: Usage,
    /// Pages reserved by mappings (KERNEL(5.7)).
    pub reserved: Usage,
}

/// Processes and threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Pids {
    /// How many there are, threads included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    /// How many there may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// The most there ever were (KERNEL(6.1)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak: Option<u64>,
    /// Forks refused by the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
}

/// Objects of one RDMA device.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RdmaDevice {
    /// The device, such as `mlx4_0`.
    pub name: String,
    /// Open handles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handles: Option<u64>,
    /// Objects in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<u64>,
    /// Handles that may be open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handle_limit: Option<Limit>,
    /// Objects that may be in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_limit: Option<Limit>,
}

/// A resource of the miscellaneous controller, counted in its own unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct MiscResource {
    /// The resource, such as `sev` or `res_a`.
    pub name: String,
    /// In use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<u64>,
    /// What may be in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// The most that was ever in use (KERNEL(6.11)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak: Option<u64>,
    /// How often the limit was hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<u64>,
}

/// Processors and memory nodes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Cpuset {
    /// Processors asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cpus: Vec<IdRange>,
    /// Memory nodes asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mems: Vec<IdRange>,
    /// Processors in fact allowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub effective_cpus: Vec<IdRange>,
    /// Memory nodes in fact allowed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub effective_mems: Vec<IdRange>,
    /// No sibling may share the processors (version 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_exclusive: Option<bool>,
    /// No sibling may share the nodes (version 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_exclusive: Option<bool>,
    /// Kernel memory too stays on the nodes (version 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_hardwall: Option<bool>,
    /// Pages move when `mems` changes (version 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_migrate: Option<bool>,
    /// Page cache is spread over the nodes (version 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_spread_page: Option<bool>,
    /// Slab is spread over the nodes (version 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_spread_slab: Option<bool>,
    /// Load is balanced between the processors (version 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sched_load_balance: Option<bool>,
    /// Direct reclaims per second, times 1000 (version 1, zero unless switched on in the root).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_pressure: Option<u64>,
    /// How far the scheduler looks for idle processors, -1 to 5 (version 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sched_relax_domain_level: Option<i64>,
}

/// An inclusive range of processors or nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    /// The first.
    pub first: u32,
    /// The last.
    pub last: u32,
}

/// Pressure per resource; None where the kernel lacks the file or PSI is off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Pressures {
    /// Waiting for a processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Pressure>,
    /// Waiting for memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Pressure>,
    /// Waiting for block devices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io: Option<Pressure>,
    /// Time taken by interrupts (KERNEL(6.1); `full` only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub irq: Option<Pressure>,
}

/// A file of pressure stall information.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pressure {
    /// At least one task waited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub some: Option<Stall>,
    /// All tasks waited at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full: Option<Stall>,
}

/// Share of time lost waiting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Stall {
    /// Percent over the last 10 s.
    pub avg10: f64,
    /// Percent over the last 60 s.
    pub avg60: f64,
    /// Percent over the last 300 s.
    pub avg300: f64,
    /// Microseconds in all.
    pub total: u64,
}

macro_rules! named {
    ($($kind:ty, $name:ident;)*) => {$(
        impl Named for $kind {
            fn name(&self) -> &str {
                &self.$name
            }

            fn restart(&mut self, name: &str) {
                let mut text = std::mem::take(&mut self.$name);
                rename(&mut text, name);
                *self = Self { $name: text, ..Self::default() };
            }
        }
    )*};
}

named! {
    HugePages, size;
    RdmaDevice, name;
    MiscResource, name;
}

impl Named for NumaEntry {
    fn name(&self) -> &str {
        &self.name
    }

    fn restart(&mut self, name: &str) {
        rename(&mut self.name, name);
        self.nodes.clear();
        self.total = None;
    }
}

/// The vector without its elements, with its memory.
pub(super) fn emptied<T>(vector: &mut Vec<T>) -> Vec<T> {
    vector.clear();
    std::mem::take(vector)
}

impl Stats {
    /// Forgets all values; the memory that held them stays.
    pub(super) fn reset(&mut self) {
        self.cpu.reset();
        self.memory.reset();
        self.io.reset();
        self.hugetlb.clear();
        self.pids = Pids::default();
        self.rdma.clear();
        self.misc.clear();
        self.cpuset.reset();
        self.pressure = Pressures::default();
    }
}

impl Cpu {
    fn reset(&mut self) {
        *self = Self {
            per_cpu: emptied(&mut self.per_cpu),
            per_cpu_user: emptied(&mut self.per_cpu_user),
            per_cpu_system: emptied(&mut self.per_cpu_system),
            ..Self::default()
        };
    }
}

impl Cpuset {
    fn reset(&mut self) {
        *self = Self {
            cpus: emptied(&mut self.cpus),
            mems: emptied(&mut self.mems),
            effective_cpus: emptied(&mut self.effective_cpus),
            effective_mems: emptied(&mut self.effective_mems),
            ..Self::default()
        };
    }
}

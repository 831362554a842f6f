//! Memory: what is measured.

use serde::{Deserialize, Serialize};

use super::Limit;
use super::list::{Counters, List};

/// A use of memory and its bounds, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Usage {
    /// Bytes in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<u64>,
    /// The most bytes that were ever in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_usage: Option<u64>,
    /// The limit in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Limit>,
    /// How often the limit was hit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failcnt: Option<u64>,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Memory {
    /// All memory of the group, page cache included.
    pub total: Usage,
    /// Swap alone. Version 1 tells no more than its usage, from `memory.stat`.
    pub swap: Usage,
    /// Memory and swap together (version 1).
    pub memory_and_swap: Usage,
    /// Kernel memory. Version 2 tells no more than its usage, from `memory.stat` (KERNEL(5.18)).
    pub kernel: Usage,
    /// Buffers of sockets. Version 2 tells no more than its usage, from `memory.stat`.
    pub kernel_tcp: Usage,
    /// Compressed swap in memory (version 2).
    pub zswap: Usage,
    /// The soft limit, `memory.soft_limit_in_bytes` (version 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soft_limit: Option<Limit>,
    /// Throttled above this, `memory.high` (version 2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<Limit>,
    /// Protected as far as possible below this, `memory.low` (version 2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<Limit>,
    /// Protected below this, `memory.min` (version 2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<Limit>,
    /// Page cache, shared memory included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<u64>,
    /// Anonymous memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rss: Option<u64>,
    /// Page cache that was not used lately: the first to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inactive_file: Option<u64>,
    /// True while a process waits for memory in an OOM (version 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_oom: Option<bool>,
    /// True when processes wait instead of being killed (version 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_kill_disable: Option<bool>,
    /// How often what happened.
    pub events: MemoryEvents,
    /// `memory.stat` as the kernel shows it: bytes and counts.
    pub stat: Counters,
    /// `memory.numa_stat`.
    pub numa: List<NumaEntry>,
}

impl Memory {
    /// Bytes in use that can't be dropped at once: usage less inactive page cache. None when one of them is not known.
    #[must_use]
    pub fn working_set(&self) -> Option<u64> {
        Some(self.total.usage?.saturating_sub(self.inactive_file?))
    }
}

/// Counts of `memory.events` (version 2), `oom_kill` also of `memory.oom_control` (version 1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct MemoryEvents {
    /// Reclaimed although below `low`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<u64>,
    /// Throttled and made to reclaim because above `high`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<u64>,
    /// About to exceed the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// An allocation was about to fail at the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom: Option<u64>,
    /// Processes killed by any kind of OOM killer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_kill: Option<u64>,
    /// Times the group was killed as a whole (KERNEL(5.17)).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_group_kill: Option<u64>,
}

/// One line of `memory.numa_stat`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NumaEntry {
    /// What is counted, such as `anon`, `file`, `hierarchical_total`.
    pub name: String,
    /// Of all nodes (version 1), as in `nodes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Per node.
    pub nodes: Vec<NodeValue>,
}

/// What is on one memory node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeValue {
    /// The node's number.
    pub node: u32,
    /// Bytes; for version 2's `workingset_` lines a count.
    pub value: u64,
}

impl Memory {
    pub(super) fn reset(&mut self) {
        let (mut stat, mut numa) = (std::mem::take(&mut self.stat), std::mem::take(&mut self.numa));
        stat.clear();
        numa.clear();
        *self = Self { stat, numa, ..Self::default() };
    }
}

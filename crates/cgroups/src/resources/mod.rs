//! What a group may use, in the words and the JSON of the OCI runtime specification 1.3 (`linux.resources`).
//!
//! A field that is absent is left alone; where [`Resources`] says "0 = unset", zero is the same as absent, as in runc.

mod validate;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::devices::Rule;

/// Limits and other settings of one group. Unknown keys are ignored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Resources {
    /// The device filter; empty = left alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Rule>,
    /// Memory and swap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// Processor time, and which processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Cpu>,
    /// Number of processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pids: Option<Pids>,
    /// Block devices.
    #[serde(rename = "blockIO", skip_serializing_if = "Option::is_none")]
    pub block_io: Option<BlockIo>,
    /// Huge pages, one element per page size.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hugepage_limits: Vec<HugepageLimit>,
    /// Marks of network packets; version 1 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// RDMA devices by name (`mlx5_0`).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub rdma: BTreeMap<String, Rdma>,
    /// Files of version 2 by name, and what to write to them, line by line. They are written last and so win over the fields above.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub unified: BTreeMap<String, String>,
}

/// `memory`: bytes, -1 = unlimited, 0 = unset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Memory {
    /// Hard limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// Soft limit: version 1's `memory.soft_limit_in_bytes`, version 2's `memory.low`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reservation: Option<i64>,
    /// Memory and swap together, as version 1 counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<i64>,
    /// Kernel memory; version 1 only, and newer kernels have given it up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kernel: Option<i64>,
    /// Buffers of TCP; version 1 only.
    #[serde(rename = "kernelTCP", skip_serializing_if = "Option::is_none")]
    pub kernel_tcp: Option<i64>,
    /// 0 to 100; version 1 only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swappiness: Option<u64>,
    /// Let processes wait at the limit instead of killing one; version 1 only.
    #[serde(rename = "disableOOMKiller", skip_serializing_if = "Option::is_none")]
    pub disable_oom_killer: Option<bool>,
    /// Count the groups below too, as version 2 always does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub use_hierarchy: Option<bool>,
    /// Refuse a new limit that is below the use of now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check_before_update: Option<bool>,
    /// `swap` was not asked for but follows from `limit`: it is left out where the kernel doesn't count swap. Not in JSON.
    #[serde(skip)]
    pub swap_if_counted: bool,
}

impl Resources {
    /// Without the zeros and empty texts that mean unset: of an update they must not take the place of what is there. Docker sends them.
    #[must_use]
    pub fn without_unset(mut self) -> Self {
        if let Some(memory) = &mut self.memory {
            for field in [
                &mut memory.limit,
                &mut memory.reservation,
                &mut memory.swap,
                &mut memory.kernel,
                &mut memory.kernel_tcp,
            ] {
                *field = given(*field);
            }
        }
        if let Some(cpu) = &mut self.cpu {
            (cpu.shares, cpu.quota, cpu.period) = (given(cpu.shares), given(cpu.quota), given(cpu.period));
            cpu.realtime_runtime = given(cpu.realtime_runtime);
            cpu.realtime_period = given(cpu.realtime_period);
            for list in [&mut cpu.cpus, &mut cpu.mems] {
                list.take_if(|text| text.trim().is_empty());
            }
        }
        if let Some(io) = &mut self.block_io {
            (io.weight, io.leaf_weight) = (given(io.weight), given(io.leaf_weight));
        }
        self
    }
}

impl Memory {
    /// Memory and swap together get twice the limit of memory, as in 2014, unless something else is asked of them.
    #[must_use]
    pub fn with_swap_of_2014(mut self) -> Self {
        if given(self.swap).is_none() {
            self.swap = given(self.limit).filter(|limit| *limit > 0).map(|limit| limit.saturating_mul(2));
            self.swap_if_counted = self.swap.is_some();
        }
        self
    }
}

/// `cpu`: times in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Cpu {
    /// Relative weight, 2 to 262144, 1024 being usual; 0 = unset. See [`crate::limits::weight_of_shares`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<u64>,
    /// Time per period, at least 1000; -1 = unlimited; 0 = unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<i64>,
    /// Unused time that may be saved up, at most the quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<u64>,
    /// Length of the period, 1000 to 1000000; 0 = unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
    /// Time per period of realtime processes; version 1 only; 0 = unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realtime_runtime: Option<i64>,
    /// Period of realtime processes; version 1 only; 0 = unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub realtime_period: Option<u64>,
    /// Processors, `0-3,7`; empty = unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
    /// Memory nodes, `0-1`; empty = unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mems: Option<String>,
    /// 1: only time that nobody else wants.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle: Option<i64>,
}

/// `pids`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pids {
    /// Processes and threads at most; -1 = unlimited; 0 is written as 1, as runc does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
}

/// `blockIO`: weights from 10 to 1000, 0 = unset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct BlockIo {
    /// Weight among the sister groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// Weight of own processes against groups below; version 1 with the CFQ scheduler only (kernels before 5.0).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf_weight: Option<u16>,
    /// Weights for single devices.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub weight_device: Vec<WeightDevice>,
    /// Bytes read per second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub throttle_read_bps_device: Vec<ThrottleDevice>,
    /// Bytes written per second.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub throttle_write_bps_device: Vec<ThrottleDevice>,
    /// Reads per second.
    #[serde(rename = "throttleReadIOPSDevice", skip_serializing_if = "Vec::is_empty")]
    pub throttle_read_iops_device: Vec<ThrottleDevice>,
    /// Writes per second.
    #[serde(rename = "throttleWriteIOPSDevice", skip_serializing_if = "Vec::is_empty")]
    pub throttle_write_iops_device: Vec<ThrottleDevice>,
}

/// Weight for one device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct WeightDevice {
    /// Device number, first half.
    pub major: i64,
    /// Device number, second half.
    pub minor: i64,
    /// As [`BlockIo::weight`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<u16>,
    /// As [`BlockIo::leaf_weight`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf_weight: Option<u16>,
}

/// Rate for one device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThrottleDevice {
    /// Device number, first half.
    pub major: i64,
    /// Device number, second half.
    pub minor: i64,
    /// Per second; 0 takes the limit away.
    pub rate: u64,
}

/// Limit of one size of huge pages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct HugepageLimit {
    /// `64KB`, `2MB`, `1GB`.
    pub page_size: String,
    /// Bytes, for pages in use and (where the kernel counts these) reserved.
    pub limit: u64,
}

/// `network`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// Class of packets sent (`net_cls.classid`); 0 = unset.
    #[serde(rename = "classID", skip_serializing_if = "Option::is_none")]
    pub class_id: Option<u32>,
    /// Priorities by interface (`net_prio.ifpriomap`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub priorities: Vec<Priority>,
}

/// Priority of packets sent by one interface.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Priority {
    /// The interface.
    pub name: String,
    /// Its priority.
    pub priority: u32,
}

/// Limits of one RDMA device; absent = left alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rdma {
    /// Handles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hca_handles: Option<u32>,
    /// Objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hca_objects: Option<u32>,
}

/// A field in which 0 means unset.
pub(crate) fn given<T: Copy + Default + PartialEq>(field: Option<T>) -> Option<T> {
    field.filter(|value| *value != T::default())
}

/// A text in which nothing means unset.
pub(crate) fn given_text(field: Option<&String>) -> Option<&str> {
    field.map(|text| text.trim()).filter(|text| !text.is_empty())
}

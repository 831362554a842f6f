//! `cgroups`: 2014's control group settings.

use libcontainer_mount::DeviceNode;
use serde::{Deserialize, Serialize};

use super::unset;

/// A control group and its limits. This version reads and keeps the block, and refuses to start a container that has one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cgroup {
    /// Name of the group.
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
    /// Its parent.
    #[serde(skip_serializing_if = "unset")]
    pub parent: String,
    /// Leave all devices allowed.
    #[serde(skip_serializing_if = "unset")]
    pub allow_all_devices: bool,
    /// Devices allowed; all others are denied.
    #[serde(skip_serializing_if = "unset")]
    pub allowed_devices: Vec<DeviceNode>,
    /// Memory limit in bytes; 0 is unset.
    #[serde(skip_serializing_if = "unset")]
    pub memory: i64,
    /// Soft memory limit in bytes.
    #[serde(skip_serializing_if = "unset")]
    pub memory_reservation: i64,
    /// Memory and swap in bytes; -1 leaves it.
    #[serde(skip_serializing_if = "unset")]
    pub memory_swap: i64,
    /// Relative weight.
    #[serde(skip_serializing_if = "unset")]
    pub cpu_shares: i64,
    /// Microseconds in each period.
    #[serde(skip_serializing_if = "unset")]
    pub cpu_quota: i64,
    /// Period in microseconds.
    #[serde(skip_serializing_if = "unset")]
    pub cpu_period: i64,
    /// List of processors.
    #[serde(skip_serializing_if = "unset")]
    pub cpuset_cpus: String,
    /// `FROZEN`, `THAWED` or empty.
    #[serde(skip_serializing_if = "unset")]
    pub freezer: String,
    /// Parent slice under systemd.
    #[serde(skip_serializing_if = "unset")]
    pub slice: String,
}

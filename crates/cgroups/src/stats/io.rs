//! Block devices: what is measured.

use serde::{Deserialize, Serialize};

use super::types::emptied;

/// Block devices.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Io {
    /// One element per device, from `io.stat` (version 2) or the two first lists below (version 1).
    pub devices: Vec<IoDevice>,
    /// Bytes by operation (version 1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_bytes: Vec<IoEntry>,
    /// Requests by operation (version 1).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub serviced: Vec<IoEntry>,
    /// Requests queued now, by operation (version 1, schedulers CFQ and BFQ).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub queued: Vec<IoEntry>,
    /// Nanoseconds between dispatch and completion, by operation (version 1, CFQ and BFQ).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_time: Vec<IoEntry>,
    /// Nanoseconds in the scheduler's queues, by operation (version 1, CFQ and BFQ).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wait_time: Vec<IoEntry>,
    /// Requests merged, by operation (version 1, CFQ and BFQ).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub merged: Vec<IoEntry>,
    /// Milliseconds of device time; without operation (version 1, CFQ and BFQ).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub time: Vec<IoEntry>,
    /// Sectors of 512 bytes; without operation (version 1, CFQ and BFQ).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sectors: Vec<IoEntry>,
}

/// What one device did for the group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct IoDevice {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// Bytes read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bytes: Option<u64>,
    /// Bytes written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_bytes: Option<u64>,
    /// Bytes discarded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discard_bytes: Option<u64>,
    /// Reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reads: Option<u64>,
    /// Writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<u64>,
    /// Discards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discards: Option<u64>,
    /// Microseconds of device time by the cost model (`io.cost`, version 2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usage: Option<u64>,
    /// Microseconds waited for the cost model's budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_wait: Option<u64>,
    /// Microseconds in debt to the cost model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_indebt: Option<u64>,
    /// Microseconds delayed to pay that debt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_indelay: Option<u64>,
}

/// One line of a version 1 file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoEntry {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
    /// The operation, where the file tells operations apart.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub op: Option<Op>,
    /// In the unit of the list.
    pub value: u64,
}

/// Kind of a request. The last is for what later kernels may add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "the kernel's words")]
pub enum Op {
    Read,
    Write,
    Sync,
    Async,
    Discard,
    Total,
    Other,
}

impl Op {
    /// The kernel's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "Read",
            Self::Write => "Write",
            Self::Sync => "Sync",
            Self::Async => "Async",
            Self::Discard => "Discard",
            Self::Total => "Total",
            Self::Other => "Other",
        }
    }

    pub(super) fn of(word: &[u8]) -> Self {
        let known = [Self::Read, Self::Write, Self::Sync, Self::Async, Self::Discard, Self::Total];
        known.into_iter().find(|op| op.as_str().as_bytes() == word).unwrap_or(Self::Other)
    }
}

impl Io {
    pub(super) fn reset(&mut self) {
        *self = Self {
            devices: emptied(&mut self.devices),
            service_bytes: emptied(&mut self.service_bytes),
            serviced: emptied(&mut self.serviced),
            queued: emptied(&mut self.queued),
            service_time: emptied(&mut self.service_time),
            wait_time: emptied(&mut self.wait_time),
            merged: emptied(&mut self.merged),
            time: emptied(&mut self.time),
            sectors: emptied(&mut self.sectors),
        };
    }

    /// The device's element, made when there is none.
    pub(super) fn device(&mut self, major: u32, minor: u32) -> Option<&mut IoDevice> {
        let found = self.devices.iter().position(|device| (device.major, device.minor) == (major, minor));
        if found.is_none() {
            self.devices.push(IoDevice { major, minor, ..IoDevice::default() });
        }
        match found {
            Some(at) => self.devices.get_mut(at),
            None => self.devices.last_mut(),
        }
    }
}

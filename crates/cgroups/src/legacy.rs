//! 2014's control group settings: the JSON keys and what they mean, in today's words.

use serde::{Deserialize, Serialize};

use crate::devices::{Access, Kind, Rule, allow_list};
use crate::error::{Error, Result};
use crate::group::GroupPath;
use crate::resources::{BlockIo, Cpu, Memory, Resources};

/// `cgroups` of a `container.json`. Zero and the empty text mean unset, and are left out when written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cgroup {
    /// The last component of the path.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What comes before it: from the mount point with a slash in front, else below the own group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub parent: String,
    /// No device filter.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub allow_all_devices: bool,
    /// The devices that may be used; all others may not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allowed_devices: Vec<Device>,
    /// Bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub memory: i64,
    /// Bytes, soft limit.
    #[serde(skip_serializing_if = "is_zero")]
    pub memory_reservation: i64,
    /// Bytes of memory and swap; -1 = leave alone; 0 = twice the memory.
    #[serde(skip_serializing_if = "is_zero")]
    pub memory_swap: i64,
    /// Relative weight.
    #[serde(skip_serializing_if = "is_zero")]
    pub cpu_shares: i64,
    /// Microseconds per period; negative = unlimited.
    #[serde(skip_serializing_if = "is_zero")]
    pub cpu_quota: i64,
    /// Microseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub cpu_period: i64,
    /// Processors.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cpuset_cpus: String,
    /// Memory nodes (2015).
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cpuset_mems: String,
    /// Weight among block devices' users (2015).
    #[serde(skip_serializing_if = "is_zero")]
    pub blkio_weight: i64,
    /// `FROZEN`, `THAWED` or empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub freezer: String,
    /// systemd's slice; empty = `system.slice`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub slice: String,
}

/// A device of 2014's allow list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Device {
    /// 99 (`c`) or 98 (`b`): 2014 wrote the letter's number. A letter is read too; 0 = `a`, both.
    #[serde(rename = "type", deserialize_with = "kind", skip_serializing_if = "is_nothing")]
    pub kind: u32,
    /// The node; not used by the filter.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// -1 = all.
    #[serde(skip_serializing_if = "is_zero")]
    pub major_number: i64,
    /// -1 = all.
    #[serde(skip_serializing_if = "is_zero")]
    pub minor_number: i64,
    /// Letters of `r`, `w` and `m`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cgroup_permissions: String,
    /// Mode of the node; not used by the filter.
    #[serde(skip_serializing_if = "is_nothing")]
    pub file_mode: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_nothing(number: &u32) -> bool {
    *number == 0
}

fn kind<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<u32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(u32),
        Letter(char),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Number(number) => number,
        Either::Letter(letter) => u32::from(letter),
    })
}

impl Device {
    /// The rule that allows it.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a type, number or permission that doesn't exist.
    pub fn to_rule(&self) -> Result<Rule> {
        let wrong = |problem: String| Error::invalid("cgroups.allowed_devices", problem);
        let kind = match char::from_u32(self.kind) {
            Some('\0') => Kind::All,
            Some(letter) => Kind::parse(&letter.to_string())?,
            None => return Err(wrong(format!("type {} is none", self.kind))),
        };
        let number = |number: i64| match number {
            -1 => Ok(None),
            _ => u32::try_from(number).map(Some).map_err(|_| wrong(format!("{number} is no device number"))),
        };
        let (major, minor) = (number(self.major_number)?, number(self.minor_number)?);
        Ok(Rule { allow: true, kind, major, minor, access: Access::parse(&self.cgroup_permissions)? })
    }
}

impl Cgroup {
    /// The group's path.
    ///
    /// # Errors
    /// As [`GroupPath::in_parent`].
    pub fn path(&self) -> Result<GroupPath> {
        GroupPath::in_parent(&self.parent, &self.name)
    }

    /// True when the group is to be frozen, None when that is left alone.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another word.
    pub fn frozen(&self) -> Result<Option<bool>> {
        match self.freezer.as_str() {
            "" => Ok(None),
            "FROZEN" => Ok(Some(true)),
            "THAWED" => Ok(Some(false)),
            other => {
                Err(Error::invalid("cgroups.freezer", format!("{other:?} is neither FROZEN nor THAWED")))
            }
        }
    }

    /// The limits and the device filter in today's words.
    ///
    /// `memory_swap` is honoured (the file system driver of 2014 wrote twice the memory whatever it said): 0 with a memory
    /// limit is twice that where the kernel counts swap, -1 is left alone, and a reservation alone leaves swap alone.
    ///
    /// # Errors
    /// [`Error::Invalid`] for negative numbers and devices that don't exist; limits are checked by [`Resources::validate`] later.
    pub fn to_resources(&self) -> Result<Resources> {
        let positive = |field: &str, number: i64| {
            let wrong = || Error::invalid(format!("cgroups.{field}"), format!("{number} is negative"));
            u64::try_from(number).map_err(|_| wrong())
        };
        let memory = Memory {
            limit: Some(self.memory),
            reservation: Some(self.memory_reservation),
            swap: Some(self.memory_swap).filter(|swap| !matches!(swap, 0 | -1)),
            ..Memory::default()
        };
        let cpu = Cpu {
            shares: Some(positive("cpu_shares", self.cpu_shares)?),
            quota: Some(self.cpu_quota.max(-1)),
            period: Some(positive("cpu_period", self.cpu_period)?),
            cpus: Some(self.cpuset_cpus.clone()),
            mems: Some(self.cpuset_mems.clone()),
            ..Cpu::default()
        };
        let weight = u16::try_from(self.blkio_weight).map_err(|_| {
            Error::invalid("cgroups.blkio_weight", format!("{} is no weight", self.blkio_weight))
        })?;
        let allowed: Vec<Rule> = self.allowed_devices.iter().map(Device::to_rule).collect::<Result<_>>()?;
        Ok(Resources {
            // 2014 left the filter alone when all were allowed.
            devices: if self.allow_all_devices { Vec::new() } else { allow_list(false, allowed) },
            memory: Some(if self.memory_swap == 0 { memory.with_swap_of_2014() } else { memory }),
            cpu: Some(cpu),
            block_io: Some(BlockIo { weight: Some(weight), ..BlockIo::default() }),
            ..Resources::default()
        })
    }
}

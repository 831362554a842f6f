//! From [`Resources`] to the limits that a unit has properties for. Pure.

use super::properties::UnitLimits;
use super::property::INFINITY;
use crate::error::{Error, Result};
use crate::limits::{io_weight, swap_alone, weight_of_shares};
use crate::resources::{BlockIo, Cpu, Memory, Resources, given, given_text};
use crate::stats::Version;

impl UnitLimits {
    /// The part of `resources` that systemd knows, for controllers in `hierarchy`. The rest (single block devices, huge pages, realtime …) is for
    /// the control files alone.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what has no meaning there, as [`crate::limits::plan`] says it.
    pub fn of(resources: &Resources, hierarchy: Version) -> Result<Self> {
        let mut limits = Self::default();
        if let Some(memory) = &resources.memory {
            limits.memory(memory, hierarchy)?;
        }
        if let Some(cpu) = &resources.cpu {
            limits.cpu(cpu, hierarchy)?;
        }
        limits.tasks_max = match resources.pids.as_ref().and_then(|pids| pids.limit) {
            // As in the control file: zero would let nobody in.
            Some(count) => Some(amount("pids.limit", count)?.max(1)),
            None => None,
        };
        limits.io_weight = resources.block_io.as_ref().and_then(|io| weight(io, hierarchy));
        limits.devices = Some(resources.devices.clone()).filter(|rules| !rules.is_empty());
        limits.unified.clone_from(&resources.unified);
        Ok(limits)
    }

    fn memory(&mut self, memory: &Memory, hierarchy: Version) -> Result<()> {
        let limit = given(memory.limit);
        self.memory_max = limit.map(|limit| amount("memory.limit", limit)).transpose()?;
        if hierarchy == Version::V1 {
            return Ok(());
        }
        self.memory_low =
            given(memory.reservation).map(|low| amount("memory.reservation", low)).transpose()?;
        self.memory_swap_max = match (given(memory.swap), limit) {
            (Some(sum), limit) => Some(amount("memory.swap", swap_alone(sum, limit)?)?),
            (None, Some(-1)) => Some(INFINITY),
            (None, _) => None,
        };
        Ok(())
    }

    fn cpu(&mut self, cpu: &Cpu, hierarchy: Version) -> Result<()> {
        if let Some(shares) = given(cpu.shares) {
            match hierarchy {
                Version::V1 => self.cpu_shares = Some(shares),
                Version::V2 => self.cpu_weight = Some(weight_of_shares(shares)),
            }
        }
        if hierarchy == Version::V2 {
            self.cpu_idle = cpu.idle.map(|idle| idle == 1);
        }
        self.cpu_quota = given(cpu.quota).map(|quota| amount("cpu.quota", quota)).transpose()?;
        self.cpu_period = given(cpu.period);
        self.cpus = given_text(cpu.cpus.as_ref()).map(str::to_owned);
        self.memory_nodes = given_text(cpu.mems.as_ref()).map(str::to_owned);
        Ok(())
    }
}

fn weight(io: &BlockIo, hierarchy: Version) -> Option<u64> {
    let weight = given(io.weight)?;
    Some(match hierarchy {
        Version::V1 => u64::from(weight),
        Version::V2 => io_weight(weight),
    })
}

/// -1 is no limit.
fn amount(field: &str, value: i64) -> Result<u64> {
    match value {
        -1 => Ok(INFINITY),
        _ => u64::try_from(value).map_err(|_| Error::invalid(field, format!("{value} is below -1"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, hierarchy: Version) -> Result<UnitLimits> {
        UnitLimits::of(&serde_json::from_str(text).unwrap(), hierarchy)
    }

    #[test]
    fn both_versions() {
        let text = r#"{"memory": {"limit": 100, "reservation": 50, "swap": 150},
            "cpu": {"shares": 1024, "quota": 50000, "period": 100000, "cpus": "0-1", "mems": ""},
            "pids": {"limit": 0}, "blockIO": {"weight": 10}}"#;
        let v2 = UnitLimits {
            memory_max: Some(100),
            memory_low: Some(50),
            memory_swap_max: Some(50),
            cpu_weight: Some(100),
            cpu_quota: Some(50_000),
            cpu_period: Some(100_000),
            cpus: Some("0-1".to_owned()),
            tasks_max: Some(1),
            io_weight: Some(1),
            ..UnitLimits::default()
        };
        assert_eq!(of(text, Version::V2).unwrap(), v2);
        let v1 = UnitLimits {
            memory_low: None,
            memory_swap_max: None,
            cpu_weight: None,
            cpu_shares: Some(1024),
            io_weight: Some(10),
            ..v2
        };
        assert_eq!(of(text, Version::V1).unwrap(), v1);
    }

    #[test]
    fn no_limit_and_nonsense() {
        let all =
            of(r#"{"memory": {"limit": -1}, "pids": {"limit": -1}, "cpu": {"quota": -1}}"#, Version::V2)
                .unwrap();
        let found = [all.memory_max, all.memory_swap_max, all.tasks_max, all.cpu_quota];
        assert_eq!(found, [Some(INFINITY); 4]);
        assert_eq!(of("{}", Version::V2).unwrap(), UnitLimits::default());
        for bad in [
            r#"{"memory": {"limit": -2}}"#,
            r#"{"memory": {"limit": 100, "swap": 50}}"#,
            r#"{"memory": {"swap": 50}}"#,
            r#"{"pids": {"limit": -2}}"#,
            r#"{"cpu": {"quota": -7}}"#,
        ] {
            assert!(of(bad, Version::V2).is_err(), "{bad}");
        }
    }
}

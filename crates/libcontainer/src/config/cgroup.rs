//! `cgroups`: the control group and its limits.

use std::collections::BTreeMap;
use std::path::PathBuf;

use libcontainer_cgroups::{GroupPath, Resources, legacy};
use libcontainer_mount::{DeviceNode, default_allowed_devices};
use serde::{Deserialize, Serialize};

use super::unset::unset;

/// A control group and its limits: 2014's fields, and those of the OCI runtime specification under `resources`.
///
/// Without this block a container has no control group of its own: it stays in its creator's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Cgroup {
    /// Name of the group; that of the container if empty.
    #[serde(skip_serializing_if = "unset")]
    pub name: String,
    /// Its parent: absolute, or relative to the caller's own group.
    #[serde(skip_serializing_if = "unset")]
    pub parent: String,
    /// The whole path instead of `parent` and `name`: absolute, or relative to the caller's own group.
    #[serde(skip_serializing_if = "unset")]
    pub path: PathBuf,
    /// Leave all devices allowed.
    #[serde(skip_serializing_if = "unset")]
    pub allow_all_devices: bool,
    /// Devices allowed; all others are denied. If empty, the nodes that every container has and terminals.
    #[serde(skip_serializing_if = "unset")]
    pub allowed_devices: Vec<DeviceNode>,
    /// Memory limit in bytes; 0 is unset, -1 is none.
    #[serde(skip_serializing_if = "unset")]
    pub memory: i64,
    /// Soft memory limit in bytes; 0 is unset.
    #[serde(skip_serializing_if = "unset")]
    pub memory_reservation: i64,
    /// Memory and swap in bytes; 0 is twice the memory limit as in 2014, -1 leaves swap unlimited.
    #[serde(skip_serializing_if = "unset")]
    pub memory_swap: i64,
    /// Relative weight; 0 is unset.
    #[serde(skip_serializing_if = "unset")]
    pub cpu_shares: i64,
    /// Microseconds in each period; 0 is unset.
    #[serde(skip_serializing_if = "unset")]
    pub cpu_quota: i64,
    /// Period in microseconds; 0 is unset.
    #[serde(skip_serializing_if = "unset")]
    pub cpu_period: i64,
    /// List of processors.
    #[serde(skip_serializing_if = "unset")]
    pub cpuset_cpus: String,
    /// `THAWED` or empty. A container can't be born frozen: pause it.
    #[serde(skip_serializing_if = "unset")]
    pub freezer: String,
    /// Have systemd make the group, as a transient scope: the system's for root, else that of the user. Then `parent` is what the name
    /// of the scope begins with (`PARENT-NAME.scope`; `libcontainer` if empty), and `path` has the form `slice:prefix:name`.
    #[serde(skip_serializing_if = "unset")]
    pub systemd: bool,
    /// Parent slice under systemd; `system.slice` if empty, of a user `user.slice`.
    #[serde(skip_serializing_if = "unset")]
    pub slice: String,
    /// Further properties of the scope under systemd, by name, in the form of GVariant's texts: `"TimeoutStopUSec": "uint64 5000000"`.
    #[serde(skip_serializing_if = "unset")]
    pub properties: BTreeMap<String, String>,
    /// Limits in the names of the OCI runtime specification. Where both forms give a value, this one counts.
    #[serde(skip_serializing_if = "unset")]
    pub resources: Resources,
}

impl Cgroup {
    /// Where the group is to be; `id` is the container's name.
    pub(crate) fn group_path(&self, id: &str) -> libcontainer_cgroups::Result<GroupPath> {
        for (key, given) in [("slice", !self.slice.is_empty()), ("properties", !self.properties.is_empty())] {
            if given {
                let (field, problem) = (format!("cgroups.{key}"), "only with \"systemd\": true".to_owned());
                return Err(libcontainer_cgroups::Error::Invalid { field, problem });
            }
        }
        if !self.path.as_os_str().is_empty() {
            return GroupPath::new(&self.path);
        }
        let name = if self.name.is_empty() { id } else { &self.name };
        GroupPath::in_parent(&self.parent, name)
    }

    /// Limits and device rules of both forms together, with the rules that are there if none are asked for.
    ///
    /// # Errors
    /// What can't be done, with the name of its field.
    pub fn resources(&self) -> libcontainer_cgroups::Result<Resources> {
        self.limits(true)
    }

    /// Both forms together. Without a device filter if `devices` is false and none is asked for.
    pub(crate) fn limits(&self, devices: bool) -> libcontainer_cgroups::Result<Resources> {
        let old = self.legacy();
        if old.frozen()? == Some(true) {
            let (field, problem) =
                ("cgroups.freezer".to_owned(), "a container can't be born frozen".to_owned());
            return Err(libcontainer_cgroups::Error::Invalid { field, problem });
        }
        let mut asked = old.to_resources()?;
        let follows = asked.memory.as_ref().is_some_and(|memory| memory.swap_if_counted);
        if let Some(memory) = asked.memory.as_mut().filter(|_| follows) {
            memory.swap = None;
        }
        let mut all = merge(&given(asked), &self.resources);
        // Of the limit that counts in the end.
        all.memory = all.memory.map(|memory| if follows { memory.with_swap_of_2014() } else { memory });
        if !devices && self.allowed_devices.is_empty() && self.resources.devices.is_empty() {
            all.devices.clear();
        }
        all.validate()?;
        Ok(all)
    }

    /// Lays limits over those that there are. What can't hold beside one of them goes, unless it is asked for too.
    pub(crate) fn change(&mut self, new: &Resources) {
        self.resources = merge(&self.resources, new);
        let is_alone = |memory: &libcontainer_cgroups::resources::Memory| {
            memory.limit == Some(-1) && memory.swap.is_none()
        };
        if let (true, Some(memory)) = (new.memory.as_ref().is_some_and(is_alone), &mut self.resources.memory)
        {
            memory.swap = Some(-1);
        }
        self.lower_reservation(new);
        self.weigh(new);
    }

    /// An idle group has no weight, and one with a weight is not idle: what was asked for last counts, also of control files by name.
    fn weigh(&mut self, new: &Resources) {
        if let (Some(asked), Some(cpu)) = (&new.cpu, &mut self.resources.cpu) {
            match (asked.idle, asked.shares) {
                // Unset, whatever 2014's part says.
                (Some(1), None) => cpu.shares = Some(0),
                (None, Some(_)) => cpu.idle = cpu.idle.map(|_| 0),
                _ => {}
            }
        }
        let files = &mut self.resources.unified;
        match (new.unified.get("cpu.idle").map(|value| value.trim()), new.unified.contains_key("cpu.weight"))
        {
            (Some("1"), false) => drop(files.remove("cpu.weight")),
            (None, true) => files.get_mut("cpu.idle").into_iter().for_each(|idle| "0".clone_into(idle)),
            _ => {}
        }
    }

    /// A limit that is lowered alone takes the reservation down to it.
    fn lower_reservation(&mut self, new: &Resources) {
        let Some(asked) = new.memory.as_ref().filter(|memory| memory.reservation.is_none()) else { return };
        let (Some(limit), Some(memory)) =
            (asked.limit.filter(|limit| *limit > 0), &mut self.resources.memory)
        else {
            return;
        };
        let now = memory.reservation.filter(|now| *now != 0).unwrap_or(self.memory_reservation);
        if now > limit {
            memory.reservation = Some(limit);
        }
    }

    /// 2014's part.
    fn legacy(&self) -> legacy::Cgroup {
        let default = if self.allowed_devices.is_empty() { default_allowed_devices() } else { Vec::new() };
        let device = |node: &DeviceNode| legacy::Device {
            kind: u32::from(node.kind.letter()),
            major_number: node.major_number,
            minor_number: node.minor_number,
            cgroup_permissions: node.cgroup_permissions.clone(),
            ..legacy::Device::default()
        };
        legacy::Cgroup {
            allow_all_devices: self.allow_all_devices,
            allowed_devices: self.allowed_devices.iter().chain(&default).map(device).collect(),
            memory: self.memory,
            memory_reservation: self.memory_reservation,
            memory_swap: self.memory_swap,
            cpu_shares: self.cpu_shares,
            cpu_quota: self.cpu_quota,
            cpu_period: self.cpu_period,
            cpuset_cpus: self.cpuset_cpus.clone(),
            freezer: self.freezer.clone(),
            ..legacy::Cgroup::default()
        }
    }
}

/// `new` laid over `old`, field by field; device rules one behind the other, because the last one that matches counts.
fn merge(old: &Resources, new: &Resources) -> Resources {
    if *new == Resources::default() {
        return old.clone();
    }
    let overlaid = || {
        // Rules of devices are many, and go another way.
        let mut merged = serde_json::to_value(Resources { devices: Vec::new(), ..old.clone() })?;
        overlay(&mut merged, serde_json::to_value(new)?);
        serde_json::from_value::<Resources>(merged)
    };
    // Both are plain data that JSON can hold.
    let mut merged = overlaid().unwrap_or_else(|_: serde_json::Error| new.clone());
    merged.devices = old.devices.iter().chain(&new.devices).cloned().collect();
    merged
}

/// Without the zeros and empty texts by which 2014 said that a value is not set.
fn given(resources: Resources) -> Resources {
    let devices = resources.devices.clone();
    let mut value = serde_json::to_value(&resources).unwrap_or_default();
    prune(&mut value);
    // Data that came from JSON goes back to JSON.
    Resources { devices, ..serde_json::from_value(value).unwrap_or(resources) }
}

fn prune(value: &mut serde_json::Value) {
    if let serde_json::Value::Object(fields) = value {
        fields.values_mut().for_each(prune);
        fields.retain(|name, value| {
            let empty = value.as_i64() == Some(0)
                || value.as_str() == Some("")
                || value.as_object().is_some_and(serde_json::Map::is_empty);
            !empty && name != "devices"
        });
    }
}

fn overlay(old: &mut serde_json::Value, new: serde_json::Value) {
    use serde_json::Value::{Null, Object};
    match (old, new) {
        (Object(old), Object(new)) => {
            for (key, value) in new {
                overlay(old.entry(key).or_insert(Null), value);
            }
        }
        (_, Null) => {}
        (old, new) => *old = new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_laid_over_keeps_what_it_does_not_name() {
        let parse = |text: &str| serde_json::from_str::<Resources>(text).unwrap();
        let old = parse(r#"{"memory": {"limit": 5, "swap": 9}, "pids": {"limit": 3}}"#);
        let merged = merge(&old, &parse(r#"{"memory": {"limit": 7}, "cpu": {"shares": 2}}"#));
        let wanted =
            parse(r#"{"memory": {"limit": 7, "swap": 9}, "pids": {"limit": 3}, "cpu": {"shares": 2}}"#);
        assert_eq!(merged, wanted);
    }

    /// A limit of both together can't hold without it, whoever has set it.
    #[test]
    fn a_limit_of_memory_that_is_taken_away_takes_that_of_swap_along() {
        let parse = |text: &str| serde_json::from_str::<Resources>(text).unwrap();
        let mut block = serde_json::from_str::<Cgroup>(r#"{"memory": 4096, "memory_swap": 6000}"#).unwrap();
        block.change(&parse(r#"{"memory": {"limit": 5000, "swap": 9000}}"#));
        block.change(&parse(r#"{"memory": {"limit": -1}}"#));
        let memory = block.limits(false).unwrap().memory.unwrap();
        assert_eq!((memory.limit, memory.swap), (Some(-1), Some(-1)));
        block.change(&parse(r#"{"memory": {"limit": 5000}}"#));
        let memory = block.limits(false).unwrap().memory.unwrap();
        assert_eq!((memory.limit, memory.swap), (Some(5000), Some(-1)));
    }

    #[test]
    fn a_limit_that_is_lowered_takes_the_reservation_along() {
        let parse = |text: &str| serde_json::from_str::<Resources>(text).unwrap();
        for text in [
            r#"{"memory": 8192, "memory_reservation": 6000}"#,
            r#"{"resources": {"memory": {"limit": 8192, "reservation": 6000}}}"#,
        ] {
            let mut block = serde_json::from_str::<Cgroup>(text).unwrap();
            let mut changed = |text: &str| {
                block.change(&parse(text));
                block.limits(false).map(|all| all.memory.unwrap().reservation).ok()
            };
            assert_eq!(changed(r#"{"memory": {"limit": 7000}}"#), Some(Some(6000)));
            assert_eq!(changed(r#"{"memory": {"limit": 5000}}"#), Some(Some(5000)));
            assert_eq!(changed(r#"{"memory": {"limit": -1}}"#), Some(Some(5000)));
            assert_eq!(changed(r#"{"memory": {"limit": 4000, "reservation": 3000}}"#), Some(Some(3000)));
            // Asked for together they are refused.
            assert_eq!(changed(r#"{"memory": {"limit": 4000, "reservation": 4001}}"#), None);
        }
    }

    /// The kernel has one of the two.
    #[test]
    fn an_idle_group_has_no_weight_and_one_with_a_weight_is_not_idle() {
        let parse = |text: &str| serde_json::from_str::<Resources>(text).unwrap();
        let mut block = serde_json::from_str::<Cgroup>(r#"{"cpu_shares": 300}"#).unwrap();
        let mut changed = |text: &str| {
            block.change(&parse(text));
            let cpu = block.limits(false).unwrap().cpu.unwrap();
            (cpu.shares.unwrap_or(0), cpu.idle, cpu.quota)
        };
        assert_eq!(changed(r#"{"cpu": {"shares": 200, "quota": 5000}}"#), (200, None, Some(5000)));
        assert_eq!(changed(r#"{"cpu": {"idle": 1}}"#), (0, Some(1), Some(5000)));
        assert_eq!(changed(r#"{"cpu": {"quota": 6000}}"#), (0, Some(1), Some(6000)));
        assert_eq!(changed(r#"{"cpu": {"shares": 150}}"#), (150, Some(0), Some(6000)));
        assert_eq!(changed(r#"{"cpu": {"idle": 0}}"#), (150, Some(0), Some(6000)));
    }

    #[test]
    fn idleness_and_weight_end_each_other_by_name_too() {
        let mut block = Cgroup::default();
        let mut changed = |text: &str| {
            block.change(&serde_json::from_str(text).unwrap());
            serde_json::to_string(&block.resources.unified).unwrap()
        };
        assert_eq!(changed(r#"{"unified": {"cpu.weight": "8"}}"#), r#"{"cpu.weight":"8"}"#);
        assert_eq!(changed(r#"{"unified": {"cpu.idle": "1"}}"#), r#"{"cpu.idle":"1"}"#);
        assert_eq!(changed(r#"{"unified": {"cpu.weight": "9"}}"#), r#"{"cpu.idle":"0","cpu.weight":"9"}"#);
        assert_eq!(
            changed(r#"{"unified": {"cpu.max": "5"}}"#),
            r#"{"cpu.idle":"0","cpu.max":"5","cpu.weight":"9"}"#
        );
    }

    /// As Docker sends it when only the number of processes is to change.
    #[test]
    fn what_is_unset_replaces_nothing() {
        let parse = |text: &str| serde_json::from_str::<Resources>(text).unwrap();
        let old = parse(
            r#"{"memory": {"limit": 5, "swap": 9}, "cpu": {"shares": 3, "cpus": "0"}, "blockIO": {"weight": 10}}"#,
        );
        let new = parse(
            r#"{"memory": {"limit": 0, "reservation": 0, "swap": 0, "kernel": 0}, "cpu": {"shares": 0, "quota": 0, "period": 0, "cpus": ""},
                "blockIO": {"weight": 0}, "pids": {"limit": 44}}"#,
        );
        let merged = merge(&old, &new.without_unset());
        assert_eq!(merged, Resources { pids: merged.pids.clone(), ..old });
        assert_eq!(merged.pids.unwrap().limit, Some(44));
    }

    #[test]
    fn both_forms_of_a_limit() {
        let block = |text: &str| serde_json::from_str::<Cgroup>(text).unwrap();
        let both = block(r#"{"memory": 1048576, "resources": {"memory": {"limit": 2097152}}}"#);
        assert_eq!(both.limits(false).unwrap().memory.unwrap().limit, Some(2_097_152));
        let nothing = block(r#"{"allow_all_devices": true}"#).limits(true).unwrap();
        assert_eq!(nothing, Resources::default());
        let filtered = block("{}").limits(true).unwrap().devices;
        assert!(filtered.first().is_some_and(|rule| !rule.allow && rule.is_everything()), "{filtered:?}");
        assert!(block("{}").limits(false).unwrap().devices.is_empty());
        assert!(block(r#"{"allow_all_devices": true}"#).limits(true).unwrap().devices.is_empty());
        assert!(block(r#"{"freezer": "FROZEN"}"#).limits(true).is_err());
    }

    #[test]
    fn swap_follows_the_limit_that_counts_and_is_not_asked_for() {
        let memory = |text: &str| {
            let block = serde_json::from_str::<Cgroup>(text).unwrap();
            let memory = block.limits(false).unwrap().memory.unwrap_or_default();
            (memory.limit, memory.swap, memory.swap_if_counted)
        };
        assert_eq!(memory(r#"{"memory": 4096}"#), (Some(4096), Some(8192), true));
        let larger = r#"{"memory": 4096, "resources": {"memory": {"limit": 16384}}}"#;
        assert_eq!(memory(larger), (Some(16_384), Some(32_768), true));
        let both = r#"{"memory": 4096, "resources": {"memory": {"swap": 5000}}}"#;
        assert_eq!(memory(both), (Some(4096), Some(5000), false));
        assert_eq!(memory(r#"{"memory": 4096, "memory_swap": 6000}"#), (Some(4096), Some(6000), false));
        assert_eq!(memory(r#"{"memory": 4096, "memory_swap": -1}"#), (Some(4096), None, false));
        assert_eq!(memory(r#"{"resources": {"memory": {"limit": 4096}}}"#), (Some(4096), None, false));
    }
}

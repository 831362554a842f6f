//! `linux.cgroupsPath` and `linux.resources`.

use std::collections::BTreeMap;

use libcontainer::{Cgroup, Config, Problem};

use super::devices;
use super::found::Found;
use super::options::Options;
use super::pointers::of_group;
use crate::PROPERTY;
use crate::spec::{Resources, Spec, escaped};

pub(super) fn convert(spec: &Spec, options: &Options, config: &mut Config, found: &mut Found) {
    let Some(linux) = &spec.linux else { return };
    let mut resources = linux.resources.clone().unwrap_or_default();
    found.warnings.extend(leave_idle_weight(&mut resources, "/linux/resources"));
    if let Err(error) = resources.validate() {
        found.problems.push(of_group(&error, "/linux/resources"));
    }
    if !options.cgroups {
        return without(&resources, found);
    }
    let limited = asks(&resources);
    if options.rootless && linux.cgroups_path.is_empty() && !limited {
        return;
    }
    let asked = std::mem::take(&mut resources.devices);
    if !options.rootless {
        resources.devices = devices::rules(&asked);
    }
    let mut group = Cgroup { systemd: options.systemd_cgroup, resources, ..Cgroup::default() };
    // No rules of 2014's but those above.
    group.allow_all_devices = true;
    group.path = linux.cgroups_path.clone().into();
    if options.systemd_cgroup {
        group.properties = properties(spec, found);
    } else if names_a_scope(&linux.cgroups_path) {
        let path = &linux.cgroups_path;
        let message = format!(
            "{path:?} is a scope of systemd's, whose driver is off: a group of that very name is made, which no limit of the slice holds \
             for. Set SystemdCgroup (--systemd-cgroup)"
        );
        found.warn_of("/linux/cgroupsPath", message, true);
    }
    config.cgroups = Some(group);
}

/// Whether it is what engines write for systemd's driver: `a.slice:prefix:name`.
fn names_a_scope(path: &str) -> bool {
    let slice = path.split_once(':').map(|(slice, _)| slice);
    path.matches(':').count() == 2 && slice.is_some_and(|slice| slice.ends_with(".slice"))
}

/// Leaves the weight of an idle group out, which has none, and says so, with pointers below `at`: clients set a weight whatever else is asked for. The words are
/// runc's.
pub fn leave_idle_weight(resources: &mut Resources, at: &str) -> Vec<Problem> {
    let (cpu, files) = (&mut resources.cpu, &mut resources.unified);
    let idle = cpu.as_ref().is_some_and(|cpu| cpu.idle == Some(1));
    if !idle && files.get("cpu.idle").is_none_or(|value| value.trim() != "1") {
        return Vec::new();
    }
    let shares = cpu.as_mut().and_then(|cpu| cpu.shares.take()).filter(|shares| *shares != 0);
    let file = files.remove("cpu.weight");
    let left = [(shares.is_some(), "/cpu/shares"), (file.is_some(), "/unified/cpu.weight")];
    let message = "unable to apply both cpu.weight and cpu.idle: left out, as an idle group has no weight";
    let problem =
        |place| Problem { pointer: format!("{at}{place}"), message: message.to_owned(), remedy: None };
    left.into_iter().filter(|(is_left, _)| *is_left).map(|(_, place)| problem(place)).collect()
}

/// Limits that nobody would keep are not left out silently; rules of devices alone are, as every engine writes them.
fn without(resources: &Resources, found: &mut Found) {
    if asks(resources) {
        found.warn("/linux/resources", "control groups are disabled: no limit holds");
    }
}

/// Whether any limit is asked for, but rules of devices.
fn asks(resources: &Resources) -> bool {
    let empty = Resources::default();
    Resources { devices: Vec::new(), ..resources.clone() } != empty
}

/// Properties of the scope, by annotation, in the form of GVariant's texts. A time in seconds is one in microseconds to systemd.
fn properties(spec: &Spec, found: &mut Found) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (key, value) in &spec.annotations {
        let Some(name) = key.strip_prefix(PROPERTY) else { continue };
        let seconds = name.strip_suffix("Sec").filter(|name| !name.ends_with('U'));
        match seconds.map(|name| (name, microseconds(value))) {
            None => drop(all.insert(name.to_owned(), value.clone())),
            Some((name, Some(time))) => drop(all.insert(format!("{name}USec"), format!("uint64 {time}"))),
            Some((_, None)) => {
                let text = format!("{value:?}: a number of seconds");
                found.problem(&format!("/annotations/{}", escaped(key)), text);
            }
        }
    }
    all
}

/// Of a number with or without its type before it.
fn microseconds(text: &str) -> Option<u64> {
    let number = text.rsplit(' ').next().unwrap_or_default();
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let digits = part.get(..part.len().min(6))?;
    let part = format!("{digits:0<6}").parse::<u64>().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(part)
}

#[cfg(test)]
mod tests {
    use super::{leave_idle_weight, microseconds};

    #[test]
    fn an_idle_group_is_left_without_weight_in_both_forms() {
        for (text, left, wanted) in [
            (r#"{"cpu":{"shares":5,"idle":1}}"#, vec!["/r/cpu/shares"], r#"{"cpu":{"idle":1}}"#),
            (r#"{"cpu":{"shares":0,"idle":1}}"#, vec![], r#"{"cpu":{"idle":1}}"#),
            (r#"{"cpu":{"shares":5,"idle":0}}"#, vec![], r#"{"cpu":{"shares":5,"idle":0}}"#),
            (
                r#"{"unified":{"cpu.idle":"1\n","cpu.weight":"8"}}"#,
                vec!["/r/unified/cpu.weight"],
                r#"{"unified":{"cpu.idle":"1\n"}}"#,
            ),
            (
                r#"{"cpu":{"shares":5},"unified":{"cpu.idle":"1","cpu.weight":"8","cpu.max":"5"}}"#,
                vec!["/r/cpu/shares", "/r/unified/cpu.weight"],
                r#"{"cpu":{},"unified":{"cpu.idle":"1","cpu.max":"5"}}"#,
            ),
            (r#"{"unified":{"cpu.weight":"8"}}"#, vec![], r#"{"unified":{"cpu.weight":"8"}}"#),
        ] {
            let parse = |text: &str| crate::spec::resources_from_json(text.as_bytes()).unwrap().0;
            let mut resources = parse(text);
            let told: Vec<_> =
                leave_idle_weight(&mut resources, "/r").into_iter().map(|problem| problem.pointer).collect();
            assert_eq!(
                (told, resources),
                (left.into_iter().map(str::to_owned).collect(), parse(wanted)),
                "{text}"
            );
        }
    }

    #[test]
    fn seconds_are_numbers_with_or_without_a_type() {
        for (text, wanted) in [
            ("5", Some(5_000_000)),
            ("uint64 5", Some(5_000_000)),
            ("double 1.25", Some(1_250_000)),
            ("0.0000019", Some(1)),
            ("'5'", None),
            ("-1", None),
            ("18446744073709551615", None),
            ("1.x", None),
            ("1.é", None),
            ("", None),
        ] {
            assert_eq!(microseconds(text), wanted, "{text}");
        }
    }
}

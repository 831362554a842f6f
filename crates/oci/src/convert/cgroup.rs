//! `linux.cgroupsPath` and `linux.resources`.

use std::collections::BTreeMap;

use libcontainer::{Cgroup, Config};

use super::devices;
use super::found::{Found, of_group};
use super::options::Options;
use crate::spec::{Resources, Spec};

const PROPERTY: &str = "org.systemd.property.";

pub(super) fn convert(spec: &Spec, options: &Options, config: &mut Config, found: &mut Found) {
    let Some(linux) = &spec.linux else { return };
    let mut resources = linux.resources.clone().unwrap_or_default();
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
        group.properties = properties(spec);
    }
    config.cgroups = Some(group);
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

/// Properties of the scope, by annotation, in the form of GVariant's texts.
fn properties(spec: &Spec) -> BTreeMap<String, String> {
    let named =
        |(key, value): (&String, &String)| Some((key.strip_prefix(PROPERTY)?.to_owned(), value.clone()));
    spec.annotations.iter().filter_map(named).collect()
}

//! The rest of `linux`.

use libcontainer::{Config, Resctrl, Seccomp};

use super::found::Found;
use super::options::Options;
use crate::spec::{IntelRdt, Spec};

pub(super) fn convert(spec: &Spec, _options: &Options, config: &mut Config, found: &mut Found) {
    let Some(linux) = &spec.linux else { return };
    config.seccomp = match &linux.seccomp {
        Some(profile) => Seccomp::Profile(Box::new(profile.clone())),
        None => Seccomp::Unconfined,
    };
    config.memory_policy.clone_from(&linux.memory_policy);
    config.personality.clone_from(&linux.personality);
    config.resctrl = linux.intel_rdt.as_ref().map(|asked| shares(asked, found));
}

/// Lines in the order in which the specification combines the three keys. Of a cache's text the lines for the bandwidth count only where nothing else gives them.
fn shares(asked: &IntelRdt, found: &mut Found) -> Resctrl {
    let lines = |text: &str| -> Vec<String> {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    let mut schemata = lines(&asked.l3_cache_schema);
    let is_bandwidth = |line: &String| line.starts_with("MB:");
    if !asked.mem_bw_schema.is_empty() && schemata.iter().any(is_bandwidth) {
        schemata.retain(|line| !is_bandwidth(line));
        found.warn("/linux/intelRdt/l3CacheSchema", "its line MB: gives way to memBwSchema");
    }
    schemata.extend(lines(&asked.mem_bw_schema));
    schemata.extend(asked.schemata.iter().map(|line| line.trim_end_matches('\n').to_owned()));
    Resctrl { class: asked.clos_id.clone(), schemata, monitoring: asked.enable_monitoring }
}

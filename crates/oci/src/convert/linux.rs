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

/// Lines in the order in which the specification combines the three keys.
fn shares(asked: &IntelRdt, found: &mut Found) -> Resctrl {
    let (mut schemata, gave_way) = schemata(&asked.l3_cache_schema, &asked.mem_bw_schema);
    if gave_way {
        found.warn("/linux/intelRdt/l3CacheSchema", "its line MB: gives way to memBwSchema");
    }
    schemata.extend(asked.schemata.iter().map(|line| line.trim_end_matches('\n').to_owned()));
    Resctrl { class: asked.clos_id.clone(), schemata, monitoring: asked.enable_monitoring }
}

/// The lines of `l3CacheSchema` and `memBwSchema` together. Of a cache's text the lines for the bandwidth count only where nothing else gives them; whether one gave way.
#[must_use]
pub fn schemata(cache: &str, bandwidth: &str) -> (Vec<String>, bool) {
    let lines = |text: &str| -> Vec<String> {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    };
    let mut all = lines(cache);
    let before = all.len();
    if !bandwidth.is_empty() {
        all.retain(|line| !line.starts_with("MB:"));
    }
    let gave_way = all.len() < before;
    all.extend(lines(bandwidth));
    (all, gave_way)
}

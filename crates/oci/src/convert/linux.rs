//! The rest of `linux`.

use libcontainer::{Config, Seccomp};

use super::found::Found;
use super::options::Options;
use crate::spec::Spec;

pub(super) fn convert(spec: &Spec, _options: &Options, config: &mut Config, found: &mut Found) {
    let Some(linux) = &spec.linux else { return };
    config.seccomp = match &linux.seccomp {
        Some(profile) => Seccomp::Profile(Box::new(profile.clone())),
        None => Seccomp::Unconfined,
    };
    config.memory_policy.clone_from(&linux.memory_policy);
    config.personality.clone_from(&linux.personality);
    if linux.intel_rdt.is_some() {
        found.problem("/linux/intelRdt", "resctrl is not supported");
    }
}

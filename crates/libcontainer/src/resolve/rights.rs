//! What a process may do and how it runs: its own capabilities, Landlock, attributes.

use libcontainer_plan::Probe;
use libcontainer_security::CapSet;
use libcontainer_security::landlock::Ruleset;
use libcontainer_security::plan::{Attributes, Confinement};

use super::capabilities::{confinement, grantable, known};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::process::ProcessConfig;

/// The rights of this process.
pub(super) fn confinement_of(config: &Config, process: &ProcessConfig, probe: &Probe) -> Result<Confinement> {
    let mut confinement = confinement(config, probe)?;
    known(&confinement)?;
    if let Some(names) = &process.capabilities {
        let set = CapSet::from_names(names.iter().map(String::as_str));
        let set =
            set.map_err(|error| Error::new(ErrorKind::InvalidConfig, format!("/capabilities: {error}")))?;
        let set = grantable(set, config, probe)?;
        let (bounding, effective) = (set.bits(), set.bits());
        confinement = Confinement {
            bounding,
            effective,
            permitted: effective,
            inheritable: 0,
            ambient: 0,
            ..confinement
        };
        known(&confinement)?;
    }
    Ok(confinement)
}

pub(super) fn attributes(config: &Config) -> Attributes {
    Attributes {
        affinity: None,
        scheduler: config.scheduler.clone(),
        io_priority: config.io_priority,
        memory_policy: config.memory_policy.clone(),
        personality: config.personality.clone(),
    }
}

/// The rules of Landlock that this kernel has, if any are asked for.
pub(super) fn landlock(config: &Config, probe: &Probe) -> Result<Option<Ruleset>> {
    let Some(wanted) = &config.landlock else { return Ok(None) };
    let rules = wanted.fitted(probe.landlock.unwrap_or(0)).map_err(|lacking| {
        let cause = probe.landlock.err().map(|errno| format!(" ({})", libcontainer_plan::errno_text(errno)));
        let text = format!("/landlock: {lacking}{}", cause.unwrap_or_default());
        Error::new(ErrorKind::Unsupported, text)
    })?;
    Ok(Some(rules).filter(|rules| !rules.is_empty()))
}

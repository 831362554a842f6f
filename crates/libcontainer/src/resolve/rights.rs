//! What a process may do and how it runs: its own capabilities, Landlock, attributes.

use libcontainer_plan::Probe;
use libcontainer_security::CapSet;
use libcontainer_security::landlock::Ruleset;
use libcontainer_security::plan::{Attributes, Confinement};

use super::capabilities::{Inherited, confinement, grantable, known};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::process::ProcessConfig;

/// The rights of this process.
pub(super) fn confinement_of(
    config: &Config,
    process: &ProcessConfig,
    probe: &Probe,
    inherited: Inherited,
) -> Result<Confinement> {
    let mut confinement = confinement(config, probe, inherited)?;
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

/// Not built in, not among the security modules of this boot, or refused to this process by a filter that it is under.
const LACKING: [i32; 3] = [libc::ENOSYS, libc::EOPNOTSUPP, libc::EPERM];

/// The rules of Landlock that this kernel has, if any are asked for.
pub(super) fn landlock(config: &Config, probe: &Probe) -> Result<Option<Ruleset>> {
    let Some(wanted) = &config.landlock else { return Ok(None) };
    if let Err(errno) = probe.landlock {
        // What can't be known is no kernel without it: best effort would leave everything out.
        if !LACKING.contains(&errno) {
            let text =
                format!("/landlock: landlock_create_ruleset: {}", libcontainer_plan::errno_text(errno));
            return Err(Error::new(ErrorKind::Os, text));
        }
    }
    let rules = wanted.fitted(probe.landlock.unwrap_or(0)).map_err(|lacking| {
        let cause = probe.landlock.err().map(|errno| format!(" ({})", libcontainer_plan::errno_text(errno)));
        let text = format!("/landlock: {lacking}{}", cause.unwrap_or_default());
        Error::new(ErrorKind::Unsupported, text)
    })?;
    Ok(Some(rules).filter(|rules| !rules.is_empty()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use super::*;

    #[test]
    fn best_effort_is_for_kernels_without_it_and_not_for_errors() {
        let config = Config {
            landlock: Some(serde_json::from_str(r#"{"enforce":"best_effort","scopes":["signal"]}"#).unwrap()),
            ..Config::default()
        };
        let of = |landlock| landlock_of(&config, landlock);
        assert!(of(Ok(6)).unwrap().is_some());
        for lacking in LACKING {
            assert_eq!(of(Err(lacking)).unwrap(), None);
        }
        let error = of(Err(libc::ENOMEM)).unwrap_err().to_string();
        assert!(error.starts_with("/landlock: landlock_create_ruleset: ENOMEM"), "{error}");
    }

    fn landlock_of(config: &Config, found: std::result::Result<u32, i32>) -> Result<Option<Ruleset>> {
        landlock(config, &Probe { landlock: found, ..Probe::linux(6, 12) })
    }
}

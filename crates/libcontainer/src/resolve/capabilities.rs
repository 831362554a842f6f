//! What a program may do: the sets of the config, made good for this kernel and this process.

use libcontainer_plan::Probe;
use libcontainer_security::plan::Confinement;
use libcontainer_security::{CapSet, Capability, thread};

use crate::config::{Config, NamespaceKind};
use crate::error::{Error, ErrorKind, Result};

/// What the init has of the thread that makes it, and nobody asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inherited {
    no_new_privs: bool,
    /// Some of them.
    securebits: bool,
}

impl Inherited {
    /// By an init that this thread makes.
    pub(crate) fn of_this_thread() -> Result<Self> {
        let no_new_privs = thread::no_new_privs().map_err(unknown)?;
        let securebits = !thread::secure_bits().map_err(unknown)?.is_empty();
        Ok(Self { no_new_privs, securebits })
    }
}

/// What the config asks for.
pub(super) fn confinement(config: &Config, probe: &Probe, inherited: Inherited) -> Result<Confinement> {
    let sets = config.capability_masks();
    let bits = |set| grantable(set, config, probe).map(CapSet::bits);
    Ok(Confinement {
        bounding: bits(sets.bounding)?,
        effective: bits(sets.effective)?,
        permitted: bits(sets.permitted)?,
        inheritable: bits(sets.inheritable)?,
        ambient: bits(sets.ambient)?,
        last_cap: probe.last_cap,
        // Nobody can take it off.
        no_new_privs: config.no_new_privileges || inherited.no_new_privs,
        parent_death_signal: (config.parent_death_signal != 0).then_some(config.parent_death_signal),
        admin_until_exec: false,
        securebits: securebits(config, inherited),
    })
}

/// Those of the config, which are set also if there are none in place of the caller's own: with `no_setuid_fixup` a program that becomes another user would
/// keep what it may do. A new user namespace begins without any.
fn securebits(config: &Config, inherited: Inherited) -> Option<u32> {
    let wanted = config.securebits_mask();
    if wanted != 0 || config.namespaces.contains(NamespaceKind::User) {
        return Some(wanted).filter(|wanted| *wanted != 0);
    }
    inherited.securebits.then_some(wanted)
}

fn unknown(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Os, format!("look at the caller's own rights: {error}"))
}

/// `ALL` as the set that can be given: in a user namespace of the container's what the kernel has, else no more than this process may. Any other set as it is.
pub(super) fn grantable(set: CapSet, config: &Config, probe: &Probe) -> Result<CapSet> {
    if set != CapSet::ALL || config.namespaces.contains(NamespaceKind::User) {
        return Ok(set.of_kernel(probe.last_cap));
    }
    let own = thread::capabilities()
        .map_err(|error| Error::new(ErrorKind::Os, format!("/capabilities: ALL: {error}")))?;
    Ok(own.permitted.and(own.bounding))
}

/// Capabilities have numbers, also such as this kernel has not: it would leave those out.
pub(super) fn known(confinement: &Confinement) -> Result<()> {
    let Confinement { bounding, effective, permitted, inheritable, ambient, last_cap, .. } = *confinement;
    let all = CapSet::from_bits(bounding | effective | permitted | inheritable | ambient);
    match all.iter().find(|capability| capability.number() > last_cap) {
        None => Ok(()),
        Some(capability) => {
            let last = Capability::from_number(last_cap).map_or_else(String::new, |last| last.to_string());
            let text =
                format!("/capabilities: {capability}: this kernel's last one is {last} (number {last_cap})");
            Err(Error::new(ErrorKind::InvalidConfig, text))
        }
    }
}

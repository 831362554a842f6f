//! The five capability sets of the calling thread.

use std::io;

use rustix::thread::{self, CapabilitySet, CapabilitySets};

use crate::capability::{CapSet, Capabilities, Capability};
use crate::error::{Named, ThreadError};

/// The last capability that the running kernel knows: asks `prctl(PR_CAPBSET_READ)` upwards until it answers `EINVAL`, so that it
/// needs no procfs.
///
/// # Errors
/// Any other error number of the call. A failure is never taken for "not held".
pub fn last_capability() -> Result<Capability, ThreadError> {
    let mut last = None;
    for capability in every() {
        if in_bounding(capability)?.is_none() {
            break;
        }
        last = Some(capability);
    }
    last.ok_or_else(|| ThreadError::invalid("prctl(PR_CAPBSET_READ, CHOWN)"))
}

/// All five sets: capget(2), `PR_CAPBSET_READ` and `PR_CAP_AMBIENT_IS_SET` of prctl(2).
///
/// # Errors
/// The call that failed. A failure is never taken for an empty set.
pub fn capabilities() -> Result<Capabilities, ThreadError> {
    let found =
        thread::capabilities(None).map_err(io::Error::from).named(|| "capget(v3, self)".to_owned())?;
    let set = |set: CapabilitySet| CapSet::from_bits(set.bits());
    let mut sets = Capabilities {
        effective: set(found.effective),
        permitted: set(found.permitted),
        inheritable: set(found.inheritable),
        ..Capabilities::default()
    };
    for capability in every() {
        let Some(held) = in_bounding(capability)? else { break };
        let one: CapSet = [capability].into_iter().collect();
        if held {
            sets.bounding = sets.bounding.or(one);
        }
        let held = thread::capability_is_in_ambient_set(one_of(capability));
        if ambient(held, "IS_SET", capability)? {
            sets.ambient = sets.ambient.or(one);
        }
    }
    Ok(sets)
}

/// Sets effective, permitted and inheritable: capset(2), version 3. What leaves permitted or inheritable leaves ambient too.
///
/// # Errors
/// `EPERM` for a capability in effective that is not in permitted, one in permitted that is not there now, or one in inheritable that is
/// neither in the bounding set nor inheritable now (capabilities(7)).
pub fn set_capabilities(
    effective: CapSet,
    permitted: CapSet,
    inheritable: CapSet,
) -> Result<(), ThreadError> {
    let set = |set: CapSet| CapabilitySet::from_bits_retain(set.bits());
    let sets = CapabilitySets {
        effective: set(effective),
        permitted: set(permitted),
        inheritable: set(inheritable),
    };
    thread::set_capabilities(None, sets).map_err(io::Error::from).named(|| {
        format!("capset(effective {{{effective}}}, permitted {{{permitted}}}, inheritable {{{inheritable}}})")
    })
}

/// Drops one capability from the bounding set, for good: `prctl(PR_CAPBSET_DROP)`. The other sets stay.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`, `EINVAL` for a capability that the running kernel doesn't know.
pub fn drop_bounding(capability: Capability) -> Result<(), ThreadError> {
    thread::remove_capability_from_bounding_set(one_of(capability))
        .map_err(io::Error::from)
        .named(|| format!("prctl(PR_CAPBSET_DROP, {capability})"))
}

/// Drops from the bounding set every capability of the running kernel that is not in `keep`, also those that this library has no
/// name for. One that is in `keep` and was dropped before does not come back.
///
/// # Errors
/// Those of [`drop_bounding`]; what was dropped until then stays dropped.
pub fn keep_bounding(keep: CapSet) -> Result<(), ThreadError> {
    for capability in every() {
        match in_bounding(capability)? {
            None => break,
            Some(true) if !keep.contains(capability) => drop_bounding(capability)?,
            Some(_) => {}
        }
    }
    Ok(())
}

/// Adds one capability to the ambient set: `PR_CAP_AMBIENT_RAISE` of PR_CAP_AMBIENT(2const).
///
/// # Errors
/// `EPERM` unless it is permitted and inheritable, or with [`super::SecureBits::NO_CAP_AMBIENT_RAISE`]; `EINVAL` for a capability
/// that the running kernel doesn't know.
pub fn raise_ambient(capability: Capability) -> Result<(), ThreadError> {
    let raised = thread::configure_capability_in_ambient_set(one_of(capability), true);
    ambient(raised, "RAISE", capability)
}

/// Takes one capability out of the ambient set: `PR_CAP_AMBIENT_LOWER`.
///
/// # Errors
/// `EINVAL` for a capability that the running kernel doesn't know.
pub fn lower_ambient(capability: Capability) -> Result<(), ThreadError> {
    let lowered = thread::configure_capability_in_ambient_set(one_of(capability), false);
    ambient(lowered, "LOWER", capability)
}

/// Empties the ambient set: `PR_CAP_AMBIENT_CLEAR_ALL`.
///
/// # Errors
/// None that a supported kernel has; a seccomp filter may deny the call.
pub fn clear_ambient() -> Result<(), ThreadError> {
    thread::clear_ambient_capability_set()
        .map_err(io::Error::from)
        .named(|| "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)".to_owned())
}

/// Makes the five sets what `wanted` says, in the one order that works, and reads all of them back: bounding drop, ambient clear,
/// capset, ambient raise.
///
/// # Errors
/// The call that failed; [`ThreadError::ReadBack`] with the set that differs, such as the bounding set when `wanted` holds what was
/// dropped before. The thread may then be confined in part; it is never given more than it had.
pub fn confine(wanted: &Capabilities) -> Result<(), ThreadError> {
    // ORDER: the bounding set first, while CAP_SETPCAP is effective.
    keep_bounding(wanted.bounding)?;
    clear_ambient()?;
    set_capabilities(wanted.effective, wanted.permitted, wanted.inheritable)?;
    // ORDER: behind capset: only what is permitted and inheritable can be ambient.
    for capability in wanted.ambient.iter() {
        raise_ambient(capability)?;
    }
    let found = capabilities()?;
    for (item, wanted, found) in [
        ("bounding set", wanted.bounding, found.bounding),
        ("effective set", wanted.effective, found.effective),
        ("permitted set", wanted.permitted, found.permitted),
        ("inheritable set", wanted.inheritable, found.inheritable),
        ("ambient set", wanted.ambient, found.ambient),
    ] {
        if wanted != found {
            return Err(ThreadError::differs(item, format!("{{{wanted}}}"), format!("{{{found}}}")));
        }
    }
    Ok(())
}

fn every() -> impl Iterator<Item = Capability> {
    CapSet::all(63).iter()
}

/// `None` if the kernel doesn't know the capability.
fn in_bounding(capability: Capability) -> Result<Option<bool>, ThreadError> {
    match thread::capability_is_in_bounding_set(one_of(capability)).map_err(io::Error::from) {
        Ok(held) => Ok(Some(held)),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(None),
        Err(error) => Err(ThreadError::call(format!("prctl(PR_CAPBSET_READ, {capability})"), &error)),
    }
}

fn ambient<T>(
    result: rustix::io::Result<T>,
    operation: &str,
    capability: Capability,
) -> Result<T, ThreadError> {
    result
        .map_err(io::Error::from)
        .named(|| format!("prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_{operation}, {capability})"))
}

/// Also those that rustix has no name for.
fn one_of(capability: Capability) -> CapabilitySet {
    CapabilitySet::from_bits_retain(1 << capability.number())
}

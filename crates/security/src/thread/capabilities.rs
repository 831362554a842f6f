//! The five capability sets of the calling thread.
#![forbid(unsafe_code)]

use crate::capability::{CapSet, Capabilities, Capability};
use crate::error::{Named, ThreadError};
use crate::raw;

const PR_CAPBSET_READ: i32 = 23;
const PR_CAPBSET_DROP: i32 = 24;
const PR_CAP_AMBIENT: i32 = 47;
const IS_SET: u32 = 1;
const RAISE: u32 = 2;
const LOWER: u32 = 3;
const CLEAR_ALL: u32 = 4;

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
    let data = raw::capget().named(|| "capget(v3, self)".to_owned())?;
    let [effective, permitted, inheritable, high_effective, high_permitted, high_inheritable] = data;
    let mut sets = Capabilities {
        effective: joined(effective, high_effective),
        permitted: joined(permitted, high_permitted),
        inheritable: joined(inheritable, high_inheritable),
        ..Capabilities::default()
    };
    for capability in every() {
        let Some(held) = in_bounding(capability)? else { break };
        let one: CapSet = [capability].into_iter().collect();
        if held {
            sets.bounding = sets.bounding.or(one);
        }
        if ambient(IS_SET, "PR_CAP_AMBIENT_IS_SET", Some(capability))? == 1 {
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
    let (e, p, i) = (effective.bits(), permitted.bits(), inheritable.bits());
    let data = [low(e), low(p), low(i), low(e >> 32), low(p >> 32), low(i >> 32)];
    raw::capset(data).named(|| {
        format!("capset(effective {{{effective}}}, permitted {{{permitted}}}, inheritable {{{inheritable}}})")
    })
}

/// Drops one capability from the bounding set, for good: `prctl(PR_CAPBSET_DROP)`. The other sets stay.
///
/// # Errors
/// `EPERM` without `CAP_SETPCAP`, `EINVAL` for a capability that the running kernel doesn't know.
pub fn drop_bounding(capability: Capability) -> Result<(), ThreadError> {
    raw::prctl(PR_CAPBSET_DROP, capability.number(), 0)
        .named(|| format!("prctl(PR_CAPBSET_DROP, {capability})"))
        .map(drop)
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
    ambient(RAISE, "PR_CAP_AMBIENT_RAISE", Some(capability)).map(drop)
}

/// Takes one capability out of the ambient set: `PR_CAP_AMBIENT_LOWER`.
///
/// # Errors
/// `EINVAL` for a capability that the running kernel doesn't know.
pub fn lower_ambient(capability: Capability) -> Result<(), ThreadError> {
    ambient(LOWER, "PR_CAP_AMBIENT_LOWER", Some(capability)).map(drop)
}

/// Empties the ambient set: `PR_CAP_AMBIENT_CLEAR_ALL`.
///
/// # Errors
/// None that a supported kernel has; a seccomp filter may deny the call.
pub fn clear_ambient() -> Result<(), ThreadError> {
    ambient(CLEAR_ALL, "PR_CAP_AMBIENT_CLEAR_ALL", None).map(drop)
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
    match raw::prctl(PR_CAPBSET_READ, capability.number(), 0) {
        Ok(held) => Ok(Some(held == 1)),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(None),
        Err(error) => Err(ThreadError::call(format!("prctl(PR_CAPBSET_READ, {capability})"), &error)),
    }
}

fn ambient(operation: u32, name: &str, capability: Option<Capability>) -> Result<u32, ThreadError> {
    raw::prctl(PR_CAP_AMBIENT, operation, capability.map_or(0, Capability::number)).named(|| {
        let which = capability.map_or(String::new(), |capability| format!(", {capability}"));
        format!("prctl(PR_CAP_AMBIENT, {name}{which})")
    })
}

fn joined(low: u32, high: u32) -> CapSet {
    CapSet::from_bits(u64::from(high) << 32 | u64::from(low))
}

fn low(bits: u64) -> u32 {
    u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0)
}

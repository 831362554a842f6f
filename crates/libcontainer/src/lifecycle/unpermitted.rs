//! Why capset(2) was refused: it has one error number for all capabilities, and nobody can give what he has not; or why one is not in the bounding set,
//! into which nothing comes back.
//!
//! Only to explain an error that is told anyway.

use libcontainer_security::{CapSet, thread};
use nix::errno::Errno;

/// What the text of a failed step and its error number say together with what the caller has.
pub(super) fn why(text: &str, errno: i32) -> Option<String> {
    if errno != Errno::EPERM as i32 {
        return None;
    }
    if text.contains(": prctl(PR_SET_SECUREBITS, ") {
        return locked(thread::secure_bits().ok()?.bits());
    }
    let wanted = wanted(text)?;
    told(wanted, thread::capabilities().ok()?.permitted)
}

/// Of securebits that can't be set.
fn locked(own: u32) -> Option<String> {
    // Each bit is followed by that which locks it.
    const LOCKS: u32 = 0xaa;
    let said = "the caller itself has securebits that are locked: give the config the same";
    (own & LOCKS != 0).then(|| said.to_owned())
}

/// What the text of a step says that found a capability missing in the bounding set, if the caller has it not in his.
pub(super) fn unbounded(text: &str) -> Option<String> {
    let number = text.split_once(": prctl(PR_CAPBSET_READ, ")?.1.split_once(", 0, 0, 0) must be 1")?.0;
    let bit = 1_u64.checked_shl(number.parse().ok()?)?;
    let lacking = CapSet::from_bits(bit).without(thread::capabilities().ok()?.bounding);
    let name = lacking.iter().next()?;
    Some(format!("the caller itself has not {name} in its bounding set: leave it out of the capabilities"))
}

/// A caller without any gets them by a user namespace, where what he has says nothing.
fn told(wanted: CapSet, own: CapSet) -> Option<String> {
    let lacking = wanted.without(own);
    let names: Vec<_> = lacking.iter().map(|capability| capability.to_string()).collect();
    let said = || format!("the caller itself has not {}: leave it out of the capabilities", names.join(", "));
    (!own.is_empty() && !names.is_empty()).then(said)
}

/// What is to be permitted and inheritable, of a step's text: `capset(<v3, self>, [1, 1, 0, 0, 0, 0])`, three lower and three upper halves.
fn wanted(text: &str) -> Option<CapSet> {
    let (numbers, _) = text.split_once(": capset(<v3, self>, [")?.1.split_once(']')?;
    let halves: Vec<u64> = numbers.split(", ").map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let [_, permitted, inheritable, _, upper_permitted, upper_inheritable] = halves.as_slice() else {
        return None;
    };
    Some(CapSet::from_bits(permitted | inheritable | (upper_permitted | upper_inheritable) << 32))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use super::*;

    #[test]
    fn bits_that_are_locked_are_told() {
        for (own, is_told) in [(0, false), (4, false), (8, true), (0xc, true)] {
            assert_eq!(locked(own).is_some(), is_told, "{own}");
        }
    }

    #[test]
    fn what_is_lacking_is_named() {
        let set = |names: &[&str]| CapSet::from_names(names.iter().copied()).unwrap();
        let text =
            "create \"c\": step 3/4: set capabilities: capset(<v3, self>, [1, 524289, 2, 0, 64, 0]): EPERM";
        let all = wanted(text).unwrap();
        assert_eq!(all, set(&["CHOWN", "DAC_OVERRIDE", "SYS_PTRACE", "PERFMON"]));
        let told = |own: &[&str]| told(all, set(own));
        let said = told(&["CHOWN", "DAC_OVERRIDE", "SYS_PTRACE"]).unwrap();
        assert!(said.starts_with("the caller itself has not PERFMON: leave it out"), "{said}");
        assert!(told(&["CHOWN"]).unwrap().contains("DAC_OVERRIDE, SYS_PTRACE, PERFMON: "));
        assert_eq!((told(&[]), told(&["CHOWN", "DAC_OVERRIDE", "SYS_PTRACE", "PERFMON"])), (None, None));
        for other in
            ["step 3/4: capset(<v3, self>, [1, 2]): EPERM", "step 3/4: capget(<v3, self>)", "capset("]
        {
            assert_eq!(wanted(other), None);
        }
        assert_eq!(why(text, libc::EINVAL), None);
    }
}

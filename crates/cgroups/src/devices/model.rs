//! The meaning of a list of rules, said as plainly as possible: what the eBPF program is compared with.

use super::rules::{Access, Kind, Rule};

/// The accesses to one device (`kind` is `Char` or `Block`) that `rules` leave allowed.
///
/// At the start nothing is; each rule that speaks of the device then gives or takes the accesses that it names.
#[must_use]
pub fn granted(rules: &[Rule], kind: Kind, major: u32, minor: u32) -> Access {
    rules.iter().filter(|rule| rule.matches(kind, major, minor)).fold(Access::empty(), |granted, rule| {
        if rule.allow { granted | rule.access } else { granted - rule.access }
    })
}

/// True when a request for `access` (one or more bits at once) to one device passes.
///
/// A request for nothing (access(2) with `F_OK`) passes when an allow rule speaks of the device and no later rule denies it in full.
#[must_use]
pub fn allows(rules: &[Rule], kind: Kind, major: u32, minor: u32, access: Access) -> bool {
    if access.is_empty() {
        let last = rules
            .iter()
            .rev()
            .find(|rule| rule.matches(kind, major, minor) && (rule.allow || rule.access == Access::all()));
        return last.is_some_and(|rule| rule.allow);
    }
    granted(rules, kind, major, minor).contains(access)
}

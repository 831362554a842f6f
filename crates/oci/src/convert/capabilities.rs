//! `process.capabilities`.

use libcontainer::CapabilitySets;
use libcontainer::security::CapSet;

use super::found::Found;
use crate::spec::Capabilities;

/// The five sets. Names that nobody knows are left out, as in runc; no sets are no capabilities.
pub(super) fn convert(asked: Option<&Capabilities>, at: &str, found: &mut Found) -> CapabilitySets {
    let Some(asked) = asked else { return CapabilitySets::default() };
    let mut known = |key: &str, names: &[String]| -> Vec<String> {
        let mut kept = Vec::new();
        for (index, name) in names.iter().enumerate() {
            match CapSet::from_names([name.as_str()]) {
                Ok(_) if !name.eq_ignore_ascii_case("ALL") => kept.push(name.clone()),
                _ => found
                    .warn(&format!("{at}/{key}/{index}"), format!("{name:?}: unknown capability: left out")),
            }
        }
        kept
    };
    let mut sets = CapabilitySets {
        bounding: known("bounding", &asked.bounding),
        effective: known("effective", &asked.effective),
        permitted: known("permitted", &asked.permitted),
        inheritable: known("inheritable", &asked.inheritable),
        ambient: known("ambient", &asked.ambient),
    };
    let CapabilitySets { bounding, effective, permitted, inheritable, ambient } = &mut sets;
    // What is not in the bounding set no program gets by execve(2), whatever the process has before.
    for (key, set) in
        [("effective", effective), ("permitted", &mut *permitted), ("inheritable", &mut *inheritable)]
    {
        only(set, bounding, &format!("{at}/{key}"), found);
    }
    // Older default configs (runc 1.1's, buildah's) have ambient ones without any inheritable, so that none is meant; who names some of these means it.
    let meant = !inheritable.is_empty();
    let (kept, lost): (Vec<_>, Vec<_>) = std::mem::take(ambient)
        .into_iter()
        .partition(|name| permitted.contains(name) && inheritable.contains(name));
    *ambient = kept;
    if !lost.is_empty() {
        // The first words are runc's.
        let text = format!(
            "can't raise ambient capability {}: only what is permitted and inheritable can be ambient: left out",
            lost.join(", ")
        );
        found.warn_of(&format!("{at}/ambient"), text, meant);
    }
    sets
}

/// Leaves out of a set what is not in the bounding set, by whatever name.
fn only(set: &mut Vec<String>, bounding: &[String], at: &str, found: &mut Found) {
    let mask = |name: &String| CapSet::from_names([name.as_str()]).ok();
    let bounding: Vec<_> = bounding.iter().filter_map(mask).collect();
    set.retain(|name| {
        let is_in = mask(name).is_some_and(|one| bounding.contains(&one));
        if !is_in {
            found.warn(at, format!("{name}: not in bounding: left out"));
        }
        is_in
    });
}

//! Device rules to `DevicePolicy` and `DeviceAllow`. Pure.
//!
//! systemd's list can't deny single devices and knows whole majors only by the names of their drivers. So what is given
//! to it never denies what the rules allow, but may allow more; the exact filter is that of [`crate::devices`],
//! which is set beside systemd's on version 2 (an access must pass both), and after it on version 1.

use std::collections::BTreeMap;

use super::property::Property;
use super::value::{Array, Value};
use crate::devices::{Access, Kind, Rule, validate};
use crate::error::Result;

/// What systemd's entries are made of: kind, major, minor.
type Device = (Kind, Option<u32>, Option<u32>);

/// The properties for `rules`: the policy, the empty list that clears what was there, and the list.
pub(super) fn device_properties(rules: &[Rule], drivers: &str) -> Result<Vec<Property>> {
    validate(rules)?;
    let allowed = allowed(rules);
    let policy = if allowed.is_some() { "strict" } else { "auto" };
    let list = |items| Property::new("DeviceAllow", Value::Array(Array::known("(ss)", items)));
    let mut properties =
        vec![Property::new("DevicePolicy", Value::Text(policy.to_owned())), list(Vec::new())];
    let entries = allowed.map(|allowed| entries(&allowed, drivers)).unwrap_or_default();
    if !entries.is_empty() {
        let items = entries
            .into_iter()
            .map(|(node, access)| Value::Struct(vec![Value::Text(node), Value::Text(access.to_string())]));
        properties.push(list(items.collect()));
    }
    Ok(properties)
}

/// What is allowed at least; None when everything is that isn't denied.
fn allowed(rules: &[Rule]) -> Option<BTreeMap<Device, Access>> {
    let mut allowed = Some(BTreeMap::new());
    for rule in rules {
        if rule.is_everything() {
            allowed = if rule.allow { None } else { Some(BTreeMap::new()) };
            continue;
        }
        let Some(list) = &mut allowed else { continue };
        for kind in [Kind::Char, Kind::Block]
            .into_iter()
            .filter(|kind| matches!(rule.kind, Kind::All) || rule.kind == *kind)
        {
            let rule = Rule { kind, ..*rule };
            if rule.allow {
                *list.entry((kind, rule.major, rule.minor)).or_insert(Access::empty()) |= rule.access;
            } else {
                take(list, &rule);
            }
        }
    }
    allowed
}

/// Takes access from the entries that the rule speaks of as a whole. A hole in a wider entry can't be said.
fn take(list: &mut BTreeMap<Device, Access>, rule: &Rule) {
    list.retain(|(kind, major, minor), access| {
        let whole = Rule { allow: true, kind: *kind, major: *major, minor: *minor, access: rule.access };
        if rule.covers(&whole) {
            access.remove(rule.access);
        }
        !access.is_empty()
    });
}

/// The entries of systemd's list, each name once.
fn entries(allowed: &BTreeMap<Device, Access>, drivers: &str) -> Vec<(String, Access)> {
    let mut entries: Vec<(String, Access)> = Vec::new();
    for ((kind, major, minor), access) in allowed {
        let word = if *kind == Kind::Block { "block" } else { "char" };
        let nodes = match (major, minor) {
            (Some(major), Some(minor)) => vec![format!("/dev/{word}/{major}:{minor}")],
            // A major that no driver has registered has nothing that could be opened.
            (Some(major), None) => {
                names(drivers, *kind, *major).into_iter().map(|name| format!("{word}-{name}")).collect()
            }
            (None, _) => vec![format!("{word}-*")],
        };
        for node in nodes {
            match entries.iter_mut().find(|(own, _)| *own == node) {
                Some((_, own)) => *own |= *access,
                None => entries.push((node, *access)),
            }
        }
    }
    entries
}

/// The names of a major's drivers in the text of `/proc/devices`: two sections of lines such as `136 pts`.
fn names(drivers: &str, kind: Kind, major: u32) -> Vec<&str> {
    let heading = if kind == Kind::Block { "Block devices:" } else { "Character devices:" };
    let lines = drivers.lines().skip_while(|line| *line != heading).skip(1);
    let section = lines.take_while(|line| !line.trim().is_empty());
    let pairs = section.filter_map(|line| line.trim().split_once(' '));
    let mut names: Vec<&str> =
        pairs.filter(|(number, _)| number.parse() == Ok(major)).map(|(_, name)| name.trim()).collect();
    names.dedup();
    names
}

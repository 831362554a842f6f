//! A confinement that was made of what was seen, and the search for the capabilities that it needs.

use std::collections::BTreeSet;

use libcontainer_security::observe::Observation;
use libcontainer_security::seccomp::{Arch, Profile};
use serde::Serialize;
use serde_json::Value;

use super::files::{Allowed, rules};
use crate::config::Config;
use crate::error::{Error, Result};

/// Fields of a [`Config`] that confine a program to what it was seen to do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Draft {
    /// Capabilities that are kept.
    pub capabilities: Vec<String>,
    /// Files and ports.
    pub landlock: Allowed,
    /// System calls.
    pub seccomp: Profile,
}

impl Draft {
    /// What was seen. Of the capabilities of the config those are kept that the calls may need: [`least`] finds out which do.
    #[must_use]
    pub fn of(seen: &Observation, config: &Config) -> Self {
        let landlock = Allowed {
            enforce: "best_effort",
            paths: rules(&seen.paths),
            bind_tcp: seen.bound.iter().copied().collect(),
            connect_tcp: seen.connected.iter().copied().collect(),
        };
        let granted = granted(config);
        let capabilities =
            granted.into_iter().filter(|name| seen.capabilities.contains(name.as_str())).collect();
        // It was observed here, so the architecture is known.
        let seccomp = seen.profile(Arch::native().unwrap_or(Arch::X86_64));
        Self { capabilities, landlock, seccomp }
    }

    /// The config, confined so: the draft's keys are laid over those of its JSON.
    ///
    /// # Errors
    /// None in practice; those of JSON.
    pub fn confine(&self, config: &Config) -> Result<Config> {
        let failed = |error: serde_json::Error| Error::io("confine a config", error.into());
        let bare = Config { capability_sets: None, ..config.clone() };
        let mut all = serde_json::to_value(bare).map_err(failed)?;
        let own = serde_json::to_value(self).map_err(failed)?;
        if let (Value::Object(all), Value::Object(own)) = (&mut all, own) {
            all.extend(own);
        }
        serde_json::from_value(all).map_err(failed)
    }

    /// As JSON: an object with these keys of container.json.
    ///
    /// # Errors
    /// A path that is not UTF-8 has no form in JSON; [`Draft::of`] makes none.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map_err(|error| Error::io("write a confinement as JSON", error.into()))
    }
}

/// Names of the capabilities that a program of this config has, in order.
fn granted(config: &Config) -> Vec<String> {
    let named: BTreeSet<String> =
        config.capability_masks().bounding.iter().map(|one| one.to_string()).collect();
    named.into_iter().map(|name| name.trim_start_matches("CAP_").to_owned()).collect()
}

/// What [`least`] has found.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// The draft with the capabilities that are needed.
    pub draft: Draft,
    /// How often the program was run.
    pub runs: usize,
    /// Whether it did the same as when it was observed with what the calls may need; else all capabilities of the config are back.
    pub sufficient: bool,
}

/// Takes one capability after the other from the draft and puts back what `same` misses: that runs the program under a draft, and says whether it did the
/// same as when it was observed. What is missed is asked for twice: one run that ends otherwise, for want of memory or by a signal, allows nothing.
///
/// # Errors
/// Those of `same`.
pub fn least(draft: Draft, config: &Config, same: &mut dyn FnMut(&Draft) -> Result<bool>) -> Result<Tried> {
    let mut runs = 0;
    let mut enough = |draft: &Draft| -> Result<bool> {
        for _ in 0..ASKED {
            runs += 1;
            if same(draft)? {
                return Ok(true);
            }
        }
        Ok(false)
    };
    let none = Draft { capabilities: Vec::new(), ..draft.clone() };
    if enough(&none)? {
        return Ok(Tried { draft: none, runs, sufficient: true });
    }
    if !enough(&draft)? {
        let capabilities = granted(config);
        return Ok(Tried { draft: Draft { capabilities, ..draft }, runs, sufficient: false });
    }
    let mut draft = draft;
    for name in draft.capabilities.clone() {
        let mut without = draft.clone();
        without.capabilities.retain(|kept| *kept != name);
        if without.capabilities.is_empty() {
            break;
        }
        if enough(&without)? {
            draft = without;
        }
    }
    Ok(Tried { draft, runs, sufficient: true })
}

/// How often a draft is tried before it does not do.
const ASKED: usize = 2;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use super::*;

    fn config(names: &[&str]) -> Config {
        Config { capabilities: names.iter().map(|name| (*name).to_owned()).collect(), ..Config::default() }
    }

    fn search(candidates: &[&'static str], needed: &[&str]) -> Tried {
        let config = config(&["CHOWN", "KILL", "SETUID", "NET_RAW"]);
        let seen =
            Observation { capabilities: candidates.iter().copied().collect(), ..Observation::default() };
        let mut same =
            |draft: &Draft| Ok(needed.iter().all(|name| draft.capabilities.iter().any(|kept| kept == name)));
        least(Draft::of(&seen, &config), &config, &mut same).unwrap()
    }

    #[test]
    fn what_is_not_missed_goes() {
        let of = |candidates: &[&'static str], needed: &[&str]| {
            let tried = search(candidates, needed);
            (tried.draft.capabilities.join(","), tried.sufficient)
        };
        assert_eq!(of(&["CHOWN", "KILL"], &[]), (String::new(), true));
        assert_eq!(of(&["CHOWN", "KILL", "SETUID"], &["KILL"]), ("KILL".to_owned(), true));
        assert_eq!(of(&["CHOWN", "KILL", "SETUID"], &["SETUID", "CHOWN"]), ("CHOWN,SETUID".to_owned(), true));
        // Not granted in the first place.
        assert_eq!(of(&["SYS_ADMIN"], &[]), (String::new(), true));
        // One run of a draft that would do ends otherwise, each time.
        let config = config(&["CHOWN", "KILL"]);
        for failing in 0..9 {
            let seen = Observation { capabilities: ["CHOWN", "KILL"].into(), ..Observation::default() };
            let mut runs = 0;
            let mut same = |draft: &Draft| {
                runs += 1;
                Ok(runs != failing && draft.capabilities.iter().any(|kept| kept == "KILL"))
            };
            let tried = least(Draft::of(&seen, &config), &config, &mut same).unwrap();
            assert_eq!(
                (tried.draft.capabilities.join(","), tried.runs, tried.sufficient),
                ("KILL".to_owned(), runs, true),
                "{failing}"
            );
        }
        // Needed, and not in the table.
        assert_eq!(of(&["CHOWN"], &["NET_RAW"]), ("CHOWN,KILL,NET_RAW,SETUID".to_owned(), false));
    }
}

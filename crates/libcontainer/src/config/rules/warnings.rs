//! What a config asks for and gets in part, because it says so.

use libcontainer_plan::{Probe, errno_text};
use libcontainer_security::landlock::{Enforce, Landlock};

use crate::config::container::Config;

impl Config {
    /// What will be left out on a kernel such as `probe` describes, each with a JSON pointer: only what the config itself allows to be left out. Nothing
    /// if all will be done. What may not be left out is an error of the start instead.
    #[must_use]
    pub fn warnings(&self, probe: &Probe) -> Vec<String> {
        self.landlock.iter().filter_map(|wanted| left_out(wanted, probe)).collect()
    }
}

fn left_out(wanted: &Landlock, probe: &Probe) -> Option<String> {
    if wanted.enforce == Enforce::Required {
        return None;
    }
    let rules = wanted.fitted(probe.landlock.unwrap_or(0)).ok().filter(|rules| !rules.left_out.is_empty())?;
    let list = rules.left_out.join(", ");
    Some(match probe.landlock {
        Ok(abi) => format!("/landlock: left out, as this kernel has ABI {abi}: {list}"),
        Err(errno) => format!("/landlock: left out, as this kernel has none ({}): {list}", errno_text(errno)),
    })
}

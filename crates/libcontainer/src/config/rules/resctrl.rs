//! Rules of resctrl. Whether the kernel has it, and such a class, is seen when a container is made.

use super::problems::{Facts, Problems};
use crate::config::container::Config;

/// What lies beside the classes.
const TAKEN: [&str; 5] = [".", "..", "info", "mon_data", "mon_groups"];
const NAME_MAX: usize = 255;

/// Whether this can be the name of a class.
pub(crate) fn is_class(name: &str) -> bool {
    let odd = |c: char| c == '/' || c.is_control();
    !name.is_empty() && name.len() <= NAME_MAX && !TAKEN.contains(&name) && !name.contains(odd)
}

/// Whether this can be a line of `schemata`.
pub(crate) fn is_schema(line: &str) -> bool {
    !line.trim().is_empty() && !line.contains(char::is_control)
}

impl Config {
    pub(super) fn resctrl_problems(&self, facts: &Facts, all: &mut Problems) {
        let Some(resctrl) = &self.resctrl else { return };
        let class = resctrl.class.as_str();
        if !class.is_empty() && class != "/" && !is_class(class) {
            all.add("/resctrl/class", format!("{class:?} can't be the name of a class"));
        }
        if class == "/" && !resctrl.schemata.is_empty() {
            all.add("/resctrl/schemata", "the class of everybody else is not a container's to change");
        }
        for (index, line) in resctrl.schemata.iter().enumerate() {
            if !is_schema(line) {
                all.add(
                    format!("/resctrl/schemata/{index}"),
                    format!("{line:?}: one line such as L3:0=f;1=f"),
                );
            }
        }
        if facts.euid != 0 {
            all.hint("/resctrl", "needs root: the files of resctrl are root's", "leave it out");
        }
    }
}

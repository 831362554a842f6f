//! Rules of what a process has beside its rights: scheduler, input and output, memory; of securebits and Landlock.

use libcontainer_security::thread::SecureBits;

use super::problems::Problems;
use crate::config::container::Config;

impl Config {
    pub(super) fn attribute_problems(&self, all: &mut Problems) {
        for (key, reason) in self.scheduler.iter().flat_map(libcontainer_security::Scheduler::problems) {
            all.add(format!("/scheduler/{key}"), reason);
        }
        for (key, reason) in self.io_priority.iter().filter_map(|priority| priority.problems()) {
            all.add(format!("/io_priority/{key}"), reason);
        }
        for (key, reason) in self.memory_policy.iter().flat_map(libcontainer_security::MemoryPolicy::problems)
        {
            all.add(format!("/memory_policy/{key}"), reason);
        }
        for (key, reason) in
            self.landlock.iter().flat_map(libcontainer_security::landlock::Landlock::problems)
        {
            let pointer = if key.is_empty() { "/landlock".to_owned() } else { format!("/landlock/{key}") };
            all.add(pointer, reason);
        }
        for (index, name) in self.securebits.iter().enumerate() {
            match SecureBits::named(name) {
                None => all.add(format!("/securebits/{index}"), format!("{name:?}: unknown securebit")),
                Some(SecureBits::KEEP_CAPS) => {
                    all.add(format!("/securebits/{index}"), "KEEP_CAPS: exec clears it");
                }
                Some(_) => {}
            }
        }
    }

    /// The securebits that the config asks for. Unknown names are left out: validation has reported them.
    pub(crate) fn securebits_mask(&self) -> u32 {
        self.securebits.iter().filter_map(|name| SecureBits::named(name)).collect::<SecureBits>().bits()
    }
}

//! Whether the kernel has killed for want of memory.

use std::sync::Arc;

use libcontainer_cgroups::stats::Version;
use libcontainer_cgroups::{Dir, Group};

/// The count of kills for want of memory in one group, and what it was at first.
#[derive(Debug)]
pub(crate) struct OutOfMemory {
    dir: Arc<Dir>,
    file: &'static str,
    before: u64,
}

impl OutOfMemory {
    /// Of a group in which others have been.
    pub(crate) fn new(group: &Group) -> Option<Self> {
        let (dir, version) = group.controller("memory")?;
        let file = if version == Version::V1 { "memory.oom_control" } else { "memory.events" };
        let before = kills(&dir.read(file).ok()?);
        Some(Self { dir: Arc::clone(dir), file, before })
    }

    /// The same for a group that was made for the process: it has counted nothing else.
    pub(crate) fn of_new(group: &Group) -> Option<Self> {
        // RACE: the program may have been killed by now.
        Some(Self { before: 0, ..Self::new(group)? })
    }

    /// Whether there were more since.
    pub(super) fn has_killed(&self) -> bool {
        // The group may be gone, with everything in it: then nobody knows.
        self.dir.read(self.file).is_ok_and(|text| kills(&text) > self.before)
    }
}

fn kills(text: &str) -> u64 {
    let found = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    found.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

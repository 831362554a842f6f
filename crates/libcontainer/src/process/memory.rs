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
        // Without a count at first later ones say nothing: then it is not known, which is what the status says.
        let before = kills(&dir.read(file).ok()?)?;
        Some(Self { dir: Arc::clone(dir), file, before })
    }

    /// The same for a group that was made for the process: it has counted nothing else.
    pub(crate) fn of_new(group: &Group) -> Option<Self> {
        // RACE: the program may have been killed by now.
        Some(Self { before: 0, ..Self::new(group)? })
    }

    /// Whether there were more since; `None` if nobody knows: the group may be gone, with everything in it.
    pub(super) fn has_killed(&self) -> Option<bool> {
        // Why it can't be read is all the same to who asks how a process has ended.
        let text = self.dir.read(self.file).ok()?;
        Some(kills(&text)? > self.before)
    }
}

/// KERNEL(4.13): version 1 counts kills since then.
fn kills(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill "))?.trim().parse().ok()
}

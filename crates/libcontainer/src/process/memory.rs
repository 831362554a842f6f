//! Whether the kernel has killed for want of memory.

use libcontainer_cgroups::Group;
use libcontainer_cgroups::events::OomKills;

/// The count of kills for want of memory in one group, and what it was at first.
#[derive(Debug)]
pub(crate) struct OutOfMemory {
    kills: OomKills,
    /// None if it could not be read.
    before: Option<u64>,
}

impl OutOfMemory {
    /// Of a group in which others have been. None without a memory controller.
    pub(crate) fn new(group: &Group) -> Option<Self> {
        let kills = OomKills::of(group).ok()?;
        // Without a count at first later ones say nothing: then it is not known, which is what the status says.
        let before = kills.count().ok().flatten();
        Some(Self { kills, before })
    }

    /// The same for a group that was made for the process: it has counted nothing else.
    pub(crate) fn of_new(group: &Group) -> Option<Self> {
        // RACE: the program may have been killed by now, so the count at first is not looked up.
        Some(Self { kills: OomKills::of(group).ok()?, before: Some(0) })
    }

    /// Whether there were more since. None when that can't be known: the group may be gone, with everything in it.
    pub(super) fn has_killed(&self) -> Option<bool> {
        // Why it can't be read is all the same to who asks how a process has ended.
        let now = self.kills.count().ok().flatten()?;
        Some(now > self.before?)
    }
}

//! Whether a group has room for processes: `pids.max`, its own and those above it.

use super::{Group, Place, walk};
use crate::dir::Dir;
use crate::discovery::Layout;
use crate::error::{Error, Result};

impl Group {
    /// Looks whether one more process may be born into the group, by its `pids.max` and by those above it.
    ///
    /// Version 2 refuses a fork for it, but with EAGAIN alone; version 1 lets a process move into a full group.
    ///
    /// # Errors
    /// [`Error::Full`]; [`Error::Directory`] and [`Error::Read`] when the group was removed. Without the controller there is
    /// no limit, and so no error.
    pub fn check_room(&self) -> Result<()> {
        self.check_room_for(1)
    }

    /// [`Self::check_room`] for `count` processes and threads.
    ///
    /// # Errors
    /// As [`Self::check_room`].
    pub fn check_room_for(&self, count: u64) -> Result<()> {
        self.check_room_in(count, |place| place.unified || place.has("pids"))
    }

    /// [`Self::check_room_for`] only where the kernel lets a process in although there is none: version 1.
    ///
    /// # Errors
    /// As [`Self::check_room`].
    pub fn check_room_to_move(&self, count: u64) -> Result<()> {
        self.check_room_in(count, |place| !place.unified && place.has("pids"))
    }

    fn check_room_in(&self, count: u64, looked_at: impl Fn(&Place) -> bool) -> Result<()> {
        for node in self.nodes.iter().filter(|node| looked_at(&node.place)) {
            room_in(&node.dir, &node.place, count)?;
            room_above(&node.place, count)?;
        }
        Ok(())
    }
}

/// [`Group::check_room_for`] of the group in which this process is: a process is born there unless it is born into another.
///
/// # Errors
/// [`Error::Full`]; [`Error::Invalid`], [`Error::Directory`] and [`Error::Read`] when that can't be seen from here.
pub fn check_own_room(layout: &Layout, count: u64) -> Result<()> {
    let Some(pids) = layout.hierarchy("pids").or(layout.v2.as_ref()) else { return Ok(()) };
    let place = Place::of(pids, pids.own_below()?);
    room_in(&walk::descend(&place.open_mount()?, &place.below)?, &place, count)?;
    room_above(&place, count)
}

/// The groups above `place`, up to what is mounted, which need not be the root of the hierarchy.
fn room_above(place: &Place, count: u64) -> Result<()> {
    let mount = place.open_mount()?;
    for above in place.below.ancestors().skip(1) {
        room_in(&walk::descend(&mount, above)?, place, count)?;
    }
    Ok(())
}

fn room_in(dir: &Dir, place: &Place, count: u64) -> Result<()> {
    let file = place.file("pids.max");
    // The root of a hierarchy has none.
    let Some(max) = dir.read_if_there(file)?.filter(|max| max != "max") else { return Ok(()) };
    let (max, now) = (number(dir, file, &max)?, place.file("pids.current"));
    let current = number(dir, now, &dir.read(now)?)?;
    match current.saturating_add(count) > max {
        true => Err(Error::Full { path: dir.path().join(file), current, max, needed: count }),
        false => Ok(()),
    }
}

fn number(dir: &Dir, file: &str, text: &str) -> Result<u64> {
    let not_understood =
        |_| Error::Content { path: dir.path().join(file), problem: format!("{text:?} is no number") };
    text.parse().map_err(not_understood)
}

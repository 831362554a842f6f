//! Why a process that was killed is still there: on version 1 what is frozen dies only once it is thawed, and it may have been put into a group that is not ours.

use std::path::PathBuf;

use super::{Pid, walk};
use crate::dir::Dir;
use crate::discovery::Layout;
use crate::error::Result;

/// Of how many processes that is looked up.
const LOOKED_AT: usize = 8;

/// `; 12 is held by the frozen group /sys/fs/cgroup/freezer/x: thaw that`, of the first of `pids` of which it can be seen; else nothing.
pub(super) fn why(pids: &[Pid]) -> String {
    // What can't be read is not told: that the process is there, is.
    let holder = |pid: &Pid| Some((*pid, holder(*pid).ok()??));
    match pids.iter().take(LOOKED_AT).find_map(holder) {
        Some((pid, group)) => format!("; {pid} is held by the frozen group {}: thaw that", group.display()),
        None => String::new(),
    }
}

/// Whether that can be seen of a process.
pub(super) fn is_held(pid: Pid) -> bool {
    holder(pid).is_ok_and(|group| group.is_some())
}

/// The outermost group that was told to stand still, of those that the process is in.
fn holder(pid: Pid) -> Result<Option<PathBuf>> {
    let layout = Layout::of_process(pid.get())?;
    let Some(hierarchy) = layout.v1.iter().find(|hierarchy| hierarchy.has("freezer")) else {
        return Ok(None);
    };
    let (below, mount) = (hierarchy.own_below()?, Dir::open(&hierarchy.mountpoint)?);
    let mut path = PathBuf::new();
    for component in below.components() {
        path.push(component);
        let group = walk::descend(&mount, &path)?;
        if group.read_if_there("freezer.self_freezing")?.as_deref() == Some("1") {
            return Ok(Some(group.path().to_owned()));
        }
    }
    Ok(None)
}

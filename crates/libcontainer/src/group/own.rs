//! The control group of a container, as far as it is ours.

use libcontainer_cgroups::{Group, Place, Result};

use crate::record::State;

/// Opens it. What was there before, and is not noted as taken by us, belongs to somebody else.
pub(crate) fn own(state: &State) -> Result<Option<Group>> {
    let ours = |place: &&Place| place.inode.is_some() || place.new > 0;
    let ours: Vec<_> = state.places().iter().filter(ours).cloned().collect();
    if ours.is_empty() { Ok(None) } else { Group::open(&ours).map(Some) }
}

//! What a start in a container that stood by has used. It is closed and freed when nobody waits any more.

use std::sync::Arc;

use libcontainer_plan::Leftover;

use super::draft::Draft;
use super::prepared::Own;

/// What a start has used and needs no more: descriptors and memory. Whoever drops it has the time for that.
#[derive(Debug)]
pub(crate) struct Used {
    pub(super) _launch: Leftover,
    pub(super) _draft: Arc<Draft>,
    pub(super) _own: Own,
}

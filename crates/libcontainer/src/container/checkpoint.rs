//! Checkpoints of a container.

use super::handle::Container;
use crate::criu::CheckpointOptions;
use crate::error::Result;
use crate::lifecycle;

impl Container {
    /// Writes the container to files, of which [`Factory::restore`](crate::Factory::restore) makes it again: by criu(8), as root. It has ended when this returns, and
    /// can be destroyed, unless it is to go on. If it was paused it can be checkpointed too.
    ///
    /// # Errors
    /// [`ErrorKind::WrongState`](crate::ErrorKind::WrongState) unless the container runs or is paused; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if there is no
    /// criu, or an old one; what criu's log says of its failure, with the path of that log. The container runs on as before then.
    pub fn checkpoint(&self, options: CheckpointOptions) -> Result<()> {
        lifecycle::checkpoint(self.host(), self.store(), &self.id(), options)
    }
}

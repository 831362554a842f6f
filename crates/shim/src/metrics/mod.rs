//! What a container uses, as containerd's messages tell it: one for each version of control groups.

mod number;
mod v1;
mod v2;

use containerd_shim_protos::protobuf::well_known_types::any::Any;
use libcontainer::Container;

use crate::events::packed;
use crate::trouble::Trouble;

/// Reads and packs them.
///
/// # Errors
/// Without a control group, or if it can't be read.
pub(crate) fn read(container: &Container) -> Result<Any, Trouble> {
    let stats = container.stats()?;
    if container.group()?.sources().v1.is_empty() {
        packed("io.containerd.cgroups.v2.Metrics", &v2::metrics(&stats))
    } else {
        packed("io.containerd.cgroups.v1.Metrics", &v1::metrics(&stats))
    }
}

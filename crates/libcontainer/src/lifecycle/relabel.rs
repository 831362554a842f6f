//! Labels for what is bound into a container.

use std::io;

use libcontainer_plan::HostStep;

use crate::setup::Setup;

/// One step for each source. None has an undo: what has been relabelled stays so, as with every other tool.
///
/// ORDER: before there is an init, which binds what is labelled.
pub(super) fn relabel_steps(setup: &Setup) -> Vec<HostStep> {
    let step = |(source, relabel): &(std::path::PathBuf, libcontainer_security::selinux::Relabel)| {
        let (text, source, relabel) =
            (format!("relabel {} {}", source.display(), relabel.label), source.clone(), relabel.clone());
        HostStep::new(text, "", move |_| relabel.run(&source).map(|_| None).map_err(io::Error::other))
    };
    setup.relabels.iter().map(step).collect()
}

//! SELinux labels of what the init is going to make and become.

use libcontainer_plan::Builder;
use libcontainer_security::plan as security;
use libcontainer_security::selinux::Attribute;

use crate::setup::LabelSetup;

/// Labels the program, and the session keyring that is going to be made.
///
/// ORDER: while the init is in the host's tree, whose procfs can be trusted and shows the init to itself whatever namespaces it is in. Labels hold until
/// exec and for a respawned init too, and nothing else is made or run by it that they would be for.
pub(super) fn label(plan: &mut Builder, setup: Option<&LabelSetup>) {
    let Some(LabelSetup { process, keyring }) = setup else { return };
    let proc = security::open_proc(plan);
    if *keyring {
        security::label(plan, proc, Attribute::KeyCreate, process);
    }
    security::label(plan, proc, Attribute::Exec, process);
    plan.close(proc);
}

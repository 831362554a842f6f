//! Labels of SELinux and AppArmor, of what the init is going to make and become.

use libcontainer_plan::Builder;
use libcontainer_security::apparmor::Transition;
use libcontainer_security::plan as security;
use libcontainer_security::selinux::Attribute;

use crate::setup::LabelSetup;

/// Labels the program, and the session keyring that is going to be made; puts the program under its profile.
///
/// ORDER: while the init is in the host's tree, whose procfs can be trusted and shows the init to itself whatever namespaces it is in. Labels hold until
/// exec and for a respawned init too, and nothing else is made or run by it that they would be for.
pub(super) fn label(plan: &mut Builder, selinux: Option<&LabelSetup>, apparmor: Option<&Transition>) {
    if selinux.is_none() && apparmor.is_none() {
        return;
    }
    let proc = security::open_proc(plan);
    if let Some(LabelSetup { process, keyring }) = selinux {
        if *keyring {
            security::label(plan, proc, Attribute::KeyCreate, process);
        }
        security::label(plan, proc, Attribute::Exec, process);
    }
    if let Some(profile) = apparmor {
        security::apparmor_profile(plan, proc, profile);
    }
    plan.close(proc);
}

//! Labels of SELinux and AppArmor: the files in `/proc/self/attr`, proc_pid_attr(5).

use libcontainer_plan::{At, Builder, Dir, File, How, Resolve, Slot};

use crate::apparmor::Transition;
use crate::selinux::{Attribute, Context};

/// `PROC_SUPER_MAGIC` of statfs(2).
const PROC: u32 = 0x9fa0;

/// Opens the procfs at `/proc`, and makes sure that it is one: three steps. Whatever namespaces the init is in, it is shown itself there as long
/// as the tree is that of the host.
pub fn open_proc(plan: &mut Builder) -> Slot<Dir> {
    plan.purpose("open the host's procfs");
    let flags = libc::O_PATH | libc::O_DIRECTORY | libc::O_NOFOLLOW;
    let proc = plan.openat2(At::Cwd, "/proc", How { flags, mode: 0, resolve: Resolve::NO_MAGICLINKS });
    plan.expect_filesystem(proc, PROC);
    proc
}

/// Opens a file of the init's own in that procfs, to be read and written. Nothing that is mounted over it is taken for it.
pub fn open_attribute(plan: &mut Builder, proc: Slot<Dir>, name: &str) -> Slot<File> {
    // `self` is a link.
    let resolve = Resolve::BENEATH | Resolve::NO_XDEV | Resolve::NO_MAGICLINKS;
    plan.openat2(proc, format!("self/attr/{name}"), How { flags: libc::O_RDWR, mode: 0, resolve })
}

/// Sets a label and reads it back: openat2(2), write(2), pread(2), a comparison, close(2). None of them may fail; a difference ends the plan with
/// `EBADE`. A policy that does not allow it, or has no such label, answers the write with `EACCES` or `EINVAL`.
///
/// ORDER: a label for keys before the keyring is joined, that of the program before exec. Who may set it is for the policy to say: it takes
/// no capability, so it may stand before or behind the loss of privileges.
pub fn label(plan: &mut Builder, proc: Slot<Dir>, attribute: Attribute, context: &Context) {
    let text = context.to_string();
    plan.purpose(format!("label {} {text}", what(attribute)));
    let file = open_attribute(plan, proc, attribute.file());
    plan.write(file, text.as_bytes());
    // The kernel counts the NUL at the end.
    let shown = [text.as_bytes(), b"\0"].concat();
    plan.expect_content(file, &shown).close(file);
}

/// Puts the program under a profile of AppArmor when it is run, and reads that back: openat2(2), write(2), pread(2), a comparison, close(2). None of them
/// may fail; a difference ends the plan with `EBADE`. A profile that is not loaded answers the write with `ENOENT`, one that the init's own profile
/// does not let it change to with `EACCES`, and with `no_new_privs` with `EPERM`.
///
/// ORDER: it takes no capability and holds until exec, also for a respawned init, so it may stand before or behind the loss of privileges.
pub fn apparmor_profile(plan: &mut Builder, proc: Slot<Dir>, profile: &Transition) {
    plan.purpose(format!("put the program under the AppArmor profile {profile}"));
    // Not `exec`, which is that of whichever module comes first.
    let file = open_attribute(plan, proc, "apparmor/exec");
    plan.write(file, profile.command().as_bytes());
    plan.expect_beginning(file, profile.shown().as_bytes()).close(file);
}

fn what(attribute: Attribute) -> &'static str {
    match attribute {
        Attribute::Exec => "the program",
        Attribute::FileCreate => "new files",
        Attribute::KeyCreate => "new keys",
        Attribute::SocketCreate => "new sockets",
    }
}

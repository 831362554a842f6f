//! Landlock of the calling thread.

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::access::PathAccess;
use super::rules::{PathRule, Ruleset};
use crate::error::{Named, ThreadError};

/// Version of the kernel's interface: landlock_create_ruleset(2), `LANDLOCK_CREATE_RULESET_VERSION`.
///
/// # Errors
/// `ENOSYS` on a kernel that is built without, `EOPNOTSUPP` if it was not switched on at boot; a seccomp filter may deny the call.
pub fn abi() -> Result<u32, ThreadError> {
    libcontainer_plan::landlock_abi()
        .named(|| "landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)".to_owned())
}

/// Restricts the calling thread and all that comes from it, for good: landlock_create_ruleset(2), landlock_add_rule(2), landlock_restrict_self(2). Other
/// threads of the process stay as they are.
///
/// # Errors
/// Those of the calls: `EPERM` without `no_new_privs` ([`crate::thread::set_no_new_privs`]) and without `CAP_SYS_ADMIN`; `ENOENT` and the like for a path
/// that can't be opened; `E2BIG` for more than 16 layers. Nothing is restricted then.
pub fn restrict_thread(rules: &Ruleset) -> Result<(), ThreadError> {
    let handled = [rules.files.bits(), rules.network, rules.scopes];
    let set = libcontainer_plan::landlock_ruleset(handled)
        .named(|| format!("landlock_create_ruleset({handled:x?})"))?;
    for rule in &rules.paths {
        add_path(&set, rule)?;
    }
    for (port, access) in &rules.ports {
        libcontainer_plan::landlock_add_port(&set, *port, *access)
            .named(|| format!("landlock_add_rule(port {port}, {access:#x})"))?;
    }
    libcontainer_plan::landlock_restrict_self(&set).named(|| "landlock_restrict_self()".to_owned())
}

fn add_path(set: &std::os::fd::OwnedFd, rule: &PathRule) -> Result<(), ThreadError> {
    let shown = rule.path.display();
    let place = match openat(CWD, &rule.path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) if rule.if_exists => return Ok(()),
        place => place.map_err(std::io::Error::from).named(|| format!("openat(\"{shown}\", O_PATH)"))?,
    };
    let add = |access: PathAccess| libcontainer_plan::landlock_add_path(set, &place, access.bits());
    let files = rule.access & PathAccess::OF_FILES;
    let added = match add(rule.access) {
        // No directory: the rights of directories mean nothing there.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) && files != rule.access => add(files),
        added => added,
    };
    added.named(|| format!("landlock_add_rule(\"{shown}\", {:#x})", rule.access.bits()))
}

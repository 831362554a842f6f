//! Ids and groups of the calling thread.

use std::io;

use nix::unistd::{Gid, Uid};

use crate::error::{Named, ThreadError};
use crate::plan::Identity;
use crate::procfs;
use crate::status::{Ids, Status};

/// The user ids: getresuid(2), and setfsuid(2) with an id that changes nothing.
///
/// # Errors
/// None that a supported kernel has; a seccomp filter may deny the call.
pub fn user_ids() -> Result<Ids, ThreadError> {
    let ids = nix::unistd::getresuid().map_err(io::Error::from).named(|| "getresuid()".to_owned())?;
    let filesystem = nix::unistd::setfsuid(Uid::from_raw(u32::MAX)).as_raw();
    let [real, effective, saved] = [ids.real, ids.effective, ids.saved].map(Uid::as_raw);
    Ok(Ids { real, effective, saved, filesystem: told(filesystem, "setfsuid")? })
}

/// The group ids: getresgid(2), and setfsgid(2) with an id that changes nothing.
///
/// # Errors
/// None that a supported kernel has; a seccomp filter may deny the call.
pub fn group_ids() -> Result<Ids, ThreadError> {
    let ids = nix::unistd::getresgid().map_err(io::Error::from).named(|| "getresgid()".to_owned())?;
    let filesystem = nix::unistd::setfsgid(Gid::from_raw(u32::MAX)).as_raw();
    let [real, effective, saved] = [ids.real, ids.effective, ids.saved].map(Gid::as_raw);
    Ok(Ids { real, effective, saved, filesystem: told(filesystem, "setfsgid")? })
}

/// A filesystem id, which is never -1: that is what stands for a call that was denied.
fn told(id: u32, call: &str) -> Result<u32, ThreadError> {
    if id == u32::MAX {
        return Err(ThreadError::call(format!("{call}(-1)"), &io::Error::last_os_error()));
    }
    Ok(id)
}

/// Sets real, effective and saved user id: setresuid(2), of this thread alone. The filesystem id follows the effective one.
///
/// Leaving user id 0 takes the permitted, effective and ambient sets away, unless [`super::keep_capabilities`] (permitted only) or
/// [`super::SecureBits::NO_SETUID_FIXUP`] (all of them) says otherwise. The parent death signal is cleared.
///
/// # Errors
/// `EPERM` without `CAP_SETUID`; `EINVAL` for an id that the user namespace has no mapping for, and for 4294967295, which the kernel
/// would take for "leave this one as it is"; `EAGAIN` for lack of memory.
pub fn set_user_ids(real: u32, effective: u32, saved: u32) -> Result<(), ThreadError> {
    let ids = checked("setresuid", [real, effective, saved])?.map(rustix::thread::Uid::from_raw);
    rustix::thread::set_thread_res_uid(ids[0], ids[1], ids[2])
        .map_err(io::Error::from)
        .named(|| format!("setresuid({real}, {effective}, {saved})"))
}

/// Sets real, effective and saved group id: setresgid(2), of this thread alone.
///
/// # Errors
/// As for [`set_user_ids`], with `CAP_SETGID`.
pub fn set_group_ids(real: u32, effective: u32, saved: u32) -> Result<(), ThreadError> {
    let ids = checked("setresgid", [real, effective, saved])?.map(rustix::thread::Gid::from_raw);
    rustix::thread::set_thread_res_gid(ids[0], ids[1], ids[2])
        .map_err(io::Error::from)
        .named(|| format!("setresgid({real}, {effective}, {saved})"))
}

/// Ids that the kernel would not take for "leave this one as it is".
fn checked(call: &str, ids: [u32; 3]) -> Result<[u32; 3], ThreadError> {
    let [real, effective, saved] = ids;
    if ids.contains(&u32::MAX) {
        return Err(ThreadError::invalid(format!("{call}({real}, {effective}, {saved})")));
    }
    Ok(ids)
}

/// The supplementary groups, as the kernel sorted them: getgroups(2).
///
/// # Errors
/// None that a supported kernel has; a seccomp filter may deny the call.
pub fn groups() -> Result<Vec<u32>, ThreadError> {
    let all = rustix::process::getgroups().map_err(io::Error::from).named(|| "getgroups()".to_owned())?;
    Ok(all.into_iter().map(rustix::process::Gid::as_raw).collect())
}

/// Sets the supplementary groups: setgroups(2), of this thread alone. The kernel sorts them; the same group twice stays twice.
///
/// # Errors
/// `EPERM` without `CAP_SETGID` or where `/proc/PID/setgroups` says `deny`; `EINVAL` for more than 65536 groups or one without a mapping.
pub fn set_groups(groups: &[u32]) -> Result<(), ThreadError> {
    let text = || format!("setgroups({} groups)", groups.len());
    // Never a group, and no id that may be made one.
    if groups.contains(&u32::MAX) {
        return Err(ThreadError::invalid(text()));
    }
    let groups: Vec<_> = groups.iter().copied().map(rustix::thread::Gid::from_raw).collect();
    rustix::thread::set_thread_groups(&groups).map_err(io::Error::from).named(text)
}

/// Becomes `identity` for good: supplementary groups (unless denied), then the group ids, then the user ids, and reads all of them back.
///
/// Capabilities are lost with user id 0; call [`super::keep_capabilities`] before and [`super::confine`] behind to hold on to some.
///
/// # Errors
/// Those of [`set_groups`], [`set_group_ids`], [`set_user_ids`]; `EINVAL` if groups are asked for and denied;
/// [`ThreadError::ReadBack`] if the kernel says otherwise afterwards.
pub fn become_identity(identity: &Identity) -> Result<(), ThreadError> {
    let Identity { uid, gid, groups: wanted, setgroups_denied } = identity;
    if *setgroups_denied && !wanted.is_empty() {
        return Err(ThreadError::invalid(format!("setgroups({} groups), which is denied", wanted.len())));
    }
    if !setgroups_denied {
        set_groups(wanted)?;
    }
    // ORDER: groups before the user id, which takes CAP_SETGID away.
    set_group_ids(*gid, *gid, *gid)?;
    set_user_ids(*uid, *uid, *uid)?;
    for (item, wanted, found) in [("user ids", *uid, user_ids()?), ("group ids", *gid, group_ids()?)] {
        if found != Ids::all(wanted) {
            return Err(ThreadError::differs(item, Ids::all(wanted), found));
        }
    }
    let (mut wanted, mut found) = (wanted.clone(), groups()?);
    wanted.sort_unstable();
    found.sort_unstable();
    if !setgroups_denied && wanted != found {
        return Err(ThreadError::differs("groups", format!("{wanted:?}"), format!("{found:?}")));
    }
    Ok(())
}

/// What the kernel says about this thread: `/proc/PID/task/TID/status`, read below a directory that is a procfs, through no link and no
/// other mount.
///
/// # Errors
/// Those of openat2(2) and read(2); `EXDEV` or `ENOTSUP` if something else is mounted there; [`ThreadError::Status`] if the text
/// makes no sense.
pub fn status() -> Result<Status, ThreadError> {
    let path = format!("{}/task/{}/status", std::process::id(), nix::unistd::gettid());
    let text = procfs::read(&path)?;
    Status::parse(&text).map_err(|error| ThreadError::Status { path: format!("/proc/{path}"), error })
}

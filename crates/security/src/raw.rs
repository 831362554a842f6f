//! Bare system calls on the own thread and on `/proc`: those of libc change all threads of the process.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `_LINUX_CAPABILITY_VERSION_3`: two words for each set.
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// `prctl` with numbers for arguments. The caller gives options only that take no address.
pub(crate) fn prctl(option: libc::c_int, first: u32, second: u32) -> io::Result<u32> {
    let (first, second, zero) = (libc::c_ulong::from(first), libc::c_ulong::from(second), 0_u64);
    // SAFETY: no argument is an address for the options used in this crate.
    let result = unsafe { libc::syscall(libc::SYS_prctl, option, first, second, zero, zero) };
    Ok(u32::try_from(check(result)?).unwrap_or(u32::MAX))
}

/// `prctl(PR_GET_PDEATHSIG)`, which stores its answer instead of returning it.
pub(crate) fn parent_death_signal() -> io::Result<libc::c_int> {
    let mut signal: libc::c_int = 0;
    let zero = 0_u64;
    // SAFETY: the kernel writes one int to the address, which is that of one.
    let result =
        unsafe { libc::syscall(libc::SYS_prctl, libc::PR_GET_PDEATHSIG, &raw mut signal, zero, zero, zero) };
    check(result).map(|_| signal)
}

/// Effective, permitted, inheritable of the low 32 capabilities, then of the high ones.
pub(crate) fn capget() -> io::Result<[u32; 6]> {
    let mut header = [CAPABILITY_VERSION_3, 0];
    let mut data = [0_u32; 6];
    // SAFETY: version 3 has a header of two words and data of six; both are that long.
    let result = unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) };
    check(result).map(|_| data)
}

/// The same shape as [`capget`].
pub(crate) fn capset(data: [u32; 6]) -> io::Result<()> {
    let mut header = [CAPABILITY_VERSION_3, 0];
    // SAFETY: as for capget; the kernel reads the data only.
    let result = unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), data.as_ptr()) };
    check(result).map(drop)
}

/// `setresuid` or `setresgid`, of this thread only.
pub(crate) fn set_ids(call: libc::c_long, [real, effective, saved]: [u32; 3]) -> io::Result<()> {
    // SAFETY: three numbers, no address.
    check(unsafe { libc::syscall(call, real, effective, saved) }).map(drop)
}

/// `getresuid` or `getresgid`: real, effective, saved.
pub(crate) fn get_ids(call: libc::c_long) -> io::Result<[u32; 3]> {
    let (mut real, mut effective, mut saved) = (0_u32, 0_u32, 0_u32);
    // SAFETY: the kernel writes one id to each address.
    let result = unsafe { libc::syscall(call, &raw mut real, &raw mut effective, &raw mut saved) };
    check(result).map(|_| [real, effective, saved])
}

/// `setfsuid` or `setfsgid` with -1, which changes nothing: the current id.
pub(crate) fn filesystem_id(call: libc::c_long) -> u32 {
    // SAFETY: a number, no address.
    let id = unsafe { libc::syscall(call, u32::MAX) };
    u32::try_from(id).unwrap_or(u32::MAX)
}

/// `setgroups`, of this thread only.
pub(crate) fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the address is that of as many ids as are announced.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

/// `getgroups` into as many places as there are; the number of groups if there are no places.
pub(crate) fn get_groups(places: &mut [u32]) -> io::Result<usize> {
    // SAFETY: the address is that of as many places as are announced.
    let result = unsafe { libc::syscall(libc::SYS_getgroups, places.len(), places.as_mut_ptr()) };
    Ok(usize::try_from(check(result)?).unwrap_or(0))
}

/// `keyctl(KEYCTL_JOIN_SESSION_KEYRING, name)`; no name makes one without a name.
pub(crate) fn join_session_keyring(name: Option<&CStr>) -> io::Result<i32> {
    let name = name.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: a null pointer or a string that ends in NUL and outlives the call.
    let key = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, name) };
    Ok(i32::try_from(check(key)?).unwrap_or(0))
}

/// `prlimit64`: sets `new` if there is one, returns what was before.
pub(crate) fn prlimit(pid: i32, resource: u32, new: Option<[u64; 2]>) -> io::Result<[u64; 2]> {
    let mut old = [0_u64; 2];
    let new = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: struct rlimit64 is two words of 64 bits; a null pointer means "no change".
    check(unsafe { libc::syscall(libc::SYS_prlimit64, pid, resource, new, &raw mut old) })?;
    Ok(old)
}

/// The thread's id in its own pid namespace.
pub(crate) fn thread_id() -> libc::pid_t {
    // SAFETY: takes nothing, cannot fail.
    unsafe { libc::gettid() }
}

/// `openat2` without a way out of `dir`: no links, no other mount.
pub(crate) fn open_beneath(dir: BorrowedFd<'_>, path: &CStr, flags: libc::c_int) -> io::Result<OwnedFd> {
    const RESOLVE: u64 = 0x01 | 0x02 | 0x04 | 0x08;
    let how = [u64::from((flags | libc::O_CLOEXEC).unsigned_abs()), 0, RESOLVE];
    let (dir, size) = (dir.as_raw_fd(), size_of_val(&how));
    // SAFETY: struct open_how is three words of 64 bits; the path ends in NUL.
    let fd = check(unsafe { libc::syscall(libc::SYS_openat2, dir, path.as_ptr(), &raw const how, size) })?;
    let fd = libc::c_int::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    // SAFETY: the kernel has just made the descriptor; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The magic number of the filesystem behind `fd`.
pub(crate) fn filesystem(fd: BorrowedFd<'_>) -> io::Result<i64> {
    let mut found = std::mem::MaybeUninit::<libc::statfs64>::zeroed();
    // SAFETY: the descriptor is open, the room is that of the structure.
    let result = unsafe { libc::fstatfs64(fd.as_raw_fd(), found.as_mut_ptr()) };
    check(libc::c_long::from(result))?;
    // SAFETY: zeroed, then written by the kernel: any bits are a value of this structure of integers.
    #[allow(clippy::unnecessary_cast, reason = "the width of the field differs between targets")]
    Ok(unsafe { found.assume_init() }.f_type as i64)
}

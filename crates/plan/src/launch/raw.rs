//! Calls that neither nix nor rustix wraps: the only ones of the library that are made raw beside `clone3` and bpf(2).

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};

use crate::ids::Pid;

/// Sends a signal by pidfd: never to a process that has taken over the number. See pidfd_send_signal(2).
///
/// # Errors
/// That of the call; `ESRCH` if the process is gone.
pub fn signal_pidfd(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    let fd = pidfd.as_fd().as_raw_fd();
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open for the length of the call; a null siginfo is allowed.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, none, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Opens a pidfd: a process that it holds is never taken for another one. See pidfd_open(2).
///
/// # Errors
/// That of the call: `ESRCH` if there is no such process, `EINVAL` if the number is that of a thread.
pub fn open_pidfd(pid: Pid) -> io::Result<OwnedFd> {
    let pid = rustix::process::Pid::from_raw(pid.as_raw()).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?)
}

/// The error of a call whose answer is not the kernel's.
pub(super) fn undone(text: &str) -> io::Error {
    io::Error::other(format!("{text}: a seccomp filter of the caller's answers in the kernel's place"))
}

/// `socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC)`. That of nix panics when it is told of two sockets and there are none.
///
/// # Errors
/// Those of the call.
pub(super) fn socket_pair() -> io::Result<[OwnedFd; 2]> {
    let mut pair: [libc::c_int; 2] = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: two numbers are written to where there is room for two.
    let result = unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if pair.iter().any(|fd| *fd < 0) {
        return Err(undone("socketpair was answered with success and has made no sockets"));
    }
    Ok(pair.map(own))
}

/// `pipe2(O_CLOEXEC)`: the end to read from, and the one to write to. That of nix takes whatever lies in memory for descriptors when it is told of a pipe and
/// there is none.
///
/// # Errors
/// Those of the call.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut pair: [libc::c_int; 2] = [-1; 2];
    // SAFETY: two numbers are written to where there is room for two.
    let result = unsafe { libc::pipe2(pair.as_mut_ptr(), libc::O_CLOEXEC) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    if pair.iter().any(|fd| *fd < 0) {
        return Err(undone("pipe2 was answered with success and has made no pipe"));
    }
    let [reader, writer] = pair.map(own);
    Ok((reader, writer))
}

/// Waits until the child is gone and takes its status.
///
/// # Errors
/// That of waitid(2).
pub(crate) fn reap(pidfd: impl AsFd) -> io::Result<WaitStatus> {
    loop {
        match waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED | WaitPidFlag::__WALL) {
            Err(nix::errno::Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

/// The status of the child if it is gone, left for the real wait.
///
/// # Errors
/// That of waitid(2).
pub(crate) fn peek(pidfd: impl AsFd) -> io::Result<WaitStatus> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::__WALL | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    Ok(waitid(Id::PIDFd(pidfd.as_fd()), flags)?)
}

/// A copy of a descriptor that this program was given by its number, as a shell's `3<file` or a service manager does: `fcntl(number, F_DUPFD_CLOEXEC, 3)`.
///
/// One that is closed on exec was not given: it was opened since, and is another part's.
///
/// # Errors
/// `EBADF` if no such descriptor was given; `EMFILE`.
pub fn inherited(number: u32) -> io::Result<std::os::fd::OwnedFd> {
    let none = || io::Error::from_raw_os_error(libc::EBADF);
    let number = i32::try_from(number).map_err(|_| none())?;
    // SAFETY: the call reads and writes no memory of ours, and changes nothing.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 || flags & libc::FD_CLOEXEC != 0 {
        return Err(none());
    }
    // SAFETY: likewise; the copy is new.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 { Err(io::Error::last_os_error()) } else { Ok(own(copy)) }
}

/// Owns a descriptor that fcntl(F_DUPFD_CLOEXEC) has just returned.
pub(super) fn own(number: i32) -> std::os::fd::OwnedFd {
    // SAFETY: the number is new and nothing else owns it.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(number) }
}

/// `mount_setattr(mount, "", AT_EMPTY_PATH, {set})`.
pub(super) fn mount_setattr(mount: &OwnedFd, set: u64) -> io::Result<()> {
    let attributes: [u64; 4] = [set, 0, 0, 0];
    let (fd, empty) = (mount.as_raw_fd(), c"".as_ptr());
    let size = size_of_val(&attributes);
    // SAFETY: `struct mount_attr` of the first version is these four words; both pointers live across the call.
    let result = unsafe {
        libc::syscall(libc::SYS_mount_setattr, fd, empty, libc::AT_EMPTY_PATH, attributes.as_ptr(), size)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Waits until the process is dead, at most `limit`; its status stays to be taken.
pub(super) fn wait_dead(pidfd: impl AsFd, limit: std::time::Duration) {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    let mut polled = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    while poll(&mut polled, limit) == Err(nix::errno::Errno::EINTR) {}
}

/// `waitid(P_PIDFD)` with resources used: `si_code` and `si_status`; `None` if nothing has ended.
///
/// # Errors
/// That of the call: `EINTR` too.
pub(crate) fn wait_with_usage(
    pidfd: BorrowedFd<'_>,
    flags: i32,
) -> io::Result<Option<(i32, i32, libc::rusage)>> {
    let (mut info, mut usage) =
        (MaybeUninit::<libc::siginfo_t>::zeroed(), MaybeUninit::<libc::rusage>::zeroed());
    let (place, used) = (info.as_mut_ptr(), usage.as_mut_ptr());
    // SAFETY: both structures are writable and of the sizes that the kernel writes.
    let result =
        unsafe { libc::syscall(libc::SYS_waitid, libc::P_PIDFD, pidfd.as_raw_fd(), place, flags, used) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: zeroed at least, and all bit patterns are valid.
    let info = unsafe { info.assume_init() };
    // SAFETY: likewise.
    let usage = unsafe { usage.assume_init() };
    // SAFETY: waitid fills the fields of SIGCHLD, or leaves them zero.
    let pid = unsafe { info.si_pid() };
    // SAFETY: likewise.
    let status = unsafe { info.si_status() };
    Ok((pid != 0).then_some((info.si_code, status, usage)))
}

/// Gives SIGCHLD its default again, which who executed this program may have had ignored: then the kernel reaps children by itself, and how they ended is
/// lost. For a program as it begins; the calls of this crate leave dispositions alone.
pub fn heed_children() {
    // SAFETY: no handler of ours is run. It can't fail for a signal that may be caught.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// `struct pidfd_info` of linux/pidfd.h, first version.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// The status of a process that has ended, in the form of wait(2): `ioctl(PIDFD_GET_INFO)`. `None` if the kernel leaves it out.
///
/// # Errors
/// That of the call.
pub(crate) fn exit_code(pidfd: BorrowedFd<'_>) -> io::Result<Option<i32>> {
    // _IOWR(0xff, 11, struct pidfd_info), whose first version has 64 bytes: linux/pidfd.h.
    #[allow(clippy::cast_lossless, clippy::cast_possible_wrap, reason = "musl's has 32 bits and a sign")]
    const PIDFD_GET_INFO: libc::Ioctl = 0xc040_ff0b_u32 as libc::Ioctl;
    const PIDFD_INFO_EXIT: u64 = 1 << 3;
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the structure has the size that the request number carries.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code))
}

/// The `CLONE_NEW…` bit of the namespace behind a descriptor: ioctl_ns(2), `NS_GET_NSTYPE`.
///
/// # Errors
/// That of the call: `ENOTTY` if it is no namespace.
pub(crate) fn namespace_type(fd: BorrowedFd<'_>) -> io::Result<u32> {
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: the request takes no argument.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_NSTYPE) };
    u32::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// The user namespace to which a namespace belongs: ioctl_ns(2), `NS_GET_USERNS`.
///
/// # Errors
/// That of the call: `EPERM` if it is none of the caller's and none below it.
pub(crate) fn namespace_owner(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    const NS_GET_USERNS: libc::Ioctl = 0xb701;
    // SAFETY: the request takes no argument.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_USERNS) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has made the descriptor for this call, close-on-exec, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(result) })
}

/// `prctl(PR_GET_PDEATHSIG)`: the signal that the calling thread gets when the thread that made its process ends; 0 for none.
///
/// # Errors
/// That of prctl(2).
pub fn parent_death_signal() -> io::Result<i32> {
    let (mut signal, none) = (0_i32, 0_u64);
    // SAFETY: the kernel writes one int to the address, which is that of one.
    let result =
        unsafe { libc::syscall(libc::SYS_prctl, libc::PR_GET_PDEATHSIG, &raw mut signal, none, none, none) };
    if result == 0 { Ok(signal) } else { Err(io::Error::last_os_error()) }
}

/// `prctl(PR_SET_PDEATHSIG, signal)`, of the calling thread; 0 for none. Real-time signals too.
///
/// # Errors
/// `EINVAL` for a number that is no signal.
pub fn set_parent_death_signal(signal: u32) -> io::Result<()> {
    let (signal, none) = (libc::c_ulong::from(signal), 0_u64);
    // SAFETY: no argument is an address.
    let result = unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, signal, none, none, none) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `keyctl(KEYCTL_JOIN_SESSION_KEYRING, name)` of the calling thread; no name makes one without a name. Returns its serial number.
///
/// # Errors
/// Those of keyctl_join_session_keyring(3).
pub fn join_session_keyring(name: Option<&CStr>) -> io::Result<i32> {
    let name = name.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: a null pointer or a string that ends in NUL and outlives the call.
    let key = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, name) };
    if key < 0 { Err(io::Error::last_os_error()) } else { i32::try_from(key).map_err(io::Error::other) }
}

/// `prlimit64`: sets soft and hard limit of a process (0: the caller) if they are given, and returns those before.
///
/// # Errors
/// Those of prlimit(2).
pub fn prlimit(pid: i32, resource: u32, new: Option<[u64; 2]>) -> io::Result<[u64; 2]> {
    let mut old = [0_u64; 2];
    let new = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: struct rlimit64 is two words of 64 bits; a null pointer means "no change".
    let result = unsafe { libc::syscall(libc::SYS_prlimit64, pid, resource, new, &raw mut old) };
    if result == 0 { Ok(old) } else { Err(io::Error::last_os_error()) }
}

/// Version of Landlock: `landlock_create_ruleset(NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)`.
///
/// # Errors
/// `ENOSYS` if the kernel is built without, `EOPNOTSUPP` if it was not switched on at boot.
pub fn landlock_abi() -> io::Result<u32> {
    const VERSION: u32 = 1;
    let none = std::ptr::null::<u8>();
    // SAFETY: a null pointer of length 0 is what this flag asks for.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, none, 0_usize, VERSION) };
    u32::try_from(version).map_err(|_| io::Error::last_os_error())
}

/// landlock_create_ruleset(2) with what is handled: files, ports, scopes.
///
/// # Errors
/// Those of the call.
pub fn landlock_ruleset(handled: [u64; 3]) -> io::Result<OwnedFd> {
    let (attr, size) = (handled.as_ptr(), size_of_val(&handled));
    // SAFETY: the structure is these three words, which live across the call.
    let fd = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, attr, size, 0_u32) };
    i32::try_from(fd).ok().filter(|fd| *fd >= 0).map(own).ok_or_else(io::Error::last_os_error)
}

/// `struct landlock_path_beneath_attr` of linux/landlock.h.
#[repr(C, packed)]
struct PathBeneath {
    access: u64,
    parent: i32,
}

/// landlock_add_rule(2): rights on what lies at and below an open file or directory.
///
/// # Errors
/// Those of the call.
pub fn landlock_add_path(rules: impl AsFd, place: impl AsFd, access: u64) -> io::Result<()> {
    const PATH_BENEATH: u32 = 1;
    let attr = PathBeneath { access, parent: place.as_fd().as_raw_fd() };
    let fd = rules.as_fd().as_raw_fd();
    // SAFETY: the structure is packed as the kernel's is, and lives across the call; both descriptors are open.
    let result =
        unsafe { libc::syscall(libc::SYS_landlock_add_rule, fd, PATH_BENEATH, &raw const attr, 0_u32) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// landlock_add_rule(2): rights on a port.
///
/// # Errors
/// Those of the call.
pub fn landlock_add_port(rules: impl AsFd, port: u16, access: u64) -> io::Result<()> {
    const NET_PORT: u32 = 2;
    let attr = [access, u64::from(port)];
    // SAFETY: the structure is these two words, which live across the call.
    let result = unsafe {
        libc::syscall(libc::SYS_landlock_add_rule, rules.as_fd().as_raw_fd(), NET_PORT, attr.as_ptr(), 0_u32)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// landlock_restrict_self(2): the calling thread, for good.
///
/// # Errors
/// Those of the call.
pub fn landlock_restrict_self(rules: impl AsFd) -> io::Result<()> {
    // SAFETY: no argument is an address.
    let result = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, rules.as_fd().as_raw_fd(), 0_u32) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

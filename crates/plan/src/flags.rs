//! Names of flags and commands, as `explain` and error texts print them.

use crate::wire::unsigned;
type Names = &'static [(u32, &'static str)];

pub(crate) const OPEN: Names = &[
    (0x20_0000, "O_PATH"),
    (0x1, "O_WRONLY"),
    (0x2, "O_RDWR"),
    (0x40, "O_CREAT"),
    (0x80, "O_EXCL"),
    (0x100, "O_NOCTTY"),
    (0x200, "O_TRUNC"),
    (0x400, "O_APPEND"),
    (0x800, "O_NONBLOCK"),
    (unsigned(libc::O_DIRECTORY), "O_DIRECTORY"),
    (unsigned(libc::O_NOFOLLOW), "O_NOFOLLOW"),
    (0x8_0000, "O_CLOEXEC"),
];
pub(crate) const RESOLVE: Names = &[
    (0x01, "RESOLVE_NO_XDEV"),
    (0x02, "RESOLVE_NO_MAGICLINKS"),
    (0x04, "RESOLVE_NO_SYMLINKS"),
    (0x08, "RESOLVE_BENEATH"),
    (0x10, "RESOLVE_IN_ROOT"),
];
pub(crate) const CLOSE_RANGE: Names = &[(4, "CLOSE_RANGE_CLOEXEC"), (2, "CLOSE_RANGE_UNSHARE")];
pub(crate) const FCNTL: Names = &[(1, "F_GETFD"), (2, "F_SETFD"), (1030, "F_DUPFD_CLOEXEC")];
pub(crate) const MSG: Names = &[(0x4000_0000, "MSG_CMSG_CLOEXEC"), (0x4000, "MSG_NOSIGNAL")];
pub(crate) const IOCTL: Names = &[
    (0x540e, "TIOCSCTTY"),
    (0x5441, "TIOCGPTPEER"),
    (0x4004_5431, "TIOCSPTLCK"),
    (0x8004_5430, "TIOCGPTN"),
    (0x5402, "TCSETS"),
    (0x5414, "TIOCSWINSZ"),
    (0x8913, "SIOCGIFFLAGS"),
    (0x8914, "SIOCSIFFLAGS"),
];
pub(crate) const AT: Names = &[
    (0x100, "AT_SYMLINK_NOFOLLOW"),
    (0x200, "AT_REMOVEDIR"),
    (0x1000, "AT_EMPTY_PATH"),
    (0x8000, "AT_RECURSIVE"),
];
pub(crate) const MS: Names = &[
    (1, "MS_RDONLY"),
    (2, "MS_NOSUID"),
    (4, "MS_NODEV"),
    (8, "MS_NOEXEC"),
    (0x20, "MS_REMOUNT"),
    (0x1000, "MS_BIND"),
    (0x2000, "MS_MOVE"),
    (0x4000, "MS_REC"),
    (0x2_0000, "MS_UNBINDABLE"),
    (0x4_0000, "MS_PRIVATE"),
    (0x8_0000, "MS_SLAVE"),
    (0x10_0000, "MS_SHARED"),
];
pub(crate) const UMOUNT: Names = &[(2, "MNT_DETACH"), (1, "MNT_FORCE"), (8, "UMOUNT_NOFOLLOW")];
pub(crate) const OPEN_TREE: Names = &[
    (1, "OPEN_TREE_CLONE"),
    (0x8_0000, "OPEN_TREE_CLOEXEC"),
    (0x100, "AT_SYMLINK_NOFOLLOW"),
    (0x1000, "AT_EMPTY_PATH"),
    (0x8000, "AT_RECURSIVE"),
];
pub(crate) const FSOPEN: Names = &[(1, "CLOEXEC")];
pub(crate) const FSCONFIG: Names = &[
    (0, "FSCONFIG_SET_FLAG"),
    (1, "FSCONFIG_SET_STRING"),
    (5, "FSCONFIG_SET_FD"),
    (6, "FSCONFIG_CMD_CREATE"),
    (7, "FSCONFIG_CMD_RECONFIGURE"),
];
pub(crate) const MOUNT_ATTR: Names = &[
    (0x1, "RDONLY"),
    (0x2, "NOSUID"),
    (0x4, "NODEV"),
    (0x8, "NOEXEC"),
    (0x70, "ATIME"),
    (0x10, "NOATIME"),
    (0x20, "STRICTATIME"),
    (0x80, "NODIRATIME"),
    (0x10_0000, "IDMAP"),
    (0x20_0000, "NOSYMFOLLOW"),
];
pub(crate) const MOVE_MOUNT: Names =
    &[(4, "MOVE_MOUNT_F_EMPTY_PATH"), (0x40, "MOVE_MOUNT_T_EMPTY_PATH"), (0x200, "MOVE_MOUNT_BENEATH")];
pub(crate) const CLONE: Names = &[
    (0x80, "CLONE_NEWTIME"),
    (0x2_0000, "CLONE_NEWNS"),
    (0x0200_0000, "CLONE_NEWCGROUP"),
    (0x0400_0000, "CLONE_NEWUTS"),
    (0x0800_0000, "CLONE_NEWIPC"),
    (0x1000_0000, "CLONE_NEWUSER"),
    (0x2000_0000, "CLONE_NEWPID"),
    (0x4000_0000, "CLONE_NEWNET"),
    (0x1000, "CLONE_PIDFD"),
    (0x8000, "CLONE_PARENT"),
];
pub(crate) const PRCTL: Names = &[
    (1, "PR_SET_PDEATHSIG"),
    (2, "PR_GET_PDEATHSIG"),
    (4, "PR_SET_DUMPABLE"),
    (8, "PR_SET_KEEPCAPS"),
    (23, "PR_CAPBSET_READ"),
    (24, "PR_CAPBSET_DROP"),
    (27, "PR_GET_SECUREBITS"),
    (28, "PR_SET_SECUREBITS"),
    (38, "PR_SET_NO_NEW_PRIVS"),
    (39, "PR_GET_NO_NEW_PRIVS"),
    (47, "PR_CAP_AMBIENT"),
    (crate::wire::KNOCK, "KNOCK"),
];
pub(crate) const SECCOMP: Names = &[(1, "SECCOMP_SET_MODE_FILTER")];
pub(crate) const SECCOMP_FILTER: Names = &[
    (1, "SECCOMP_FILTER_FLAG_TSYNC"),
    (1 << 1, "SECCOMP_FILTER_FLAG_LOG"),
    (1 << 2, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"),
    (1 << 3, "SECCOMP_FILTER_FLAG_NEW_LISTENER"),
    (1 << 4, "SECCOMP_FILTER_FLAG_TSYNC_ESRCH"),
    (1 << 5, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"),
];
pub(crate) const KEYCTL: Names = &[(1, "KEYCTL_JOIN_SESSION_KEYRING")];
pub(crate) const LANDLOCK_RULE: Names = &[(1, "LANDLOCK_RULE_PATH_BENEATH"), (2, "LANDLOCK_RULE_NET_PORT")];
pub(crate) const LANDLOCK_FS: Names = &[
    (1, "LANDLOCK_ACCESS_FS_EXECUTE"),
    (1 << 1, "LANDLOCK_ACCESS_FS_WRITE_FILE"),
    (1 << 2, "LANDLOCK_ACCESS_FS_READ_FILE"),
    (1 << 3, "LANDLOCK_ACCESS_FS_READ_DIR"),
    (1 << 4, "LANDLOCK_ACCESS_FS_REMOVE_DIR"),
    (1 << 5, "LANDLOCK_ACCESS_FS_REMOVE_FILE"),
    (1 << 6, "LANDLOCK_ACCESS_FS_MAKE_CHAR"),
    (1 << 7, "LANDLOCK_ACCESS_FS_MAKE_DIR"),
    (1 << 8, "LANDLOCK_ACCESS_FS_MAKE_REG"),
    (1 << 9, "LANDLOCK_ACCESS_FS_MAKE_SOCK"),
    (1 << 10, "LANDLOCK_ACCESS_FS_MAKE_FIFO"),
    (1 << 11, "LANDLOCK_ACCESS_FS_MAKE_BLOCK"),
    (1 << 12, "LANDLOCK_ACCESS_FS_MAKE_SYM"),
    (1 << 13, "LANDLOCK_ACCESS_FS_REFER"),
    (1 << 14, "LANDLOCK_ACCESS_FS_TRUNCATE"),
    (1 << 15, "LANDLOCK_ACCESS_FS_IOCTL_DEV"),
    (1 << 16, "LANDLOCK_ACCESS_FS_RESOLVE_UNIX"),
];
pub(crate) const LANDLOCK_NET: Names = &[
    (1, "LANDLOCK_ACCESS_NET_BIND_TCP"),
    (2, "LANDLOCK_ACCESS_NET_CONNECT_TCP"),
    (4, "LANDLOCK_ACCESS_NET_BIND_UDP"),
    (8, "LANDLOCK_ACCESS_NET_CONNECT_SEND_UDP"),
];
pub(crate) const LANDLOCK_SCOPE: Names =
    &[(1, "LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET"), (2, "LANDLOCK_SCOPE_SIGNAL")];
pub(crate) const SECUREBITS: Names = &[
    (0x1, "SECBIT_NOROOT"),
    (0x2, "SECBIT_NOROOT_LOCKED"),
    (0x4, "SECBIT_NO_SETUID_FIXUP"),
    (0x8, "SECBIT_NO_SETUID_FIXUP_LOCKED"),
    (0x20, "SECBIT_KEEP_CAPS_LOCKED"),
    (0x40, "SECBIT_NO_CAP_AMBIENT_RAISE"),
    (0x80, "SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED"),
];
pub(crate) const IOPRIO_WHO: Names = &[(1, "IOPRIO_WHO_PROCESS")];
pub(crate) const IOPRIO_CLASS: Names =
    &[(0, "IOPRIO_CLASS_NONE"), (1, "IOPRIO_CLASS_RT"), (2, "IOPRIO_CLASS_BE"), (3, "IOPRIO_CLASS_IDLE")];
pub(crate) const SCHED: Names = &[
    (0, "SCHED_OTHER"),
    (1, "SCHED_FIFO"),
    (2, "SCHED_RR"),
    (3, "SCHED_BATCH"),
    (5, "SCHED_IDLE"),
    (6, "SCHED_DEADLINE"),
];
pub(crate) const SCHED_FLAG: Names =
    &[(1, "SCHED_FLAG_RESET_ON_FORK"), (2, "SCHED_FLAG_RECLAIM"), (4, "SCHED_FLAG_DL_OVERRUN")];
pub(crate) const PERSONALITY: Names = &[
    (0x8, "PER_LINUX32"),
    (0x2_0000, "UNAME26"),
    (0x4_0000, "ADDR_NO_RANDOMIZE"),
    (0x20_0000, "ADDR_COMPAT_LAYOUT"),
    (0x400_0000, "STICKY_TIMEOUTS"),
    (0x800_0000, "ADDR_LIMIT_3GB"),
];
/// Modes are small numbers, and the flags stand above them.
pub(crate) const MEMORY: Names = &[
    (6, "MPOL_WEIGHTED_INTERLEAVE"),
    (5, "MPOL_PREFERRED_MANY"),
    (4, "MPOL_LOCAL"),
    (3, "MPOL_INTERLEAVE"),
    (2, "MPOL_BIND"),
    (1, "MPOL_PREFERRED"),
    (0x8000, "MPOL_F_STATIC_NODES"),
    (0x4000, "MPOL_F_RELATIVE_NODES"),
    (0x2000, "MPOL_F_NUMA_BALANCING"),
];
pub(crate) const SIG: Names = &[(2, "SIG_SETMASK")];
pub(crate) const RLIMIT: Names = &[
    (0, "RLIMIT_CPU"),
    (1, "RLIMIT_FSIZE"),
    (2, "RLIMIT_DATA"),
    (3, "RLIMIT_STACK"),
    (4, "RLIMIT_CORE"),
    (5, "RLIMIT_RSS"),
    (6, "RLIMIT_NPROC"),
    (7, "RLIMIT_NOFILE"),
    (8, "RLIMIT_MEMLOCK"),
    (9, "RLIMIT_AS"),
    (10, "RLIMIT_LOCKS"),
    (11, "RLIMIT_SIGPENDING"),
    (12, "RLIMIT_MSGQUEUE"),
    (13, "RLIMIT_NICE"),
    (14, "RLIMIT_RTPRIO"),
    (15, "RLIMIT_RTTIME"),
];

/// The names set in `value`, joined by `|`; what no name covers follows in hexadecimal.
pub(crate) fn render(names: Names, value: u32) -> String {
    let mut left = value;
    let mut parts = Vec::new();
    for (bits, name) in names {
        if left & bits == *bits && *bits != 0 {
            parts.push((*name).to_owned());
            left &= !bits;
        }
    }
    if left != 0 || parts.is_empty() {
        parts.push(if left == 0 { "0".to_owned() } else { format!("{left:#x}") });
    }
    parts.join("|")
}

/// The name of exactly `value`, or its number.
pub(crate) fn name(names: Names, value: u32) -> String {
    names
        .iter()
        .find(|(number, _)| *number == value)
        .map_or_else(|| value.to_string(), |(_, name)| (*name).to_owned())
}

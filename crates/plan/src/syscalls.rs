//! The system calls that a plan may hold: number, parameters, and what each means for the order of a plan.

use crate::flags as f;

/// What a call means to the verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Allowed anywhere before seccomp.
    Plain,
    /// Needs a capability: not allowed once privileges were dropped.
    Privileged,
    /// Gives up user, group or capabilities.
    Drops,
    /// Gives up all but `CAP_SYS_ADMIN`.
    DropsToAdmin,
    /// Replaces the program.
    Exec,
    /// Loads a filter: nothing but exec may follow.
    Seccomp,
    /// Waits until the host has taken the listener of the filter.
    Knock,
    /// Restricts itself by Landlock: nothing privileged may follow.
    Landlock,
    /// Sets `no_new_privs`.
    NoNewPrivs,
    /// Closes a descriptor.
    Close,
    /// Closes or marks every descriptor of a range.
    CloseRange,
    /// Gives a descriptor a number, whatever had it before.
    Dup,
}

/// How a parameter is rendered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fmt {
    /// A slot or a number.
    Int,
    /// A slot or `AT_FDCWD`.
    At,
    /// Octal permission bits with the file type.
    Mode,
    /// Names joined by `|`.
    Flags(&'static [(u32, &'static str)]),
    /// One name of a list.
    Name(&'static [(u32, &'static str)]),
    /// `major:minor`.
    Device,
    /// Class and priority of input and output.
    Io,
    /// A pointer to text or to a described buffer.
    Memory,
}

/// A system call.
#[derive(Debug)]
pub(crate) struct Sys {
    pub(crate) name: &'static str,
    pub(crate) nr: libc::c_long,
    pub(crate) params: &'static [Fmt],
    pub(crate) class: Class,
}

macro_rules! table {
    ($($id:ident = $name:literal $nr:ident $class:ident [$($fmt:expr),*];)*) => {$(
        pub(crate) static $id: Sys =
            Sys { name: $name, nr: libc::$nr, params: &[$($fmt),*], class: Class::$class };
    )*};
}

use Fmt::{At, Device, Flags, Int, Io, Memory, Mode, Name};

table! {
    OPENAT2 = "openat2" SYS_openat2 Plain [At, Memory, Memory, Int];
    OPENAT = "openat" SYS_openat Plain [At, Memory, Flags(f::OPEN), Mode];
    CLOSE = "close" SYS_close Close [Int];
    CLOSE_RANGE = "close_range" SYS_close_range CloseRange [Int, Int, Flags(f::CLOSE_RANGE)];
    DUP3 = "dup3" SYS_dup3 Dup [Int, Int, Flags(f::OPEN)];
    FCNTL = "fcntl" SYS_fcntl Plain [Int, Name(f::FCNTL), Int];
    READ = "read" SYS_read Plain [Int, Memory, Int];
    PREAD64 = "pread64" SYS_pread64 Plain [Int, Memory, Int, Int];
    FSTATFS = "fstatfs" SYS_fstatfs Plain [Int, Memory];
    FSTAT = "fstat" SYS_fstat Plain [Int, Memory];
    WRITE = "write" SYS_write Plain [Int, Memory, Int];
    SENDMSG = "sendmsg" SYS_sendmsg Plain [Int, Memory, Flags(f::MSG), Int];
    RECVMSG = "recvmsg" SYS_recvmsg Plain [Int, Memory, Flags(f::MSG)];
    IOCTL = "ioctl" SYS_ioctl Plain [Int, Name(f::IOCTL), Int];
    MKDIRAT = "mkdirat" SYS_mkdirat Plain [At, Memory, Mode];
    MKNODAT = "mknodat" SYS_mknodat Plain [At, Memory, Mode, Device];
    SYMLINKAT = "symlinkat" SYS_symlinkat Plain [Memory, At, Memory];
    READLINKAT = "readlinkat" SYS_readlinkat Plain [At, Memory, Memory, Int];
    UNLINKAT = "unlinkat" SYS_unlinkat Plain [At, Memory, Flags(f::AT)];
    FCHOWNAT = "fchownat" SYS_fchownat Plain [At, Memory, Int, Int, Flags(f::AT)];
    FCHMODAT = "fchmodat" SYS_fchmodat Plain [At, Memory, Mode];
    CHDIR = "chdir" SYS_chdir Plain [Memory];
    FCHDIR = "fchdir" SYS_fchdir Plain [Int];
    CHROOT = "chroot" SYS_chroot Privileged [Memory];
    GETCWD = "getcwd" SYS_getcwd Plain [Memory, Int];
    UMOUNT2 = "umount2" SYS_umount2 Privileged [Memory, Flags(f::UMOUNT)];
    PIVOT_ROOT = "pivot_root" SYS_pivot_root Privileged [Memory, Memory];
    OPEN_TREE = "open_tree" SYS_open_tree Privileged [At, Memory, Flags(f::OPEN_TREE)];
    FSOPEN = "fsopen" SYS_fsopen Privileged [Memory, Flags(f::FSOPEN)];
    FSCONFIG = "fsconfig" SYS_fsconfig Privileged [Int, Name(f::FSCONFIG), Memory, Memory, Int];
    FSMOUNT = "fsmount" SYS_fsmount Privileged [Int, Flags(f::FSOPEN), Flags(f::MOUNT_ATTR)];
    MOVE_MOUNT = "move_mount" SYS_move_mount Privileged [At, Memory, At, Memory, Flags(f::MOVE_MOUNT)];
    MOUNT_SETATTR = "mount_setattr" SYS_mount_setattr Privileged [At, Memory, Flags(f::AT), Memory, Int];
    SETNS = "setns" SYS_setns Privileged [Int, Flags(f::CLONE)];
    UNSHARE = "unshare" SYS_unshare Privileged [Flags(f::CLONE)];
    CLONE3 = "clone3" SYS_clone3 Plain [Memory, Int];
    SETHOSTNAME = "sethostname" SYS_sethostname Privileged [Memory, Int];
    SETDOMAINNAME = "setdomainname" SYS_setdomainname Privileged [Memory, Int];
    SETSID = "setsid" SYS_setsid Plain [];
    UMASK = "umask" SYS_umask Plain [Mode];
    PRLIMIT64 = "prlimit64" SYS_prlimit64 Plain [Int, Name(f::RLIMIT), Memory, Int];
    SCHED_SETATTR = "sched_setattr" SYS_sched_setattr Privileged [Int, Memory, Int];
    SCHED_GETATTR = "sched_getattr" SYS_sched_getattr Plain [Int, Memory, Int, Int];
    SCHED_SETAFFINITY = "sched_setaffinity" SYS_sched_setaffinity Plain [Int, Int, Memory];
    SCHED_GETAFFINITY = "sched_getaffinity" SYS_sched_getaffinity Plain [Int, Int, Memory];
    IOPRIO_SET = "ioprio_set" SYS_ioprio_set Privileged [Name(f::IOPRIO_WHO), Int, Io];
    IOPRIO_GET = "ioprio_get" SYS_ioprio_get Plain [Name(f::IOPRIO_WHO), Int];
    PERSONALITY = "personality" SYS_personality Plain [Flags(f::PERSONALITY)];
    PERSONALITY_ASKED = "personality" SYS_personality Plain [Int];
    SET_MEMPOLICY = "set_mempolicy" SYS_set_mempolicy Plain [Flags(f::MEMORY), Memory, Int];
    GET_MEMPOLICY = "get_mempolicy" SYS_get_mempolicy Plain [Memory, Memory, Int, Int, Int];
    PRCTL = "prctl" SYS_prctl Plain [Name(f::PRCTL), Int, Int, Int, Int];
    PRCTL_TELLS = "prctl" SYS_prctl Plain [Name(f::PRCTL), Memory, Int, Int, Int];
    PRCTL_SECUREBITS = "prctl" SYS_prctl Plain [Name(f::PRCTL), Flags(f::SECUREBITS), Int, Int, Int];
    PRCTL_BOUNDING = "prctl" SYS_prctl Privileged [Name(f::PRCTL), Int, Int, Int, Int];
    PRCTL_KNOCK = "prctl" SYS_prctl Knock [Name(f::PRCTL), Memory];
    PRCTL_NO_NEW_PRIVS = "prctl" SYS_prctl NoNewPrivs [Name(f::PRCTL), Int, Int, Int, Int];
    SETGROUPS = "setgroups" SYS_setgroups Privileged [Int, Memory];
    SETRESGID = "setresgid" SYS_setresgid Privileged [Int, Int, Int];
    SETRESUID = "setresuid" SYS_setresuid Privileged [Int, Int, Int];
    SETRESUID_DROPPING = "setresuid" SYS_setresuid Drops [Int, Int, Int];
    CAPSET = "capset" SYS_capset Drops [Memory, Memory];
    CAPSET_ADMIN = "capset" SYS_capset DropsToAdmin [Memory, Memory];
    CAPGET = "capget" SYS_capget Plain [Memory, Memory];
    GETRESUID = "getresuid" SYS_getresuid Plain [Memory, Memory, Memory];
    GETRESGID = "getresgid" SYS_getresgid Plain [Memory, Memory, Memory];
    GETGROUPS = "getgroups" SYS_getgroups Plain [Int, Memory];
    KEYCTL = "keyctl" SYS_keyctl Plain [Name(f::KEYCTL), Memory];
    LANDLOCK_CREATE_RULESET = "landlock_create_ruleset" SYS_landlock_create_ruleset Plain [Memory, Int, Int];
    LANDLOCK_ADD_RULE = "landlock_add_rule" SYS_landlock_add_rule Plain [Int, Name(f::LANDLOCK_RULE), Memory, Int];
    LANDLOCK_RESTRICT_SELF = "landlock_restrict_self" SYS_landlock_restrict_self Landlock [Int, Int];
    SECCOMP = "seccomp" SYS_seccomp Seccomp [Name(f::SECCOMP), Flags(f::SECCOMP_FILTER), Memory];
    RT_SIGPROCMASK = "rt_sigprocmask" SYS_rt_sigprocmask Plain [Name(f::SIG), Memory, Int, Int];
    RT_SIGACTION = "rt_sigaction" SYS_rt_sigaction Plain [Int, Memory, Int, Int];
    RT_SIGTIMEDWAIT = "rt_sigtimedwait" SYS_rt_sigtimedwait Plain [Memory, Int, Int, Int];
    SOCKET = "socket" SYS_socket Plain [Int, Int, Int];
    EXECVE = "execve" SYS_execve Exec [Memory, Memory, Memory];
    EXECVEAT = "execveat" SYS_execveat Exec [At, Memory, Memory, Memory, Flags(f::AT)];
}

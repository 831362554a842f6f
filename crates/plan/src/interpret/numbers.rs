//! Error numbers and system call numbers of the interpreter.

/// Errors that the interpreter itself reports.
pub mod errno {
    /// Nothing there.
    pub const ENOENT: i32 = 2;
    /// Interrupted system call.
    pub const EINTR: i32 = 4;
    /// Bad file descriptor: a slot that was never set.
    pub const EBADF: i32 = 9;
    /// The kernel could not tell whether a path stays inside.
    pub const EAGAIN: i32 = 11;
    /// Permission denied.
    pub const EACCES: i32 = 13;
    /// Something else is there.
    pub const EEXIST: i32 = 17;
    /// A directory where a file is wanted.
    pub const EISDIR: i32 = 21;
    /// There is no memory for what comes.
    pub const ENOMEM: i32 = 12;
    /// The plan is damaged.
    pub const EINVAL: i32 = 22;
    /// Nobody reads any more.
    pub const EPIPE: i32 = 32;
    /// A path that is longer than the kernel takes.
    pub const ENAMETOOLONG: i32 = 36;
    /// More links than the kernel follows, or one where none may be.
    pub const ELOOP: i32 = 40;
    /// A result or a read-back differs from what the plan says.
    pub const EBADE: i32 = 52;
    /// The host sent another point than the one awaited.
    pub const EPROTO: i32 = 71;
    /// The host is gone.
    pub const ECONNRESET: i32 = 104;
    /// A hook did not succeed.
    pub const ECANCELED: i32 = 125;
}

/// System call numbers that the interpreter needs for itself.
#[allow(missing_docs, reason = "each is the number of the system call of that name")]
pub mod nr {
    #[cfg(target_arch = "x86_64")]
    mod arch {
        pub const READ: usize = 0;
        pub const CLOSE: usize = 3;
        pub const MKDIRAT: usize = 258;
        pub const MKNODAT: usize = 259;
        pub const READLINKAT: usize = 267;
        pub const STATX: usize = 332;
        pub const WRITE: usize = 1;
        pub const FCNTL: usize = 72;
        pub const SENDMSG: usize = 46;
        pub const RECVMSG: usize = 47;
        pub const WAIT4: usize = 61;
        pub const RT_SIGACTION: usize = 13;
        pub const RT_SIGPROCMASK: usize = 14;
        pub const RT_SIGTIMEDWAIT: usize = 128;
        pub const PPOLL: usize = 271;
        pub const DUP3: usize = 292;
        pub const EXECVE: usize = 59;
        pub const EXIT_GROUP: usize = 231;
    }
    #[cfg(target_arch = "aarch64")]
    mod arch {
        pub const READ: usize = 63;
        pub const CLOSE: usize = 57;
        pub const MKDIRAT: usize = 34;
        pub const MKNODAT: usize = 33;
        pub const READLINKAT: usize = 78;
        pub const STATX: usize = 291;
        pub const WRITE: usize = 64;
        pub const FCNTL: usize = 25;
        pub const SENDMSG: usize = 211;
        pub const RECVMSG: usize = 212;
        pub const WAIT4: usize = 260;
        pub const RT_SIGACTION: usize = 134;
        pub const RT_SIGPROCMASK: usize = 135;
        pub const RT_SIGTIMEDWAIT: usize = 137;
        pub const PPOLL: usize = 73;
        pub const DUP3: usize = 24;
        pub const EXECVE: usize = 221;
        pub const EXIT_GROUP: usize = 94;
    }
    pub use arch::{
        CLOSE, DUP3, EXECVE, EXIT_GROUP, FCNTL, MKDIRAT, MKNODAT, PPOLL, READ, READLINKAT, RECVMSG,
        RT_SIGACTION, RT_SIGPROCMASK, RT_SIGTIMEDWAIT, SENDMSG, STATX, WAIT4, WRITE,
    };
    pub const CLONE3: usize = 435;
    pub const CLOSE_RANGE: usize = 436;
    pub const OPENAT2: usize = 437;
}

/// Bits of openat2(2) and the layout of statx(2) that the interpreter needs for itself.
pub(crate) mod bits {
    #[cfg(target_arch = "x86_64")]
    const DIRECTORY: u64 = 0x1_0000;
    #[cfg(target_arch = "aarch64")]
    const DIRECTORY: u64 = 0x4000;
    /// `O_NOFOLLOW`
    #[cfg(target_arch = "x86_64")]
    pub(crate) const NOFOLLOW: u64 = 0x2_0000;
    /// `O_NOFOLLOW`
    #[cfg(target_arch = "aarch64")]
    pub(crate) const NOFOLLOW: u64 = 0x8000;
    /// `O_PATH | O_DIRECTORY | O_CLOEXEC`
    pub(crate) const DIRECTORY_PATH: u64 = 0x20_0000 | 0x8_0000 | DIRECTORY;
    /// `RESOLVE_NO_SYMLINKS`
    pub(crate) const RESOLVE_NO_SYMLINKS: u64 = 4;
    /// Length of `struct statx`.
    pub(crate) const STATUS: usize = 256;
    /// Offset of its `stx_mode`.
    pub(crate) const STATUS_MODE: usize = 28;
}

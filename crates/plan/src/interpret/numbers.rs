//! Error numbers and system call numbers of the interpreter.

/// Errors that the interpreter itself reports.
pub mod errno {
    /// Interrupted system call.
    pub const EINTR: i32 = 4;
    /// Bad file descriptor: a slot that was never set.
    pub const EBADF: i32 = 9;
    /// Permission denied.
    pub const EACCES: i32 = 13;
    /// The plan is damaged.
    pub const EINVAL: i32 = 22;
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
        pub const SENDMSG: usize = 46;
        pub const RECVMSG: usize = 47;
        pub const WAIT4: usize = 61;
        pub const RT_SIGACTION: usize = 13;
        pub const RT_SIGPROCMASK: usize = 14;
        pub const RT_SIGTIMEDWAIT: usize = 128;
        pub const DUP3: usize = 292;
        pub const EXECVE: usize = 59;
        pub const EXIT_GROUP: usize = 231;
    }
    #[cfg(target_arch = "aarch64")]
    mod arch {
        pub const READ: usize = 63;
        pub const SENDMSG: usize = 211;
        pub const RECVMSG: usize = 212;
        pub const WAIT4: usize = 260;
        pub const RT_SIGACTION: usize = 134;
        pub const RT_SIGPROCMASK: usize = 135;
        pub const RT_SIGTIMEDWAIT: usize = 137;
        pub const DUP3: usize = 24;
        pub const EXECVE: usize = 221;
        pub const EXIT_GROUP: usize = 94;
    }
    pub use arch::{
        DUP3, EXECVE, EXIT_GROUP, READ, RECVMSG, RT_SIGACTION, RT_SIGPROCMASK, RT_SIGTIMEDWAIT, SENDMSG,
        WAIT4,
    };
    pub const CLONE3: usize = 435;
    pub const CLOSE_RANGE: usize = 436;
}

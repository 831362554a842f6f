//! What is x86_64's own: registers, and calls that newer architectures do not have. Another architecture is another file like this.

use nix::Result;
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::unistd::Pid;

use crate::call::{Call, FILE, MAKES_FILE, PATH, READ};

/// The registers of a thread that stands at the entry or the exit of a system call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers(libc::user_regs_struct);

/// A number that no call has: the kernel then does nothing.
const NO_CALL: u64 = u64::MAX;
/// The instruction of a system call.
pub(crate) const INSTRUCTION: [u8; 2] = [0x0f, 0x05];
/// How many registers the tables of functions number, and which of them are the stack's end and where it goes on.
pub(crate) const REGISTERS: usize = 17;
pub(crate) const STACK: usize = 7;
pub(crate) const RETURN: usize = 16;
/// What a program may use below its stack.
const RED_ZONE: u64 = 128;

impl Registers {
    pub(crate) fn of(thread: Pid) -> Result<Self> {
        ptrace::getregs(thread).map(Self)
    }

    pub(crate) fn write(self, thread: Pid) -> Result<()> {
        ptrace::setregs(thread, self.0)
    }

    /// The call's number.
    pub(crate) fn number(&self) -> i64 {
        i64::from_ne_bytes(self.0.orig_rax.to_ne_bytes())
    }

    /// The call's first argument.
    pub(crate) fn first_argument(&self) -> u64 {
        self.0.rdi
    }

    /// All of them.
    pub(crate) fn arguments(&self) -> [u64; 6] {
        let regs = &self.0;
        [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9]
    }

    /// At the exit: the answer.
    pub(crate) fn answer(&self) -> i64 {
        i64::from_ne_bytes(self.0.rax.to_ne_bytes())
    }

    /// Where it goes on.
    pub(crate) fn instruction(&self) -> u64 {
        self.0.rip
    }

    /// As the tables of functions number them.
    pub(crate) fn numbered(&self) -> [u64; REGISTERS] {
        let r = &self.0;
        let old = [r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp];
        let new = [r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip];
        let mut all = [0; REGISTERS];
        all.iter_mut().zip(old.into_iter().chain(new)).for_each(|(to, from)| *to = from);
        all
    }

    /// `length` bytes of its stack that it does not use.
    pub(crate) fn room(&self, length: u64) -> u64 {
        self.0.rsp.saturating_sub(RED_ZONE + length) & !0xf
    }

    /// A thread that goes on with an instruction of a system call makes this one.
    pub(crate) fn calling(mut self, number: i64, arguments: [u64; 6]) -> Self {
        let regs = &mut self.0;
        regs.rax = u64::from_ne_bytes(number.to_ne_bytes());
        regs.orig_rax = NO_CALL;
        [regs.rdi, regs.rsi, regs.rdx, regs.r10, regs.r8, regs.r9] = arguments;
        self
    }

    /// At the entry: the kernel does not execute the call.
    pub(crate) fn skip(&mut self) {
        self.0.orig_rax = NO_CALL;
    }

    /// The first argument. Programs rely on finding it behind the call as it was.
    pub(crate) fn set_first_argument(&mut self, value: u64) {
        self.0.rdi = value;
    }

    /// At the exit: the call has done its work, or so it says.
    pub(crate) fn succeed(&mut self) {
        self.0.rax = 0;
    }

    /// At the exit: the call has failed.
    pub(crate) fn fail(&mut self, errno: Errno) {
        self.0.rax = u64::from_ne_bytes((-i64::from(errno as i32)).to_ne_bytes());
    }
}

/// Calls that exist here and not on every architecture.
pub(crate) const OLD: &[Call] = &[
    Call::new(libc::SYS_open, "open", "EIO ENOMEM EINTR EMFILE ENFILE ENOSPC EPERM").path(0),
    Call::new(libc::SYS_stat, "stat", PATH).path(0),
    Call::new(libc::SYS_lstat, "lstat", PATH).path(0),
    Call::new(libc::SYS_access, "access", PATH).path(0),
    Call::new(libc::SYS_readlink, "readlink", PATH).path(0),
    Call::new(libc::SYS_mkdir, "mkdir", MAKES_FILE).path(0).lost("EIO"),
    Call::new(libc::SYS_rmdir, "rmdir", "EIO ENOMEM EBUSY EPERM").path(0).lost("EIO"),
    Call::new(libc::SYS_unlink, "unlink", "EIO ENOMEM EBUSY EPERM").path(0).lost("EIO"),
    Call::new(libc::SYS_rename, "rename", MAKES_FILE).path(0).lost("EIO"),
    Call::new(libc::SYS_symlink, "symlink", MAKES_FILE).path(1).lost("EIO"),
    Call::new(libc::SYS_link, "link", MAKES_FILE).path(1).lost("EIO"),
    Call::new(libc::SYS_mknod, "mknod", MAKES_FILE).path(0).lost("EIO"),
    Call::new(libc::SYS_chmod, "chmod", FILE).path(0),
    Call::new(libc::SYS_chown, "chown", FILE).path(0),
    Call::new(libc::SYS_lchown, "lchown", FILE).path(0),
    Call::new(libc::SYS_poll, "poll", "ENOMEM EINTR"),
    Call::new(libc::SYS_select, "select", "ENOMEM EINTR"),
    Call::new(libc::SYS_dup2, "dup2", "EMFILE EINTR EBUSY"),
    Call::new(libc::SYS_pipe, "pipe", "EMFILE ENFILE"),
    Call::new(libc::SYS_fork, "fork", "EAGAIN ENOMEM").lost("ENOMEM"),
    Call::new(libc::SYS_vfork, "vfork", "EAGAIN ENOMEM").lost("ENOMEM"),
    Call::new(libc::SYS_getdents, "getdents", READ).fd(0),
    Call::new(libc::SYS_arch_prctl, "arch_prctl", "EPERM"),
    Call::new(libc::SYS_time, "time", ""),
    Call::new(libc::SYS_getpgrp, "getpgrp", ""),
    Call::new(libc::SYS_getrlimit, "getrlimit", "EPERM"),
    Call::new(libc::SYS_epoll_wait, "epoll_wait", "EINTR"),
    Call::new(libc::SYS_epoll_create, "epoll_create", "EMFILE ENFILE ENOMEM"),
    Call::new(libc::SYS_alarm, "alarm", ""),
];

//! Starting the init: `clone3` on a stack of its own, then `execveat` of the sealed image.
//!
//! Between the two the child shares the host's memory, like `posix_spawn`. It therefore does nothing but raw system calls on data
//! that was prepared before: no allocation, no lock, no libc, no `errno`. The calling thread sleeps until the exec.

use crate::wire::unsigned;
use std::arch::asm;
use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use super::raw::undone;
use crate::ids::Pid;
use crate::wire::CLONE_INTO_CGROUP;

const STACK: usize = 16 * 1024;
const CLONE_VM: u64 = 0x100;
const CLONE_PIDFD: u64 = 0x1000;
const CLONE_VFORK: u64 = 0x4000;
const CLOSE_RANGE_CLOEXEC: usize = 4;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
const PR_GET_SECUREBITS: usize = 27;
const SECBIT_NOROOT: isize = 1;
const PR_CAP_AMBIENT: usize = 47;
const PR_CAP_AMBIENT_RAISE: usize = 2;
const MAX_CAPABILITY: usize = 63;

/// In the place of an error number: the call was answered, but not done.
const UNDONE: i32 = i32::MAX;

/// `struct clone_args` of clone(2), version 2.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// What the child needs, and where it says why it could not exec.
struct Child<'a> {
    init: i32,
    keep: &'a [i32],
    argv: [*const libc::c_char; 5],
    envp: [*const libc::c_char; 1],
    ambient: bool,
    errno: AtomicI32,
}

/// What to start.
#[derive(Debug)]
pub(super) struct Start<'a> {
    /// The sealed image.
    pub(super) init: BorrowedFd<'a>,
    /// Descriptors that the init inherits; the first is the memfd with the plan.
    pub(super) keep: &'a [i32],
    /// The init's arguments.
    pub(super) args: [&'a CStr; 4],
    /// `CLONE_NEW…` bits.
    pub(super) namespaces: u64,
    /// A cgroup v2 directory in which the init is born.
    pub(super) cgroup: Option<BorrowedFd<'a>>,
}

/// Starts the init and returns once it runs its own image.
///
/// # Errors
/// That of `clone3`, or of the call in the child that failed before the exec.
pub(super) fn start(start: &Start<'_>) -> io::Result<(Pid, OwnedFd)> {
    let mut pidfd: i32 = -1;
    let mut stack = [MaybeUninit::<u8>::uninit(); STACK];
    let [a, b, c, d] = start.args.map(CStr::as_ptr);
    let child = Child {
        init: start.init.as_raw_fd(),
        keep: start.keep,
        argv: [a, b, c, d, ptr::null()],
        envp: [ptr::null()],
        ambient: start.namespaces & u64::from(unsigned(libc::CLONE_NEWUSER)) != 0,
        errno: AtomicI32::new(0),
    };
    // The kernel wants the end of the stack, and processors want it aligned.
    let base = stack.as_mut_ptr().expose_provenance().next_multiple_of(16);
    let mut args = CloneArgs {
        flags: start.namespaces | CLONE_VM | CLONE_VFORK | CLONE_PIDFD,
        pidfd: (&raw mut pidfd).expose_provenance() as u64,
        exit_signal: u64::from(unsigned(libc::SIGCHLD)),
        stack: base as u64,
        stack_size: (STACK - 16) as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = start.cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    }
    let mask = block_signals();
    // SAFETY: `child`, `args` and `stack` outlive the child's use of them, because CLONE_VFORK holds this thread until the
    // child has replaced its memory or left.
    let result = unsafe { clone_and_run(&args, &child) };
    restore_signals(mask);
    finish(result, pidfd, child.errno.load(Ordering::Acquire))
}

fn finish(result: isize, pidfd: i32, errno: i32) -> io::Result<(Pid, OwnedFd)> {
    let number = i32::try_from(result).unwrap_or(-libc::EINVAL);
    if number >= 0 && pidfd < 0 {
        return Err(undone(&format!("clone3 was answered with {number} and has made no process")));
    }
    let Some(pid) = Pid::new(number) else { return Err(io::Error::from_raw_os_error(-number)) };
    // SAFETY: CLONE_PIDFD has stored a new descriptor that nothing else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    if errno == 0 {
        return Ok((pid, pidfd));
    }
    super::left::reap(pidfd);
    Err(match errno {
        UNDONE => undone("execveat was answered with success and has executed nothing"),
        errno => io::Error::from_raw_os_error(errno),
    })
}

/// Blocks every signal for this thread, so that no handler of the host runs in the child. Returns the old mask.
fn block_signals() -> u64 {
    let (all, mut old) = (u64::MAX, 0_u64);
    sigprocmask(&raw const all, &raw mut old);
    old
}

fn restore_signals(mask: u64) {
    sigprocmask(&raw const mask, ptr::null_mut());
}

fn sigprocmask(new: *const u64, old: *mut u64) {
    const SIG_SETMASK: usize = 2;
    let args = [SIG_SETMASK, new.expose_provenance(), old.expose_provenance(), 8, 0, 0];
    // SAFETY: both masks are 8 bytes, as the last argument says, and live across the call.
    unsafe { syscall(libc::SYS_rt_sigprocmask, args) };
}

/// Entry of the child: never returns, neither to here nor by unwinding.
extern "C" fn child_main(child: &Child<'_>) -> ! {
    let errno = exec_init(child);
    child.errno.store(errno, Ordering::Release);
    loop {
        // SAFETY: no pointer; the child's thread group is this process alone.
        unsafe { syscall(libc::SYS_exit_group, [127, 0, 0, 0, 0, 0]) };
    }
}

/// Marks all descriptors but the kept ones, and execs. Returns the error number of what failed.
fn exec_init(child: &Child<'_>) -> i32 {
    let everything = [0, u32::MAX as usize, CLOSE_RANGE_CLOEXEC, 0, 0, 0];
    // SAFETY: close_range takes no pointer; the child has a descriptor table of its own.
    let marked = unsafe { syscall(libc::SYS_close_range, everything) };
    if marked < 0 {
        return error_of(marked);
    }
    for fd in child.keep {
        let args = [fd.unsigned_abs() as usize, libc::F_SETFD as usize, 0, 0, 0, 0];
        // SAFETY: F_SETFD takes no pointer.
        let kept = unsafe { syscall(libc::SYS_fcntl, args) };
        if kept < 0 {
            return error_of(kept);
        }
    }
    if child.ambient || is_nobody_root() {
        keep_capabilities();
    }
    let empty = c"".as_ptr().expose_provenance();
    let (argv, envp) = (child.argv.as_ptr().expose_provenance(), child.envp.as_ptr().expose_provenance());
    let init = child.init.unsigned_abs() as usize;
    // SAFETY: the path is empty, both arrays end with NULL and point to strings that live in the sleeping thread.
    let result =
        unsafe { syscall(libc::SYS_execveat, [init, empty, argv, envp, libc::AT_EMPTY_PATH as usize, 0]) };
    // What it returned from it has not done, whatever it says.
    if result == 0 { UNDONE } else { error_of(result) }
}

/// Whether the calling thread is under a securebit by which exec gives root no capabilities.
fn is_nobody_root() -> bool {
    // SAFETY: no pointer.
    let bits = unsafe { syscall(libc::SYS_prctl, [PR_GET_SECUREBITS, 0, 0, 0, 0, 0]) };
    bits > 0 && bits & SECBIT_NOROOT != 0
}

/// Makes all capabilities ambient, so that they survive the exec: in a new user namespace the child has them all but is no mapped
/// user yet, and exec gives capabilities to a mapped root only. Errors show up later, as `EPERM` of the first privileged step.
fn keep_capabilities() {
    let header = [CAPABILITY_VERSION_3, 0];
    let mut data = [0_u32; 6];
    let header = header.as_ptr().expose_provenance();
    let place = data.as_mut_ptr().expose_provenance();
    // SAFETY: version 3 reads 8 and writes 24 bytes, which the two arrays have.
    unsafe { syscall(libc::SYS_capget, [header, place, 0, 0, 0, 0]) };
    let [effective, permitted, _, effective_high, permitted_high, _] = data;
    let wanted = [effective, permitted, permitted, effective_high, permitted_high, permitted_high];
    // SAFETY: as above, read only.
    unsafe { syscall(libc::SYS_capset, [header, wanted.as_ptr().expose_provenance(), 0, 0, 0, 0]) };
    for capability in 0..=MAX_CAPABILITY {
        let args = [PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0, 0];
        // SAFETY: no pointer.
        let raised = unsafe { syscall(libc::SYS_prctl, args) };
        if error_of(raised) == libc::EINVAL {
            break;
        }
    }
}

fn error_of(result: isize) -> i32 {
    i32::try_from(result.unsigned_abs()).unwrap_or(libc::EINVAL)
}

/// The processor's time stamp counter, the clock of the board.
pub(crate) fn stamp() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: rdtsc is not privileged unless a process asked for it with PR_SET_TSC.
    unsafe {
        std::arch::x86_64::_rdtsc()
    }
    #[cfg(target_arch = "aarch64")]
    {
        let value;
        // SAFETY: the virtual counter is readable by programs on Linux.
        unsafe { asm!("mrs {}, cntvct_el0", out(reg) value, options(nomem, nostack)) };
        value
    }
}

/// `clone3`; the child calls [`child_main`] on its new stack. Returns the pid or a negative error number; 0 where a filter says so, and there is no
/// child: who is still on the old stack is none.
///
/// # Safety
/// Everything behind `args` and `child` must stay valid until this returns.
#[cfg(target_arch = "x86_64")]
unsafe fn clone_and_run(args: &CloneArgs, child: &Child<'_>) -> isize {
    let result;
    // SAFETY: the parent's registers and stack are untouched. The child starts behind the `syscall` with the same registers and a
    // fresh aligned stack, on which it may call but from which it never returns.
    unsafe {
        asm!(
            "mov r14, rsp",
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "cmp rsp, r14",
            "je 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 => result,
            in("rdi") args,
            in("rsi") size_of::<CloneArgs>(),
            in("r12") child,
            in("r13") child_main as extern "C" fn(&Child<'_>) -> !,
            out("r14") _,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// As above.
///
/// # Safety
/// Everything behind `args` and `child` must stay valid until this returns.
#[cfg(target_arch = "aarch64")]
unsafe fn clone_and_run(args: &CloneArgs, child: &Child<'_>) -> isize {
    let result;
    // SAFETY: as on x86_64.
    unsafe {
        asm!(
            "mov x22, sp",
            "svc 0",
            "cbnz x0, 2f",
            "cmp sp, x22",
            "b.eq 2f",
            "mov x29, xzr",
            "mov x0, x20",
            "blr x21",
            "brk 1",
            "2:",
            in("x8") libc::SYS_clone3,
            inlateout("x0") args => result,
            in("x1") size_of::<CloneArgs>(),
            in("x20") child,
            in("x21") child_main as extern "C" fn(&Child<'_>) -> !,
            out("x22") _,
        );
    }
    result
}

/// A raw system call: no `errno`, no cancellation point.
///
/// # Safety
/// That of the call.
#[cfg(target_arch = "x86_64")]
unsafe fn syscall(nr: libc::c_long, args: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = args;
    let result;
    // SAFETY: the kernel clobbers rcx and r11 only; what it writes to is the caller's contract.
    unsafe {
        asm!("syscall", inlateout("rax") nr => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// As above.
///
/// # Safety
/// That of the call.
#[cfg(target_arch = "aarch64")]
unsafe fn syscall(nr: libc::c_long, args: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = args;
    let result;
    // SAFETY: the kernel keeps all registers but x0; what it writes to is the caller's contract.
    unsafe {
        asm!("svc 0", in("x8") nr, inlateout("x0") a => result, in("x1") b, in("x2") c, in("x3") d, in("x4") e,
            in("x5") f, options(nostack));
    }
    result
}

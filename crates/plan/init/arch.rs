//! What differs between processors: entry, system call, time stamp, memory copies.

#[cfg(target_arch = "x86_64")]
mod imp {
    use core::arch::{asm, global_asm};

    pub(crate) const MMAP: usize = 9;
    pub(crate) const MADVISE: usize = 28;
    pub(crate) const PRCTL: usize = 157;

    global_asm!(
        ".globl _start",
        "_start:",
        "xor ebp, ebp",
        "mov rdi, rsp",
        "and rsp, -16",
        "call {main}",
        "ud2",
        main = sym crate::main,
    );

    /// # Safety
    /// That of the system call.
    pub(crate) unsafe fn syscall(nr: usize, args: [usize; 6]) -> isize {
        let result;
        let [a, b, c, d, e, f] = args;
        // SAFETY: the kernel clobbers rcx and r11 only; what it writes to is the caller's contract.
        unsafe {
            asm!("syscall", inlateout("rax") nr as isize => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
                in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
        }
        result
    }

    pub(crate) fn stamp() -> u64 {
        // SAFETY: rdtsc is not privileged unless a process asked for it with PR_SET_TSC.
        unsafe { core::arch::x86_64::_rdtsc() }
    }

    /// # Safety
    /// That of memcpy.
    pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
        // SAFETY: the caller vouches for both ranges.
        unsafe { asm!("rep movsb", inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack)) };
    }

    /// # Safety
    /// That of memset.
    pub(crate) unsafe fn fill(to: *mut u8, byte: u8, len: usize) {
        // SAFETY: the caller vouches for the range.
        unsafe { asm!("rep stosb", inout("rcx") len => _, inout("rdi") to => _, in("al") byte, options(nostack)) };
    }
}

#[cfg(target_arch = "aarch64")]
mod imp {
    use core::arch::{asm, global_asm};

    pub(crate) const MMAP: usize = 222;
    pub(crate) const MADVISE: usize = 233;
    pub(crate) const PRCTL: usize = 167;

    global_asm!(
        ".globl _start",
        "_start:",
        "mov x29, xzr",
        "mov x30, xzr",
        "mov x0, sp",
        "b {main}",
        main = sym crate::main,
    );

    /// # Safety
    /// That of the system call.
    pub(crate) unsafe fn syscall(nr: usize, args: [usize; 6]) -> isize {
        let result;
        let [a, b, c, d, e, f] = args;
        // SAFETY: the kernel keeps all registers but x0; what it writes to is the caller's contract.
        unsafe {
            asm!("svc 0", in("x8") nr, inlateout("x0") a as isize => result, in("x1") b, in("x2") c, in("x3") d,
                in("x4") e, in("x5") f, options(nostack));
        }
        result
    }

    pub(crate) fn stamp() -> u64 {
        let value;
        // SAFETY: the virtual counter is readable by programs on Linux.
        unsafe { asm!("mrs {}, cntvct_el0", out(reg) value, options(nomem, nostack)) };
        value
    }

    /// # Safety
    /// That of memcpy.
    pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
        let mut index = 0;
        while index < len {
            // SAFETY: within both ranges; volatile so that the loop does not become a call to itself.
            unsafe { to.add(index).write_volatile(from.add(index).read_volatile()) };
            index += 1;
        }
    }

    /// # Safety
    /// That of memset.
    pub(crate) unsafe fn fill(to: *mut u8, byte: u8, len: usize) {
        let mut index = 0;
        while index < len {
            // SAFETY: within the range; volatile for the same reason.
            unsafe { to.add(index).write_volatile(byte) };
            index += 1;
        }
    }
}

pub(crate) use imp::{MADVISE, MMAP, PRCTL, copy, fill, stamp, syscall};

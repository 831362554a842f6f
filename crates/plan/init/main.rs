//! The sealed init: reads a plan from a memfd and interprets it. Freestanding: no libc, no allocator, no unwinding.
//!
//! Invoked as `init FD BOARD PLAN TRACE`: the number of the memfd and the lengths of its two parts.

#![no_std]
#![no_main]
#![allow(dead_code, reason = "the shared files also serve the host")]

#[path = "../src/interpret/mod.rs"]
mod interpret;
#[path = "../src/order.rs"]
mod order;
#[path = "../src/wire.rs"]
mod wire;

mod arch;

use interpret::Sys;

const PR_SET_DUMPABLE: usize = 4;
const PR_SET_NAME: usize = 15;
const PROT_READ: usize = 1;
const PROT_WRITE: usize = 2;
const MAP_SHARED: usize = 1;
const MAP_PRIVATE: usize = 2;
const MAP_ANONYMOUS: usize = 0x20;
const MADV_DONTNEED: usize = 4;
/// The smallest that there is.
const PAGE: usize = 4096;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    leave(2)
}

struct Kernel {
    board: *mut u64,
    words: usize,
}

impl Sys for Kernel {
    fn call(&mut self, nr: usize, args: [usize; 6]) -> isize {
        // SAFETY: the plan was sealed by the host, so every pointer in it names memory of the plan; the interpreter's own
        // calls name the plan or the board.
        unsafe { arch::syscall(nr, args) }
    }

    fn store(&mut self, word: usize, value: u64) {
        if word < self.words {
            // SAFETY: within the board's mapping, and aligned; volatile because the host reads it from its own mapping.
            unsafe { self.board.add(word).write_volatile(value) }
        }
    }

    fn load_aux(&mut self) -> u64 {
        // SAFETY: the board is never shorter than its fixed words.
        unsafe { self.board.add(wire::board::AUX).read_volatile() }
    }

    fn board_address(&mut self, word: usize) -> usize {
        self.board as usize + word * 8
    }

    fn stamp(&mut self) -> u64 {
        arch::stamp()
    }

    fn ending(&mut self) -> usize {
        end as *const () as usize
    }

    fn map(&mut self, fd: usize, len: usize) -> Option<&'static mut [u8]> {
        mapped(len, MAP_PRIVATE, fd)
    }

    fn give_back(&mut self, part: &mut [u8]) {
        let (address, len) = (part.as_mut_ptr() as usize, part.len() / PAGE * PAGE);
        // Memory is all that is lost if it is refused, or if the part begins within a page.
        if address % PAGE == 0 && len > 0 {
            // SAFETY: pages of the private mapping of a sealed file, in which nothing else lies where pages are larger: what is read of them from now
            // on is the file's.
            unsafe { arch::syscall(arch::MADVISE, [address, len, MADV_DONTNEED, 0, 0, 0]) };
        }
    }

    fn room(&mut self, len: usize) -> Option<&'static mut [u8]> {
        mapped(len, MAP_PRIVATE | MAP_ANONYMOUS, usize::MAX)
    }
}

/// New memory of this process alone, of a file of the host's or zeroed.
fn mapped(len: usize, kind: usize, fd: usize) -> Option<&'static mut [u8]> {
    // SAFETY: a new private mapping that is never taken away; a file of the host's is sealed, so it can't shrink.
    unsafe {
        let address = arch::syscall(arch::MMAP, [0, len, PROT_READ | PROT_WRITE, kind, fd, 0]);
        (address > 0).then(|| core::slice::from_raw_parts_mut(address as *mut u8, len))
    }
}

fn leave(code: usize) -> ! {
    loop {
        // SAFETY: exit_group takes no pointer.
        unsafe { arch::syscall(interpret::nr::EXIT_GROUP, [code, 0, 0, 0, 0, 0]) };
    }
}

/// The handler of signals that end an init which waits: as pid 1 of a namespace it would outlive their default action.
extern "C" fn end(signal: i32) -> ! {
    leave(128 + signal.unsigned_abs() as usize)
}

/// Leaves if a call failed without which there is no board to say so: the exit code tells the error number.
fn begin(result: isize) {
    if (-4095..0).contains(&result) {
        leave(wire::NOT_BEGUN | result.unsigned_abs() & 0x7f);
    }
}

/// Entered by `arch::_start` with the initial stack: argc, argv pointers.
///
/// # Safety
/// `stack` must be the stack pointer that the kernel set at exec.
unsafe extern "C" fn main(stack: *const usize) -> ! {
    // ORDER: before anything else: from here on no other process may trace the init or open its files in /proc.
    // SAFETY: prctl(PR_SET_DUMPABLE) takes no pointer.
    let sealed = unsafe { arch::syscall(arch::PRCTL, [PR_SET_DUMPABLE, 0, 0, 0, 0, 0]) };
    // ORDER: one that others may look into goes no further.
    begin(sealed);
    let name = wire::INIT_NAME.as_ptr() as usize;
    // SAFETY: prctl(PR_SET_NAME) reads up to 16 bytes of a NUL-terminated text.
    let named = unsafe { arch::syscall(arch::PRCTL, [PR_SET_NAME, name, 0, 0, 0, 0]) };
    // ORDER: by its name the host tells whether it has become a program.
    begin(named);
    let born = arch::stamp();
    let mut numbers = [0; 3];
    for (index, place) in numbers.iter_mut().enumerate() {
        // SAFETY: the launcher passes exactly four arguments, each a NUL-terminated decimal number but the first.
        *place = unsafe { decimal(*stack.add(2 + index) as *const u8) };
    }
    let [fd, board, plan] = numbers;
    // SAFETY: new mappings of the memfd; nothing else refers to them.
    let (shared, private) = unsafe {
        (
            arch::syscall(arch::MMAP, [0, board, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0]),
            arch::syscall(arch::MMAP, [0, plan, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, board]),
        )
    };
    begin(shared);
    begin(private);
    let mut kernel = Kernel { board: shared as *mut u64, words: board / 8 };
    kernel.store(wire::board::BORN, born);
    // SAFETY: the mapping is private to this process and as long as asked for.
    let plan = unsafe { core::slice::from_raw_parts_mut(private as *mut u8, plan) };
    interpret::run(&mut kernel, plan);
    leave(1)
}

/// # Safety
/// `text` must be NUL-terminated.
unsafe fn decimal(mut text: *const u8) -> usize {
    let mut value = 0_usize;
    loop {
        // SAFETY: not past the NUL.
        let byte = unsafe { *text };
        if !byte.is_ascii_digit() {
            return value;
        }
        value = value.wrapping_mul(10).wrapping_add((byte - b'0') as usize);
        // SAFETY: `byte` was not the NUL, so the next byte belongs to the string.
        text = unsafe { text.add(1) };
    }
}

/// The compiler may call these for copies and comparisons; there is no libc to bring them.
mod memory {
    // SAFETY: the only definition of this symbol in the program.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
        // SAFETY: the caller's contract is memcpy's.
        unsafe { super::arch::copy(to, from, len) };
        to
    }

    // SAFETY: the only definition of this symbol in the program.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8 {
        // SAFETY: the caller's contract is memset's.
        unsafe { super::arch::fill(to, byte as u8, len) };
        to
    }

    // SAFETY: the only definition of this symbol in the program.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, len: usize) -> i32 {
        let mut index = 0;
        while index < len {
            // SAFETY: both ranges are `len` bytes long by memcmp's contract.
            let (one, other) = unsafe { (left.add(index).read_volatile(), right.add(index).read_volatile()) };
            if one != other {
                return i32::from(one) - i32::from(other);
            }
            index += 1;
        }
        0
    }

    // SAFETY: the only definition of this symbol in the program.
    #[unsafe(no_mangle)]
    unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, len: usize) -> i32 {
        // SAFETY: bcmp's contract is memcmp's.
        unsafe { memcmp(left, right, len) }
    }
}

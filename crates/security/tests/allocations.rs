//! What compiling a filter takes of the allocator: a command line compiles one in each start, and pays for each page that it touches first.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(unsafe_code, reason = "counting allocations takes an allocator of our own")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use libcontainer_security::CapSet;
use libcontainer_security::seccomp::{Arch, Options, compile, default_filter, default_profile};

/// Hands everything on to the system's allocator, and counts for each thread apart.
struct Counting;

/// How often memory was asked for, how much of it is held, and the most that was held.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    calls: usize,
    held: usize,
    most: usize,
}

thread_local! {
    static USE: Cell<Use> = const { Cell::new(Use { calls: 0, held: 0, most: 0 }) };
}

fn note(calls: usize, more: usize, less: usize) {
    // A thread that ends has no cell any more, and may not panic here.
    let _ = USE.try_with(|cell| {
        let Use { calls: before, held, most } = cell.get();
        let held = (held + more).saturating_sub(less);
        cell.set(Use { calls: before + calls, held, most: most.max(held) });
    });
}

// SAFETY: what is asked for goes to the system's allocator as it came, and what that returns goes back: its promises are kept by it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, layout.size(), 0);
        // SAFETY: the same layout, for which the caller answers.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, 0, layout.size());
        // SAFETY: `alloc` and `realloc` above gave the pointer, and had it from there.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, size, layout.size());
        // SAFETY: as for `dealloc`; the caller answers for the size.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `work` asks for, and the most that it holds at once.
fn used<T>(work: impl FnOnce() -> T) -> (usize, usize) {
    USE.set(Use::default());
    let kept = work();
    let Use { calls, most, .. } = USE.get();
    drop(kept);
    (calls, most)
}

#[test]
fn the_counter_counts() {
    assert_eq!(used(|| (Box::new(1_u64), Box::new(2_u64))), (2, 16));
    assert_eq!(used(|| drop(Box::new(1_u64))), (1, 8));
}

/// Docker's capabilities.
const CAPS: u64 = 0xa804_25fb;
const KERNEL: (u32, u32) = (6, 18);

#[test]
fn the_default_filter_keeps_within_its_budget() {
    let options = Options::new(Arch::X86_64);
    let (calls, most) = used(|| default_filter(&CapSet::from_bits(CAPS), KERNEL, &options).unwrap());
    assert!(calls <= 230 && most <= 60_000, "{calls} allocations, {most} bytes at once");
}

#[test]
fn a_profile_with_the_same_rules_keeps_within_its_budget() {
    let (options, profile) =
        (Options::new(Arch::X86_64), default_profile(&CapSet::from_bits(CAPS), Arch::X86_64, KERNEL));
    let (calls, most) = used(|| compile(&profile, &options).unwrap());
    assert!(calls <= 230 && most <= 60_000, "{calls} allocations, {most} bytes at once");
}

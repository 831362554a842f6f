//! An allocator that counts, for tests whose budget is a number of allocations. Whoever includes it has it as the program's allocator.
#![allow(unsafe_code, reason = "counting allocations takes an allocator of our own")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

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
pub(crate) fn used<T>(work: impl FnOnce() -> T) -> (usize, usize) {
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

//! An allocator that counts the allocations of each thread.
//!
//! A test binary installs it with `#[global_allocator] static ALLOCATOR: Counting = Counting;` and asks [`count`]. The
//! test harness allocates on threads of its own, which is why the counter is the thread's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counted.
#[derive(Debug)]
pub struct Counting;

/// How many allocations, and of how many bytes in all, this thread makes while `work` runs. An allocation that grows
/// counts anew. Nothing counts unless [`Counting`] is the global allocator.
pub fn count<R>(work: impl FnOnce() -> R) -> (R, u64, u64) {
    let (allocations, bytes) = (ALLOCATIONS.get(), BYTES.get());
    let result = work();
    (result, ALLOCATIONS.get() - allocations, BYTES.get() - bytes)
}

fn note(size: usize) {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    BYTES.set(BYTES.get() + size as u64);
}

// SAFETY: every call goes to `System` with the arguments it came with; counting touches none of the memory, and the
// counters need neither initialisation nor destruction, so that they allocate nothing themselves.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promises are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

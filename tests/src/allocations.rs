//! An allocator that counts the allocations of each thread, and what it holds.
//!
//! A test program installs it with `#[global_allocator] static ALLOCATOR: Counting = Counting;`, and its tests call
//! [`count`] or [`peak`]. Both count the calling thread alone, so that the test harness and other tests do not disturb
//! them. [`held_by_all`] counts all threads: a test that uses it must be the only one of its program.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static BYTES: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<i64> = const { Cell::new(0) };
    static HIGHEST: Cell<i64> = const { Cell::new(0) };
}

/// What all threads hold.
static IN_USE: AtomicI64 = AtomicI64::new(0);

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

/// How many allocations this thread has made. Nothing counts unless [`Counting`] is the global allocator.
#[must_use]
pub fn so_far() -> u64 {
    ALLOCATIONS.get()
}

/// How many bytes more than before this thread holds at once while `work` runs, at most. What one thread takes and
/// another gives back is counted wrongly. Nothing counts unless [`Counting`] is the global allocator.
pub fn peak<R>(work: impl FnOnce() -> R) -> (R, u64) {
    let before = HELD.get();
    HIGHEST.set(before);
    let result = work();
    (result, u64::try_from(HIGHEST.get() - before).unwrap_or(0))
}

/// How many bytes all threads together hold. Nothing counts unless [`Counting`] is the global allocator.
#[must_use]
pub fn held_by_all() -> i64 {
    IN_USE.load(Ordering::Relaxed)
}

fn note(size: usize) {
    ALLOCATIONS.set(ALLOCATIONS.get() + 1);
    BYTES.set(BYTES.get() + size as u64);
    hold(size, 0);
}

fn hold(taken: usize, given_back: usize) {
    let signed = |size| i64::try_from(size).unwrap_or(i64::MAX);
    HELD.set(HELD.get() + signed(taken) - signed(given_back));
    IN_USE.fetch_add(signed(taken) - signed(given_back), Ordering::Relaxed);
    HIGHEST.set(HIGHEST.get().max(HELD.get()));
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
        hold(0, layout.size());
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        hold(0, layout.size());
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

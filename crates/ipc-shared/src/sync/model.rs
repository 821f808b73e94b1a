//! Switches that a model sets, and counts that it reads. The primitives in `modelled` read the switches and keep the
//! counts, out of the checker's sight.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::Relaxed;

#[cfg(loom)]
use loom as checker;
#[cfg(all(shuttle, not(loom)))]
use shuttle as checker;

/// Panics, in a thread that will [`catch`] it, without a word on standard error.
///
/// Waits until no thread holds a mutex. All threads of a model run on one thread of the system, so `std` would call a
/// mutex poisoned that another one unlocks meanwhile. No schedule is lost by that: other threads see only what is done
/// while a panic passes, not where it began.
///
/// # Panics
///
/// Always.
pub fn panic() -> ! {
    while GUARDS.load(Relaxed) > 0 {
        checker::thread::yield_now();
    }
    UNWINDING.with(|panics| panics.set(panics.get() + 1));
    resume_unwind(Box::new(OfTheModel))
}

/// Runs `f`. Returns `None` if it ended in a [`panic`].
pub fn catch<R>(f: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(result) => Some(result),
        Err(payload) if payload.is::<OfTheModel>() => {
            UNWINDING.with(|panics| panics.set(panics.get() - 1));
            None
        }
        // Any other panic is the model's failure.
        Err(failure) => resume_unwind(failure),
    }
}

/// The payload of a panic of the model's own.
struct OfTheModel;

/// Returns the number of parkers of all threads: 0 once no thread waits or is being woken.
#[must_use]
pub fn parkers() -> usize {
    ALIVE.load(Relaxed)
}

/// Makes one park of this thread return early, as a real park may.
pub fn wake_spuriously_once() {
    COIN.with(|coin| coin.set(true));
}

/// Returns whether a park of this thread has returned early.
#[must_use]
pub fn has_woken_spuriously() -> bool {
    TOSSED.with(Cell::get)
}

/// Runs `work` before this thread wakes another one the next time. That one sleeps on meanwhile.
pub fn before_the_next_wake(work: impl FnOnce() + 'static) {
    LATE.with(|late| late.set(Some(Box::new(work))));
}

/// Returns the number of parkers, of all threads, that have been woken and have not returned from their park.
#[must_use]
pub fn waking() -> usize {
    WAKING.load(Relaxed)
}

/// Returns how often parkers have been woken that were not on their way yet, over all threads and executions so far.
#[must_use]
pub fn wakes() -> usize {
    WAKES.load(Relaxed)
}

/// Makes the patience of the locks that this thread creates end at that look, instead of the second.
pub fn be_patient(looks: u32) {
    SPAN.with(|span| span.set(looks));
}

pub(super) fn patience() -> u32 {
    SPAN.with(Cell::get)
}

/// Returns how often threads went to sleep, over all executions so far.
#[must_use]
pub fn parks() -> usize {
    PARKS.load(Relaxed)
}

/// Returns how often this thread went to sleep in this execution.
#[must_use]
pub fn parks_of_this_thread() -> usize {
    SLEEPS.with(Cell::get)
}

/// Returns how often this thread waited for a condition in this execution, including sleeps.
#[must_use]
pub fn waits_of_this_thread() -> usize {
    WAITS.with(Cell::get)
}

/// Runs `work` after each plan of this thread from now on, before the plan is used. Plans that `work` itself makes do
/// not count.
pub fn after_each_plan(work: impl FnMut() + 'static) {
    OVERTAKING.with(|overtaking| overtaking.set(Some(Box::new(work))));
}

/// Returns how often threads waited for a condition, including sleeps, over all executions so far.
#[must_use]
pub fn waits() -> usize {
    ALL_WAITS.load(Relaxed)
}

/// Returns how often a plan had gone stale when it was to be used, over all executions so far.
#[must_use]
pub fn replans() -> usize {
    REPLANS.load(Relaxed)
}

pub(super) fn take_coin() -> bool {
    let taken = COIN.with(|coin: &Cell<bool>| coin.replace(false));
    TOSSED.with(|tossed| tossed.set(tossed.get() || taken));
    taken
}

checker::thread_local! {
    /// How many panics of the model's own this thread is unwinding from.
    pub(super) static UNWINDING: Cell<usize> = Cell::new(0);
    pub(super) static COIN: Cell<bool> = Cell::new(false);
    pub(super) static OVERTAKING: Cell<Option<Box<dyn FnMut()>>> = Cell::new(None);
    pub(super) static LATE: Cell<Option<Box<dyn FnOnce()>>> = Cell::new(None);
    pub(super) static TOSSED: Cell<bool> = Cell::new(false);
    pub(super) static SLEEPS: Cell<usize> = Cell::new(0);
    pub(super) static SPAN: Cell<u32> = Cell::new(2);
    pub(super) static WAITS: Cell<usize> = Cell::new(0);
}

/// How often a plan had gone stale.
pub(super) static REPLANS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// How many guards of mutexes there are.
pub(super) static GUARDS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// How many parkers there are.
pub(super) static ALIVE: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// How many parkers are on their way: woken, and not back yet.
pub(super) static WAKING: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// Outside the checker's sight, since they count over all executions.
pub(super) static WAKES: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
pub(super) static PARKS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
pub(super) static ALL_WAITS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

//! The primitives that the models explore, built on the checker that is configured. A stand-in allows more than the
//! real primitive does.

use std::cell::Cell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, LockResult, PoisonError};

#[cfg(loom)]
use loom as checker;
#[cfg(all(shuttle, not(loom)))]
use shuttle as checker;

#[cfg(loom)]
pub(crate) use checker::cell::UnsafeCell;

use super::duty::LockDuty;
use super::model::{
    self, ALIVE, ALL_WAITS, GUARDS, LATE, OVERTAKING, PARKS, REPLANS, SLEEPS, UNWINDING, WAITS, WAKES, WAKING,
};

pub(crate) type AtomicU8 = checker::sync::atomic::AtomicU8;
pub(crate) type AtomicUsize = checker::sync::atomic::AtomicUsize;

/// Over at once, since each look of a thread that spins is a branch to explore.
#[derive(Debug)]
pub(crate) struct Backoff;

impl Backoff {
    pub(crate) fn new() -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "the real one counts")]
    pub(crate) fn is_over(&self) -> bool {
        true
    }

    #[expect(clippy::unused_self, reason = "the real one counts")]
    pub(crate) fn wait(&mut self) {
        unreachable!("it is over before it begins");
    }
}

/// Whether this thread is unwinding. The threads of a model share one thread of the system, and so does `std`'s answer.
pub(crate) fn panicking() -> bool {
    UNWINDING.with(|panics| panics.get() > 0)
}

/// Does `work`, and catches a panic of the model's own.
pub(crate) fn catch_panic(work: impl FnOnce()) {
    let _ = model::catch(work);
}

/// Counts plans that had gone stale, for the models.
pub(crate) fn note_replan() {
    REPLANS.fetch_add(1, Relaxed);
}

/// Lets a model act between a plan and the lock, as other threads may.
pub(crate) fn note_plan() {
    if let Some(mut work) = OVERTAKING.with(Cell::take) {
        work();
        OVERTAKING.with(|overtaking| overtaking.set(Some(work)));
    }
}

/// A mutex for what is rare and short. Nothing panics under it.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(checker::sync::Mutex<T>);

/// Access to the value of a [`Mutex`]. Counted: see [`model::panic`].
#[derive(Debug)]
pub(crate) struct MutexGuard<'m, T>(Option<checker::sync::MutexGuard<'m, T>>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(checker::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard::new(self.0.lock())
    }
}

impl<'m, T> MutexGuard<'m, T> {
    fn new(locked: LockResult<checker::sync::MutexGuard<'m, T>>) -> Self {
        GUARDS.fetch_add(1, Relaxed);
        Self(Some(locked.expect("nothing panics under it")))
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_ref().expect("it is there until this is dropped")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_mut().expect("it is there until this is dropped")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        GUARDS.fetch_sub(1, Relaxed);
    }
}

/// A condition variable for [`Mutex`].
#[derive(Debug)]
pub(crate) struct Condvar(checker::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(checker::sync::Condvar::new())
    }

    pub(crate) fn wait<'m, T>(&self, mut guard: MutexGuard<'m, T>) -> MutexGuard<'m, T> {
        let inner = guard.0.take().expect("it is there until this is dropped");
        drop(guard);
        WAITS.with(|waits| waits.set(waits.get() + 1));
        ALL_WAITS.fetch_add(1, Relaxed);
        MutexGuard::new(self.0.wait(inner))
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A token under a mutex. loom's own park loses tokens and never wakes early; this one does neither.
#[derive(Debug)]
pub(crate) struct Parker(Arc<Token>);

/// Wakes the thread of a [`Parker`].
#[derive(Debug)]
pub(crate) struct Waker(Arc<Token>);

#[derive(Debug)]
struct Token {
    given: Mutex<bool>,
    changed: Condvar,
    /// Whether the parker is gone: a token that comes late, or was never used, wakes no thread. Out of the checker's
    /// sight.
    is_gone: std::sync::atomic::AtomicBool,
    is_counted: std::sync::atomic::AtomicBool,
}

impl Token {
    /// Counts it among those that are on their way, or no longer.
    fn count(&self, is_on_its_way: bool) {
        let is_on_its_way = is_on_its_way && !self.is_gone.load(Relaxed);
        match (self.is_counted.swap(is_on_its_way, Relaxed), is_on_its_way) {
            (false, true) => _ = WAKING.fetch_add(1, Relaxed),
            (true, false) => _ = WAKING.fetch_sub(1, Relaxed),
            _ => {}
        }
    }
}

impl Drop for Parker {
    fn drop(&mut self) {
        self.0.is_gone.store(true, Relaxed);
        self.0.count(false);
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Relaxed);
    }
}

impl Parker {
    pub(crate) fn new() -> Self {
        ALIVE.fetch_add(1, Relaxed);
        let (given, changed) = (Mutex::new(false), Condvar::new());
        Self(Arc::new(Token { given, changed, is_gone: false.into(), is_counted: false.into() }))
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.0))
    }

    pub(crate) fn park(&self) {
        if model::take_coin() {
            return;
        }
        let mut given = self.0.given.lock();
        while !*given {
            PARKS.fetch_add(1, Relaxed);
            SLEEPS.with(|sleeps| sleeps.set(sleeps.get() + 1));
            given = self.0.changed.wait(given);
        }
        *given = false;
        self.0.count(false);
    }
}

impl Waker {
    pub(crate) fn wake(&self) {
        if let Some(work) = LATE.with(Cell::take) {
            work();
        }
        let was_given = std::mem::replace(&mut *self.0.given.lock(), true);
        self.0.count(true);
        WAKES.fetch_add(usize::from(!was_given), Relaxed);
        self.0.changed.notify_all();
    }
}

/// All versions, and the number of the newest, which a reader may see late. The real one gives the newest to a reader
/// that finds that there is one; this one gives any version that is not older than the one the reader has seen.
#[derive(Debug)]
pub(crate) struct Published<T> {
    versions: std::sync::Mutex<Vec<Arc<T>>>,
    newest: AtomicUsize,
}

/// The version of a [`Published`] value that a reader has seen last.
#[derive(Debug)]
pub(crate) struct Seen<T> {
    value: Arc<T>,
}

impl<T> Published<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { versions: std::sync::Mutex::new(vec![Arc::new(value)]), newest: AtomicUsize::new(0) }
    }

    pub(crate) fn see(&self) -> Seen<T> {
        let version = self.newest.load(Relaxed);
        let value = Arc::clone(&self.versions.lock().unwrap_or_else(PoisonError::into_inner)[version]);
        Seen { value }
    }

    pub(crate) fn look<'s>(&self, seen: &'s mut Seen<T>) -> &'s Arc<T> {
        *seen = self.see();
        &seen.value
    }

    pub(crate) fn store(&self, value: T) {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.push(Arc::new(value));
        let newest = versions.len() - 1;
        drop(versions);
        self.newest.store(newest, Relaxed);
    }
}

/// A value that is set once. A reader may see that late.
#[derive(Debug)]
pub(crate) struct Settled<T>(Published<Option<Arc<T>>>);

impl<T> Settled<T> {
    pub(crate) fn new(value: Option<Arc<T>>) -> Self {
        Self(Published::new(value))
    }

    pub(crate) fn load(&self) -> Option<Arc<T>> {
        Option::clone(&self.0.see().value)
    }

    pub(crate) fn settle(&self, value: Arc<T>) {
        self.0.store(Some(value));
    }
}

/// Ends at the second look, or at the one that a model sets, so that models see all answers.
#[derive(Debug)]
pub(crate) struct Patience {
    looks: u32,
    span: u32,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self { looks: 0, span: model::patience() }
    }

    pub(crate) fn look(&mut self, overtaken: &mut u32) -> LockDuty {
        self.looks = (self.looks + 1) % self.span;
        match self.looks {
            0 => LockDuty::HandOver,
            1 => LockDuty::Nothing,
            _ => {
                *overtaken = 0;
                LockDuty::Nudge
            }
        }
    }

    #[expect(clippy::unused_self, reason = "the real one has a clock")]
    pub(crate) fn begin_step(&mut self) {}

    /// Whether to look for a waiter that has been overtaken that often: each second time, so that models see both
    /// answers soon.
    pub(crate) fn is_worth_a_look(overtaken: u32) -> bool {
        overtaken.is_multiple_of(2)
    }
}

/// The tokens of threads are multiples of this.
pub(crate) const TOKEN_UNIT: usize = 16;

checker::thread_local! {
    static TOKEN: usize = LAST_TOKEN.fetch_add(TOKEN_UNIT, Relaxed) + TOKEN_UNIT;
}

/// Outside the checker's sight, since tokens are never used twice.
static LAST_TOKEN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// Returns a number that no other thread has or ever had, and never 0.
pub(crate) fn thread_token() -> usize {
    TOKEN.with(|token| *token)
}

/// Returns the number of cores.
pub(crate) fn cores() -> usize {
    1
}

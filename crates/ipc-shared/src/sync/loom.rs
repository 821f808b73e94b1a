//! The primitives as the models explore them.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::Arc;

use loom::sync::MutexGuard;

pub(crate) use loom::cell::UnsafeCell;
pub(crate) use loom::hint::spin_loop;
pub(crate) use loom::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize};
pub(crate) use std::thread::panicking;

use super::{Acquire, Release};

/// What a model may set and ask.
pub mod model {
    use super::{COIN, Cell, PARKS, REPLANS, SLEEPS};

    /// Makes one park of this thread return early, as a real one may.
    pub fn wake_spuriously_once() {
        COIN.with(|coin| coin.set(true));
    }

    /// How often threads really went to sleep, over all executions so far.
    #[must_use]
    pub fn parks() -> usize {
        PARKS.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// How often this thread really went to sleep in this execution.
    #[must_use]
    pub fn parks_of_this_thread() -> usize {
        SLEEPS.with(Cell::get)
    }

    /// How often a plan had gone stale when it was to be carried out, over all executions so far.
    #[must_use]
    pub fn replans() -> usize {
        REPLANS.load(std::sync::atomic::Ordering::Relaxed)
    }

    pub(super) fn take_coin() -> bool {
        COIN.with(|coin: &Cell<bool>| coin.replace(false))
    }
}

loom::thread_local! {
    static COIN: Cell<bool> = Cell::new(false);
    static SLEEPS: Cell<usize> = Cell::new(0);
    static TOKEN: usize = LAST_TOKEN.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
}

/// Outside loom's sight, since tokens are never used twice.
static LAST_TOKEN: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// Counts for the models what the interface does not show.
pub(crate) fn note_replan() {
    REPLANS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
}

static REPLANS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// Outside loom's sight, since it counts over all executions.
static PARKS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);

/// A mutex for what is rare and short.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("nothing that panics runs under a mutex")
    }
}

/// A condition variable for [`Mutex`].
#[derive(Debug)]
pub(crate) struct Condvar(loom::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(loom::sync::Condvar::new())
    }

    pub(crate) fn wait<'m, T>(&self, guard: MutexGuard<'m, T>) -> MutexGuard<'m, T> {
        self.0.wait(guard).expect("nothing that panics runs under a mutex")
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
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Token { given: Mutex::new(false), changed: Condvar::new() }))
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
            PARKS.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            SLEEPS.with(|sleeps| sleeps.set(sleeps.get() + 1));
            given = self.0.changed.wait(given);
        }
        *given = false;
    }
}

impl Waker {
    pub(crate) fn wake(&self) {
        *self.0.given.lock() = true;
        self.0.changed.notify_all();
    }
}

/// Versions that are only added to, and the number of the newest, which a reader may see late.
#[derive(Debug)]
pub(crate) struct Snapshot<T> {
    versions: std::sync::Mutex<Vec<Arc<T>>>,
    newest: AtomicUsize,
}

impl<T> Snapshot<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { versions: std::sync::Mutex::new(vec![Arc::new(value)]), newest: AtomicUsize::new(0) }
    }

    pub(crate) fn load(&self) -> impl Deref<Target = Arc<T>> {
        let newest = self.newest.load(Acquire);
        Box::new(Arc::clone(&self.versions.lock().expect("no panic happens under it")[newest]))
    }

    pub(crate) fn store(&self, value: T) {
        let mut versions = self.versions.lock().expect("no panic happens under it");
        versions.push(Arc::new(value));
        let newest = versions.len() - 1;
        drop(versions);
        self.newest.store(newest, Release);
    }
}

/// Ends at every second look, so that models see both answers.
#[derive(Debug)]
pub(crate) struct Patience {
    looks: Cell<u32>,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self { looks: Cell::new(0) }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.looks.set(self.looks.get() + 1);
        self.looks.get().is_multiple_of(2)
    }

    #[expect(clippy::unused_self, reason = "looks go on being counted")]
    pub(crate) fn renew(&mut self) {}
}

/// A number that no other thread has or ever had, and never 0.
pub(crate) fn thread_token() -> usize {
    TOKEN.with(|token| *token)
}

/// Each spin is a branch to explore: none.
pub(crate) const SPINS: u32 = 0;

/// How many cores there are.
pub(crate) fn cores() -> usize {
    1
}

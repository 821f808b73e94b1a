//! The primitives that ship.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use crossbeam_utils::CachePadded;

use super::duty::LockDuty;

// Aliases, not imports: clippy sees through imports, and would report the types wherever they are used.
pub(crate) type AtomicU8 = std::sync::atomic::AtomicU8;
pub(crate) type AtomicUsize = std::sync::atomic::AtomicUsize;

/// The wait of a thread between two looks at a lock, before it sleeps. Each wait is longer, so that threads that look
/// do not keep the cache line from those that change it; the last ones yield the processor.
#[derive(Debug)]
pub(crate) struct Backoff(crossbeam_utils::Backoff);

impl Backoff {
    pub(crate) fn new() -> Self {
        Self(crossbeam_utils::Backoff::new())
    }

    /// Whether it has waited for long enough: some microseconds.
    pub(crate) fn is_over(&self) -> bool {
        self.0.is_completed()
    }

    pub(crate) fn wait(&mut self) {
        self.0.snooze();
    }
}

/// Whether this thread is unwinding from a panic.
pub(crate) fn panicking() -> bool {
    std::thread::panicking()
}

/// Does `work`, and catches a panic of it. Shared state has to note by itself that it happened.
pub(crate) fn catch_panic(work: impl FnOnce()) {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    // The drop of a payload may panic, too. The payload of that panic is not dropped.
    let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(caught)));
    std::mem::forget(dropped);
}

/// A mutex for what is rare and short. It ignores poison, since nothing that panics runs under it.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no thread holds it.
    #[cfg(test)]
    pub(crate) fn is_free(&self) -> bool {
        self.0.try_lock().is_ok()
    }
}

/// Access to the value of a [`Mutex`].
pub(crate) type MutexGuard<'m, T> = std::sync::MutexGuard<'m, T>;

/// A condition variable for [`Mutex`].
#[derive(Debug, Default)]
pub(crate) struct Condvar(std::sync::Condvar);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn wait<'m, T>(&self, guard: MutexGuard<'m, T>) -> MutexGuard<'m, T> {
        self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// Puts its thread to sleep until a [`Waker`] wakes it. May return early.
#[derive(Debug)]
pub(crate) struct Parker(crossbeam_utils::sync::Parker);

/// Wakes the thread of a [`Parker`]. If that does not sleep, its next park returns at once.
#[derive(Debug)]
pub(crate) struct Waker(crossbeam_utils::sync::Unparker);

impl Parker {
    pub(crate) fn new() -> Self {
        Self(crossbeam_utils::sync::Parker::new())
    }

    pub(crate) fn waker(&self) -> Waker {
        Waker(self.0.unparker().clone())
    }

    pub(crate) fn park(&self) {
        self.0.park();
    }
}

impl Waker {
    pub(crate) fn wake(&self) {
        self.0.unpark();
    }
}

/// A value that is replaced as a whole, and often. Each reader keeps the version that it has [`Seen`], and compares one
/// word to learn whether there is a newer one. So a store costs the same for any number of readers.
///
/// The word has a cache line of its own, and changes under the mutex of the value. All accesses to it are relaxed: a
/// reader that finds it changed takes the mutex, and one that finds it unchanged uses its own version.
#[derive(Debug)]
pub(crate) struct Published<T> {
    version: CachePadded<AtomicUsize>,
    newest: Mutex<Arc<T>>,
}

/// The version of a [`Published`] value that a reader has seen last.
#[derive(Debug)]
pub(crate) struct Seen<T> {
    version: usize,
    value: Arc<T>,
}

impl<T> Published<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { version: CachePadded::new(AtomicUsize::new(0)), newest: Mutex::new(Arc::new(value)) }
    }

    /// Returns the newest version.
    pub(crate) fn see(&self) -> Seen<T> {
        let newest = self.newest.lock();
        Seen { version: self.version.load(Relaxed), value: Arc::clone(&newest) }
    }

    /// Returns the newest version, or one that was the newest a moment ago. `seen` comes from this value.
    #[inline]
    pub(crate) fn look<'s>(&self, seen: &'s mut Seen<T>) -> &'s Arc<T> {
        if self.version.load(Relaxed) != seen.version {
            *seen = self.see();
        }
        &seen.value
    }

    pub(crate) fn store(&self, value: T) {
        let value = Arc::new(value);
        let mut newest = self.newest.lock();
        let before = std::mem::replace(&mut *newest, value);
        self.version.store(self.version.load(Relaxed).wrapping_add(1), Relaxed);
        drop(newest);
        drop(before);
    }
}

/// A value that is set once. Readers that keep no version of their own read it without a lock.
#[derive(Debug)]
pub(crate) struct Settled<T>(ArcSwapOption<T>);

impl<T> Settled<T> {
    pub(crate) fn new(value: Option<Arc<T>>) -> Self {
        Self(ArcSwapOption::new(value))
    }

    /// Returns the value, once it is set.
    pub(crate) fn load(&self) -> Option<Arc<T>> {
        self.0.load_full()
    }

    /// Sets the value. Walks a list with an entry for each thread that the process ever had at once, so it is not for
    /// values that change often.
    pub(crate) fn settle(&self, value: Arc<T>) {
        #[cfg(test)]
        SETTLED.set(SETTLED.get() + 1);
        self.0.store(Some(value));
    }
}

#[cfg(test)]
thread_local! {
    /// How often this thread has settled something.
    pub(crate) static SETTLED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Measures how long a lock has been unfair, and how long a woken waiter has been on its way.
#[derive(Debug)]
pub(crate) struct Patience {
    /// When the lock is to be handed over.
    ends: Instant,
    /// When the step ends, and one more waiter is to be nudged.
    step_ends: Instant,
    /// The last look at the clock.
    looked: Instant,
}

impl Patience {
    /// How long barging may go on before the lock is handed over.
    const SPAN: Duration = Duration::from_micros(500);
    /// How long the woken waiter may be on its way before another is nudged, and that one before the next.
    const STEP: Duration = Duration::from_micros(50);
    /// The most often that the lock is taken in a step by threads that also do other work. If it is taken more often,
    /// no processor is idle for want of it, and no waiter is nudged.
    const FEW: u32 = 32;
    /// The most often that a waiter is overtaken between two looks.
    const MANY: u32 = 64;

    pub(crate) fn new() -> Self {
        Self::from(Instant::now())
    }

    fn from(now: Instant) -> Self {
        Self { ends: now + Self::SPAN, step_ends: now + Self::STEP, looked: now }
    }

    /// Looks at the clock. Returns what is due for a waiter that has been `overtaken` that often; each step counts from
    /// 0.
    pub(crate) fn look(&mut self, overtaken: &mut u32) -> LockDuty {
        self.look_at(Instant::now(), overtaken)
    }

    fn look_at(&mut self, now: Instant, overtaken: &mut u32) -> LockDuty {
        self.looked = now;
        if now < self.step_ends.min(self.ends) {
            return LockDuty::Nothing;
        }
        let taken = std::mem::take(overtaken);
        if now >= self.ends {
            *self = Self::from(now);
            return LockDuty::HandOver;
        }
        self.begin_step();
        if taken <= Self::FEW { LockDuty::Nudge } else { LockDuty::Nothing }
    }

    /// Begins a step at the last look, when a waiter has been woken.
    pub(crate) fn begin_step(&mut self) {
        self.step_ends = self.looked + Self::STEP;
    }

    /// Whether to look at the clock for a waiter that has been overtaken that often: soon at first, and then so rarely
    /// that it costs short sections little.
    pub(crate) fn is_worth_a_look(overtaken: u32) -> bool {
        overtaken.is_power_of_two() || overtaken.is_multiple_of(Self::MANY)
    }
}

/// The tokens of threads are multiples of this.
pub(crate) const TOKEN_UNIT: usize = 16;

/// Returns a number that no other living thread has, and never 0: an address in the thread's own memory.
#[inline]
pub(crate) fn thread_token() -> usize {
    // Long enough to contain a multiple of the unit at any address.
    thread_local!(static OWN: [u8; 2 * TOKEN_UNIT] = const { [0; 2 * TOKEN_UNIT] });
    OWN.with(|own| own.as_ptr().addr().next_multiple_of(TOKEN_UNIT))
}

/// Counts plans that had gone stale, for the models.
pub(crate) fn note_replan() {}

/// Lets a model act between a plan and the lock, as other threads may.
#[inline(always)]
pub(crate) fn note_plan() {}

/// Returns the number of cores.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Overtakes a waiter with sections of that length, and returns each look: its time, and what was due.
    fn looks(section: Duration, until: Duration) -> Vec<(Duration, LockDuty)> {
        let start = Instant::now();
        let (mut patience, mut overtaken, mut looks) = (Patience::from(start), 0, Vec::new());
        let mut past = Duration::ZERO;
        while past < until {
            past += section;
            overtaken += 1;
            if Patience::is_worth_a_look(overtaken) {
                looks.push((past, patience.look_at(start + past, &mut overtaken)));
            }
        }
        looks
    }

    #[test]
    fn the_clock_is_looked_at_soon_enough_and_patience_ends_in_time() {
        for section in [50, 300, 1_000, 3_100, 20_000, 300_000, 1_000_000].map(Duration::from_nanos) {
            let longest = section.max(Patience::STEP);
            let looks = looks(section, 4 * Patience::SPAN + 4 * section);
            let gaps = looks.windows(2).map(|pair| pair[1].0.checked_sub(pair[0].0).expect("time passes"));
            assert!(gaps.max() <= Some(longest), "{section:?}");
            let mut before = Duration::ZERO;
            for (at, _) in looks.iter().filter(|(_, due)| *due == LockDuty::HandOver) {
                assert!(*at - before <= Patience::SPAN + longest, "{section:?}: {before:?} to {at:?}");
                before = *at;
            }
            assert!(before > Duration::ZERO, "{section:?}");
        }
    }

    #[test]
    fn another_is_nudged_in_each_step_unless_the_lock_is_taken_often() {
        let nudges = |section| {
            let looks = looks(Duration::from_nanos(section), Patience::SPAN - Patience::STEP);
            looks.iter().filter(|(_, due)| *due == LockDuty::Nudge).count()
        };
        assert_eq!(nudges(50), 0);
        assert_eq!(nudges(1_000), 0);
        assert!(nudges(3_100) >= 4);
        assert!(nudges(25_000) >= 5);
        assert_eq!(nudges(100_000), 4, "one after each section");
    }

    #[test]
    fn a_step_begins_when_a_waiter_is_woken() {
        let start = Instant::now();
        let mut patience = Patience::from(start);
        let after = |share| start + Patience::STEP * share / 4;
        assert_eq!(patience.look_at(after(3), &mut 0), LockDuty::Nothing);
        patience.begin_step();
        assert_eq!(patience.look_at(after(6), &mut 1), LockDuty::Nothing);
        assert_eq!(patience.look_at(after(7), &mut 1), LockDuty::Nudge);
    }
}

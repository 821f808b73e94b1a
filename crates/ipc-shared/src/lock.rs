//! A lock that its holder can end, and that is fair in the long run. It is this crate's own because the writer needs both:
//! after a close or a tear, no waiter may wait for its turn to hear of it.
//!
//! # Notes about memory ordering
//!
//! The next holder sees what a holder wrote. A thread that finds the lock ended, or revives it, sees what the last holder
//! wrote before the end. These releases and acquires pair for that; each pair has a model in `loom-tests` that fails if
//! either side is made relaxed, as `cargo xtask mutants` does:
//!
//! | `Release` | `Acquire` | model | mutants |
//! |---|---|---|---|
//! | unlock, no waiter | `lock`, first attempt | `mutex_2x1` | `unlock-relaxed`, `take-relaxed` |
//! | unlock, one waiter is awake | `spin`, taking the lock | `mutex_3` | `unlock-with-one-awake-relaxed`, `take-after-looking-relaxed` |
//! | unlock that wakes a waiter | `spin`, taking the lock | `mutex_3` | `unlock-and-wake-relaxed`, `take-after-looking-relaxed` |
//! | hand-over to a waiter that is awake | `spin`, finding itself the owner | `handed_over_on_the_way` | `handed-over-awake-relaxed`, `found-own-relaxed` |
//! | a signal to a waiter: hand-over, end | the waiter's read of it | `spurious_wakeup` | `signal-relaxed`, `signal-read-relaxed` |
//! | the end | `ended` | `what_was_written_before_the_end_is_seen_after_it` | `end-relaxed`, `end-read-relaxed` |
//! | the end by poison | `revive` | `revived_by_another` | `poison-relaxed`, `revive-relaxed` |
//!
//! All other accesses are `Relaxed`. `PARKED` is changed under the queue's mutex. `WAKING` is set under it, and cleared by the
//! woken thread or by the thread that hands it the lock. The owner is only compared with the comparing thread's own token,
//! which other threads store only to hand it the lock. A waiter at the head of the queue that finds by the word that it has
//! been handed the lock (a `Relaxed` store under the queue's mutex) goes through that mutex before it touches the value.

#![expect(unsafe_code, reason = "a lock gives out references to a value that it shares: each block says why it may")]

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::sync::{
    Acquire, AtomicU8, AtomicUsize, Backoff, LockDuty, Mutex, MutexGuard, Parker, Patience, Relaxed, Release,
    TOKEN_UNIT, UnsafeCell, Waker, thread_token,
};

/// The queue is not empty.
const PARKED: usize = 1;
/// A waiter has been woken and has not tried yet.
const WAKING: usize = 1 << 1;
/// The holder has closed the lock.
const CLOSED: usize = 1 << 2;
/// A holder has poisoned the lock.
const POISONED: usize = 1 << 3;

/// No thread gets the lock by asking.
const ENDED: usize = CLOSED | POISONED;
/// The token of the thread that holds the lock, or is being handed it.
const OWNER: usize = !(PARKED | WAKING | ENDED);

const _: () = assert!((TOKEN_UNIT - 1) & OWNER == 0, "tokens leave the flags' bits alone");

/// A value that one thread at a time may use, until a holder ends the lock. A poisoned lock can be [revived](Self::revive).
///
/// It differs from `std`'s mutex in three things:
///
/// - **It ends.** Its holder can close or poison it, and every waiter returns at once, refused, without taking its turn.
/// - **It is fair in the long run.** A thread that attempt first may take it (barging, which keeps throughput when threads
///   outnumber cores). After half a millisecond of that, an unlock hands it to the waiter that is next, asleep or awake.
/// - **It knows its holder.** A thread that asks for the lock while it holds it is refused instead of waiting for itself.
///
/// # Fairness
///
/// The next waiter (the woken one, or the head of the queue if none is woken) is overtaken for half a millisecond, and until
/// an unlock looks at the clock: one section or 50 us later, whichever is longer, and never after more than 64 sections.
/// Unless sections vary in the extreme, that is less than a millisecond and a section.
///
/// That is the patience with *one* waiter. With N asleep and others barging, the last one waits N times half a millisecond at
/// most. Shorter turns for longer queues would bring back what this lock avoids: each turn waits for a sleeping thread.
///
/// # Nudging
///
/// One waiter is woken at a time. If threads outnumber cores, it may take milliseconds until it has a processor, and if all
/// others slept meanwhile, processors would be idle. So every 50 to 100 us, or after each section that is longer, the
/// unlocker nudges one more waiter. It keeps its queue position and takes the lock only if it finds it free.
pub struct Lock<T> {
    /// The owner, as a token that no other thread has, and four flags below its bits: what must change together.
    ///
    /// ```text
    ///  owner  POISONED  CLOSED  WAKING  PARKED
    ///    0       0        0       0       0     free; no waiter
    ///    t       0        0       0       0     held; no thread sleeps (some may spin)
    ///    t       0        0       0       1     held; the queue is not empty: unlock wakes its head, or hands it the lock
    ///   0/t      0        0       1      0/1    a waiter has been woken and has not tried yet: unlock wakes no other, and
    ///                                           hands it the lock once it has been overtaken for too long
    ///    0       0        1       0       0     closed, for good
    ///    0       1        0       0       0     poisoned, until a thread revives it and holds it
    /// ```
    ///
    /// Invariants:
    /// - `PARKED` is set exactly while the queue is not empty, seen under the queue's mutex. Only threads that hold that mutex
    ///   change it.
    /// - `PARKED` without `WAKING` implies an owner, whose unlock will see the queue. A waiter enters the queue only while it
    ///   sees the lock held, and a woken one clears `WAKING` by taking the lock or by going back to the queue.
    /// - While there is an owner, the word changes only under the queue's mutex, or by the owner's unlock.
    /// - `WAKING` is set only while the waiter that the queue has noted as woken is on its way. When it arrives it may find that
    ///   it is the owner.
    /// - A waiter in the queue may take the lock, nudged or awake by itself. It leaves the queue right after that. If it has
    ///   been taken out of it meanwhile, it clears `WAKING` instead: its own if it was noted as woken; none if it was handed the
    ///   lock; perhaps another waiter's if it was refused by a lock that has been revived since, as below.
    /// - A thread that hands the lock over wakes the new owner even if that is on its way: the thread that woke it may have been
    ///   stopped before it did. A surplus token is a spurious wake-up.
    /// - A hand-over replaces the old owner by the new one: the lock is never free in between, and no thread can barge.
    /// - A waiter that was woken before the lock was poisoned may come back after it was revived, and clear a `WAKING` that is
    ///   another's. Then two waiters are awake instead of one. The lock has an owner at that moment, who will see the queue.
    state: CachePadded<AtomicUsize>,
    /// Locked only by threads that are about to sleep, or to wake another.
    queue: Mutex<Queue>,
    /// How often the waiter that was woken last has been overtaken, since then or since the step of the patience began.
    /// Belongs to the owner, like the value.
    overtaken: UnsafeCell<u32>,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands out `&mut T` to one thread at a time, which is to move `T` between threads.
unsafe impl<T: Send> Sync for Lock<T> {}
// SAFETY: a lock owns its value; its own fields can be sent.
unsafe impl<T: Send> Send for Lock<T> {}

/// Why a thread does not get the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The lock has been closed.
    Closed,
    /// A holder has poisoned the lock.
    Poisoned,
    /// The thread holds the lock already.
    Reentrant,
}

impl<T> Lock<T> {
    /// Creates a lock that is open and free.
    pub fn new(value: T) -> Self {
        Self {
            state: CachePadded::new(AtomicUsize::new(0)),
            queue: Mutex::new(Queue::new()),
            overtaken: UnsafeCell::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// Takes the lock. Waits while another thread holds it.
    ///
    /// # Errors
    ///
    /// If the lock has ended, or this thread holds it. A waiter returns as soon as the lock ends.
    #[inline]
    pub fn lock(&self) -> Result<Guard<'_, T>, Refused> {
        // Acquire: pairs with the Release of the unlock before.
        if self.state.compare_exchange(0, thread_token(), Acquire, Relaxed).is_err() {
            self.lock_slow()?;
        }
        Ok(self.guard())
    }

    /// Takes a poisoned lock, and opens it again. The caller repairs the value. Returns `None` if the lock is not poisoned.
    pub fn revive(&self) -> Option<Guard<'_, T>> {
        // Acquire: pairs with the Release of the thread that poisoned the lock.
        let revived = self.state.compare_exchange(POISONED, thread_token(), Acquire, Relaxed);
        revived.is_ok().then(|| self.guard())
    }

    /// Returns whether the lock has been closed or poisoned. A moment later it may have ended, or have been revived.
    pub fn ended(&self) -> Option<Refused> {
        // Acquire: pairs with the Release of the thread that ended the lock.
        let state = self.state.load(Acquire);
        (state & ENDED != 0).then_some(if state & POISONED != 0 { Refused::Poisoned } else { Refused::Closed })
    }

    /// Returns whether this thread holds the lock.
    pub fn is_held_by_current_thread(&self) -> bool {
        self.state.load(Relaxed) & OWNER == thread_token()
    }

    /// Returns the value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }

    /// The guard for a thread that has just taken the lock, or been handed it.
    fn guard(&self) -> Guard<'_, T> {
        Guard { lock: self, not_send: PhantomData }
    }

    #[cold]
    fn lock_slow(&self) -> Result<(), Refused> {
        if self.is_held_by_current_thread() {
            return Err(Refused::Reentrant);
        }
        let mut waiter: Option<(Parker, Arc<Waiter>)> = None;
        let mut attempt = Attempt::New;
        loop {
            if self.spin(attempt)? {
                return Ok(());
            }
            let (parker, waiter) = waiter.get_or_insert_with(|| {
                let parker = Parker::new();
                let waiter = Waiter { token: thread_token(), signal: AtomicU8::new(WAITING), waker: parker.waker() };
                (parker, Arc::new(waiter))
            });
            if !self.enqueue(waiter, attempt) {
                // Free, or its own, by now.
                continue;
            }
            loop {
                parker.park();
                // Acquire: pairs with the Release of the thread that handed over, or ended, the lock.
                match waiter.signal.load(Acquire) {
                    // Nudged, or awake by itself: takes the lock if it is free, and keeps its queue position until then.
                    WAITING => {
                        if self.spin(Attempt::Nudged)? {
                            self.leave_queue(waiter);
                            return Ok(());
                        }
                    }
                    // Out of the queue: spins again, and if that is in vain goes back to the head.
                    WOKEN => break,
                    HANDED_OVER => return Ok(()),
                    CLOSED_MEANWHILE => return Err(Refused::Closed),
                    _ => return Err(Refused::Poisoned),
                }
            }
            attempt = Attempt::Woken;
        }
    }

    /// Tries to take the lock for a while. A new thread gives up early if others sleep already. Returns whether it has the
    /// lock.
    fn spin(&self, attempt: Attempt) -> Result<bool, Refused> {
        let mut backoff = Backoff::new();
        loop {
            let state = self.state.load(Relaxed);
            if state & ENDED != 0 {
                match self.ended() {
                    Some(refused) => return Err(refused),
                    None => continue, // revived meanwhile
                }
            }
            if state & OWNER == thread_token() {
                // Handed over on the way here.
                // Acquire: pairs with the Release of the thread that did. A waiter at the head relies on `leave_queue`.
                self.state.load(Acquire);
                return Ok(true);
            }
            if state & OWNER == 0 {
                let taken = (state | thread_token()) & !attempt.clears();
                // Acquire: pairs with the Release of the unlock before.
                if self.state.compare_exchange_weak(state, taken, Acquire, Relaxed).is_ok() {
                    return Ok(true);
                }
            } else if backoff.is_over() || (state & PARKED != 0 && attempt == Attempt::New) {
                return Ok(false);
            } else {
                backoff.wait();
            }
        }
    }

    /// Enters the queue: at its tail, or at its head if the waiter was woken in vain. Returns `false`, without entering, if
    /// the lock is free by now, since no unlock would wake it; and if it has become this thread's own, which only saves a
    /// park, since the thread that handed it over wakes it.
    fn enqueue(&self, waiter: &Arc<Waiter>, attempt: Attempt) -> bool {
        let mut queue = self.queue_with_room();
        let mut state = self.state.load(Relaxed);
        loop {
            if state & OWNER == 0 || state & OWNER == thread_token() {
                return false;
            }
            match self.state.compare_exchange_weak(state, (state | PARKED) & !attempt.clears(), Relaxed, Relaxed) {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        waiter.signal.store(WAITING, Relaxed);
        if attempt == Attempt::Woken {
            queue.waiters.push_front(Arc::clone(waiter));
        } else {
            queue.waiters.push_back(Arc::clone(waiter));
        }
        true
    }

    /// Locks the queue, with room for one more. Allocates without the mutex, which the owner takes to unlock.
    fn queue_with_room(&self) -> MutexGuard<'_, Queue> {
        let mut queue = self.queue.lock();
        while queue.waiters.len() == queue.waiters.capacity() {
            let room = 2 * queue.waiters.capacity().max(Queue::ROOM);
            drop(queue);
            let mut waiters = VecDeque::with_capacity(room);
            queue = self.queue.lock();
            // Unless another thread has made room meanwhile.
            if waiters.capacity() > queue.waiters.capacity() {
                waiters.append(&mut queue.waiters);
                std::mem::swap(&mut waiters, &mut queue.waiters);
            }
        }
        queue
    }

    /// Takes a waiter out of the queue after it has taken the lock from there.
    fn leave_queue(&self, waiter: &Arc<Waiter>) {
        let mut queue = self.queue.lock();
        let state = self.state.load(Relaxed);
        if let Some(position) = queue.waiters.iter().position(|other| Arc::ptr_eq(other, waiter)) {
            queue.waiters.remove(position);
            if queue.waiters.is_empty() {
                self.state.store(state & !PARKED, Relaxed);
            }
        } else {
            // Woken or handed the lock meanwhile, without having noticed. Or refused by a lock that has been revived since:
            // see the invariants.
            self.state.store(state & !WAKING, Relaxed);
        }
    }

    #[inline]
    fn unlock(&self) {
        // No waiter. Release: pairs with the Acquire of the thread that takes the lock next.
        if self.state.compare_exchange(thread_token(), 0, Release, Relaxed).is_err() {
            self.unlock_slow();
        }
    }

    #[cold]
    fn unlock_slow(&self) {
        let mut state = self.state.load(Relaxed);
        let overtakes_long = state & WAKING != 0 && self.overtake();
        // No waiter to wake; or one is awake already, and it is not time to look at the clock.
        let needs_nothing = |state| if state & WAKING == 0 { state & PARKED == 0 } else { !overtakes_long };
        while needs_nothing(state) {
            // Release: pairs with the Acquire of the thread that takes the lock next.
            match self.state.compare_exchange_weak(state, state & !OWNER, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
        let mut queue = self.queue.lock();
        // Only this thread can change the word now: it holds the lock and the queue's mutex.
        let state = self.state.load(Relaxed);
        // SAFETY: this thread is the owner.
        let due = self.overtaken.with_mut(|overtaken| queue.patience.look(unsafe { &mut *overtaken }));
        if state & WAKING != 0 {
            let woken = queue.woken.as_ref().expect("WAKING is set only while a waiter is on its way");
            // One waiter is on its way.
            let (owner, wakes) = match due {
                // Overtaken for too long: it gets the lock. Wakes it again, since the thread that has noted it as woken may
                // have been stopped before it woke it.
                LockDuty::HandOver => (woken.token | state & PARKED, Some(Arc::clone(woken))),
                // It has no processor yet: frees the lock, and lets one more waiter try.
                LockDuty::Nudge => (state & !OWNER, queue.nudge()),
                // Frees the lock for the waiter that is on its way, and for threads that barge.
                LockDuty::Nothing => (state & !OWNER, None),
            };
            // Release: pairs with the Acquire of that waiter, or of the thread that takes the lock next.
            self.state.store(owner, Release);
            drop(queue);
            if let Some(waiter) = wakes {
                waiter.waker.wake();
            }
            return;
        }
        let head = queue.waiters.pop_front().expect("PARKED is set only while the queue is not empty");
        let parked = if queue.waiters.is_empty() { 0 } else { PARKED };
        if due == LockDuty::HandOver {
            // Barging has gone on for long enough: the lock goes to the head, and is not free in between.
            self.state.store(head.token | parked, Relaxed);
            drop(queue);
            head.signal(HANDED_OVER);
        } else {
            // Frees the lock and wakes the head, which is on its way from now on.
            queue.woken = Some(Arc::clone(&head));
            queue.patience.begin_step();
            // SAFETY: this thread is the owner.
            self.overtaken.with_mut(|overtaken| unsafe { *overtaken = 0 });
            // Release: pairs with the Acquire of the thread that takes the lock next.
            self.state.store(WAKING | parked, Release);
            drop(queue);
            head.signal(WOKEN);
        }
    }

    /// Notes that this thread, the owner, overtakes the waiter that was woken last. Returns whether it is time to look at the
    /// clock.
    fn overtake(&self) -> bool {
        // SAFETY: this thread is the owner.
        self.overtaken.with_mut(|overtaken| unsafe {
            *overtaken = (*overtaken).wrapping_add(1);
            Patience::is_worth_a_look(*overtaken)
        })
    }

    /// Ends the lock, and wakes every waiter to be refused.
    #[cold]
    fn end(&self, bit: usize) {
        let mut queue = self.queue.lock();
        let waiters = std::mem::take(&mut queue.waiters);
        // Release: pairs with the Acquire of the threads that find the lock ended.
        self.state.store(bit, Release);
        drop(queue);
        let signal = if bit == CLOSED { CLOSED_MEANWHILE } else { POISONED_MEANWHILE };
        waiters.iter().for_each(|waiter| waiter.signal(signal));
    }
}

/// How a thread has come to try for the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// By a call of `lock`.
    New,
    /// Woken, out of the queue: its next change of the word clears `WAKING`.
    Woken,
    /// Nudged: it keeps its queue position until it has the lock.
    Nudged,
}

impl Attempt {
    /// The flag that its next change of the word clears.
    fn clears(self) -> usize {
        if self == Self::Woken { WAKING } else { 0 }
    }
}

/// Access to the value. Gives the lock back when it is dropped, also by a panic: only the holder knows whether the value is
/// still good, and poisons the lock if it is not.
pub struct Guard<'l, T> {
    lock: &'l Lock<T>,
    /// The lock remembers which thread holds it.
    not_send: PhantomData<*const ()>,
}

impl<T> Guard<'_, T> {
    /// Closes the lock, for good.
    pub fn close(self) {
        self.lock.end(CLOSED);
        std::mem::forget(self);
    }

    /// Poisons the lock, until a thread [revives](Lock::revive) it, since its value cannot be used as it is.
    pub fn poison(self) {
        self.lock.end(POISONED);
        std::mem::forget(self);
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one, so every `&mut T` attempt from it, and it is borrowed.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard is the only one, so every reference attempt from it, and it is borrowed mutably.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.lock.unlock();
    }
}

/// The waiters, in the order in which they came.
#[derive(Debug)]
struct Queue {
    waiters: VecDeque<Arc<Waiter>>,
    /// Where to look for the next one to nudge. Positions shift, so one may be left out until the next round.
    nudged: usize,
    /// The waiter that was woken last.
    woken: Option<Arc<Waiter>>,
    patience: Patience,
}

impl Queue {
    /// The number of waiters that there is room for from the start.
    const ROOM: usize = 32;

    fn new() -> Self {
        Self { waiters: VecDeque::with_capacity(Self::ROOM), nudged: 0, woken: None, patience: Patience::new() }
    }

    /// The next waiter to nudge. In turn, since one that has no processor yet would not notice.
    fn nudge(&mut self) -> Option<Arc<Waiter>> {
        let position = if self.nudged < self.waiters.len() { self.nudged } else { 0 };
        let waiter = self.waiters.get(position)?;
        self.nudged = position + 1;
        Some(Arc::clone(waiter))
    }
}

/// A thread that sleeps, and the signal that it finds when it is woken. Shared with the thread that wakes it, which may
/// still use it when the sleeper has long gone on.
#[derive(Debug)]
struct Waiter {
    /// The token of the thread, for the thread that hands it the lock.
    token: usize,
    signal: AtomicU8,
    waker: Waker,
}

impl Waiter {
    fn signal(&self, signal: u8) {
        // Release: pairs with the waiter's Acquire.
        self.signal.store(signal, Release);
        self.waker.wake();
    }
}

/// No signal yet.
const WAITING: u8 = 0;
/// Taken out of the queue to try: the lock was free a moment ago.
const WOKEN: u8 = 1;
/// Has been handed the lock.
const HANDED_OVER: u8 = 2;
/// The lock has been closed.
const CLOSED_MEANWHILE: u8 = 3;
/// The lock has been poisoned. It may have been revived since, so the word does not say so any more.
const POISONED_MEANWHILE: u8 = 4;

#[cfg(all(test, not(any(loom, shuttle))))]
#[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "what the lock is tested with")]
mod tests;

//! A lock that knows its end: spin briefly, then park; closed or poisoned, nobody gets it by asking.
//!
//! It differs from `std`'s mutex in three things. It can be *ended* by its holder, and then every waiter returns at
//! once, refused, without taking its turn. It is *fair in the long run*: whoever comes first may take it (barging, which
//! keeps throughput when threads outnumber cores), but after half a millisecond of that an unlock hands it to the one that
//! has waited longest, be it asleep, or awake and not scheduled yet, and wakes it. And a thread that asks for it while it holds it is
//! told so instead of waiting for itself.
//!
//! So a waiter that is next in line - woken, or at the head with nobody on the way before it - is overtaken for half a
//! millisecond, and until somebody looks at the clock: one section or 50 us later, whichever is longer, and never after
//! more than 64 sections. Twice the patience and a section are more than that, for all but sections that vary in the extreme.
//!
//! That is the patience with *one* of them, however many there are: with N asleep and others that keep barging, the last one's
//! turn comes after N times half a millisecond at most. Shorter turns for longer queues would be what this lock avoids: each
//! turn waits for a sleeping thread.
//!
//! One waiter is woken at a time. Where threads outnumber cores, it may be awake for milliseconds before it has a processor,
//! and if all others slept meanwhile, processors would be idle with it. So, while it is on its way, another of the queue is
//! *nudged* every 50 to 100 us, or after each section that is longer: told nothing, but awake to take the lock where it finds it free. It keeps its place in the queue
//! until it does.
//!
//! # States
//!
//! One word holds what must change together: the owner, as a number that no other thread has, and the flags below its
//! bits. The queue has a mutex of its own, touched only by threads that are about to sleep or to wake somebody.
//!
//! ```text
//!  owner  POISONED  CLOSED  WAKING  PARKED
//!    0       0        0       0       0     free; nobody waits
//!    t       0        0       0       0     held; nobody sleeps (some may spin)
//!    t       0        0       0       1     held; the queue is not empty: unlock wakes its head, or hands it the lock
//!   0/t      0        0       1      0/1    a waiter has been woken and has not tried yet: unlock wakes no other, and
//!                                           hands it the lock once it has been overtaken for too long
//!    0       0        1       0       0     closed, for ever
//!    0       1        0       0       0     poisoned, until somebody revives it: then held by them
//! ```
//!
//! Invariants:
//! - `PARKED` is set exactly while the queue is not empty, seen under the queue's mutex. Only threads that hold that
//!   mutex change it.
//! - `PARKED` without `WAKING` implies an owner: somebody will unlock and see the queue. A waiter enters the queue only
//!   while it sees the lock held, and a woken one clears `WAKING` by taking the lock or by going back to the queue.
//! - While there is an owner, the word changes only under the queue's mutex, or by the owner's unlock.
//! - `WAKING` is set only while the waiter that the queue has noted as woken is on its way. When it gets there it may find
//!   that it is the owner.
//! - A waiter in the queue may take the lock, nudged or woken by nobody. The next thing it does is to leave the queue. If it
//!   has been taken out meanwhile, it clears `WAKING` instead: its own if it was noted as woken; none if it was handed the
//!   lock; perhaps another's if it was sent away from a lock that is revived by now, as below.
//! - Whoever hands the lock over wakes the new owner, also one that is on its way: the thread that woke it may have been
//!   stopped before it did. A token too many is a spurious wake-up.
//! - A hand-off puts the new owner in the old one's place: the lock is never free between the two, and nobody can barge.
//! - A waiter that was woken before the lock was poisoned may come back after it was revived, and clear a `WAKING` that is
//!   another's. Then two are awake where one would do; the lock has an owner at that moment, who will see the queue.
//!
//! # Notes about memory ordering
//!
//! What a holder wrote is seen by the next holder, and what the last one wrote before it ended the lock is seen by those
//! who find it ended and by the one who revives it. These releases and acquires pair for that; each pair has a model in
//! `loom-tests` that fails when either side is made relaxed, which `cargo xtask mutants` does:
//!
//! | `Release` | `Acquire` | model | mutants |
//! |---|---|---|---|
//! | unlock, nobody waits | `lock` at once | `mutex_2x1` | `unlock-relaxed`, `take-relaxed` |
//! | unlock, one is awake | the look of a spinner | `mutex_3` | `unlock-with-one-awake-relaxed`, `take-after-looking-relaxed` |
//! | unlock that wakes one | the look of a spinner | `mutex_3` | `unlock-and-wake-relaxed`, `take-after-looking-relaxed` |
//! | a hand-over to one that is awake | the look of a spinner at its own lock | `handed_over_on_the_way` | `handed-over-awake-relaxed`, `found-own-relaxed` |
//! | a waiter's signal: hand-over, end | the waiter's look at it | `spurious_wakeup` | `signal-relaxed`, `signal-read-relaxed` |
//! | the end | `ended` | `what_was_written_before_the_end_is_seen_after_it` | `end-relaxed`, `end-read-relaxed` |
//! | the end by poison | `revive` | `revived_by_another` | `poison-relaxed`, `revive-relaxed` |
//!
//! All else is `Relaxed`: `PARKED` is changed under the queue's mutex, `WAKING` is set under it and cleared by the one
//! thread that was woken, or by the one that hands it the lock, and the owner is only ever compared with the comparing
//! thread's own token, which others store only to hand it the lock. A waiter that was at the head and finds by the word that
//! it has been handed the lock (a `Relaxed` store under the queue's mutex) goes through that mutex before it touches the value.

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

/// Nobody gets the lock again.
const ENDED: usize = CLOSED | POISONED;
/// The token of the thread that holds the lock, or is being handed it.
const OWNER: usize = !(PARKED | WAKING | ENDED);

const _: () = assert!((TOKEN_UNIT - 1) & OWNER == 0, "tokens leave the flags' bits alone");

/// A value that one thread at a time may use, until one of them ends it. A poisoned lock can be [revived](Self::revive).
pub struct Lock<T> {
    state: CachePadded<AtomicUsize>,
    queue: Mutex<Queue>,
    /// How often the waiter that was woken last has been overtaken, since then or since the step of the patience began. The
    /// owner's, like the value.
    overtaken: UnsafeCell<u32>,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands out `&mut T` to one thread at a time, which is to move `T` between threads.
unsafe impl<T: Send> Sync for Lock<T> {}
// SAFETY: a lock owns its value; its own fields can be sent.
unsafe impl<T: Send> Send for Lock<T> {}

/// Why a lock was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It has been closed.
    Closed,
    /// A holder has poisoned it.
    Poisoned,
    /// The asking thread holds it.
    Reentrant,
}

impl<T> Lock<T> {
    /// An open, unlocked lock.
    pub fn new(value: T) -> Self {
        Self {
            state: CachePadded::new(AtomicUsize::new(0)),
            queue: Mutex::new(Queue::new()),
            overtaken: UnsafeCell::new(0),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits for the lock.
    ///
    /// # Errors
    ///
    /// Says why nobody, or not this thread, will get it. A waiter is told as soon as the lock ends.
    #[inline]
    pub fn lock(&self) -> Result<Guard<'_, T>, Refused> {
        // Acquire: pairs with the Release of the unlock before.
        if self.state.compare_exchange(0, thread_token(), Acquire, Relaxed).is_err() {
            self.lock_slow()?;
        }
        Ok(self.guard())
    }

    /// Takes a poisoned lock, which is then as good as any other, and the caller's to make its value good. `None` where it is
    /// not poisoned.
    pub fn revive(&self) -> Option<Guard<'_, T>> {
        // Acquire: pairs with the Release of the thread that poisoned the lock.
        let revived = self.state.compare_exchange(POISONED, thread_token(), Acquire, Relaxed);
        revived.is_ok().then(|| self.guard())
    }

    /// Whether the lock has been closed or poisoned, and which. A moment later it may be, or may have been revived.
    pub fn ended(&self) -> Option<Refused> {
        // Acquire: pairs with the Release of the thread that ended the lock.
        let state = self.state.load(Acquire);
        (state & ENDED != 0).then_some(if state & POISONED != 0 { Refused::Poisoned } else { Refused::Closed })
    }

    /// Whether this thread holds the lock.
    pub fn is_held_by_current_thread(&self) -> bool {
        self.state.load(Relaxed) & OWNER == thread_token()
    }

    /// The value.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }

    /// The guard of a lock that this thread has just taken or been handed.
    fn guard(&self) -> Guard<'_, T> {
        Guard { lock: self, not_send: PhantomData }
    }

    #[cold]
    fn lock_slow(&self) -> Result<(), Refused> {
        if self.is_held_by_current_thread() {
            return Err(Refused::Reentrant);
        }
        let mut waiter: Option<(Parker, Arc<Waiter>)> = None;
        let mut comes = Comes::New;
        loop {
            if self.spin(comes)? {
                return Ok(());
            }
            let (parker, waiter) = waiter.get_or_insert_with(|| {
                let parker = Parker::new();
                let waiter = Waiter { token: thread_token(), signal: AtomicU8::new(WAITING), waker: parker.waker() };
                (parker, Arc::new(waiter))
            });
            if !self.enqueue(waiter, comes) {
                continue;
            }
            loop {
                parker.park();
                // Acquire: pairs with the Release of the thread that handed over, or ended, the lock.
                match waiter.signal.load(Acquire) {
                    // Nudged, or woken by nobody: it need not sleep on if the lock is free, and keeps its place until it takes it.
                    WAITING => {
                        if self.spin(Comes::Nudged)? {
                            self.leave(waiter);
                            return Ok(());
                        }
                    }
                    WOKEN => break,
                    HANDED_OVER => return Ok(()),
                    CLOSED_MEANWHILE => return Err(Refused::Closed),
                    _ => return Err(Refused::Poisoned),
                }
            }
            comes = Comes::Woken;
        }
    }

    /// Tries to take the lock for a while. One that comes from elsewhere gives up early where others sleep already.
    fn spin(&self, comes: Comes) -> Result<bool, Refused> {
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
                // Acquire: pairs with the Release of the thread that did. One that was at the head relies on `leave`.
                self.state.load(Acquire);
                return Ok(true);
            }
            if state & OWNER == 0 {
                let taken = (state | thread_token()) & !comes.clears();
                // Acquire: pairs with the Release of the unlock before.
                if self.state.compare_exchange_weak(state, taken, Acquire, Relaxed).is_ok() {
                    return Ok(true);
                }
            } else if backoff.is_over() || (state & PARKED != 0 && comes == Comes::New) {
                return Ok(false);
            } else {
                backoff.wait();
            }
        }
    }

    /// Enters the queue, unless the lock is not held by now: then nobody would come to wake it. Nor where it has become this
    /// thread's own, which only saves a park: the thread that handed it over wakes it. A waiter that was woken in vain goes
    /// back to the head.
    fn enqueue(&self, waiter: &Arc<Waiter>, comes: Comes) -> bool {
        let mut queue = self.queue_with_room();
        let mut state = self.state.load(Relaxed);
        loop {
            if state & OWNER == 0 || state & OWNER == thread_token() {
                return false;
            }
            match self.state.compare_exchange_weak(state, (state | PARKED) & !comes.clears(), Relaxed, Relaxed) {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        waiter.signal.store(WAITING, Relaxed);
        if comes == Comes::Woken {
            queue.waiters.push_front(Arc::clone(waiter));
        } else {
            queue.waiters.push_back(Arc::clone(waiter));
        }
        true
    }

    /// The queue, with room for one more. Room is made without its mutex, which the owner takes to unlock.
    fn queue_with_room(&self) -> MutexGuard<'_, Queue> {
        let mut queue = self.queue.lock();
        while queue.waiters.len() == queue.waiters.capacity() {
            let room = 2 * queue.waiters.capacity().max(Queue::ROOM);
            drop(queue);
            let mut waiters = VecDeque::with_capacity(room);
            queue = self.queue.lock();
            if waiters.capacity() > queue.waiters.capacity() {
                waiters.append(&mut queue.waiters);
                std::mem::swap(&mut waiters, &mut queue.waiters);
            }
        }
        queue
    }

    /// Takes a waiter out of the queue that has taken the lock from there.
    fn leave(&self, waiter: &Arc<Waiter>) {
        let mut queue = self.queue.lock();
        let state = self.state.load(Relaxed);
        if let Some(place) = queue.waiters.iter().position(|other| Arc::ptr_eq(other, waiter)) {
            queue.waiters.remove(place);
            if queue.waiters.is_empty() {
                self.state.store(state & !PARKED, Relaxed);
            }
        } else {
            // It has been woken or handed the lock meanwhile, without knowing it. Or sent away from a lock that is revived by now: see the invariants.
            self.state.store(state & !WAKING, Relaxed);
        }
    }

    #[inline]
    fn unlock(&self) {
        // Release: pairs with the Acquire of whoever takes the lock next.
        if self.state.compare_exchange(thread_token(), 0, Release, Relaxed).is_err() {
            self.unlock_slow();
        }
    }

    #[cold]
    fn unlock_slow(&self) {
        let mut state = self.state.load(Relaxed);
        let overtakes_long = state & WAKING != 0 && self.overtake();
        // Nobody to wake, or somebody is awake already.
        let needs_nothing = |state| if state & WAKING == 0 { state & PARKED == 0 } else { !overtakes_long };
        while needs_nothing(state) {
            // Release: pairs with the Acquire of whoever takes the lock next.
            match self.state.compare_exchange_weak(state, state & !OWNER, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
        let mut queue = self.queue.lock();
        // Nobody but this thread can change the word now: it holds the lock, and the queue's mutex.
        let state = self.state.load(Relaxed);
        // SAFETY: this thread is the owner.
        let due = self.overtaken.with_mut(|overtaken| queue.patience.look(unsafe { &mut *overtaken }));
        if state & WAKING != 0 {
            let woken = queue.woken.as_ref().expect("WAKING is set only while a waiter is on its way");
            let (owner, wakes) = match due {
                // The thread that woke it may have been stopped just before: then it still sleeps.
                LockDuty::HandOver => (woken.token | state & PARKED, Some(Arc::clone(woken))),
                LockDuty::Nudge => (state & !OWNER, queue.nudge()),
                LockDuty::Nothing => (state & !OWNER, None),
            };
            // Release: pairs with the Acquire of that waiter, or of whoever takes the lock next.
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
            self.state.store(head.token | parked, Relaxed);
            drop(queue);
            head.signal(HANDED_OVER);
        } else {
            queue.woken = Some(Arc::clone(&head));
            queue.patience.begin_step();
            // SAFETY: this thread is the owner.
            self.overtaken.with_mut(|overtaken| unsafe { *overtaken = 0 });
            // Release: pairs with the Acquire of whoever takes the lock next.
            self.state.store(WAKING | parked, Release);
            drop(queue);
            head.signal(WOKEN);
        }
    }

    /// Notes that the waiter that was woken last is being overtaken by this thread, the owner. Whether it is time to look at
    /// the clock.
    fn overtake(&self) -> bool {
        // SAFETY: this thread is the owner.
        self.overtaken.with_mut(|overtaken| unsafe {
            *overtaken = (*overtaken).wrapping_add(1);
            Patience::is_worth_a_look(*overtaken)
        })
    }

    /// Ends the lock and sends every waiter away.
    #[cold]
    fn end(&self, bit: usize) {
        let mut queue = self.queue.lock();
        let waiters = std::mem::take(&mut queue.waiters);
        // Release: pairs with the Acquire of those who find the lock ended.
        self.state.store(bit, Release);
        drop(queue);
        let signal = if bit == CLOSED { CLOSED_MEANWHILE } else { POISONED_MEANWHILE };
        waiters.iter().for_each(|waiter| waiter.signal(signal));
    }
}

/// How a thread comes to look at the lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comes {
    /// From elsewhere.
    New,
    /// Out of the queue, as the one that was woken: whatever it does next clears `WAKING`.
    Woken,
    /// From its place in the queue, which it keeps until it has the lock.
    Nudged,
}

impl Comes {
    /// The flag that goes with whatever it does next.
    fn clears(self) -> usize {
        if self == Self::Woken { WAKING } else { 0 }
    }
}

/// The right to use the value. Dropped, it gives the lock back, also in a panic: whether the value is still good is known
/// only to the holder, who poisons the lock if it is not.
pub struct Guard<'l, T> {
    lock: &'l Lock<T>,
    /// The lock remembers which thread holds it.
    not_send: PhantomData<*const ()>,
}

impl<T> Guard<'_, T> {
    /// Gives the lock back, for nobody to get again.
    pub fn close(self) {
        self.lock.end(CLOSED);
        std::mem::forget(self);
    }

    /// Gives the lock back for nobody to get by asking, since its value can no longer be used as it is.
    pub fn poison(self) {
        self.lock.end(POISONED);
        std::mem::forget(self);
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one, so nobody has a `&mut T` but through it, and it is borrowed.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard is the only one, so nobody has a reference but through it, and it is borrowed mutably.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.lock.unlock();
    }
}

/// Those who sleep, in the order in which they came.
#[derive(Debug)]
struct Queue {
    waiters: VecDeque<Arc<Waiter>>,
    /// Where to look for the next one to nudge. Places shift, so one may be left out until the next round.
    nudged: usize,
    /// The one that was woken last.
    woken: Option<Arc<Waiter>>,
    patience: Patience,
}

impl Queue {
    /// For how many there is room from the start.
    const ROOM: usize = 32;

    fn new() -> Self {
        Self { waiters: VecDeque::with_capacity(Self::ROOM), nudged: 0, woken: None, patience: Patience::new() }
    }

    /// The next one to nudge: one after the other, since one that has no processor yet would not notice.
    fn nudge(&mut self) -> Option<Arc<Waiter>> {
        let place = if self.nudged < self.waiters.len() { self.nudged } else { 0 };
        let waiter = self.waiters.get(place)?;
        self.nudged = place + 1;
        Some(Arc::clone(waiter))
    }
}

/// A thread that sleeps, and what it is told when it is woken. Shared with the thread that wakes it, which may still
/// be at it when the sleeper has long gone on.
#[derive(Debug)]
struct Waiter {
    /// The number of the thread, for the one that hands it the lock.
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

/// Nothing yet: sleep on.
const WAITING: u8 = 0;
/// The lock was free a moment ago: try.
const WOKEN: u8 = 1;
/// The lock is yours.
const HANDED_OVER: u8 = 2;
/// The lock has been closed.
const CLOSED_MEANWHILE: u8 = 3;
/// The lock has been poisoned. By now it may have been revived, so that its word no longer tells.
const POISONED_MEANWHILE: u8 = 4;

#[cfg(all(test, not(any(loom, shuttle))))]
#[expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "what the lock is tested with")]
mod tests;

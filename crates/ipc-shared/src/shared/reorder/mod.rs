//! Puts batches that finish in any order back into the order of their places.
//!
//! A place is reserved, parked in by its owner, and removed once its content has been appended. The buffer knows
//! nothing of batches or sinks: `D` is the parked content, `A` is the reason for an abort.
//!
//! The thread that makes the front place ready becomes the *drainer*: it alone appends what is ready at the front, and
//! stops at the first unfilled place. So parking never waits for another place to be filled, and content is appended in
//! the order of the places.
//!
//! No drainer works for others without end:
//! - A flush, a sync or a close becomes the *successor*: the drainer hands over after the append in hand.
//! - Once a drainer has appended as many contents as the buffer has places, or if it is itself a flush, a sync or a
//!   close, the next thread that parks behind the front waits to succeed it.
//! - A drainer that stops in front of a ready place has therefore handed over, or failed.
//!
//! Places are granted first come, first served. A thread that finds the buffer full queues; a free place goes to the
//! head of that queue, and only its thread is woken.
//!
//! A buffer that is *closing* grants no place. A *closed* one also takes no content, for good. An *aborted* one does
//! the same until it is reopened: ready contents stay ready, and unfilled places stay reserved. An *abandoned* one is
//! aborted for good and has dropped its contents.

mod drain;
mod state;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

use std::sync::Arc;

pub(crate) use self::drain::Drain;
use self::drain::Duty;
pub(crate) use self::state::{Aborted, Gaps, GivenUp, Rejected};
use self::state::{ReorderState, Signal};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// A bounded queue of places.
#[derive(Debug)]
pub(crate) struct ReorderBuffer<D, A> {
    state: Mutex<ReorderState<D, A>>,
}

/// Where the owner of a place is when it comes back with its content.
#[derive(Debug)]
pub(crate) enum Arrival<'r, D, A> {
    /// At the front: append the content, then drain what is ready after it.
    Front(Drain<'r, D, A>),
    /// Behind other places: park the content.
    Behind,
}

/// The answer to a request for a place.
#[derive(Debug)]
pub(crate) enum Reserved<'r, D, A> {
    /// The number of the place.
    Place(u64),
    /// No place yet: the buffer is full, and its front is ready because an attempt to append it failed. Drain, and ask
    /// again.
    DrainFirst(Drain<'r, D, A>),
}

impl<D, A: Clone> ReorderBuffer<D, A> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { state: Mutex::new(ReorderState::new(capacity)) }
    }

    /// Requests the next place.
    pub(crate) fn reserve(&self) -> Reservation<'_, D, A> {
        Reservation { buffer: self, signal: None }
    }

    /// Takes the next place. Returns `None` while there is none, or while other threads wait for one.
    pub(crate) fn try_reserve(&self) -> Result<Option<Reserved<'_, D, A>>, Rejected<A>> {
        let mut state = self.state.lock();
        match state.take_place()? {
            Some(place) => Ok(Some(Reserved::Place(place))),
            None => Ok(self.drain_if_ready(&mut state).map(Reserved::DrainFirst)),
        }
    }

    /// Tells the owner of `place` whether it is at the front. At the front it becomes the drainer.
    pub(crate) fn claim(&self, place: u64) -> Result<Arrival<'_, D, A>, Rejected<A>> {
        let mut state = self.state.lock();
        // Only a hint, which saves the work of parking what will never be appended: `park` checks again.
        state.check()?;
        if place != state.first() || state.is_draining() {
            return Ok(Arrival::Behind);
        }
        Ok(Arrival::Front(self.begin_to_drain(&mut state, Duty::UntilRelieved)))
    }

    /// Parks `content` in `place`. Returns the drain if the front is ready and no thread drains. Waits only to succeed
    /// a drainer that has done its part. If the content is rejected, the place stays reserved.
    pub(crate) fn park(&self, place: u64, content: D) -> Result<Option<Drain<'_, D, A>>, Rejected<A>> {
        let mut state = self.state.lock();
        state.check()?;
        state.fill(place, content);
        if state.wants_successor() {
            return Ok(Some(self.become_drainer(state, Duty::UntilRelieved).1));
        }
        Ok(self.drain_if_ready(&mut state))
    }

    /// Gives up `place`. Returns the drain if that made the front ready. Never waits, since a sink may drop slots.
    pub(crate) fn give_up(&self, place: u64, how: GivenUp) -> Option<Drain<'_, D, A>> {
        let mut state = self.state.lock();
        state.give_up(place, how);
        state.check().ok()?;
        self.drain_if_ready(&mut state)
    }

    /// Becomes the drainer of all places that are reserved by now. Waits for threads that flush, sync or close already;
    /// of any other drainer it waits only for the append in hand.
    pub(crate) fn drain_reserved(&self) -> Drain<'_, D, A> {
        let state = self.state.lock();
        let goal = state.next_place();
        self.become_drainer(state, Duty::UpTo { goal }).1
    }

    /// Grants no place from now on, becomes the drainer as [`drain_reserved`](Self::drain_reserved) does, and then
    /// gives up the unfilled places. Ready contents stay, for the drainer.
    ///
    /// Only the drainer may give places up: no thread is between its place and the output then.
    pub(crate) fn close(&self) -> Drain<'_, D, A> {
        let mut state = self.state.lock();
        state.begin_to_close();
        let (mut state, drain) = self.become_drainer(state, Duty::ToTheEnd);
        state.close();
        drain
    }

    /// Rejects everything from now on, and wakes the threads that wait for a place. The first reason counts; returns
    /// it.
    pub(crate) fn abort(&self, why: A) -> Aborted<A> {
        self.state.lock().abort(why)
    }

    /// Aborts the buffer for good, gives up the unfilled places, and returns the ready contents.
    ///
    /// The caller holds the lock of the output, so nothing is appended meanwhile. Content that a drainer has taken is
    /// dropped when that drainer is rejected.
    pub(crate) fn abandon(&self, why: A) -> Vec<D> {
        self.state.lock().abandon(why)
    }

    /// The reason, if the buffer has been aborted.
    pub(crate) fn aborted(&self) -> Option<Aborted<A>> {
        self.state.lock().aborted()
    }

    /// Ends an abort. A closed buffer stays closed.
    pub(crate) fn reopen(&self) {
        self.state.lock().reopen();
    }

    /// The places given up so far. After a close the numbers are final.
    pub(crate) fn gaps(&self) -> Gaps {
        self.state.lock().gaps()
    }

    fn drain_if_ready(&self, state: &mut ReorderState<D, A>) -> Option<Drain<'_, D, A>> {
        (!state.is_draining() && state.is_front_ready()).then(|| self.begin_to_drain(state, Duty::UntilRelieved))
    }

    fn begin_to_drain(&self, state: &mut ReorderState<D, A>, duty: Duty) -> Drain<'_, D, A> {
        state.begin_to_drain(duty != Duty::UntilRelieved);
        Drain::new(&self.state, duty)
    }

    /// Becomes the drainer after those that drain or queue already.
    fn become_drainer<'r, 'm>(&'r self, mut state: Guard<'m, D, A>, duty: Duty) -> (Guard<'m, D, A>, Drain<'r, D, A>) {
        if state.is_draining() {
            let signal: Signal = Arc::new(Condvar::new());
            state.queue_to_succeed(&signal);
            // Woken, it may still not be the one that the last drainer has chosen.
            while !state.is_chosen(&signal) {
                state = signal.wait(state);
            }
        }
        let drain = self.begin_to_drain(&mut state, duty);
        (state, drain)
    }
}

type Guard<'m, D, A> = MutexGuard<'m, ReorderState<D, A>>;

/// A thread's request for a place. It keeps its turn in the queue until it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation<'r, D, A> {
    buffer: &'r ReorderBuffer<D, A>,
    /// There once it has queued.
    signal: Option<Signal>,
}

impl<'r, D, A: Clone> Reservation<'r, D, A> {
    /// Takes the next place. Waits while the buffer is full, unless its front is ready and no thread drains: then the
    /// caller drains, and calls again.
    pub(crate) fn wait(&mut self) -> Result<Reserved<'r, D, A>, Rejected<A>> {
        let mut state = self.buffer.state.lock();
        loop {
            let place = match &self.signal {
                Some(signal) => state.take_granted(signal)?,
                None => state.take_place()?,
            };
            if let Some(place) = place {
                self.signal = None;
                return Ok(Reserved::Place(place));
            }
            let signal = self.signal.get_or_insert_with(|| state.queue_for_a_place());
            if let Some(drain) = self.buffer.drain_if_ready(&mut state) {
                return Ok(Reserved::DrainFirst(drain));
            }
            state = signal.wait(state);
        }
    }

    /// Returns the place that has been granted to it meanwhile, if any. Does not wait.
    pub(crate) fn granted(mut self) -> Option<u64> {
        let signal = self.signal.take()?;
        // One look under the mutex: a place granted between two looks would have no owner.
        self.buffer.state.lock().leave_the_queue(&signal)
    }
}

impl<D, A> Drop for Reservation<'_, D, A> {
    fn drop(&mut self) {
        if let Some(signal) = &self.signal {
            let mut state = self.buffer.state.lock();
            // The thread unwinds: it gives up a place that was granted to it unseen.
            if let Some(place) = state.leave_the_queue(signal) {
                state.give_up(place, GivenUp::OnPurpose);
                state.wake_next_reserver();
            }
        }
    }
}

//! The places that have been reserved in an output, in order, and what waits in them.
//!
//! [`Window::reserve`] takes a place, and the place leaves the window once what it holds has been appended. Whoever makes
//! the front place ready becomes the *drainer*: it alone appends what is ready at the front, until it meets a place that
//! is still out. So filling a place never waits for another place, and batches are appended in the order of the places.
//!
//! No drainer works for others for ever. A thread that settles (a flush, a sync, a close) is its *successor*: the drainer
//! hands over to it after the append in hand. Once a drainer has appended as many contents as the window has places, or
//! where it settles itself, the next thread that leaves a content behind the front waits to succeed it. A drainer that stops
//! in front of a ready place has therefore handed over, or failed.
//!
//! Places are given first come, first served: a thread that finds the window full queues, and room is given to the thread
//! that has queued longest. It alone is woken.
//!
//! A window is *closing* once a thread has begun to close it: it gives no place. It is *closed* for ever, and *aborted*
//! until it is reopened: then it takes no content either. A content that is ready stays so, and a place that is out stays
//! out, until the close gives it up. A window that is *abandoned* is aborted for ever, and lets go of what is in it.
//!
//! The window knows nothing of batches or sinks; `D` is what waits, and `A` is why it was aborted.

mod drain;
mod state;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;

use std::sync::Arc;

pub(crate) use self::drain::Drain;
use self::drain::Duty;
use self::state::{Places, Signal};
use crate::sync::{Condvar, Mutex, MutexGuard};

/// A bounded queue of places.
#[derive(Debug)]
pub(crate) struct Window<D, A> {
    places: Mutex<Places<D, A>>,
}

/// Why the window gives no places and takes nothing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused<A> {
    Closed,
    Aborted(Aborted<A>),
}

/// The window has been aborted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Aborted<A> {
    pub(crate) why: A,
    /// How many contents were left and have not been appended.
    pub(crate) waiting: u64,
}

/// What the owner of a place is to do when it comes back with a batch.
#[derive(Debug)]
pub(crate) enum Turn<'w, D, A> {
    /// Append it, and then drain what is ready behind it.
    Now(Drain<'w, D, A>),
    /// Leave it.
    Later,
}

/// What came of asking for a place.
#[derive(Debug)]
pub(crate) enum Reserved<'w, D, A> {
    /// Its number.
    Place(u64),
    /// None: the window is full, and the front is ready, since an attempt to append it has failed.
    NotYet(Drain<'w, D, A>),
}

/// The places that were given up, and never filled.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gaps {
    /// All of them.
    pub(crate) all: u64,
    /// Those given up by threads that were unwinding from a panic.
    pub(crate) lost: u64,
}

/// How a place is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// By an owner that has no use for it.
    OnPurpose,
    /// By a thread that is unwinding.
    Unwinding,
}

impl<D, A: Clone> Window<D, A> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { places: Mutex::new(Places::new(capacity)) }
    }

    /// Asks for the next place.
    pub(crate) fn reserve(&self) -> Asking<'_, D, A> {
        Asking { window: self, signal: None }
    }

    /// Takes the next place. `None` while there is none, or while others wait for one.
    pub(crate) fn try_reserve(&self) -> Result<Option<Reserved<'_, D, A>>, Refused<A>> {
        let mut places = self.places.lock();
        match places.take_place()? {
            Some(place) => Ok(Some(Reserved::Place(place))),
            None => Ok(self.drain_if_ready(&mut places).map(Reserved::NotYet)),
        }
    }

    /// Says whether it is the turn of `place`.
    pub(crate) fn arrive(&self, place: u64) -> Result<Turn<'_, D, A>, Refused<A>> {
        let mut places = self.places.lock();
        // A hint, which spares the caller the work of leaving what nobody will append.
        places.check()?;
        if place != places.first() || places.is_draining() {
            return Ok(Turn::Later);
        }
        Ok(Turn::Now(self.begin(&mut places, Duty::Turns)))
    }

    /// Leaves `content` in `place`, which is out as before where nothing is taken. If the front is ready then, the caller is
    /// to drain. Waits only to succeed a drainer that has done its part.
    pub(crate) fn leave(&self, place: u64, content: D) -> Result<Option<Drain<'_, D, A>>, Refused<A>> {
        let mut places = self.places.lock();
        places.check()?;
        places.fill(place, content);
        if places.wants_successor() {
            return Ok(Some(self.succeed(places, Duty::Turns).1));
        }
        Ok(self.drain_if_ready(&mut places))
    }

    /// Gives up `place`. If that made the front ready, the caller is to drain. Never waits: a sink may drop places.
    pub(crate) fn give_up(&self, place: u64, how: GivenUp) -> Option<Drain<'_, D, A>> {
        let mut places = self.places.lock();
        places.give_up(place, how);
        places.check().ok()?;
        self.drain_if_ready(&mut places)
    }

    /// Becomes the drainer, to append what is ready in the places that are reserved by now. Waits for those that settle
    /// already, and else for no more than the append in hand.
    pub(crate) fn settle(&self) -> Drain<'_, D, A> {
        let places = self.places.lock();
        let goal = places.next_place();
        self.succeed(places, Duty::Settles { goal }).1
    }

    /// Gives no place from now on, becomes the drainer as [`settle`](Self::settle) does, and gives up the places that are
    /// out. What is ready stays, for the drainer.
    ///
    /// Only the drainer may give them up: nothing is between its place and the output then.
    pub(crate) fn close(&self) -> Drain<'_, D, A> {
        let mut places = self.places.lock();
        places.begin_to_close();
        let (mut places, drain) = self.succeed(places, Duty::Closes);
        places.close();
        drain
    }

    /// Nothing can be appended from now on: sends away those who wait for a place. The first reason counts; returns it.
    pub(crate) fn abort(&self, why: A) -> Aborted<A> {
        self.places.lock().abort(why)
    }

    /// Nothing will ever be appended again: aborts the window for good, gives up the places that are out, and returns the
    /// contents that were ready.
    ///
    /// To be called under the lock of the output, so that nothing is appended meanwhile. The content that a drainer has taken
    /// goes when the drainer is refused.
    pub(crate) fn abandon(&self, why: A) -> Vec<D> {
        self.places.lock().abandon(why)
    }

    /// Why, if it has been aborted.
    pub(crate) fn aborted(&self) -> Option<Aborted<A>> {
        self.places.lock().aborted()
    }

    /// Messages can be appended again. A closed window stays closed.
    pub(crate) fn reopen(&self) {
        self.places.lock().reopen();
    }

    /// The places that were given up so far. Those of a closed window are all.
    pub(crate) fn gaps(&self) -> Gaps {
        self.places.lock().gaps()
    }

    fn drain_if_ready(&self, places: &mut Places<D, A>) -> Option<Drain<'_, D, A>> {
        (!places.is_draining() && places.is_front_ready()).then(|| self.begin(places, Duty::Turns))
    }

    fn begin(&self, places: &mut Places<D, A>, duty: Duty) -> Drain<'_, D, A> {
        places.begin_to_drain(duty != Duty::Turns);
        Drain::new(self, duty)
    }

    /// Becomes the drainer, once those are done who drain already.
    fn succeed<'w, 'm>(&'w self, mut places: Guard<'m, D, A>, duty: Duty) -> (Guard<'m, D, A>, Drain<'w, D, A>) {
        if places.is_draining() {
            let signal: Signal = Arc::new(Condvar::new());
            places.queue_to_succeed(&signal);
            while !places.is_chosen(&signal) {
                places = signal.wait(places);
            }
        }
        let drain = self.begin(&mut places, duty);
        (places, drain)
    }
}

type Guard<'m, D, A> = MutexGuard<'m, Places<D, A>>;

/// A thread that asks for a place. It keeps its turn in the queue until it is dropped.
#[derive(Debug)]
pub(crate) struct Asking<'w, D, A> {
    window: &'w Window<D, A>,
    /// There once it has queued.
    signal: Option<Signal>,
}

impl<'w, D, A: Clone> Asking<'w, D, A> {
    /// Takes the next place. Waits while the window is full, but not for something that nobody is about to append: then
    /// the caller is to drain, and to ask again.
    pub(crate) fn wait(&mut self) -> Result<Reserved<'w, D, A>, Refused<A>> {
        let mut places = self.window.places.lock();
        loop {
            let place = match &self.signal {
                Some(signal) => places.take_granted(signal)?,
                None => places.take_place()?,
            };
            if let Some(place) = place {
                self.signal = None;
                return Ok(Reserved::Place(place));
            }
            let signal = self.signal.get_or_insert_with(|| places.queue_for_a_place());
            if let Some(drain) = self.window.drain_if_ready(&mut places) {
                return Ok(Reserved::NotYet(drain));
            }
            places = signal.wait(places);
        }
    }

    /// The place that it has been given, if it has, without waiting.
    pub(crate) fn granted(mut self) -> Option<u64> {
        let signal = self.signal.take()?;
        // One look under the mutex: a place that came between two would be one that nobody has had.
        self.window.places.lock().leave_the_queue(&signal)
    }
}

impl<D, A> Drop for Asking<'_, D, A> {
    fn drop(&mut self) {
        if let Some(signal) = &self.signal {
            let mut places = self.window.places.lock();
            // A place that it has been given and not seen is given up: it unwinds.
            if let Some(place) = places.leave_the_queue(signal) {
                places.give_up(place, GivenUp::OnPurpose);
                places.let_the_next_try();
            }
        }
    }
}

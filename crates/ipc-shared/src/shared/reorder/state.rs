//! What is under the window's mutex: the places, who drains them, and who waits for a place or to drain.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{Aborted, Gaps, GivenUp, Refused};
use crate::sync::Condvar;

/// Wakes one thread, which nobody else waits with.
pub(super) type Signal = Arc<Condvar>;

/// The state of a window.
///
/// | place | means |
/// |---|---|
/// | `Out` | reserved; its owner has not come back |
/// | `Ready` | what it holds waits for its turn |
/// | `Taken` | the drainer has what it held, and is about to append it |
/// | `Passed` | what it held is in the output, and the drainer is about to take it out of the window |
/// | `GivenUp` | its owner will not come back |
#[derive(Debug)]
pub(super) struct Places<D, A> {
    /// The number of the front place.
    first: u64,
    queue: VecDeque<Place<D>>,
    capacity: usize,
    drainer: Drainer,
    /// Who drains next, in the order in which they came.
    successors: VecDeque<Signal>,
    /// Who waits for a place, in the order in which they came. Nobody does while there is room.
    asking: VecDeque<Signal>,
    /// Who has been given which place, and has not seen it yet.
    granted: Vec<(Signal, u64)>,
    stage: Stage,
    aborted: Option<A>,
    gaps: Gaps,
}

#[derive(Debug)]
pub(super) enum Place<D> {
    Out,
    Ready(D),
    Taken,
    Passed,
    GivenUp,
}

#[derive(Debug)]
enum Drainer {
    /// Whoever makes the front ready drains.
    Nobody,
    AtWork {
        /// Whether the next thread that leaves a content is to wait and take over.
        wants_successor: bool,
    },
    /// This one will come.
    Chosen(Signal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// No place is given.
    Closing,
    /// No place is given, none is out, and nothing is taken.
    Closed,
    /// The same, and nothing is kept.
    Abandoned,
}

impl<D, A: Clone> Places<D, A> {
    pub(super) fn new(capacity: usize) -> Self {
        let enough = capacity.min(PREALLOCATED);
        Self {
            first: 0,
            queue: VecDeque::with_capacity(enough),
            capacity,
            drainer: Drainer::Nobody,
            successors: VecDeque::with_capacity(enough),
            asking: VecDeque::with_capacity(enough),
            granted: Vec::with_capacity(enough),
            stage: Stage::Open,
            aborted: None,
            gaps: Gaps::default(),
        }
    }

    /// Whether contents are taken.
    pub(super) fn check(&self) -> Result<(), Refused<A>> {
        match self.aborted() {
            Some(aborted) => Err(Refused::Aborted(aborted)),
            None if self.stage == Stage::Closed => Err(Refused::Closed),
            None => Ok(()),
        }
    }

    /// Whether places are given.
    fn check_open(&self) -> Result<(), Refused<A>> {
        match self.aborted() {
            Some(aborted) => Err(Refused::Aborted(aborted)),
            None if self.stage != Stage::Open => Err(Refused::Closed),
            None => Ok(()),
        }
    }

    pub(super) fn aborted(&self) -> Option<Aborted<A>> {
        let why = self.aborted.clone()?;
        Some(Aborted { why, waiting: self.waiting() })
    }

    pub(super) fn abort(&mut self, why: A) -> Aborted<A> {
        let why = self.aborted.get_or_insert(why).clone();
        self.send_away();
        Aborted { why, waiting: self.waiting() }
    }

    pub(super) fn abandon(&mut self, why: A) -> Vec<D> {
        self.aborted.get_or_insert(why);
        self.stage = Stage::Abandoned;
        self.send_away();
        let give_up = |place: &mut Place<D>| match place {
            Place::Out => {
                *place = Place::GivenUp;
                None
            }
            Place::Ready(_) => Some(std::mem::replace(place, Place::GivenUp)),
            Place::Taken | Place::Passed | Place::GivenUp => None,
        };
        let ready = self.queue.iter_mut().filter_map(give_up);
        ready.filter_map(|place| if let Place::Ready(content) = place { Some(content) } else { None }).collect()
    }

    pub(super) fn reopen(&mut self) {
        self.aborted = None;
        self.hand_out();
    }

    /// Takes the next place, unless others wait for one.
    pub(super) fn take_place(&mut self) -> Result<Option<u64>, Refused<A>> {
        self.check_open()?;
        Ok((self.has_room() && self.asking.is_empty()).then(|| self.add_place()))
    }

    /// Takes the place that has been given to this thread.
    pub(super) fn take_granted(&mut self, signal: &Signal) -> Result<Option<u64>, Refused<A>> {
        match self.take_from_granted(signal) {
            Some(place) => Ok(Some(place)),
            None => self.check_open().map(|()| None),
        }
    }

    /// Gives room to those who have waited longest.
    fn hand_out(&mut self) {
        while self.has_room()
            && self.check_open().is_ok()
            && let Some(signal) = self.asking.pop_front()
        {
            let place = self.add_place();
            signal.notify_all();
            self.granted.push((signal, place));
        }
    }

    /// Takes the front place out of the window.
    pub(super) fn pass_front(&mut self) {
        self.queue.pop_front();
        self.first += 1;
        self.hand_out();
    }

    /// Takes those front places out of the window that nothing is to be done for.
    pub(super) fn pass_what_is_done(&mut self) {
        while let Some(Place::Passed | Place::GivenUp) = self.queue.front() {
            self.pass_front();
        }
    }
}

impl<D, A> Places<D, A> {
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn front(&mut self) -> Option<&mut Place<D>> {
        self.queue.front_mut()
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn gaps(&self) -> Gaps {
        self.gaps
    }

    /// The number of the place that is reserved next.
    pub(super) fn next_place(&self) -> u64 {
        self.first + self.queue.len() as u64
    }

    fn has_room(&self) -> bool {
        self.queue.len() < self.capacity
    }

    fn add_place(&mut self) -> u64 {
        let place = self.next_place();
        self.queue.push_back(Place::Out);
        place
    }

    fn waiting(&self) -> u64 {
        self.queue.iter().filter(|place| matches!(place, Place::Ready(_) | Place::Taken)).count() as u64
    }

    /// Puts back what the drainer has taken and not appended. Returns it where nothing is kept.
    pub(super) fn put_back(&mut self, content: D) -> Option<D> {
        match (self.queue.front_mut(), self.stage) {
            (Some(front @ Place::Taken), Stage::Abandoned) => *front = Place::GivenUp,
            (Some(front @ Place::Taken), _) => {
                *front = Place::Ready(content);
                return None;
            }
            // After a panic behind the append, there is nothing to be tried again.
            _ => {}
        }
        Some(content)
    }

    pub(super) fn fill(&mut self, place: u64, content: D) {
        self.put(place, Place::Ready(content));
    }

    fn put(&mut self, place: u64, state: Place<D>) {
        let index = usize::try_from(place - self.first).expect("a place is in the window, which fits memory");
        self.queue[index] = state;
    }

    /// Gives up a place that is out. Closing and abandoning have given up all of them, and they may have left the window
    /// since.
    pub(super) fn give_up(&mut self, place: u64, how: GivenUp) {
        if matches!(self.stage, Stage::Closed | Stage::Abandoned) {
            return;
        }
        self.put(place, Place::GivenUp);
        self.gaps.all += 1;
        self.gaps.lost += u64::from(how == GivenUp::Unwinding);
    }

    pub(super) fn begin_to_close(&mut self) {
        if self.stage == Stage::Open {
            self.stage = Stage::Closing;
            self.send_away();
        }
    }

    pub(super) fn close(&mut self) {
        if self.stage == Stage::Abandoned {
            return;
        }
        self.stage = Stage::Closed;
        for place in self.queue.iter_mut().filter(|place| matches!(place, Place::Out)) {
            *place = Place::GivenUp;
            self.gaps.all += 1;
        }
    }

    /// Wakes all who wait for a place, to see why there is none.
    fn send_away(&self) {
        self.asking.iter().for_each(|signal| signal.notify_all());
    }

    pub(super) fn queue_for_a_place(&mut self) -> Signal {
        let signal = Arc::new(Condvar::new());
        self.asking.push_back(Arc::clone(&signal));
        signal
    }

    /// Forgets a thread that waits no more. Returns the place that it has been given and not seen.
    pub(super) fn leave_the_queue(&mut self, signal: &Signal) -> Option<u64> {
        self.asking.retain(|asking| !Arc::ptr_eq(asking, signal));
        // It may have been the one that was to try.
        self.let_the_next_try();
        self.take_from_granted(signal)
    }

    fn take_from_granted(&mut self, signal: &Signal) -> Option<u64> {
        let index = self.granted.iter().position(|(to, _)| Arc::ptr_eq(to, signal))?;
        Some(self.granted.swap_remove(index).1)
    }

    pub(super) fn is_draining(&self) -> bool {
        !matches!(self.drainer, Drainer::Nobody)
    }

    /// Whether there is anything to be done at the front, once nobody drains.
    pub(super) fn is_front_ready(&self) -> bool {
        matches!(self.queue.front(), Some(Place::Ready(_) | Place::Passed | Place::GivenUp))
    }

    /// Whether the drainer is to be succeeded by who has left something, and nobody waits to do so.
    pub(super) fn wants_successor(&self) -> bool {
        let is_behind_a_place_that_is_out = matches!(self.queue.front(), Some(Place::Out));
        matches!(self.drainer, Drainer::AtWork { wants_successor: true })
            && self.successors.is_empty()
            && !is_behind_a_place_that_is_out
    }

    pub(super) fn has_successors(&self) -> bool {
        !self.successors.is_empty()
    }

    pub(super) fn queue_to_succeed(&mut self, signal: &Signal) {
        self.successors.push_back(Arc::clone(signal));
    }

    pub(super) fn is_chosen(&self, signal: &Signal) -> bool {
        matches!(&self.drainer, Drainer::Chosen(chosen) if Arc::ptr_eq(chosen, signal))
    }

    pub(super) fn begin_to_drain(&mut self, wants_successor: bool) {
        self.drainer = Drainer::AtWork { wants_successor };
    }

    /// The drainer has done its part: the next thread that leaves something behind the front takes over.
    pub(super) fn look_for_a_successor(&mut self) {
        self.drainer = Drainer::AtWork { wants_successor: true };
    }

    /// The drainer stops. If it leaves a ready front to nobody in particular, it has failed: the thread that has waited
    /// longest for a place tries next.
    pub(super) fn stop_draining(&mut self) {
        match self.successors.pop_front() {
            Some(successor) => {
                successor.notify_all();
                self.drainer = Drainer::Chosen(successor);
            }
            None => {
                self.drainer = Drainer::Nobody;
                self.let_the_next_try();
            }
        }
    }

    /// Wakes the thread that has waited longest for a place, if there is something at the front that nobody appends.
    pub(super) fn let_the_next_try(&self) {
        if !self.is_draining()
            && self.is_front_ready()
            && let Some(first) = self.asking.front()
        {
            first.notify_all();
        }
    }
}

/// How many places, and threads that wait, there is memory for at once.
const PREALLOCATED: usize = 1024;

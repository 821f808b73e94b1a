//! The state under the reorder buffer's mutex: the places, the drainer, and the threads that wait.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::sync::Condvar;

/// Wakes the one thread that waits with it.
pub(super) type Signal = Arc<Condvar>;

/// Why the buffer grants no place and takes no content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rejected<A> {
    Closed,
    Aborted(Aborted<A>),
}

/// The buffer has been aborted.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Aborted<A> {
    pub(crate) why: A,
    /// How many contents have been parked and not appended.
    pub(crate) waiting: u64,
}

/// The places that were given up unfilled.
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
    /// By an owner that does not need it.
    OnPurpose,
    /// By a thread that is unwinding.
    Unwinding,
}

/// The state of a reorder buffer.
#[derive(Debug)]
pub(super) struct ReorderState<D, A> {
    /// The number of the front place.
    first: u64,
    queue: VecDeque<SlotState<D>>,
    capacity: usize,
    drainer: Drainer,
    /// The threads that will drain next, in order.
    successors: VecDeque<Signal>,
    /// The threads that wait for a place, in order. Empty while there is room.
    reservers: VecDeque<Signal>,
    /// Places granted to threads that have not seen it yet.
    granted: Vec<(Signal, u64)>,
    stage: Stage,
    aborted: Option<A>,
    gaps: Gaps,
}

/// The state of one place.
#[derive(Debug)]
pub(super) enum SlotState<D> {
    /// Reserved; its owner has not come back.
    Unfilled,
    /// Its content waits to be appended.
    Ready(D),
    /// The drainer has its content, and is about to append it.
    Taken,
    /// Its content is in the output; the drainer is about to remove the place.
    Appended,
    /// Its owner will not come back.
    GivenUp,
}

#[derive(Debug)]
enum Drainer {
    /// No thread drains: the next one that makes the front ready does.
    Vacant,
    AtWork {
        /// Whether the next thread that parks content is to wait and take over.
        wants_successor: bool,
    },
    /// The thread with this signal has been chosen and is about to drain.
    Chosen(Signal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// Grants no place.
    Closing,
    /// Grants no place, has none unfilled, takes no content.
    Closed,
    /// As `Closed`, and has dropped its contents.
    Abandoned,
}

impl<D, A: Clone> ReorderState<D, A> {
    pub(super) fn new(capacity: usize) -> Self {
        let enough = capacity.min(PREALLOCATED);
        Self {
            first: 0,
            queue: VecDeque::with_capacity(enough),
            capacity,
            drainer: Drainer::Vacant,
            successors: VecDeque::with_capacity(enough),
            reservers: VecDeque::with_capacity(enough),
            granted: Vec::with_capacity(enough),
            stage: Stage::Open,
            aborted: None,
            gaps: Gaps::default(),
        }
    }

    /// Checks that content is taken.
    pub(super) fn check(&self) -> Result<(), Rejected<A>> {
        match self.aborted() {
            Some(aborted) => Err(Rejected::Aborted(aborted)),
            None if self.stage == Stage::Closed => Err(Rejected::Closed),
            None => Ok(()),
        }
    }

    /// Checks that places are granted.
    fn check_open(&self) -> Result<(), Rejected<A>> {
        match self.aborted() {
            Some(aborted) => Err(Rejected::Aborted(aborted)),
            None if self.stage != Stage::Open => Err(Rejected::Closed),
            None => Ok(()),
        }
    }

    pub(super) fn aborted(&self) -> Option<Aborted<A>> {
        let why = self.aborted.clone()?;
        Some(Aborted { why, waiting: self.waiting() })
    }

    pub(super) fn abort(&mut self, why: A) -> Aborted<A> {
        let why = self.aborted.get_or_insert(why).clone();
        self.wake_reservers();
        Aborted { why, waiting: self.waiting() }
    }

    pub(super) fn abandon(&mut self, why: A) -> Vec<D> {
        self.aborted.get_or_insert(why);
        self.stage = Stage::Abandoned;
        self.wake_reservers();
        let give_up = |slot: &mut SlotState<D>| match slot {
            SlotState::Unfilled => {
                *slot = SlotState::GivenUp;
                None
            }
            SlotState::Ready(_) => Some(std::mem::replace(slot, SlotState::GivenUp)),
            SlotState::Taken | SlotState::Appended | SlotState::GivenUp => None,
        };
        let ready = self.queue.iter_mut().filter_map(give_up);
        ready.filter_map(|slot| if let SlotState::Ready(content) = slot { Some(content) } else { None }).collect()
    }

    pub(super) fn reopen(&mut self) {
        self.aborted = None;
        self.grant_places();
    }

    /// Takes the next place, unless other threads wait for one.
    pub(super) fn take_place(&mut self) -> Result<Option<u64>, Rejected<A>> {
        self.check_open()?;
        Ok((self.has_room() && self.reservers.is_empty()).then(|| self.add_place()))
    }

    /// Takes the place that has been granted to this thread.
    pub(super) fn take_granted(&mut self, signal: &Signal) -> Result<Option<u64>, Rejected<A>> {
        match self.take_from_granted(signal) {
            Some(place) => Ok(Some(place)),
            None => self.check_open().map(|()| None),
        }
    }

    /// Grants free places to the threads that have waited longest.
    fn grant_places(&mut self) {
        while self.has_room()
            && self.check_open().is_ok()
            && let Some(signal) = self.reservers.pop_front()
        {
            let place = self.add_place();
            signal.notify_all();
            self.granted.push((signal, place));
        }
    }

    /// Removes the front place.
    pub(super) fn remove_front(&mut self) {
        self.queue.pop_front();
        self.first += 1;
        self.grant_places();
    }

    /// Removes the front places that hold nothing to append.
    pub(super) fn remove_finished(&mut self) {
        while let Some(SlotState::Appended | SlotState::GivenUp) = self.queue.front() {
            self.remove_front();
        }
    }
}

impl<D, A> ReorderState<D, A> {
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn front(&mut self) -> Option<&mut SlotState<D>> {
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
        self.queue.push_back(SlotState::Unfilled);
        place
    }

    fn waiting(&self) -> u64 {
        self.queue.iter().filter(|place| matches!(place, SlotState::Ready(_) | SlotState::Taken)).count() as u64
    }

    /// Puts back content that the drainer has taken and not appended. Returns it if the buffer does not keep it.
    pub(super) fn put_back(&mut self, content: D) -> Option<D> {
        match (self.queue.front_mut(), self.stage) {
            (Some(front @ SlotState::Taken), Stage::Abandoned) => *front = SlotState::GivenUp,
            (Some(front @ SlotState::Taken), _) => {
                *front = SlotState::Ready(content);
                return None;
            }
            // A panic after the append has left `Appended`: there is nothing to be tried again.
            _ => {}
        }
        Some(content)
    }

    pub(super) fn fill(&mut self, place: u64, content: D) {
        self.put(place, SlotState::Ready(content));
    }

    fn put(&mut self, place: u64, state: SlotState<D>) {
        let index = usize::try_from(place - self.first).expect("a place is in the buffer, which fits memory");
        self.queue[index] = state;
    }

    /// Gives up an unfilled place. Does nothing after `close` and `abandon`, which gave up all of them: the place may
    /// have been removed since.
    pub(super) fn give_up(&mut self, place: u64, how: GivenUp) {
        if matches!(self.stage, Stage::Closed | Stage::Abandoned) {
            return;
        }
        self.put(place, SlotState::GivenUp);
        self.gaps.all += 1;
        self.gaps.lost += u64::from(how == GivenUp::Unwinding);
    }

    pub(super) fn begin_to_close(&mut self) {
        if self.stage == Stage::Open {
            self.stage = Stage::Closing;
            self.wake_reservers();
        }
    }

    pub(super) fn close(&mut self) {
        if self.stage == Stage::Abandoned {
            return;
        }
        self.stage = Stage::Closed;
        for place in self.queue.iter_mut().filter(|place| matches!(place, SlotState::Unfilled)) {
            *place = SlotState::GivenUp;
            self.gaps.all += 1;
        }
    }

    /// Wakes all threads that wait for a place, to see why there is none.
    fn wake_reservers(&self) {
        self.reservers.iter().for_each(|signal| signal.notify_all());
    }

    pub(super) fn queue_for_a_place(&mut self) -> Signal {
        let signal = Arc::new(Condvar::new());
        self.reservers.push_back(Arc::clone(&signal));
        signal
    }

    /// Removes a thread that no longer waits. Returns the place that was granted to it unseen.
    pub(super) fn leave_the_queue(&mut self, signal: &Signal) -> Option<u64> {
        self.reservers.retain(|reserver| !Arc::ptr_eq(reserver, signal));
        // It may have been the one that was woken to drain.
        self.wake_next_reserver();
        self.take_from_granted(signal)
    }

    fn take_from_granted(&mut self, signal: &Signal) -> Option<u64> {
        let index = self.granted.iter().position(|(to, _)| Arc::ptr_eq(to, signal))?;
        Some(self.granted.swap_remove(index).1)
    }

    pub(super) fn is_draining(&self) -> bool {
        !matches!(self.drainer, Drainer::Vacant)
    }

    /// Whether there is work at the front for a drainer.
    pub(super) fn is_front_ready(&self) -> bool {
        matches!(self.queue.front(), Some(SlotState::Ready(_) | SlotState::Appended | SlotState::GivenUp))
    }

    /// Whether a thread that has parked content is to succeed the drainer: the drainer asks for it, and no thread waits
    /// to.
    pub(super) fn wants_successor(&self) -> bool {
        let is_behind_an_unfilled_place = matches!(self.queue.front(), Some(SlotState::Unfilled));
        matches!(self.drainer, Drainer::AtWork { wants_successor: true })
            && self.successors.is_empty()
            && !is_behind_an_unfilled_place
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

    /// Notes that the drainer has done its part: the next thread that parks behind the front takes over.
    pub(super) fn request_successor(&mut self) {
        self.drainer = Drainer::AtWork { wants_successor: true };
    }

    /// Ends the drainer's work. Hands over to the first successor. Without one, a front that is still ready means that
    /// the drainer failed: the thread that has waited longest for a place tries next.
    pub(super) fn stop_draining(&mut self) {
        match self.successors.pop_front() {
            Some(successor) => {
                successor.notify_all();
                self.drainer = Drainer::Chosen(successor);
            }
            None => {
                self.drainer = Drainer::Vacant;
                self.wake_next_reserver();
            }
        }
    }

    /// Wakes the thread that has waited longest for a place, if the front is ready and no thread drains.
    pub(super) fn wake_next_reserver(&self) {
        if !self.is_draining()
            && self.is_front_ready()
            && let Some(first) = self.reservers.front()
        {
            first.notify_all();
        }
    }
}

/// The number of places, and of waiting threads, that memory is allocated for in advance.
const PREALLOCATED: usize = 1024;

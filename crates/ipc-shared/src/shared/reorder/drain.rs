//! The drainer: the one thread at a time that appends what is ready at the front.

use super::state::{ReorderState, SlotState};
use crate::sync::Mutex;

/// The right to append what is ready at the front. One thread at a time has it.
#[derive(Debug)]
pub(crate) struct Drain<'r, D, A> {
    state: &'r Mutex<ReorderState<D, A>>,
    duty: Duty,
    /// How many contents it has taken.
    taken: usize,
}

/// How far a drainer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// Until nothing is ready at the front, or another thread waits to succeed it.
    UntilRelieved,
    /// Up to this place. It stays the drainer after that, until it is dropped or [goes on](Drain::go_on).
    UpTo { goal: u64 },
    /// Up to the last place, after which none comes.
    ToTheEnd,
    /// Done: another thread may drain.
    Over,
}

impl<'r, D, A: Clone> Drain<'r, D, A> {
    pub(super) fn new(state: &'r Mutex<ReorderState<D, A>>, duty: Duty) -> Self {
        Self { state, duty, taken: 0 }
    }

    /// Removes the front place, whose content the drainer brought itself and has appended.
    pub(crate) fn remove_front(&self) {
        self.state.lock().remove_front();
    }

    /// Notes that the content taken from the front is in the output. Called under the lock of the output: a thread that
    /// tears the output next counts what is still waiting.
    pub(crate) fn mark_front_appended(&self) {
        if let Some(front) = self.state.lock().front() {
            *front = SlotState::Appended;
        }
    }

    /// Takes the content that is ready at the front. Its place stays until the content is [removed](Front::remove);
    /// dropped before, also by a panic, the content goes back there. Returns `None` once the duty is done; a drainer
    /// [`UntilRelieved`](Duty::UntilRelieved) no longer is one then.
    pub(crate) fn next<'d>(&'d mut self) -> Option<Front<'d, 'r, D, A>> {
        let mut state = self.state.lock();
        state.remove_finished();
        let goes_on = match self.duty {
            Duty::UntilRelieved => !state.has_successors(),
            Duty::UpTo { goal } => state.first() < goal,
            Duty::ToTheEnd => true,
            Duty::Over => return None,
        };
        if goes_on
            && let Some(front @ SlotState::Ready(_)) = state.front()
            && let SlotState::Ready(content) = std::mem::replace(front, SlotState::Taken)
        {
            self.taken += 1;
            if self.duty == Duty::UntilRelieved && self.taken == state.capacity() {
                state.request_successor();
            }
            drop(state);
            return Some(Front { content: Some(content), drain: self });
        }
        if self.duty == Duty::UntilRelieved {
            // Under the same lock as the look at the front: no thread can make it ready in between, unseen.
            state.stop_draining();
            self.duty = Duty::Over;
        }
        None
    }

    /// Goes on, after a flush or a sync, with what became ready meanwhile, until it is relieved.
    pub(crate) fn go_on(mut self) -> Self {
        self.duty = Duty::UntilRelieved;
        self
    }
}

impl<D, A> Drop for Drain<'_, D, A> {
    fn drop(&mut self) {
        if self.duty != Duty::Over {
            self.state.lock().stop_draining();
        }
    }
}

/// Content that the drainer has taken from the front.
#[derive(Debug)]
pub(crate) struct Front<'d, 'r, D, A> {
    /// There until it is removed, or goes back.
    content: Option<D>,
    drain: &'d Drain<'r, D, A>,
}

impl<'r, D, A: Clone> Front<'_, 'r, D, A> {
    /// The content, and the drain to [mark it appended](Drain::mark_front_appended) with.
    pub(crate) fn parts(&mut self) -> (&mut D, &Drain<'r, D, A>) {
        (self.content.as_mut().expect("it is there until it is removed, which consumes this"), self.drain)
    }

    /// Removes its place from the buffer, after the content has been appended.
    pub(crate) fn remove(mut self) {
        self.content = None;
        self.drain.remove_front();
    }
}

impl<D, A> Drop for Front<'_, '_, D, A> {
    fn drop(&mut self) {
        // Before the drain is dropped, which lets other threads drain.
        if let Some(content) = self.content.take() {
            let unkept = self.drain.state.lock().put_back(content);
            // Outside the mutex: a drop of a batch's memory may run its user's code, which may call the writer.
            drop(unkept);
        }
    }
}

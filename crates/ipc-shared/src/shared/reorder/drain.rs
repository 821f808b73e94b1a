//! The drainer: the one thread that appends what is ready at the front.

use super::Window;
use super::state::Place;

/// The right to append what is ready at the front; one thread at a time has it.
#[derive(Debug)]
pub(crate) struct Drain<'w, D, A> {
    window: &'w Window<D, A>,
    duty: Duty,
    /// How many contents it has taken.
    taken: usize,
}

/// How far a drainer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Duty {
    /// Until nothing is ready at the front, or somebody waits to take over.
    Turns,
    /// Up to this place. It is the drainer beyond that, until it is dropped or [goes on](Drain::go_on).
    Settles { goal: u64 },
    /// Up to the last place, behind which none comes.
    Closes,
    /// It is the drainer no more.
    Over,
}

impl<'w, D, A: Clone> Drain<'w, D, A> {
    pub(super) fn new(window: &'w Window<D, A>, duty: Duty) -> Self {
        Self { window, duty, taken: 0 }
    }

    /// The front place, whose content the drainer brings along, has been appended.
    pub(crate) fn pass_front(&self) {
        self.window.places.lock().pass_front();
    }

    /// What was taken from the front is in the output, and waits no more. To be said under the lock of the output: whoever
    /// tears that next counts what waits.
    pub(crate) fn front_is_appended(&self) {
        if let Some(front) = self.window.places.lock().front() {
            *front = Place::Passed;
        }
    }

    /// Takes what is ready at the front. It keeps its place until it has been [passed](Taken::pass); dropped before, also
    /// by a panic, it goes back there. `None` once the drainer has done its duty; one that only takes its turn is the drainer
    /// no more then.
    pub(crate) fn next<'d>(&'d mut self) -> Option<Taken<'d, 'w, D, A>> {
        let mut places = self.window.places.lock();
        places.pass_what_is_done();
        let goes_on = match self.duty {
            Duty::Turns => !places.has_successors(),
            Duty::Settles { goal } => places.first() < goal,
            Duty::Closes => true,
            Duty::Over => return None,
        };
        if goes_on
            && let Some(front @ Place::Ready(_)) = places.front()
            && let Place::Ready(content) = std::mem::replace(front, Place::Taken)
        {
            self.taken += 1;
            if self.duty == Duty::Turns && self.taken == places.capacity() {
                places.look_for_a_successor();
            }
            drop(places);
            return Some(Taken { content: Some(content), drain: self });
        }
        if self.duty == Duty::Turns {
            // Under the same lock as the look: nobody can make the front ready unseen.
            places.stop_draining();
            self.duty = Duty::Over;
        }
        None
    }

    /// The drainer has settled. It goes on with what became ready meanwhile, unless somebody waits to take over.
    pub(crate) fn go_on(mut self) -> Self {
        self.duty = Duty::Turns;
        self
    }
}

impl<D, A> Drop for Drain<'_, D, A> {
    fn drop(&mut self) {
        if self.duty != Duty::Over {
            self.window.places.lock().stop_draining();
        }
    }
}

/// What the drainer has taken from the front.
#[derive(Debug)]
pub(crate) struct Taken<'d, 'w, D, A> {
    /// There until it has been passed, or goes back.
    content: Option<D>,
    drain: &'d Drain<'w, D, A>,
}

impl<'w, D, A: Clone> Taken<'_, 'w, D, A> {
    /// The content, and the right to say that it has been appended.
    pub(crate) fn parts(&mut self) -> (&mut D, &Drain<'w, D, A>) {
        (self.content.as_mut().expect("it is there until it is passed, which consumes this"), self.drain)
    }

    /// It has been appended: its place leaves the window.
    pub(crate) fn pass(mut self) {
        self.content = None;
        self.drain.pass_front();
    }
}

impl<D, A> Drop for Taken<'_, '_, D, A> {
    fn drop(&mut self) {
        // Before the drain is dropped, which lets others drain.
        if let Some(content) = self.content.take() {
            let unkept = self.drain.window.places.lock().put_back(content);
            // Outside the mutex: what drops a batch's memory may call the writer.
            drop(unkept);
        }
    }
}

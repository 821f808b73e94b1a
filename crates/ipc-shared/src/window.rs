//! The places that have been reserved in a stream, in order, and what waits in them.
//!
//! A place is taken with [`Window::reserve`] and leaves the window when what it holds has been appended. Whoever makes
//! the front place ready becomes the *drainer*: it alone appends what is ready at the front, until it meets a place that
//! is still out. So nobody ever waits for another place, and what is accepted is appended in order.
//!
//! A window is *closed* for ever, and *aborted* until it is reopened. Either way nobody gets a place or leaves anything
//! meanwhile. What is ready when it is aborted stays so, and places that are out stay out, for those who hold them.
//!
//! The window knows nothing of batches or sinks; `D` is what waits, and `A` is why it was aborted.
//!
//! | place | means |
//! |---|---|
//! | `Out` | reserved; its owner has not come back |
//! | `Ready` | what it holds waits for its turn |
//! | `Taken` | the drainer has what it held, and is about to append it |
//! | `Passed` | what it held is in the output, and the drainer is about to take it out of the window |
//! | `GivenUp` | its owner will not come back |

use std::collections::VecDeque;

use crate::sync::{Condvar, Mutex};

/// A bounded queue of places.
#[derive(Debug)]
pub(crate) struct Window<D, A> {
    places: Mutex<Places<D, A>>,
    /// Something left the window, the drainer stopped, or the window was aborted.
    changed: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct Places<D, A> {
    /// The number of the front place.
    first: u64,
    queue: VecDeque<Place<D>>,
    draining: bool,
    closed: bool,
    aborted: Option<A>,
}

#[derive(Debug)]
enum Place<D> {
    Out,
    Ready(D),
    Taken,
    Passed,
    GivenUp,
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

impl<D, A: Clone> Window<D, A> {
    pub(crate) fn new(capacity: usize) -> Self {
        let places = Places { first: 0, queue: VecDeque::new(), draining: false, closed: false, aborted: None };
        Self { places: Mutex::new(places), changed: Condvar::new(), capacity }
    }

    /// Takes the next place. Waits while the window is full, but not for something that nobody is about to append: then
    /// the caller is to drain, and to ask again.
    pub(crate) fn reserve(&self) -> Result<Reserved<'_, D, A>, Refused<A>> {
        let mut places = self.places.lock();
        loop {
            if let Some(place) = places.take_place(self.capacity)? {
                return Ok(Reserved::Place(place));
            }
            if let Some(drain) = self.drain_if_ready(&mut places) {
                return Ok(Reserved::NotYet(drain));
            }
            places = self.changed.wait(places);
        }
    }

    /// As [`reserve`](Self::reserve), but `None` instead of waiting.
    pub(crate) fn try_reserve(&self) -> Result<Option<Reserved<'_, D, A>>, Refused<A>> {
        let mut places = self.places.lock();
        match places.take_place(self.capacity)? {
            Some(place) => Ok(Some(Reserved::Place(place))),
            None => Ok(self.drain_if_ready(&mut places).map(Reserved::NotYet)),
        }
    }

    /// Says whether it is the turn of `place`.
    pub(crate) fn arrive(&self, place: u64) -> Result<Turn<'_, D, A>, Refused<A>> {
        let mut places = self.places.lock();
        // A hint, which spares the caller the work of leaving what nobody will append.
        places.check()?;
        if place != places.first || places.draining {
            return Ok(Turn::Later);
        }
        places.draining = true;
        Ok(Turn::Now(Drain { window: self }))
    }

    /// Leaves `content` in `place`, which is out as before where nothing is taken. If the front is ready then, the caller is
    /// to drain.
    pub(crate) fn leave(&self, place: u64, content: D) -> Result<Option<Drain<'_, D, A>>, Refused<A>> {
        let mut places = self.places.lock();
        places.check()?;
        places.put(place, Place::Ready(content));
        Ok(self.drain_if_ready(&mut places))
    }

    /// Gives up `place`. If that made the front ready, the caller is to drain.
    pub(crate) fn give_up(&self, place: u64) -> Option<Drain<'_, D, A>> {
        let mut places = self.places.lock();
        places.give_up(place);
        places.check().ok()?;
        self.drain_if_ready(&mut places)
    }

    /// Becomes the drainer, once nobody else is.
    pub(crate) fn drain(&self) -> Drain<'_, D, A> {
        let mut places = self.places.lock();
        while places.draining {
            places = self.changed.wait(places);
        }
        places.draining = true;
        Drain { window: self }
    }

    /// Nothing can be appended from now on: sends away those who wait for a place. The first reason counts; returns it.
    pub(crate) fn abort(&self, why: A) -> Aborted<A> {
        let mut places = self.places.lock();
        let why = places.aborted.get_or_insert(why).clone();
        self.changed.notify_all();
        Aborted { why, waiting: places.waiting() }
    }

    /// Why, if it has been aborted.
    pub(crate) fn aborted(&self) -> Option<Aborted<A>> {
        self.places.lock().aborted()
    }

    /// Messages can be appended again. A closed window stays closed.
    pub(crate) fn reopen(&self) {
        self.places.lock().aborted = None;
    }

    fn drain_if_ready(&self, places: &mut Places<D, A>) -> Option<Drain<'_, D, A>> {
        if places.draining || !matches!(places.queue.front(), Some(Place::Ready(_) | Place::Passed | Place::GivenUp)) {
            return None;
        }
        places.draining = true;
        Some(Drain { window: self })
    }
}

impl<D, A: Clone> Places<D, A> {
    fn check(&self) -> Result<(), Refused<A>> {
        match self.aborted() {
            Some(aborted) => Err(Refused::Aborted(aborted)),
            None if self.closed => Err(Refused::Closed),
            None => Ok(()),
        }
    }

    fn aborted(&self) -> Option<Aborted<A>> {
        let why = self.aborted.clone()?;
        Some(Aborted { why, waiting: self.waiting() })
    }

    fn take_place(&mut self, capacity: usize) -> Result<Option<u64>, Refused<A>> {
        self.check()?;
        if self.queue.len() >= capacity {
            return Ok(None);
        }
        let place = self.first + self.queue.len() as u64;
        self.queue.push_back(Place::Out);
        Ok(Some(place))
    }
}

impl<D, A> Places<D, A> {
    fn waiting(&self) -> u64 {
        self.queue.iter().filter(|place| matches!(place, Place::Ready(_) | Place::Taken)).count() as u64
    }

    fn put(&mut self, place: u64, content: Place<D>) {
        let index = usize::try_from(place - self.first).expect("a place is in the window, which fits memory");
        self.queue[index] = content;
    }

    /// Gives up a place that is out. Closing has given up all of them, and they may have left the window since.
    fn give_up(&mut self, place: u64) {
        if !self.closed {
            self.put(place, Place::GivenUp);
        }
    }

    fn close(&mut self) {
        self.closed = true;
        let out = self.queue.iter_mut().filter(|place| matches!(place, Place::Out));
        out.for_each(|place| *place = Place::GivenUp);
    }

    fn stop_draining(&mut self, changed: &Condvar) {
        self.draining = false;
        changed.notify_all();
    }
}

/// The right to append what is ready at the front; one thread at a time has it.
#[derive(Debug)]
pub(crate) struct Drain<'w, D, A> {
    window: &'w Window<D, A>,
}

impl<'w, D, A> Drain<'w, D, A> {
    /// The front place, whose content the drainer brings along, has been appended, or will never be.
    pub(crate) fn pass_front(&self) {
        let mut places = self.window.places.lock();
        places.queue.pop_front();
        places.first += 1;
        self.window.changed.notify_all();
    }

    /// What was taken from the front is in the output, and waits no more. To be said under the lock of the output: whoever
    /// tears that next counts what waits.
    pub(crate) fn front_is_appended(&self) {
        self.window.places.lock().queue[0] = Place::Passed;
    }

    /// Takes what is ready at the front. It keeps its place until it has been [passed](Taken::pass); dropped before, also
    /// by a panic, it goes back there. Without anything ready, the drainer stops being one.
    pub(crate) fn next(self) -> Option<Taken<'w, D, A>> {
        let mut places = self.window.places.lock();
        loop {
            match places.queue.front_mut() {
                Some(Place::Passed | Place::GivenUp) => {
                    places.queue.pop_front();
                    places.first += 1;
                    self.window.changed.notify_all();
                }
                Some(place @ Place::Ready(_)) => {
                    let Place::Ready(content) = std::mem::replace(place, Place::Taken) else { return None };
                    drop(places);
                    return Some(Taken { content: Some(content), drain: Some(self) });
                }
                // Nobody else drains, so nothing is taken.
                None | Some(Place::Out | Place::Taken) => {
                    // Under the same lock as the look: nobody can make the front ready unseen.
                    places.stop_draining(&self.window.changed);
                    drop(places);
                    std::mem::forget(self);
                    return None;
                }
            }
        }
    }

    /// Gives up the places that are out, and lets no more be taken. What is ready stays, for the drainer.
    ///
    /// Only the drainer may do so: nothing is between its place and the output then. Those who wait are told when it stops
    /// being the drainer.
    pub(crate) fn close(&self) {
        self.window.places.lock().close();
    }
}

/// What the drainer has taken from the front.
#[derive(Debug)]
pub(crate) struct Taken<'w, D, A> {
    /// There until it has been passed, or goes back.
    content: Option<D>,
    drain: Option<Drain<'w, D, A>>,
}

impl<'w, D, A> Taken<'w, D, A> {
    /// The content, and the right to say that it has been appended.
    pub(crate) fn parts(&mut self) -> (&mut D, &Drain<'w, D, A>) {
        (self.content.as_mut().expect(THERE), self.drain.as_ref().expect(THERE))
    }

    /// It has been appended: its place leaves the window.
    pub(crate) fn pass(mut self) -> Drain<'w, D, A> {
        self.content = None;
        let drain = self.drain.take().expect(THERE);
        drain.pass_front();
        drain
    }
}

impl<D, A> Drop for Taken<'_, D, A> {
    fn drop(&mut self) {
        // Before the drain is dropped, which lets others drain.
        if let (Some(content), Some(drain)) = (self.content.take(), &self.drain) {
            let front = &mut drain.window.places.lock().queue[0];
            // After a panic behind the append, there is nothing to be tried again.
            if matches!(front, Place::Taken) {
                *front = Place::Ready(content);
            }
        }
    }
}

const THERE: &str = "it is there until it is passed, which consumes this";

impl<D, A> Drop for Drain<'_, D, A> {
    fn drop(&mut self) {
        self.window.places.lock().stop_draining(&self.window.changed);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    fn drained(drain: Drain<'_, char, &str>) -> String {
        let mut all = String::new();
        let mut drain = Some(drain);
        while let Some(mut taken) = drain.and_then(Drain::next) {
            all.push(*taken.parts().0);
            drain = Some(taken.pass());
        }
        all
    }

    fn reserve(window: &Window<char, &str>) -> u64 {
        let Ok(Reserved::Place(place)) = window.reserve() else { panic!("the window has room") };
        place
    }

    #[test]
    fn what_is_left_comes_out_in_order() {
        let window = Window::new(4);
        let [a, b, c] = [(); 3].map(|()| reserve(&window));
        assert!(window.leave(c, 'c').unwrap().is_none());
        assert!(window.leave(b, 'b').unwrap().is_none());
        let Turn::Now(drain) = window.arrive(a).unwrap() else { panic!("a is at the front") };
        drain.pass_front();
        assert_eq!(drained(drain), "bc");
    }

    #[test]
    fn a_place_given_up_holds_nobody_up() {
        let window = Window::new(4);
        let [a, b] = [(); 2].map(|()| reserve(&window));
        assert!(window.leave(b, 'b').unwrap().is_none());
        assert_eq!(drained(window.give_up(a).unwrap()), "b");
    }

    #[test]
    fn a_full_window_gives_no_place() {
        let window = Window::<char, &str>::new(1);
        let a = reserve(&window);
        assert!(matches!(window.try_reserve(), Ok(None)));
        window.give_up(a).map(drained);
        assert_eq!(reserve(&window), 1);
    }

    #[test]
    fn what_could_not_be_appended_is_the_next_reservers_job() {
        let window = Window::new(1);
        let drain = window.leave(reserve(&window), 'a').unwrap().unwrap();
        drop(drain.next().unwrap());
        let Ok(Some(Reserved::NotYet(drain))) = window.try_reserve() else { panic!("the front is ready") };
        assert_eq!(drained(drain), "a");
        assert_eq!(reserve(&window), 1);
    }

    #[test]
    fn what_was_taken_goes_back_when_its_drainer_panics() {
        let window = Window::new(1);
        let drain = window.leave(reserve(&window), 'a').unwrap();
        let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _taken = drain.and_then(Drain::next);
            panic!("on purpose");
        }));
        assert!(died.is_err());
        assert_eq!(window.abort("on purpose").waiting, 1);
        assert_eq!(drained(window.drain()), "a");
    }

    #[test]
    fn what_was_appended_does_not_go_back_when_its_drainer_panics() {
        let window = Window::new(2);
        let [a, b] = [(); 2].map(|()| reserve(&window));
        assert!(window.leave(b, 'b').unwrap().is_none());
        let mut taken = window.leave(a, 'a').unwrap().and_then(Drain::next).unwrap();
        taken.parts().1.front_is_appended();
        drop(taken);
        assert_eq!(window.abort("on purpose").waiting, 1, "b");
        assert_eq!(drained(window.drain()), "b");
    }

    #[test]
    fn closing_gives_up_what_is_out_and_keeps_what_is_ready() {
        let window = Window::new(4);
        let [a, b, c] = [(); 3].map(|()| reserve(&window));
        window.leave(b, 'b').unwrap();
        let drain = window.drain();
        drain.close();
        assert_eq!(drained(drain), "b");
        assert!(window.arrive(a).is_err() && window.leave(c, 'c').is_err() && window.reserve().is_err());
    }

    #[test]
    fn a_reopened_window_has_what_it_had_when_it_was_aborted() {
        let window = Window::new(4);
        let [a, b, c, d] = [(); 4].map(|()| reserve(&window));
        window.leave(b, 'b').unwrap();
        window.abort("first");
        let told = window.abort("second");
        assert_eq!(told, Aborted { why: "first", waiting: 1 });
        for refused in [window.reserve().err(), window.arrive(a).err(), window.leave(c, 'c').err()] {
            assert_eq!(refused, Some(Refused::Aborted(Aborted { why: "first", waiting: 1 })));
        }
        assert!(window.give_up(d).is_none(), "nobody can append now");
        window.reopen();
        assert_eq!(window.aborted(), None);
        let Ok(Turn::Now(drain)) = window.arrive(a) else { panic!("a is still at the front") };
        drain.pass_front();
        assert_eq!(drained(drain), "b", "what was left in time, and not what was refused");
        let drain = window.leave(c, 'c').unwrap().expect("c is at the front");
        assert_eq!(drained(drain), "c", "who was refused still has its place");
        let has_room = |place| matches!(window.try_reserve(), Ok(Some(Reserved::Place(found))) if found == place);
        assert!((4..8).all(has_room), "nobody who has gone has a place");
    }

    #[test]
    fn a_closed_window_is_not_reopened() {
        let window = Window::new(1);
        let a = reserve(&window);
        let drain = window.drain();
        drain.close();
        assert_eq!(drained(drain), "");
        window.abort("on purpose");
        assert!(window.give_up(a).is_none());
        window.reopen();
        assert_eq!(window.reserve().err(), Some(Refused::Closed));
    }
}

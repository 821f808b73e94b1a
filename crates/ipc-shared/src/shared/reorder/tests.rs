//! The window by itself, with real threads. Every schedule of what threads do with it is in the models.

use std::sync::Weak;
use std::thread;

use super::*;
use crate::sync::{Figure, Relaxed};

fn drained(mut drain: Drain<'_, char, &str>) -> String {
    let mut all = String::new();
    while let Some(mut taken) = drain.next() {
        all.push(*taken.parts().0);
        taken.pass();
    }
    all
}

fn reserve(window: &Window<char, &str>) -> u64 {
    let Ok(Reserved::Place(place)) = window.reserve().wait() else { panic!("the window has room") };
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
    assert_eq!(drained(window.give_up(a, GivenUp::OnPurpose).unwrap()), "b");
}

#[test]
fn a_full_window_gives_no_place() {
    let window = Window::<char, &str>::new(1);
    let a = reserve(&window);
    assert!(matches!(window.try_reserve(), Ok(None)));
    window.give_up(a, GivenUp::OnPurpose).map(drained);
    assert_eq!(reserve(&window), 1);
}

#[test]
fn what_could_not_be_appended_is_the_next_reservers_job() {
    let window = Window::new(1);
    let mut drain = window.leave(reserve(&window), 'a').unwrap().unwrap();
    drop(drain.next().unwrap());
    drop(drain);
    let Ok(Some(Reserved::NotYet(drain))) = window.try_reserve() else { panic!("the front is ready") };
    assert_eq!(drained(drain), "a");
    assert_eq!(reserve(&window), 1);
}

#[test]
fn what_was_taken_goes_back_when_its_drainer_panics() {
    let window = Window::new(1);
    let drain = window.leave(reserve(&window), 'a').unwrap();
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut drain = drain.unwrap();
        let _taken = drain.next();
        panic!("on purpose");
    }));
    assert!(died.is_err());
    assert_eq!(window.abort("on purpose").waiting, 1);
    assert_eq!(drained(window.settle()), "a");
}

#[test]
fn what_was_appended_does_not_go_back_when_its_drainer_panics() {
    let window = Window::new(2);
    let [a, b] = [(); 2].map(|()| reserve(&window));
    assert!(window.leave(b, 'b').unwrap().is_none());
    let mut drain = window.leave(a, 'a').unwrap().unwrap();
    let mut taken = drain.next().unwrap();
    taken.parts().1.front_is_appended();
    drop(taken);
    drop(drain);
    assert_eq!(window.abort("on purpose").waiting, 1, "b");
    assert_eq!(drained(window.settle()), "b");
}

#[test]
fn closing_gives_up_what_is_out_and_keeps_what_is_ready() {
    let window = Window::new(4);
    let [a, b, c] = [(); 3].map(|()| reserve(&window));
    window.leave(b, 'b').unwrap();
    let drain = window.close();
    assert_eq!(drained(drain), "b");
    assert!(window.arrive(a).is_err() && window.leave(c, 'c').is_err() && window.reserve().wait().is_err());
}

#[test]
fn a_reopened_window_has_what_it_had_when_it_was_aborted() {
    let window = Window::new(4);
    let [a, b, c, d] = [(); 4].map(|()| reserve(&window));
    window.leave(b, 'b').unwrap();
    window.abort("first");
    let told = window.abort("second");
    assert_eq!(told, Aborted { why: "first", waiting: 1 });
    for refused in [window.reserve().wait().err(), window.arrive(a).err(), window.leave(c, 'c').err()] {
        assert_eq!(refused, Some(Refused::Aborted(Aborted { why: "first", waiting: 1 })));
    }
    assert!(window.give_up(d, GivenUp::OnPurpose).is_none(), "nobody can append now");
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
    let drain = window.close();
    assert_eq!(drained(drain), "");
    window.abort("on purpose");
    assert!(window.give_up(a, GivenUp::OnPurpose).is_none());
    window.reopen();
    assert_eq!(window.reserve().wait().err(), Some(Refused::Closed));
}

#[test]
fn an_abandoned_window_keeps_nothing() {
    let window = Window::new(4);
    let [a, b, c] = [(); 3].map(|()| reserve(&window));
    let mut drain = window.leave(a, 'a').unwrap().unwrap();
    let taken = drain.next().unwrap();
    assert!(window.leave(b, 'b').unwrap().is_none());
    assert_eq!(window.abandon("on purpose"), ['b']);
    drop(taken);
    drop(drain);
    assert!(window.give_up(c, GivenUp::OnPurpose).is_none());
    assert_eq!(drained(window.close()), "", "what was taken does not go back");
    let refused = Some(Refused::Aborted(Aborted { why: "on purpose", waiting: 0 }));
    assert_eq!(window.reserve().wait().err(), refused);
    assert_eq!(window.leave(c, 'c').err(), refused);
}

/// Asks for a place as [`Window::reserve`] does, and notes under the same mutex who came when. Without `waits`, as
/// [`Window::try_reserve`] does.
fn reserve_in_turn(window: &Window<char, &str>, came: &Figure, waits: bool) -> Option<(u64, u64)> {
    let mut places = window.places.lock();
    let at_once = places.take_place().expect("the window is open");
    if at_once.is_none() && !waits {
        return None;
    }
    let turn = came.fetch_add(1, Relaxed);
    if let Some(place) = at_once {
        return Some((turn, place));
    }
    let signal = Some(places.queue_for_a_place());
    drop(places);
    let mut asking = Asking { window, signal };
    loop {
        match asking.wait().expect("the window is open") {
            Reserved::Place(place) => return Some((turn, place)),
            Reserved::NotYet(drain) => _ = drained(drain),
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever does not wait comes back later")]
fn places_are_given_first_come_first_served() {
    let (window, came) = (Window::new(8), Figure::new(0));
    let given = thread::scope(|scope| {
        let threads: Vec<_> = (0..64)
            .map(|number| {
                let (window, came) = (&window, &came);
                scope.spawn(move || {
                    let mut given = Vec::new();
                    while came.load(Relaxed) < 100_000 {
                        let Some((turn, place)) = reserve_in_turn(window, came, number % 8 != 0) else {
                            thread::sleep(std::time::Duration::from_micros(10));
                            continue;
                        };
                        given.push((turn, place));
                        window.give_up(place, GivenUp::OnPurpose).map(drained);
                    }
                    given
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    let mut given = given;
    given.sort_unstable();
    assert!(given.len() >= 100_000);
    let overtaken = given.windows(2).filter(|pair| pair[0].1 > pair[1].1).count();
    assert_eq!(overtaken, 0, "nobody who came later has an earlier place");
}

/// What drops a batch's memory may be its user's code, and may call the writer.
#[test]
fn what_nobody_keeps_is_dropped_outside_the_mutex() {
    struct Calling(Weak<Window<Calling, &'static str>>);
    impl Drop for Calling {
        fn drop(&mut self) {
            let window = self.0.upgrade().expect("the test has it");
            assert!(window.places.is_free(), "who calls the window here waits for itself");
        }
    }

    let window = Arc::new(Window::new(3));
    let content = || Calling(Arc::downgrade(&window));
    let [a, b, c] = [(); 3].map(|()| match window.reserve().wait() {
        Ok(Reserved::Place(place)) => place,
        _ => panic!("the window has room"),
    });
    assert!(window.leave(b, content()).unwrap().is_none());
    let mut drain = window.leave(a, content()).unwrap().expect("a is at the front");
    let taken = drain.next().expect("a is ready");
    drop(window.abandon("on purpose"));
    drop(taken);
    drop(drain);
    assert!(window.leave(c, content()).is_err());
}

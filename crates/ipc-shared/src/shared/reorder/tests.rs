//! The buffer by itself, with real threads. Every schedule of what threads do with it is in the models.

use std::sync::Weak;
use std::thread;

use super::*;
use crate::sync::{Counter, Relaxed};

fn drained(mut drain: Drain<'_, char, &str>) -> String {
    let mut all = String::new();
    while let Some(mut taken) = drain.next() {
        all.push(*taken.parts().0);
        taken.remove();
    }
    all
}

fn reserve(buffer: &ReorderBuffer<char, &str>) -> u64 {
    let Ok(Reserved::Place(place)) = buffer.reserve().wait() else { panic!("the buffer has room") };
    place
}

#[test]
fn parked_contents_come_out_in_order() {
    let buffer = ReorderBuffer::new(4);
    let [a, b, c] = [(); 3].map(|()| reserve(&buffer));
    assert!(buffer.park(c, 'c').unwrap().is_none());
    assert!(buffer.park(b, 'b').unwrap().is_none());
    let Arrival::Front(drain) = buffer.claim(a).unwrap() else { panic!("a is at the front") };
    drain.remove_front();
    assert_eq!(drained(drain), "bc");
}

#[test]
fn a_place_that_is_given_up_blocks_no_other() {
    let buffer = ReorderBuffer::new(4);
    let [a, b] = [(); 2].map(|()| reserve(&buffer));
    assert!(buffer.park(b, 'b').unwrap().is_none());
    assert_eq!(drained(buffer.give_up(a, GivenUp::OnPurpose).unwrap()), "b");
}

#[test]
fn a_full_buffer_grants_no_place() {
    let buffer = ReorderBuffer::<char, &str>::new(1);
    let a = reserve(&buffer);
    assert!(matches!(buffer.try_reserve(), Ok(None)));
    buffer.give_up(a, GivenUp::OnPurpose).map(drained);
    assert_eq!(reserve(&buffer), 1);
}

#[test]
fn the_next_reserver_drains_what_could_not_be_appended() {
    let buffer = ReorderBuffer::new(1);
    let mut drain = buffer.park(reserve(&buffer), 'a').unwrap().unwrap();
    drop(drain.next().unwrap());
    drop(drain);
    let Ok(Some(Reserved::DrainFirst(drain))) = buffer.try_reserve() else { panic!("the front is ready") };
    assert_eq!(drained(drain), "a");
    assert_eq!(reserve(&buffer), 1);
}

#[test]
fn taken_content_goes_back_if_its_drainer_panics() {
    let buffer = ReorderBuffer::new(1);
    let drain = buffer.park(reserve(&buffer), 'a').unwrap();
    let died = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let mut drain = drain.unwrap();
        let _taken = drain.next();
        panic!("on purpose");
    }));
    assert!(died.is_err());
    assert_eq!(buffer.abort("on purpose").waiting, 1);
    assert_eq!(drained(buffer.drain_reserved()), "a");
}

#[test]
fn appended_content_does_not_go_back_if_its_drainer_panics() {
    let buffer = ReorderBuffer::new(2);
    let [a, b] = [(); 2].map(|()| reserve(&buffer));
    assert!(buffer.park(b, 'b').unwrap().is_none());
    let mut drain = buffer.park(a, 'a').unwrap().unwrap();
    let mut taken = drain.next().unwrap();
    taken.parts().1.mark_front_appended();
    drop(taken);
    drop(drain);
    assert_eq!(buffer.abort("on purpose").waiting, 1, "b");
    assert_eq!(drained(buffer.drain_reserved()), "b");
}

#[test]
fn closing_gives_up_unfilled_places_and_keeps_ready_ones() {
    let buffer = ReorderBuffer::new(4);
    let [a, b, c] = [(); 3].map(|()| reserve(&buffer));
    buffer.park(b, 'b').unwrap();
    let drain = buffer.close();
    assert_eq!(drained(drain), "b");
    assert!(buffer.claim(a).is_err() && buffer.park(c, 'c').is_err() && buffer.reserve().wait().is_err());
}

#[test]
fn a_reopened_buffer_has_what_it_had_before_the_abort() {
    let buffer = ReorderBuffer::new(4);
    let [a, b, c, d] = [(); 4].map(|()| reserve(&buffer));
    buffer.park(b, 'b').unwrap();
    buffer.abort("first");
    let told = buffer.abort("second");
    assert_eq!(told, Aborted { why: "first", waiting: 1 });
    for refused in [buffer.reserve().wait().err(), buffer.claim(a).err(), buffer.park(c, 'c').err()] {
        assert_eq!(refused, Some(Rejected::Aborted(Aborted { why: "first", waiting: 1 })));
    }
    assert!(buffer.give_up(d, GivenUp::OnPurpose).is_none(), "nobody can append now");
    buffer.reopen();
    assert_eq!(buffer.aborted(), None);
    let Ok(Arrival::Front(drain)) = buffer.claim(a) else { panic!("a is still at the front") };
    drain.remove_front();
    assert_eq!(drained(drain), "b", "what was left in time, and not what was refused");
    let drain = buffer.park(c, 'c').unwrap().expect("c is at the front");
    assert_eq!(drained(drain), "c", "who was refused still has its place");
    let has_room = |place| matches!(buffer.try_reserve(), Ok(Some(Reserved::Place(found))) if found == place);
    assert!((4..8).all(has_room), "nobody who has gone has a place");
}

#[test]
fn a_closed_buffer_is_not_reopened() {
    let buffer = ReorderBuffer::new(1);
    let a = reserve(&buffer);
    let drain = buffer.close();
    assert_eq!(drained(drain), "");
    buffer.abort("on purpose");
    assert!(buffer.give_up(a, GivenUp::OnPurpose).is_none());
    buffer.reopen();
    assert_eq!(buffer.reserve().wait().err(), Some(Rejected::Closed));
}

#[test]
fn an_abandoned_buffer_keeps_nothing() {
    let buffer = ReorderBuffer::new(4);
    let [a, b, c] = [(); 3].map(|()| reserve(&buffer));
    let mut drain = buffer.park(a, 'a').unwrap().unwrap();
    let taken = drain.next().unwrap();
    assert!(buffer.park(b, 'b').unwrap().is_none());
    assert_eq!(buffer.abandon("on purpose"), ['b']);
    drop(taken);
    drop(drain);
    assert!(buffer.give_up(c, GivenUp::OnPurpose).is_none());
    assert_eq!(drained(buffer.close()), "", "what was taken does not go back");
    let refused = Some(Rejected::Aborted(Aborted { why: "on purpose", waiting: 0 }));
    assert_eq!(buffer.reserve().wait().err(), refused);
    assert_eq!(buffer.park(c, 'c').err(), refused);
}

/// Asks for a place as [`ReorderBuffer::reserve`] does, and notes under the same mutex who came when. Without `waits`,
/// as [`ReorderBuffer::try_reserve`] does.
fn reserve_in_turn(buffer: &ReorderBuffer<char, &str>, came: &Counter, waits: bool) -> Option<(u64, u64)> {
    let mut state = buffer.state.lock();
    let at_once = state.take_place().expect("the buffer is open");
    if at_once.is_none() && !waits {
        return None;
    }
    let turn = came.fetch_add(1, Relaxed);
    if let Some(place) = at_once {
        return Some((turn, place));
    }
    let signal = Some(state.queue_for_a_place());
    drop(state);
    let mut reservation = Reservation { buffer, signal };
    loop {
        match reservation.wait().expect("the buffer is open") {
            Reserved::Place(place) => return Some((turn, place)),
            Reserved::DrainFirst(drain) => _ = drained(drain),
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "whoever does not wait comes back later")]
fn places_are_granted_first_come_first_served() {
    let (buffer, came) = (ReorderBuffer::new(8), Counter::new(0));
    let given = thread::scope(|scope| {
        let threads: Vec<_> = (0..64)
            .map(|number| {
                let (buffer, came) = (&buffer, &came);
                scope.spawn(move || {
                    let mut given = Vec::new();
                    while came.load(Relaxed) < 100_000 {
                        let Some((turn, place)) = reserve_in_turn(buffer, came, number % 8 != 0) else {
                            thread::sleep(std::time::Duration::from_micros(10));
                            continue;
                        };
                        given.push((turn, place));
                        buffer.give_up(place, GivenUp::OnPurpose).map(drained);
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
fn unkept_content_is_dropped_outside_the_mutex() {
    struct Calling(Weak<ReorderBuffer<Calling, &'static str>>);
    impl Drop for Calling {
        fn drop(&mut self) {
            let buffer = self.0.upgrade().expect("the test has it");
            assert!(buffer.state.is_free(), "who calls the buffer here waits for itself");
        }
    }

    let buffer = Arc::new(ReorderBuffer::new(3));
    let content = || Calling(Arc::downgrade(&buffer));
    let [a, b, c] = [(); 3].map(|()| match buffer.reserve().wait() {
        Ok(Reserved::Place(place)) => place,
        _ => panic!("the buffer has room"),
    });
    assert!(buffer.park(b, content()).unwrap().is_none());
    let mut drain = buffer.park(a, content()).unwrap().expect("a is at the front");
    let taken = drain.next().expect("a is ready");
    drop(buffer.abandon("on purpose"));
    drop(taken);
    drop(drain);
    assert!(buffer.park(c, content()).is_err());
}

//! A sink that fails while places are appended loses nothing that was accepted: `flush` and `close` report it and try
//! again.
//!
//! Fails where the batch in hand is dropped when its write fails, where it loses its place to the next one, or where
//! those who wait for a place are never told that nobody clears the window.

use ipc_shared::Error;
use ipc_tests::gate::{Act, gate};
use ipc_tests::shared::{Output, Words, batch, marks, unstaged};
use ipc_tests::threads::{at_every_width, together};

use super::in_both_formats;

in_both_formats!(
    flush_tries_again,
    close_tries_again,
    the_next_place_tries_again,
    the_place_whose_turn_it_is_reports_its_own_failure,
    a_full_window_that_failed_once_lets_others_in,
    asking_again_and_again_for_a_place_gets_one,
);

#[track_caller]
fn assert_failed<T, E: Into<Error>>(result: Result<T, E>) {
    let result = result.map_err(E::into);
    assert!(matches!(result, Err(Error::Core(ipc_core::Error::Io(_)))), "{:?}", result.err());
}

/// The first slot is filled last, and its batch is written. The first of the batches parked after it fails once.
fn fail_behind_the_first<F: Output>(
    places: usize,
    check: impl FnOnce(&ipc_shared::SharedWriter<ipc_tests::gate::Gated, F>),
) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(places + 1).build().unwrap();
    let front = writer.reserve().unwrap();
    let slots: Vec<_> = (1..places).map(|number| (number, writer.reserve().unwrap())).collect();
    std::thread::scope(|scope| {
        for (number, slot) in slots {
            scope.spawn(move || slot.write(&batch(Words::Plain, (0, number))).unwrap());
        }
    });
    gate.plan([Act::Take, Act::Fail]);
    front.write(&batch(Words::Plain, (0, 0))).unwrap();
    assert_eq!(writer.stats().record_batches, 1, "the others wait, since the sink failed");
    check(&writer);
    if !writer.is_closed() {
        writer.close().unwrap();
    }
    let found = marks(Words::Plain, &F::whole(&gate.taken()));
    assert!(found.len() >= places, "nothing is lost");
    assert_eq!(found, (0..found.len()).map(|number| (0, number)).collect::<Vec<_>>(), "in order");
}

fn flush_tries_again<F: Output>(threads: usize) {
    fail_behind_the_first::<F>(threads, |writer| {
        writer.flush().unwrap();
        assert_eq!(writer.stats().record_batches, threads as u64);
    });
}

fn close_tries_again<F: Output>(threads: usize) {
    fail_behind_the_first::<F>(threads, |writer| {
        let closed = together(threads, |_| writer.close().is_ok());
        assert_eq!(closed.into_iter().filter(|won| *won).count(), 1);
        assert_eq!(writer.stats().record_batches, threads as u64);
    });
}

fn the_next_place_tries_again<F: Output>(threads: usize) {
    fail_behind_the_first::<F>(threads, |writer| {
        writer.reserve().unwrap().write(&batch(Words::Plain, (0, threads))).unwrap();
        assert_eq!(writer.stats().record_batches, threads as u64 + 1);
    });
}

fn the_place_whose_turn_it_is_reports_its_own_failure<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(threads).build().unwrap();
    gate.plan([Act::Fail]);
    assert_failed(writer.reserve().unwrap().write(&batch(Words::Plain, (0, 0))));
    assert!(gate.is_empty());
    for number in 0..threads {
        writer.reserve().unwrap().write(&batch(Words::Plain, (0, number))).unwrap();
    }
    gate.plan([Act::Fail]);
    assert_failed(writer.flush().and_then(|()| writer.close().map(drop)));
    writer.close().unwrap();
    assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())).len(), threads);
}

/// Batches that wait because the sink failed are appended by the next call, even if that call is `reserve`. Otherwise
/// all threads would wait for ever, although the sink works again.
fn a_full_window_that_failed_once_lets_others_in<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(2).build().unwrap();
    let [front, behind] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
    behind.write(&batch(Words::Plain, (0, 1))).unwrap();
    gate.plan([Act::Take, Act::Fail, Act::Fail]);
    front.write(&batch(Words::Plain, (0, 0))).unwrap();
    // The window has one place left; filling it meets the second failure, and then the window is full of what waits.
    writer.reserve().unwrap().write(&batch(Words::Plain, (0, 2))).unwrap();
    assert_eq!(writer.stats().record_batches, 1);
    // The sink works from here on. A caller may get the earlier error, but must not be kept waiting.
    let came_in = together(threads, |thread| {
        loop {
            match writer.reserve() {
                Ok(slot) => break slot.write(&batch(Words::Plain, (1, thread))).is_ok(),
                Err(error) => assert_failed(Err::<(), Error>(error)),
            }
        }
    });
    assert!(came_in.into_iter().all(|came_in| came_in));
    writer.close().unwrap();
    let found = marks(Words::Plain, &F::whole(&gate.taken()));
    assert_eq!(found[..3], [(0, 0), (0, 1), (0, 2)]);
    assert_eq!(found.len(), 3 + threads);
}

/// The same for threads that call `try_reserve` and try again later: one of these calls has to clear the window.
fn asking_again_and_again_for_a_place_gets_one<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(2).build().unwrap();
    let [front, behind] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
    behind.write(&batch(Words::Plain, (0, 1))).unwrap();
    gate.plan([Act::Take, Act::Fail, Act::Fail]);
    front.write(&batch(Words::Plain, (0, 0))).unwrap();
    writer.reserve().unwrap().write(&batch(Words::Plain, (0, 2))).unwrap();
    let came_in = together(threads, |thread| {
        (0..200).any(|_| match writer.try_reserve() {
            Ok(Some(slot)) => slot.write(&batch(Words::Plain, (1, thread))).is_ok(),
            Ok(None) => {
                std::thread::sleep(std::time::Duration::from_millis(5));
                false
            }
            Err(error) => {
                assert_failed(Err::<(), Error>(error));
                false
            }
        })
    });
    assert!(came_in.into_iter().all(|came_in| came_in), "no room in a second, although the sink is good");
}

/// A disk that is full and stays so: a thread that keeps reserving and writing gets the error, instead of sleeping for
/// ever.
#[test]
fn a_sink_that_fails_for_good_is_reported_to_those_who_reserve() {
    at_every_width(|threads| {
        let (sink, gate) = gate();
        let writer = ipc_shared::SharedWriter::stream(sink).window(threads).build().unwrap();
        gate.from_now_on(Act::Fail);
        let failed = together(threads, |thread| {
            (0..100).any(|number| {
                let written = writer.reserve().and_then(|slot| Ok(slot.write(&batch(Words::Plain, (thread, number)))?));
                written.is_err()
            })
        });
        assert!(failed.into_iter().all(|failed| failed), "somebody believes that a hundred batches went well");
    });
}

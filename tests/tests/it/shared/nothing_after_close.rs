//! After `close` has returned, no byte is ever appended: every call says `Closed`, also one that was asleep. Once it has
//! begun, no batch is taken.
//!
//! Fails where a waiter that is woken by `close` takes its turn nevertheless, where a call looks at a flag only before
//! it waits, or where something that was left behind (a place, a stage) is written late.

use ipc_shared::Error;
use ipc_tests::gate::gate;
use ipc_tests::shared::{Output, Words, batch, unstaged};
use ipc_tests::threads::{let_others_park, together};

use super::in_both_formats;

in_both_formats!(
    every_call_says_closed,
    who_closes_meanwhile_is_sent_away,
    who_waits_for_a_place_is_sent_away,
    one_of_many_closes_wins,
);

#[track_caller]
fn assert_closed<T>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Closed)), "{:?}", result.err());
}

fn every_call_says_closed<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).build().unwrap();
    let slots: Vec<_> = (0..threads).filter_map(|_| writer.try_reserve().unwrap()).collect();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    writer.close().unwrap();
    let length = gate.len();
    let slots = std::sync::Mutex::new(slots);
    together(threads, |thread| {
        let late = batch(Words::Plain, (thread, 1));
        let mut producer = writer.producer();
        for _ in 0..3 {
            assert_closed(writer.write(&late));
            assert_closed(producer.write(&late));
            assert_closed(writer.reserve());
            assert_closed(writer.try_reserve());
            assert_closed(writer.flush());
            assert_closed(writer.close());
            assert!(writer.is_closed());
        }
        let slot = slots.lock().unwrap().pop();
        if let Some(slot) = slot {
            assert_closed(slot.write(&late).map_err(Error::from));
        }
    });
    assert_eq!(gate.len(), length, "the sink is as long as it was when close returned");
    assert_eq!(F::whole(&gate.taken()).len(), 1);
    drop(writer);
    assert_eq!(gate.len(), length);
}

fn who_closes_meanwhile_is_sent_away<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).build().unwrap();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    gate.shut();
    let results = std::thread::scope(|scope| {
        let closer = scope.spawn(|| writer.close());
        gate.wait_until_occupied();
        // The closer writes the end and holds the lock. It may fail yet, so who wants to close, too, can but wait for it; who
        // comes with a batch is too late in any case.
        let others: Vec<_> = (1..threads)
            .map(|thread| {
                let writer = &writer;
                scope.spawn(move || match thread % 3 {
                    0 => writer.write(&batch(Words::Plain, (thread, 0))).err(),
                    1 => writer.close().err(),
                    _ => writer.flush().err(),
                })
            })
            .collect();
        let_others_park();
        assert!(!others[0].is_finished(), "the end is not written yet");
        gate.open();
        closer.join().unwrap().unwrap();
        others.into_iter().map(|other| other.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(results.iter().all(|error| matches!(error, Some(Error::Closed))), "{results:?}");
    assert_eq!(F::whole(&gate.taken()).len(), 1, "nothing stands behind the end, and nothing came late");
}

fn who_waits_for_a_place_is_sent_away<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).schema(ipc_tests::shared::schema(Words::Plain)).window(1).build().unwrap();
    let slot = writer.reserve().unwrap();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (1..threads).map(|_| scope.spawn(|| assert_closed(writer.reserve()))).collect();
        let_others_park();
        assert!(waiting.iter().all(|thread| !thread.is_finished()), "the window is full");
        writer.close().unwrap();
    });
    assert_closed(slot.write(&batch(Words::Plain, (0, 0))).map_err(Error::from));
    assert!(F::whole(&gate.taken()).is_empty());
}

fn one_of_many_closes_wins<F: Output>(threads: usize) {
    for _ in 0..20 {
        let writer = F::to(Vec::new()).build().unwrap();
        writer.write(&batch(Words::Plain, (0, 0))).unwrap();
        let closed = together(threads, |_| match writer.close() {
            Ok(summary) => {
                assert_eq!(summary.stats.record_batches, 1);
                true
            }
            Err(Error::Closed) => false,
            Err(error) => panic!("neither won nor lost: {error}"),
        });
        assert_eq!(closed.into_iter().filter(|won| *won).count(), 1);
        assert_eq!(F::whole(&writer.into_inner().unwrap()).len(), 1, "one end");
    }
}

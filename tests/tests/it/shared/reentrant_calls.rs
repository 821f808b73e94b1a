//! A sink that calls back into the writer that is calling it gets `Reentrant`, and nothing waits for itself.
//!
//! Fails where such a call asks for the lock that its own thread holds, or waits for a place, or for the end of a
//! drain, that only its own thread can bring about.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use ipc_shared::{Error, SharedWriter};
use ipc_tests::gate::{Gated, gate};
use ipc_tests::shared::{Output, Words, batch, sorted_marks, unstaged};
use ipc_tests::threads::together;

use super::in_both_formats;

in_both_formats!(every_call_says_reentrant, a_place_dropped_inside_waits_for_nobody);

#[track_caller]
fn assert_reentrant<T>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Reentrant)), "{:?}", result.err());
}

fn every_call_says_reentrant<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    // One slot is free. Waiting for a second one would never end.
    let writer: SharedWriter<Gated, F> = F::to(sink).options(unstaged()).window(threads + 1).build().unwrap();
    let held = Arc::new(Mutex::new(vec![writer.reserve().unwrap()]));
    let calls = Arc::new(AtomicUsize::new(0));
    let back = {
        let (writer, held, calls) = (writer.clone(), Arc::clone(&held), Arc::clone(&calls));
        move || {
            assert!(writer.is_held_by_current_thread());
            let late = batch(Words::Plain, (99, 99));
            assert_reentrant(writer.write(&late));
            assert_reentrant(writer.producer().write(&late));
            assert_reentrant(writer.reserve());
            assert_reentrant(writer.try_reserve());
            assert_reentrant(writer.flush());
            assert_reentrant(writer.close());
            let slot = held.lock().unwrap().pop();
            if let Some(slot) = slot {
                assert_reentrant(slot.write(&late).map_err(Error::from));
            }
            let _ = (writer.stats(), writer.schema());
            calls.fetch_add(1, Relaxed);
        }
    };
    gate.call_back(Some(Arc::new(back)));
    together(threads, |thread| {
        assert!(!writer.is_held_by_current_thread());
        writer.write(&batch(Words::Plain, (thread, 0))).unwrap();
        writer.reserve().unwrap().write(&batch(Words::Plain, (thread, 1))).unwrap();
        writer.flush().unwrap();
    });
    writer.close().unwrap();
    assert!(calls.load(Relaxed) > 2 * threads, "the sink was called, and called back");
    gate.call_back(None);
    let expected: Vec<_> = (0..threads).flat_map(|thread| [(thread, 0), (thread, 1)]).collect();
    assert_eq!(
        sorted_marks(Words::Plain, &F::whole(&gate.taken())),
        expected,
        "and all that was asked outside is there"
    );
}

/// A dropped slot makes the batches parked after it ready, and the thread that drops it has to append them: but not
/// from inside the sink.
fn a_place_dropped_inside_waits_for_nobody<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(threads + 1).build().unwrap();
    let front = Arc::new(Mutex::new(Some(writer.reserve().unwrap())));
    together(threads, |thread| writer.reserve().unwrap().write(&batch(Words::Plain, (thread, 1))).unwrap());
    let back = {
        let front = Arc::clone(&front);
        move || {
            let slot = front.lock().unwrap().take();
            drop(slot);
        }
    };
    gate.call_back(Some(Arc::new(back)));
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    gate.call_back(None);
    assert!(front.lock().unwrap().is_none());
    writer.close().unwrap();
    let found = sorted_marks(Words::Plain, &F::whole(&gate.taken()));
    let mut expected: Vec<_> = (0..threads).map(|thread| (thread, 1)).chain([(0, 0)]).collect();
    expected.sort_unstable();
    assert_eq!(found, expected, "what waited is not lost");
}

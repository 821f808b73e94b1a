//! A panic in the sink poisons the writer and wakes all waiting threads; a panic elsewhere affects only its own thread.
//!
//! Fails where a waiter sleeps on behind a lock whose holder is gone, where `reserve` waits for a place that nobody
//! will ever clear, where the next holder writes behind torn bytes, or where a thread that dies while it encodes takes
//! its place in the order, or the pool of encoders, with it.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int32Array, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_data::ArrayData;
use arrow_schema::{DataType, Field, Schema};
use ipc_shared::{Error, Options};
use ipc_tests::gate::{Act, gate};
use ipc_tests::shared::{Output, Words, batch, marks, schema, sorted_marks, unstaged};
use ipc_tests::threads::{let_others_park, together};

use super::in_both_formats;

in_both_formats!(
    who_sleeps_on_the_lock_is_woken,
    who_waits_for_a_place_is_woken,
    who_closes_is_woken,
    the_batches_that_waited_count_as_lost,
    who_appends_for_others_does_not_panic_for_them,
    a_panic_below_a_panic_poisons_as_any_other,
    what_the_sink_took_before_it_panicked_counts,
    a_panic_in_a_sync_leaves_what_the_sync_before_it_confirmed,
    a_panic_while_encoding_harms_nobody,
    a_thread_that_dies_with_a_place_holds_nobody_up,
);

#[track_caller]
fn assert_poisoned<T>(result: Result<T, Error>) {
    let Err(Error::Poisoned { source, .. }) = &result else { panic!("not poisoned but {:?}", result.err()) };
    assert!(source.to_string().contains("panicked"), "{source}");
}

fn who_sleeps_on_the_lock_is_woken<F: Output>(threads: usize) {
    for act in [Act::Panic, Act::TearAndPanic] {
        let (sink, gate) = gate();
        let writer = F::to(sink).options(unstaged()).build().unwrap();
        gate.shut();
        gate.plan([act]);
        std::thread::scope(|scope| {
            let writer = &writer;
            let write = move |thread: usize| writer.write(&batch(Words::Plain, (thread, 0)));
            let first = scope.spawn(move || catch_unwind(AssertUnwindSafe(|| write(0))).map(drop));
            gate.wait_until_occupied();
            let others: Vec<_> =
                (1..threads).map(|thread| scope.spawn(move || assert_poisoned(write(thread)))).collect();
            let_others_park();
            gate.open();
            assert!(first.join().unwrap().is_err(), "the panic reaches the caller");
            others.into_iter().for_each(|other| other.join().unwrap());
        });
        let torn = gate.taken();
        together(threads, |_| {
            assert_poisoned(writer.reserve());
            assert_poisoned(writer.flush());
            assert_poisoned(writer.close());
        });
        assert!(writer.is_closed());
        assert_eq!(gate.taken(), torn, "nothing follows");
    }
}

fn who_waits_for_a_place_is_woken<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(1).build().unwrap();
    let slot = writer.reserve().unwrap();
    gate.plan([Act::Panic]);
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (1..threads).map(|_| scope.spawn(|| assert_poisoned(writer.reserve()))).collect();
        let_others_park();
        let panicked = catch_unwind(AssertUnwindSafe(|| slot.write(&batch(Words::Plain, (0, 0)))));
        assert!(panicked.is_err());
        waiting.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

fn who_closes_is_woken<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(threads).build().unwrap();
    let slot = writer.reserve().unwrap();
    gate.shut();
    gate.plan([Act::TearAndPanic]);
    std::thread::scope(|scope| {
        let writer = &writer;
        // It writes its place, so closers and flushers wait for it before they come to the lock.
        let first =
            scope.spawn(move || catch_unwind(AssertUnwindSafe(|| slot.write(&batch(Words::Plain, (0, 0))))).map(drop));
        gate.wait_until_occupied();
        let close = |thread: usize| if thread.is_multiple_of(2) { writer.flush() } else { writer.close().map(drop) };
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || assert_poisoned(close(thread)))).collect();
        let_others_park();
        gate.open();
        assert!(first.join().unwrap().is_err());
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

fn the_batches_that_waited_count_as_lost<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(threads).build().unwrap();
    let front = writer.reserve().unwrap();
    for number in 1..threads {
        writer.reserve().unwrap().write(&batch(Words::Plain, (1, number))).unwrap();
    }
    gate.plan([Act::Take, Act::Panic]);
    front.write(&batch(Words::Plain, (1, 0))).unwrap();
    let Err(Error::Poisoned { unconfirmed, .. }) = writer.close() else { panic!("not poisoned") };
    assert_eq!(unconfirmed, threads as u64 - 1, "all that were accepted but the first, which is in the output");
}

/// The second batch, parked after the first, makes the sink panic. The thread that writes the first or drops its slot
/// appends the second, but its own call has not failed: a batch in the output must not look as if it could be written
/// again.
fn who_appends_for_others_does_not_panic_for_them<F: Output>(threads: usize) {
    for gives_up in [false, true] {
        let (sink, gate) = gate();
        let writer = F::to(sink).options(unstaged()).window(threads).schema(schema(Words::Plain)).build().unwrap();
        let front = writer.reserve().unwrap();
        (1..threads).for_each(|n| writer.reserve().unwrap().write(&batch(Words::Plain, (0, n))).unwrap());
        if gives_up {
            gate.plan([Act::TearAndPanic]);
            drop(front);
        } else {
            gate.plan([Act::Take, Act::TearAndPanic]);
            front.write(&batch(Words::Plain, (0, 0))).unwrap();
        }
        assert_poisoned(writer.flush());
        writer.rollback().unwrap();
        writer.close().unwrap();
        let expected: Vec<_> = (usize::from(gives_up)..threads).map(|number| (0, number)).collect();
        assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())), expected);
    }
}

/// A thread that unwinds drops its slot and appends the batches parked after it, and the sink panics in that call.
fn a_panic_below_a_panic_poisons_as_any_other<F: Output>(threads: usize) {
    for act in [Act::Panic, Act::TearAndPanic] {
        let (sink, gate) = gate();
        let writer = F::to(sink).options(unstaged()).window(threads + 1).schema(schema(Words::Plain)).build().unwrap();
        let front = writer.reserve().unwrap();
        (0..threads).for_each(|n| writer.reserve().unwrap().write(&batch(Words::Plain, (0, n))).unwrap());
        gate.plan([act]);
        let died = catch_unwind(AssertUnwindSafe(|| {
            let _front = front;
            panic!("a panic that has nothing to do with the writer");
        }));
        assert!(died.is_err());
        assert!(writer.is_closed(), "{act:?}");
        together(threads, |thread| {
            assert_poisoned(writer.write(&batch(Words::Plain, (9, thread))));
            assert_poisoned(writer.reserve());
            assert_poisoned(writer.flush());
        });
        writer.rollback().unwrap();
        assert_eq!(gate.cuts(), 1, "a rollback takes the torn bytes back");
        assert!(matches!(writer.close(), Err(Error::Gaps { places: 1 })));
        writer.close_with_gaps().unwrap();
        let expected: Vec<_> = (0..threads).map(|number| (0, number)).collect();
        assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())), expected, "{act:?}");
    }
}

/// The sink fails in `flush`, after it has taken all bytes: they are good, and nothing is lost.
fn what_the_sink_took_before_it_panicked_counts<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(staged()).build().unwrap();
    together(threads, |thread| writer.write(&batch(Words::Plain, (thread, 0))).unwrap());
    assert!(gate.is_empty(), "all of it is staged");
    gate.plan_flushes([Act::Panic]);
    assert!(catch_unwind(AssertUnwindSafe(|| writer.flush())).is_err());
    assert!(!gate.is_empty(), "the stage was written before");
    together(threads, |thread| {
        let write = writer.write(&batch(Words::Plain, (thread, 1))).map(drop);
        for told in [write, writer.flush(), writer.close().map(drop)] {
            let Err(Error::Poisoned { offset, unconfirmed, .. }) = told else { panic!("{told:?}") };
            assert_eq!((offset, unconfirmed), (gate.len() as u64, 0));
        }
    });
    writer.rollback().unwrap();
    writer.write(&batch(Words::Plain, (99, 0))).unwrap();
    writer.close().unwrap();
    let mut expected: Vec<_> = (0..threads).map(|thread| (thread, 0)).collect();
    expected.push((99, 0));
    assert_eq!(sorted_marks(Words::Plain, &F::whole(&gate.taken())), expected);
}

fn a_panic_in_a_sync_leaves_what_the_sync_before_it_confirmed<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(staged()).build().unwrap();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    writer.sync().unwrap();
    let durable = gate.len() as u64;
    writer.write(&batch(Words::Plain, (0, 1))).unwrap();
    gate.plan_syncs([Act::Panic]);
    assert!(catch_unwind(AssertUnwindSafe(|| writer.sync())).is_err());
    together(threads, |_| {
        for told in [writer.flush(), writer.rollback(), writer.sync().map(drop)] {
            let Err(Error::Poisoned { offset, unconfirmed, .. }) = told else { panic!("{told:?}") };
            assert_eq!((offset, unconfirmed), (durable, 1), "nobody knows what the device has of the rest");
        }
    });
}

fn staged() -> Options {
    Options::builder().staging(true).build().unwrap()
}

/// An array that no encoder can look into.
#[derive(Debug)]
struct Bomb(Int32Array);

// SAFETY: everything that describes the array is that of a sound array, which it owns.
unsafe impl Array for Bomb {
    fn as_any(&self) -> &dyn Any {
        std::panic::resume_unwind(Box::new("the array panics, as it was made to"))
    }

    fn to_data(&self) -> ArrayData {
        self.0.to_data()
    }

    fn into_data(self) -> ArrayData {
        self.0.into_data()
    }

    fn data_type(&self) -> &DataType {
        self.0.data_type()
    }

    fn slice(&self, offset: usize, length: usize) -> ArrayRef {
        Arc::new(Self(self.0.slice(offset, length)))
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn offset(&self) -> usize {
        self.0.offset()
    }

    fn nulls(&self) -> Option<&NullBuffer> {
        self.0.nulls()
    }

    fn get_buffer_memory_size(&self) -> usize {
        self.0.get_buffer_memory_size()
    }

    fn get_array_memory_size(&self) -> usize {
        self.0.get_array_memory_size()
    }
}

fn a_panic_while_encoding_harms_nobody<F: Output>(threads: usize) {
    let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int32, false)]));
    let of = |column: ArrayRef| RecordBatch::try_new(schema.clone(), vec![column]).unwrap();
    let good = of(Arc::new(Int32Array::from(vec![1, 2, 3])));
    let bomb = of(Arc::new(Bomb(Int32Array::from(vec![1, 2, 3]))));
    let writer = F::to(Vec::new()).window(2 * threads).build().unwrap();
    together(threads, |thread| {
        for round in 0..6 {
            let harmful = (thread + round) % 2 == 0;
            let batch = if harmful { &bomb } else { &good };
            let written = catch_unwind(AssertUnwindSafe(|| match round % 3 {
                0 => writer.write(batch).map(drop),
                1 => writer.producer().write(batch).map(drop),
                _ => writer.reserve().and_then(|slot| Ok(slot.write(batch)?)),
            }));
            assert_eq!(written.is_err(), harmful);
            if let Ok(written) = written {
                written.unwrap();
            }
        }
    });
    // Of six turns two take a place, and one of those panics.
    assert!(matches!(writer.close(), Err(Error::Gaps { places }) if places == threads as u64));
    assert_eq!(writer.close_with_gaps().unwrap().given_up, threads as u64);
    assert_eq!(F::whole(&writer.into_inner().unwrap()), vec![good; 3 * threads]);
}

fn a_thread_that_dies_with_a_place_holds_nobody_up<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).window(2 * threads).build().unwrap();
    together(threads, |thread| {
        let dying = catch_unwind(AssertUnwindSafe(|| {
            let _slot = writer.reserve().unwrap();
            let _producer = writer.producer();
            std::panic::resume_unwind(Box::new("on purpose"));
        }));
        assert!(dying.is_err());
        writer.reserve().unwrap().write(&batch(Words::Plain, (thread, 0))).unwrap();
    });
    writer.flush().unwrap();
    assert_eq!(writer.stats().record_batches, threads as u64);
    writer.close_with_gaps().unwrap();
    let expected: Vec<_> = (0..threads).map(|thread| (thread, 0)).collect();
    assert_eq!(sorted_marks(Words::Plain, &F::whole(&writer.into_inner().unwrap())), expected);
}

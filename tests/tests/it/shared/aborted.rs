//! An abort wakes all waiting threads and returns the reason to them, drops parked batches, and makes readers of a
//! stream fail at its end.
//!
//! Fails if a thread keeps sleeping or gets another error, if a batch is written after the mark, or if the mark follows
//! an end or torn bytes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;

use arrow_array::Array;
use ipc_shared::{Error, SharedWriter};
use ipc_tests::gate::{Act, Gate, Gated, gate};
use ipc_tests::read;
use ipc_tests::shared::{Mark, Output, Words, batch, marks, sorted_marks, unstaged};
use ipc_tests::threads::{let_others_park, together};

use super::in_both_formats;

in_both_formats!(
    whoever_sleeps_is_woken_and_told,
    whoever_waits_for_a_place_is_woken_and_told,
    what_waits_in_slots_is_dropped,
    the_first_reason_is_what_everybody_hears,
    before_any_schema_nothing_is_written,
    a_close_that_failed_may_be_given_up,
    an_end_is_not_given_up,
    nothing_follows_torn_bytes,
    a_sink_that_panics_at_the_mark_is_told_of_once,
    one_of_many_gives_up_while_others_write_and_close,
);

const REASON: &str = "the query failed";

fn writer<F: Output>() -> (SharedWriter<Gated, F>, Gate) {
    let (sink, gate) = gate();
    (F::to(sink).options(unstaged()).window(2).build().unwrap(), gate)
}

#[track_caller]
fn assert_aborted<T>(result: Result<T, Error>) {
    match result.map(|_| ()) {
        Err(Error::Aborted { reason }) => assert_eq!(&*reason, REASON),
        other => panic!("{other:?}"),
    }
}

/// Every call of every thread is refused with the reason, and nothing more is written, also when the writer is dropped.
fn assert_given_up<F: Output>(writer: SharedWriter<Gated, F>, gate: &Gate, threads: usize, expected: &[Mark]) {
    let taken = gate.taken();
    together(threads, |thread| {
        assert!(writer.is_closed());
        let late = batch(Words::Plain, (9, thread));
        assert_aborted(writer.write(&late));
        assert_aborted(writer.producer().write(&late));
        assert_aborted(writer.reserve());
        assert_aborted(writer.try_reserve());
        assert_aborted(writer.flush());
        assert_aborted(writer.sync());
        assert_aborted(writer.rollback());
        assert_aborted(writer.close());
        assert_aborted(writer.close_with_gaps());
        assert_aborted(writer.abort("another"));
    });
    drop(writer);
    assert_eq!(gate.taken(), taken, "nothing is written for those who come late");
    let framing = F::framing(&taken);
    assert_eq!(framing.end, None);
    assert_eq!(framing.record_batches().len(), expected.len());
    if F::HAS_FOOTER {
        assert!(framing.mark.is_none() && read::file(&taken).is_err());
        return;
    }
    let (found, error) = read::readable_prefix(&taken);
    assert_eq!(sorted_marks(Words::Plain, &found), expected);
    assert!(error.is_some(), "a reader fails");
    assert_eq!(framing.mark.expect("a mark").1, REASON);
}

fn whoever_sleeps_is_woken_and_told<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    gate.shut();
    let written: Vec<Mark> = thread::scope(|scope| {
        let others: Vec<_> = (1..=threads)
            .map(|thread| {
                let writer = &writer;
                scope.spawn(move || (thread, writer.write(&batch(Words::Plain, (thread, 0)))))
            })
            .collect();
        gate.wait_until_occupied();
        let_others_park();
        let abort = scope.spawn(|| writer.abort(REASON));
        let_others_park();
        gate.open();
        abort.join().unwrap().unwrap();
        let others = others.into_iter().map(|other| other.join().unwrap());
        let mut written = vec![(0, 0)];
        for (thread, result) in others {
            match result {
                Ok(_) => written.push((thread, 0)),
                Err(error) => assert_aborted::<()>(Err(error)),
            }
        }
        written
    });
    assert_given_up(writer, &gate, threads, &written);
}

fn whoever_waits_for_a_place_is_woken_and_told<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    let out = [writer.reserve().unwrap(), writer.reserve().unwrap()];
    thread::scope(|scope| {
        let others: Vec<_> = (0..threads).map(|_| scope.spawn(|| writer.reserve().map(drop))).collect();
        let_others_park();
        writer.abort(REASON).unwrap();
        others.into_iter().for_each(|other| assert_aborted(other.join().unwrap()));
    });
    for slot in out {
        assert_aborted(slot.write(&batch(Words::Plain, (1, 0))).map_err(Error::from));
    }
    assert_given_up(writer, &gate, threads, &[(0, 0)]);
}

fn what_waits_in_slots_is_dropped<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    let [out, behind] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
    let waiting = batch(Words::Plain, (1, 0));
    let column = Arc::downgrade(waiting.column(0));
    behind.write(&waiting).unwrap();
    drop(waiting);
    assert!(column.upgrade().is_some_and(|column| !column.is_empty()), "it waits");
    writer.abort(REASON).unwrap();
    assert!(column.upgrade().is_none(), "its memory is given back");
    assert_aborted(out.write(&batch(Words::Plain, (2, 0))).map_err(Error::from));
    assert_given_up(writer, &gate, threads, &[(0, 0)]);
}

fn the_first_reason_is_what_everybody_hears<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    let won = together(threads, |_| writer.abort(REASON).is_ok());
    assert_eq!(won.into_iter().filter(|won| *won).count(), 1);
    assert_given_up(writer, &gate, threads, &[(0, 0)]);
}

fn before_any_schema_nothing_is_written<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>();
    together(threads, |thread| match thread {
        0 => assert_aborted::<()>(
            writer.abort(REASON).and_then(|()| writer.write(&batch(Words::Plain, (0, 0)))).map(drop),
        ),
        _ => drop(writer.is_closed()),
    });
    drop(writer);
    assert!(gate.is_empty());
}

fn a_close_that_failed_may_be_given_up<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    gate.plan([Act::Fail]);
    assert!(matches!(writer.close(), Err(Error::Core(_))));
    writer.abort(REASON).unwrap();
    assert_given_up(writer, &gate, threads, &[(0, 0)]);
}

fn an_end_is_not_given_up<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    gate.plan_flushes([Act::Fail]);
    assert!(writer.close().is_err());
    let taken = gate.taken();
    together(threads, |_| assert!(matches!(writer.abort(REASON), Err(Error::Closed))));
    writer.close().unwrap();
    together(threads, |_| assert!(matches!(writer.abort(REASON), Err(Error::Closed))));
    drop(writer);
    assert_eq!(gate.taken(), taken);
    assert_eq!(marks(Words::Plain, &F::whole(&taken)), [(0, 0)]);
}

fn nothing_follows_torn_bytes<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    gate.plan([Act::Tear]);
    assert!(matches!(writer.write(&batch(Words::Plain, (1, 0))), Err(Error::Poisoned { .. })));
    let taken = gate.taken();
    together(threads, |_| assert!(matches!(writer.abort(REASON), Err(Error::Poisoned { .. }))));
    drop(writer);
    assert_eq!(gate.taken(), taken);
}

fn a_sink_that_panics_at_the_mark_is_told_of_once<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    gate.plan([Act::Panic]);
    let taken = gate.taken();
    let aborted = catch_unwind(AssertUnwindSafe(|| writer.abort(REASON)));
    assert_eq!(aborted.is_err(), !F::HAS_FOOTER, "there is a mark in a stream only");
    together(threads, |_| assert_aborted(writer.write(&batch(Words::Plain, (1, 0)))));
    drop(writer);
    assert_eq!(gate.taken(), taken, "it is not tried again");
}

fn one_of_many_gives_up_while_others_write_and_close<F: Output>(threads: usize) {
    for _ in 0..20 {
        let (writer, gate) = writer::<F>();
        writer.write(&batch(Words::Plain, (99, 0))).unwrap();
        let closed = AtomicUsize::new(0);
        let accepted = together(threads, |thread| match thread {
            0 => {
                let aborted = writer.abort(REASON);
                assert!(matches!(aborted, Ok(()) | Err(Error::Closed)), "{aborted:?}");
                None
            }
            1 => {
                match writer.close() {
                    Ok(_) => _ = closed.fetch_add(1, SeqCst),
                    Err(error) => assert_aborted::<()>(Err(error)),
                }
                None
            }
            _ => writer.write(&batch(Words::Plain, (thread, 0))).is_ok().then_some((thread, 0)),
        });
        let mut expected: Vec<Mark> = accepted.into_iter().flatten().chain([(99, 0)]).collect();
        expected.sort_unstable();
        if closed.load(SeqCst) == 0 {
            assert_given_up(writer, &gate, threads, &expected);
        } else {
            assert!(matches!(writer.abort("another"), Err(Error::Closed)));
            assert_eq!(sorted_marks(Words::Plain, &F::whole(&gate.taken())), expected);
        }
    }
}

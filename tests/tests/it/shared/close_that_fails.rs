//! A `close` that failed is half of one: no batch is taken any more, whichever way it is brought, and `is_closed` says
//! so. Only `close` goes on, as often as it takes, and writes nothing twice.
//!
//! Fails if a failed `close` still allows some calls and not others, if a batch is written after the end, or if
//! the writer cannot be closed any more.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ipc_shared::{Error, SharedWriter};
use ipc_tests::gate::{Act, Gate, Gated, gate};
use ipc_tests::shared::{Output, Words, batch, marks, unstaged};
use ipc_tests::threads::together;

use super::in_both_formats;

in_both_formats!(
    before_the_end_is_written,
    while_places_are_appended,
    when_the_end_is_not_flushed,
    when_the_end_is_torn_and_rolled_back,
    when_the_flush_behind_the_end_panics,
    when_another_thread_tears_the_output,
    while_a_rollback_is_under_way,
);

/// Returns a writer with this many batches, an unfilled slot, and a batch parked after it.
fn writer<F: Output>(written: usize) -> (SharedWriter<Gated, F>, Gate) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).build().unwrap();
    (0..written).for_each(|number| _ = writer.write(&batch(Words::Plain, (0, number))).unwrap());
    (writer, gate)
}

#[track_caller]
fn assert_failed<T>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Core(ipc_core::Error::Io(_)))), "{:?}", result.err());
}

/// Every way in is shut, for every thread, and nothing reaches the sink; then one `close` wins.
fn assert_only_close_goes_on<F: Output>(writer: &SharedWriter<Gated, F>, gate: &Gate, threads: usize, batches: usize) {
    let taken = gate.taken();
    together(threads, |thread| {
        assert!(writer.is_closed());
        let late = batch(Words::Plain, (9, thread));
        let told = [
            writer.write(&late).map(drop),
            writer.producer().write(&late).map(drop),
            writer.reserve().map(drop),
            writer.try_reserve().map(drop),
            writer.flush(),
            writer.sync().map(drop),
        ];
        for told in told {
            assert!(matches!(told, Err(Error::Closed)), "{told:?}");
        }
    });
    assert_eq!(gate.taken(), taken, "nothing is written for those who come late");
    let closed = together(threads, |_| writer.close().is_ok());
    assert_eq!(closed.into_iter().filter(|won| *won).count(), 1);
    let expected: Vec<_> = (0..batches).map(|number| (0, number)).collect();
    assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())), expected);
}

fn before_the_end_is_written<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>(2);
    gate.plan([Act::Fail]);
    assert_failed(writer.close());
    assert_only_close_goes_on(&writer, &gate, threads, 2);
}

fn while_places_are_appended<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>(1);
    let out = writer.reserve().unwrap();
    writer.reserve().unwrap().write(&batch(Words::Plain, (0, 1))).unwrap();
    gate.plan([Act::Fail]);
    assert_failed(writer.close());
    let late = out.write(&batch(Words::Plain, (9, 9))).map_err(Error::from);
    assert!(matches!(late, Err(Error::Closed)), "{late:?}");
    assert_only_close_goes_on(&writer, &gate, threads, 2);
}

fn when_the_end_is_not_flushed<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>(2);
    gate.plan_flushes([Act::Fail]);
    assert_failed(writer.close());
    assert_eq!(F::whole(&gate.taken()).len(), 2, "the end is there");
    assert_only_close_goes_on(&writer, &gate, threads, 2);
}

fn when_the_end_is_torn_and_rolled_back<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>(2);
    gate.plan([Act::Tear]);
    assert!(matches!(writer.close(), Err(Error::Poisoned { .. })));
    writer.rollback().unwrap();
    assert_only_close_goes_on(&writer, &gate, threads, 2);
}

fn when_the_flush_behind_the_end_panics<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>(2);
    gate.plan_flushes([Act::Panic]);
    assert!(catch_unwind(AssertUnwindSafe(|| writer.close())).is_err());
    let told = writer.close();
    let Err(Error::Poisoned { offset, unconfirmed, .. }) = told else { panic!("{told:?}") };
    assert_eq!((offset, unconfirmed), (gate.len() as u64, 0), "all is there");
    writer.rollback().unwrap();
    assert_eq!(gate.cuts(), 0, "there was nothing to take back");
    assert_only_close_goes_on(&writer, &gate, threads, 2);
}

/// The `close` never came to the lock, but had given up the places by then.
fn when_another_thread_tears_the_output<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>(1);
    gate.shut();
    gate.plan([Act::Tear]);
    std::thread::scope(|scope| {
        let torn = scope.spawn(|| writer.write(&batch(Words::Plain, (0, 1))).map(drop));
        gate.wait_until_occupied();
        let closed = scope.spawn(|| writer.close().map(drop));
        while !matches!(writer.try_reserve().map(drop), Err(Error::Closed)) {
            std::thread::yield_now();
        }
        gate.open();
        for told in [torn.join().unwrap(), closed.join().unwrap()] {
            assert!(matches!(told, Err(Error::Poisoned { .. })), "{told:?}");
        }
    });
    writer.rollback().unwrap();
    assert_only_close_goes_on(&writer, &gate, threads, 1);
}

/// Until a rollback has succeeded, the writer is poisoned, and says so, also while the rollback has its lock.
fn while_a_rollback_is_under_way<F: Output>(threads: usize) {
    let (writer, gate) = writer::<F>(1);
    gate.plan([Act::Tear]);
    assert!(matches!(writer.close(), Err(Error::Poisoned { .. })));
    gate.plan_cuts([Act::Fail]);
    gate.shut();
    std::thread::scope(|scope| {
        let rollback = scope.spawn(|| writer.rollback());
        gate.wait_until_occupied();
        together(threads, |thread| {
            let told = writer.write(&batch(Words::Plain, (9, thread)));
            assert!(matches!(told, Err(Error::Poisoned { .. })), "{told:?}");
        });
        gate.open();
        assert!(matches!(rollback.join().unwrap(), Err(Error::Core(ipc_core::Error::Rollback(_)))));
    });
    writer.rollback().unwrap();
    assert_only_close_goes_on(&writer, &gate, threads, 1);
}

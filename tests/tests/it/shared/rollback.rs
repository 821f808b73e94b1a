//! On a sink that can take bytes back, a poisoned writer can be rolled back, by any thread, and goes on: what was
//! accepted is in the output once, what was refused is not, and nothing torn is.
//!
//! Fails where the lock stays poisoned or the window aborted, where what is staged or waits in a slot is dropped or
//! written twice, where a slot that was out is lost or blocks the others, where a rollback that failed lets anybody
//! write, or where the schema of a first write that panicked is never published.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ipc_shared::{CoreError, Error, Options};
use ipc_tests::gate::{Act, KIND, gate};
use ipc_tests::shared::{Mark, Output, Words, batch, marks, sorted_marks, unstaged};
use ipc_tests::threads::together;

use super::in_both_formats;

in_both_formats!(
    what_is_staged_and_what_waits_is_there,
    a_slot_that_was_out_is_as_good_as_before,
    places_given_up_meanwhile_hold_nobody_up,
    one_of_many_takes_the_bytes_back,
    a_failed_rollback_may_be_repeated,
    a_panic_is_rolled_back_too,
    the_end_is_written_again,
    whoever_rolls_back_and_goes_on_loses_nothing,
    an_output_that_is_whole_stays_as_it_is,
);

#[track_caller]
fn assert_poisoned<T>(result: Result<T, Error>) {
    assert!(matches!(result, Err(Error::Poisoned { .. })), "not poisoned but {:?}", result.err());
}

fn what_is_staged_and_what_waits_is_there<F: Output>(threads: usize) {
    let words = Words::Equal;
    let (sink, gate) = gate();
    let options = Options::builder().staging(true).build().unwrap();
    let writer = F::to(sink).options(options).window(threads + 1).build().unwrap();
    for number in 0..threads {
        writer.write(&batch(words, (0, number))).unwrap();
    }
    let front = writer.reserve().unwrap();
    (0..threads).for_each(|number| writer.reserve().unwrap().write(&batch(words, (1, number))).unwrap());
    gate.plan([Act::Tear]);
    assert_poisoned(writer.flush());
    writer.rollback().unwrap();
    assert_eq!(gate.cuts(), 1);
    drop(front);
    writer.write(&batch(words, (2, 0))).unwrap();
    writer.close().unwrap();
    let mut expected: Vec<Mark> = (0..threads).map(|number| (0, number)).collect();
    expected.extend((0..threads).map(|number| (1, number)));
    expected.push((2, 0));
    assert_eq!(sorted_marks(words, &F::whole(&gate.taken())), expected);
}

fn a_slot_that_was_out_is_as_good_as_before<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(threads + 1).build().unwrap();
    let slots: Vec<_> = (0..threads).map(|_| writer.reserve().unwrap()).collect();
    writer.reserve().unwrap().write(&batch(Words::Plain, (0, threads))).unwrap();
    gate.plan([Act::Tear]);
    assert_poisoned(writer.write(&batch(Words::Plain, (9, 9))));
    writer.rollback().unwrap();
    std::thread::scope(|scope| {
        for (number, slot) in slots.into_iter().enumerate() {
            scope.spawn(move || slot.write(&batch(Words::Plain, (0, number))).unwrap());
        }
    });
    writer.close().unwrap();
    let expected: Vec<Mark> = (0..=threads).map(|number| (0, number)).collect();
    assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())), expected, "in the order of the places");
}

fn places_given_up_meanwhile_hold_nobody_up<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(threads + 2).build().unwrap();
    let [refused, dropped] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
    let waiting: Vec<_> = (0..threads).map(|_| writer.reserve().unwrap()).collect();
    gate.plan([Act::Tear]);
    assert_poisoned(writer.write(&batch(Words::Plain, (9, 9))));
    assert_poisoned(refused.write(&batch(Words::Plain, (9, 9))).map_err(Error::from));
    drop(dropped);
    writer.rollback().unwrap();
    for (number, slot) in waiting.into_iter().enumerate() {
        slot.write(&batch(Words::Plain, (0, number))).unwrap();
    }
    assert_eq!(writer.stats().record_batches, threads as u64, "nobody waits for those who have gone");
    writer.close().unwrap();
    let expected: Vec<Mark> = (0..threads).map(|number| (0, number)).collect();
    assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())), expected);
}

fn one_of_many_takes_the_bytes_back<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).build().unwrap();
    gate.plan([Act::Tear]);
    assert_poisoned(writer.write(&batch(Words::Plain, (0, 0))));
    together(threads, |thread| {
        writer.rollback().unwrap();
        writer.write(&batch(Words::Plain, (thread, 1))).unwrap();
    });
    assert_eq!(gate.cuts(), 1);
    writer.close().unwrap();
    let expected: Vec<Mark> = (0..threads).map(|thread| (thread, 1)).collect();
    assert_eq!(sorted_marks(Words::Plain, &F::whole(&gate.taken())), expected);
}

fn a_failed_rollback_may_be_repeated<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).build().unwrap();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    gate.plan([Act::Tear]);
    let Err(Error::Poisoned { offset, source, .. }) = writer.write(&batch(Words::Plain, (9, 9))) else { panic!() };
    let torn = gate.taken();
    gate.plan_cuts(vec![Act::Fail; threads].into_iter().chain([Act::Panic]));
    let failed = together(threads, |_| writer.rollback());
    for failed in failed {
        let Err(Error::Core(CoreError::Rollback(error))) = failed else { panic!("{failed:?}") };
        assert_eq!(error.kind(), KIND);
    }
    assert!(catch_unwind(AssertUnwindSafe(|| writer.rollback())).is_err(), "the panic reaches the caller");
    together(threads, |_| {
        for told in [writer.write(&batch(Words::Plain, (9, 9))).map(drop), writer.reserve().map(drop), writer.flush()] {
            let Err(Error::Poisoned { offset: at, source: first, .. }) = told else { panic!("{told:?}") };
            assert!(at == offset && std::sync::Arc::ptr_eq(&first, &source), "still the first error");
        }
    });
    assert_eq!(gate.taken(), torn, "nothing follows torn bytes");
    writer.rollback().unwrap();
    writer.write(&batch(Words::Plain, (0, 1))).unwrap();
    writer.close().unwrap();
    assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())), [(0, 0), (0, 1)]);
}

fn a_panic_is_rolled_back_too<F: Output>(threads: usize) {
    // At the first write, when the schema is not yet known, and at a later one.
    for (before, act) in [(0, Act::Panic), (0, Act::TearAndPanic), (1, Act::Panic), (1, Act::TearAndPanic)] {
        let (sink, gate) = gate();
        let writer = F::to(sink).options(unstaged()).build().unwrap();
        for number in 0..before {
            writer.write(&batch(Words::Equal, (0, number))).unwrap();
        }
        gate.plan([act]);
        let died = catch_unwind(AssertUnwindSafe(|| writer.write(&batch(Words::Equal, (9, 9)))));
        assert!(died.is_err(), "the panic reaches the caller");
        assert_poisoned(writer.flush());
        writer.rollback().unwrap();
        together(threads, |thread| writer.write(&batch(Words::Equal, (1, thread))).unwrap());
        assert_eq!(writer.close().unwrap().stats.dictionary_batches, 1, "what was not written is not taken for sent");
        let mut expected: Vec<Mark> = (0..before).map(|number| (0, number)).collect();
        expected.extend((0..threads).map(|thread| (1, thread)));
        assert_eq!(sorted_marks(Words::Equal, &F::whole(&gate.taken())), expected, "{act:?}");
    }
}

fn the_end_is_written_again<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).build().unwrap();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    gate.plan([Act::Tear]);
    assert_poisoned(writer.close());
    writer.rollback().unwrap();
    assert!(
        matches!(writer.write(&batch(Words::Plain, (0, 1))), Err(Error::Closed)),
        "a close that failed takes no more"
    );
    let closed = together(threads, |_| writer.close().is_ok());
    assert_eq!(closed.into_iter().filter(|won| *won).count(), 1);
    assert_eq!(marks(Words::Plain, &F::whole(&gate.taken())), [(0, 0)]);
    assert!(matches!(writer.rollback(), Err(Error::Closed)));
}

/// Every few calls tear the output or panic. The thread whose call fails rolls back and repeats its own batch.
fn whoever_rolls_back_and_goes_on_loses_nothing<F: Output>(threads: usize) {
    const BATCHES: usize = 30;
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(threads).build().unwrap();
    let acts = [Act::Take, Act::Take, Act::Tear, Act::Take, Act::TearAndPanic, Act::Take, Act::Take, Act::Fail];
    gate.plan(acts.into_iter().cycle().take(threads * BATCHES));
    together(threads, |thread| {
        for number in 0..BATCHES {
            let batch = batch(Words::Equal, (thread, number));
            loop {
                match catch_unwind(AssertUnwindSafe(|| writer.write(&batch))) {
                    Ok(Ok(_)) => break,
                    Ok(Err(Error::Core(CoreError::Io(_)))) => {}
                    Ok(Err(Error::Poisoned { .. })) | Err(_) => writer.rollback().unwrap(),
                    Ok(Err(error)) => panic!("{error:?}"),
                }
            }
        }
    });
    assert!(gate.cuts() > 0);
    while writer.close().is_err() {
        writer.rollback().unwrap();
    }
    let expected: Vec<Mark> =
        (0..threads).flat_map(|thread| (0..BATCHES).map(move |number| (thread, number))).collect();
    assert_eq!(sorted_marks(Words::Equal, &F::whole(&gate.taken())), expected);
}

fn an_output_that_is_whole_stays_as_it_is<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).build().unwrap();
    together(threads, |thread| {
        writer.rollback().unwrap();
        writer.write(&batch(Words::Plain, (thread, 0))).unwrap();
        writer.rollback().unwrap();
    });
    writer.close().unwrap();
    assert_eq!(gate.cuts(), 0);
    let expected: Vec<Mark> = (0..threads).map(|thread| (thread, 0)).collect();
    assert_eq!(sorted_marks(Words::Plain, &F::whole(&gate.taken())), expected);
}

//! When the sink fails inside a message, the writer is poisoned: every later call, from every thread, says so with the
//! first error, the last good offset and how many accepted batches are lost; nothing follows the torn bytes.
//!
//! Fails where `close` writes an end behind a torn message, where a thread that slept takes its turn on a torn output,
//! where later calls report an error of their own, or where batches that were accepted are lost in silence.

use std::sync::Arc;

use ipc_shared::Error;
use ipc_tests::gate::{Act, KIND, gate};
use ipc_tests::shared::{Output, Words, batch, unstaged};
use ipc_tests::threads::{let_others_park, together};

use super::in_both_formats;

in_both_formats!(
    every_later_call_says_so,
    who_sleeps_is_told,
    who_waits_for_a_place_is_told,
    accepted_places_count_as_lost,
    staged_batches_count_as_lost,
    the_end_may_be_torn_too,
    the_call_that_tears_counts_as_the_later_ones,
);

/// Offset, lost batches and first error of a poisoned writer.
#[track_caller]
fn poison<T>(result: Result<T, Error>) -> (u64, u64, Arc<std::io::Error>) {
    match result {
        Err(Error::Poisoned { offset, unconfirmed, source }) => (offset, unconfirmed, source),
        Err(error) => panic!("not poisoned but {error:?}"),
        Ok(_) => panic!("not poisoned but good"),
    }
}

fn every_later_call_says_so<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(threads + 1).build().unwrap();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    let good = gate.len() as u64;
    let slots: Vec<_> = (0..threads).map(|_| std::sync::Mutex::new(writer.reserve().ok())).collect();
    gate.plan([Act::Tear]);
    let (offset, unconfirmed, first) = poison(writer.write(&batch(Words::Plain, (0, 1))));
    assert_eq!((offset, unconfirmed, first.kind()), (good, 0, KIND));
    let torn = gate.taken();
    assert!(torn.len() as u64 > good, "something was torn");
    together(threads, |thread| {
        let late = batch(Words::Plain, (thread, 2));
        let mut producer = writer.producer();
        let slot = slots[thread].lock().unwrap().take().unwrap();
        let told = [
            poison(writer.write(&late)),
            poison(producer.write(&late)),
            poison(writer.reserve()),
            poison(writer.try_reserve()),
            poison(slot.write(&late).map_err(Error::from)),
            poison(writer.flush()),
            poison(writer.close()),
            poison(writer.close()),
        ];
        for (at, unconfirmed, source) in told {
            assert_eq!((at, unconfirmed), (good, 0));
            assert!(Arc::ptr_eq(&source, &first), "the first error");
        }
        assert!(writer.is_closed());
    });
    drop(slots);
    assert_eq!(gate.taken(), torn, "nothing follows torn bytes");
    assert_eq!(writer.into_inner().map(drop).map_err(drop), Ok(()), "the sink comes back");
    assert_eq!(gate.taken(), torn);
}

fn who_sleeps_is_told<F: Output>(threads: usize) {
    // Once one of them closes, the calls of the others get no other error.
    for closes in [false, true] {
        sleepers_are_told::<F>(threads, closes);
    }
}

fn sleepers_are_told<F: Output>(threads: usize, closes: bool) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).build().unwrap();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    let good = gate.len() as u64;
    gate.shut();
    gate.plan([Act::Tear]);
    std::thread::scope(|scope| {
        let writer = &writer;
        let write = move |thread: usize| poison(writer.write(&batch(Words::Plain, (thread, 1))));
        let first = scope.spawn(move || write(0));
        gate.wait_until_occupied();
        let others: Vec<_> = (1..threads)
            .map(|thread| match thread % 2 {
                _ if closes => scope.spawn(move || poison(writer.close())),
                1 => scope.spawn(move || write(thread)),
                _ => scope.spawn(move || poison(writer.flush())),
            })
            .collect();
        let_others_park();
        gate.open();
        let (offset, _, source) = first.join().unwrap();
        assert_eq!(offset, good);
        for other in others {
            let (offset, unconfirmed, told) = other.join().unwrap();
            assert_eq!((offset, unconfirmed), (good, 0));
            assert!(Arc::ptr_eq(&told, &source));
        }
    });
}

fn who_waits_for_a_place_is_told<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(1).build().unwrap();
    let slot = writer.reserve().unwrap();
    gate.plan([Act::Tear]);
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (1..threads).map(|_| scope.spawn(|| poison(writer.reserve()))).collect();
        let_others_park();
        let (.., source) = poison(writer.write(&batch(Words::Plain, (0, 0))));
        for thread in waiting {
            assert!(Arc::ptr_eq(&thread.join().unwrap().2, &source));
        }
    });
    poison(slot.write(&batch(Words::Plain, (0, 0))).map_err(Error::from));
}

fn accepted_places_count_as_lost<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(threads).build().unwrap();
    let front = writer.reserve().unwrap();
    together(threads - 1, |thread| writer.reserve().unwrap().write(&batch(Words::Plain, (thread, 1))).unwrap());
    gate.plan([Act::Tear]);
    let accepted = threads as u64 - 1;
    assert_eq!(poison(front.write(&batch(Words::Plain, (0, 0))).map_err(Error::from)).1, accepted);
    together(threads, |_| assert_eq!(poison(writer.close()).1, accepted));
}

fn staged_batches_count_as_lost<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let options = ipc_shared::Options::builder().staging(true).build().unwrap();
    let writer = F::to(sink).options(options).window(2).build().unwrap();
    together(threads, |thread| writer.write(&batch(Words::Plain, (thread, 0))).unwrap());
    let _out = writer.reserve().unwrap();
    writer.reserve().unwrap().write(&batch(Words::Plain, (99, 0))).unwrap();
    // Half of what is staged holds the header and, perhaps, whole batches: those are not lost.
    gate.plan([Act::Tear]);
    let (offset, unconfirmed, _) = poison(writer.flush());
    let taken = gate.taken();
    let whole = F::framing(&taken[..usize::try_from(offset).unwrap()]).record_batches().len();
    assert_eq!(unconfirmed, (threads - whole) as u64 + 1, "what was staged, and what waits in a place");
    together(threads, |_| assert_eq!(poison(writer.flush()).1, unconfirmed));
}

fn the_end_may_be_torn_too<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).build().unwrap();
    writer.write(&batch(Words::Plain, (0, 0))).unwrap();
    let good = gate.len() as u64;
    gate.plan([Act::Tear]);
    let told = together(threads, |_| poison(writer.close()));
    assert!(told.iter().all(|(offset, unconfirmed, _)| (*offset, *unconfirmed) == (good, 0)), "{told:?}");
    let torn = gate.taken();
    poison(writer.close());
    assert_eq!(gate.taken(), torn);
}

/// The batch that is torn was accepted before, in a place; the call that tries it again loses it like all others.
fn the_call_that_tears_counts_as_the_later_ones<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).options(unstaged()).window(threads).build().unwrap();
    let front = writer.reserve().unwrap();
    for number in 1..threads {
        writer.reserve().unwrap().write(&batch(Words::Plain, (1, number))).unwrap();
    }
    // The first batch is written; the second fails before any byte and waits on.
    gate.plan([Act::Take, Act::Fail, Act::Tear]);
    front.write(&batch(Words::Plain, (1, 0))).unwrap();
    let accepted = threads as u64 - 1;
    let (_, unconfirmed, _) = poison(writer.flush());
    assert_eq!(poison(writer.flush()).1, accepted, "what every later call says");
    assert_eq!(unconfirmed, accepted, "what the call says that tore the output");
}

//! What returned `Ok` is in the output exactly once, before the end; what returned an error is not in it.
//!
//! Fails where `closed` is looked at before the lock is taken and not again inside it, where the end is written while
//! a batch is on its way, or where a batch that waits (staged, or in a place) is forgotten by `close` or by `flush`.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use ipc_shared::{Error, Options, SharedWriter};
use ipc_tests::gate::gate;
use ipc_tests::random::Random;
use ipc_tests::read::readable_prefix;
use ipc_tests::shared::{Mark, Output, Words, batch, sorted_marks, unstaged};
use ipc_tests::threads::together;

use super::in_both_formats;

in_both_formats!(writes_race_with_close, places_race_with_close, flush_confirms_what_was_accepted);

/// All but one thread call `write` until it says that the writer is closed, which the last one does in the midst of it.
fn race<F: Output>(
    threads: usize,
    options: &Options,
    seed: u64,
    write: impl Fn(&SharedWriter<Vec<u8>, F>, Mark) -> bool + Sync,
) {
    // The schema is given: closing before the schema is known is another promise.
    let schema = ipc_tests::shared::schema(Words::Plain);
    let writer = F::to(Vec::new()).options(options.clone()).schema(schema).build().unwrap();
    let total = AtomicUsize::new(0);
    let written = together(threads, |thread| {
        let mut marks = Vec::new();
        if thread == 0 {
            let enough = Random::labelled(seed, threads).below(4 * threads);
            while total.load(Relaxed) < enough {
                thread::yield_now();
            }
            writer.close().unwrap();
            return marks;
        }
        for number in 0.. {
            if !write(&writer, (thread, number)) {
                break;
            }
            total.fetch_add(1, Relaxed);
            marks.push((thread, number));
        }
        marks
    });
    let mut written: Vec<Mark> = written.into_iter().flatten().collect();
    written.sort_unstable();
    assert_eq!(sorted_marks(Words::Plain, &F::whole(&writer.into_inner().unwrap())), written);
}

/// Whether it was written, and not refused because the writer is closed.
#[track_caller]
fn is_written<T>(result: Result<T, Error>) -> bool {
    match result {
        Ok(_) => true,
        Err(Error::Closed) => false,
        Err(error) => panic!("neither written nor closed: {error}"),
    }
}

fn rounds(threads: usize) -> u64 {
    if threads == 16 { 20 } else { 60 }
}

fn writes_race_with_close<F: Output>(threads: usize) {
    for seed in 0..rounds(threads) {
        let options = if seed % 2 == 0 { Options::default() } else { unstaged() };
        race::<F>(threads, &options, seed, |writer, mark| is_written(writer.write(&batch(Words::Plain, mark))));
    }
}

fn places_race_with_close<F: Output>(threads: usize) {
    for seed in 0..rounds(threads) {
        let options = if seed % 2 == 0 { Options::default() } else { unstaged() };
        race::<F>(threads, &options, seed, |writer, mark| match writer.reserve() {
            Ok(slot) => is_written(slot.write(&batch(Words::Plain, mark)).map_err(Error::from)),
            Err(Error::Closed) => false,
            Err(error) => panic!("neither a place nor closed: {error}"),
        });
    }
}

fn flush_confirms_what_was_accepted<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink).build().unwrap();
    together(threads, |thread| {
        for number in 0..6 {
            if number % 2 == 0 {
                writer.write(&batch(Words::Plain, (thread, number))).unwrap();
            } else {
                writer.reserve().unwrap().write(&batch(Words::Plain, (thread, number))).unwrap();
            }
            // A batch may be parked after a slot that another thread has not filled yet. That thread confirms both.
            if number % 2 == 0 {
                writer.flush().unwrap();
                let start = if F::HAS_FOOTER { 8 } else { 0 };
                let (found, _) = readable_prefix(&gate.taken()[start..]);
                let found = sorted_marks(Words::Plain, &found);
                assert!(found.binary_search(&(thread, number)).is_ok(), "{:?} is not confirmed", (thread, number));
            }
        }
    });
    writer.flush().unwrap();
    let (found, _) = readable_prefix(&gate.taken()[if F::HAS_FOOTER { 8 } else { 0 }..]);
    assert_eq!(found.len(), 6 * threads, "all that was accepted is confirmed once every place is filled");
    writer.close().unwrap();
    assert_eq!(F::whole(&gate.taken()).len(), 6 * threads);
}

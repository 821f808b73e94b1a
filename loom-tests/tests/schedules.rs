//! The shared writer under random schedules of more threads than the models can have, judged by the reader.
//!
//! shuttle sees every schedule as sequentially consistent: it is blind to weak orderings, which are the models' part. It
//! is good at what they are too small for: five threads that write, reserve, flush and close at once.
#![cfg(shuttle)]
#![allow(clippy::unwrap_used, reason = "the code of tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::Int8Type;
use arrow_array::{ArrayRef, RecordBatch};
use ipc_shared::internals::model;
use ipc_shared::{Error, SharedWriter, StreamFormat};
use loom_tests::{Shared, batch, dictionary_batch, values};
use shuttle::thread;

const SCHEDULES: usize = 20_000;

type Writer = SharedWriter<Shared, StreamFormat>;

/// What became of a batch, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Accepted(i32),
    Refused,
}

fn fate(number: i32, result: Result<(), Error>) -> Fate {
    match result {
        Ok(()) => Fate::Accepted(number),
        Err(Error::Closed) => Fate::Refused,
        Err(error) => panic!("{error}"),
    }
}

/// What happened over all schedules, to see that they were worth trying.
#[derive(Debug, Default)]
struct Met {
    /// Schedules in which everything was accepted, and in which something was refused.
    whole: AtomicUsize,
    cut: AtomicUsize,
    /// Schedules in which the second slot was written although the first came too late, and in which a thread slept.
    left: AtomicUsize,
    slept: AtomicUsize,
}

impl Met {
    fn note(what: &AtomicUsize, has_happened: bool) {
        what.fetch_add(usize::from(has_happened), Ordering::Relaxed);
    }
}

fn check(met: Met) {
    let counts = [met.whole, met.cut, met.left, met.slept].map(AtomicUsize::into_inner);
    assert!(counts.iter().all(|&count| count > SCHEDULES / 1000), "the schedules miss something: {counts:?}");
    eprintln!("{SCHEDULES} schedules: {counts:?} times whole, cut short, with a slot left, with a sleep");
}

/// Two writers, a pair of slots written by two threads, and a thread that flushes and closes.
fn five_threads(met: &Met, make: impl Fn(i32) -> RecordBatch + Copy + Send + 'static, read: fn(&Shared) -> Vec<i32>) {
    let parks = model::parks();
    model::be_patient(4);
    let sink = Shared::default();
    let writer: Writer = SharedWriter::stream(sink.clone()).window(2).build().unwrap();
    let slots = [(); 2].map(|()| writer.reserve().unwrap());

    let mut number = 0;
    let slots = slots.map(|slot| {
        number += 1;
        thread::spawn(move || [fate(number, slot.write(&make(number)).map_err(Error::from))].to_vec())
    });
    let writers = [(); 2].map(|()| {
        number += 2;
        let mut producer = writer.producer();
        let write = move |number| fate(number, producer.write(&make(number)).map(drop));
        thread::spawn(move || [number, number + 1].map(write).to_vec())
    });
    let closer = {
        let (writer, sink) = (writer.clone(), sink.clone());
        thread::spawn(move || {
            writer.flush().unwrap();
            let closed = writer.close().map(drop);
            (closed, sink.bytes().len())
        })
    };

    let fates = |threads: [thread::JoinHandle<Vec<Fate>>; 2]| threads.map(|thread| thread.join().unwrap());
    let [first, second] = fates(slots);
    let written = fates(writers);
    let (closed, length) = closer.join().unwrap();
    assert_eq!(sink.bytes().len(), length, "no byte follows the close");

    let all: Vec<Fate> = [&first, &second, &written[0], &written[1]].into_iter().flatten().copied().collect();
    let mut accepted: Vec<i32> =
        all.iter().filter_map(|fate| if let Fate::Accepted(n) = fate { Some(*n) } else { None }).collect();
    Met::note(&met.whole, accepted.len() == all.len());
    Met::note(&met.cut, accepted.len() < all.len());
    Met::note(&met.left, second == [Fate::Accepted(2)] && first == [Fate::Refused]);
    Met::note(&met.slept, model::parks() > parks);
    match closed {
        Ok(()) => {
            let found = read(&sink);
            let place = |number| found.iter().position(|n| *n == number);
            assert!(place(1) < place(2) || place(2).is_none() || place(1).is_none(), "slots come in order: {found:?}");
            for written in written {
                let [Fate::Accepted(a), Fate::Accepted(b)] = written[..] else { continue };
                assert!(place(a) < place(b), "a thread's batches come in its order: {found:?}");
            }
            let mut found = found;
            found.sort_unstable();
            accepted.sort_unstable();
            assert_eq!(found, accepted, "what was accepted is there, once");
        }
        Err(Error::NoSchema) => assert!(accepted.is_empty() && length == 0, "nothing was accepted, nothing is written"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_is_accepted_is_there_once() {
    let met = Arc::new(Met::default());
    let seen = Arc::clone(&met);
    shuttle::check_random(move || five_threads(&seen, batch, Shared::numbers), SCHEDULES);
    check(Arc::try_unwrap(met).unwrap());
}

/// The numbers behind the keys of dictionaries.
fn decoded(sink: &Shared) -> Vec<i32> {
    let number = |batch: &RecordBatch| {
        let column = batch.column(0).as_dictionary::<Int8Type>();
        let key = usize::try_from(column.keys().value(0)).unwrap();
        column.values().as_string::<i32>().value(key).parse().unwrap()
    };
    sink.read().iter().map(number).collect()
}

/// A batch with a dictionary of its own.
fn encoded(number: i32) -> RecordBatch {
    dictionary_batch(&(values(&[&number.to_string()]) as ArrayRef))
}

#[test]
fn every_batch_reads_with_its_own_dictionary() {
    let met = Arc::new(Met::default());
    let seen = Arc::clone(&met);
    shuttle::check_random(move || five_threads(&seen, encoded, decoded), SCHEDULES);
    check(Arc::try_unwrap(met).unwrap());
}

//! Models of writers that are given up: by an abort, and by dropping the last handle.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "the code of tests")]

use arrow_array::Int32Array;
use ipc_core::Options;
use ipc_core::parts::StreamSchema;
use ipc_shared::internals::model;
use ipc_shared::{Error, SharedWriter, StreamFormat};
use loom::thread;
use loom_tests::{Shared, batch, explore};

const REASON: &str = "why";
/// What a dropped writer says.
const DROPPED: &str = "the writer was dropped before it was closed";

/// A writer whose schema is known, with so many places.
fn writer(sink: &Shared, places: usize) -> SharedWriter<Shared, StreamFormat> {
    SharedWriter::stream(sink.clone()).schema(batch(0).schema()).window(places).build().unwrap()
}

/// The numbers of a stream that was given up, whose last bytes are the one mark in it.
fn numbers_before_the_mark(sink: &Shared, reason: &str) -> Vec<i32> {
    let options = Options::default();
    let schema = StreamSchema::try_new(batch(0).schema(), &options).unwrap();
    let bytes = sink.bytes();
    let mark = schema.abort_mark(&options, reason);
    let whole = bytes.strip_suffix(mark.as_slice()).expect("the mark is the last");
    let reader = arrow_ipc::reader::StreamReader::try_new(whole, None).unwrap();
    let numbers = reader.map(|batch| {
        let batch = batch.expect("nothing but whole messages stands before the mark");
        batch.column(0).as_any().downcast_ref::<Int32Array>().unwrap().value(0)
    });
    numbers.collect()
}

#[track_caller]
fn assert_aborted<T>(result: Result<T, Error>) {
    match result.map(drop) {
        Err(Error::Aborted { reason }) => assert_eq!(&*reason, REASON, "everybody is told why"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn abort_vs_writes() {
    explore("a writer that slept when the output was given up", |coverage| {
        let sink = Shared::default();
        let writer = writer(&sink, 1);
        let others = [1, 2].map(|number| {
            let writer = writer.clone();
            thread::spawn(move || {
                let written = writer.write(&batch(number));
                (number, written, model::parks_of_this_thread() > 0)
            })
        });
        writer.abort(REASON).unwrap();
        let mut expected = Vec::new();
        for (number, written, has_slept) in others.map(|other| other.join().unwrap()) {
            match written {
                Ok(_) => expected.push(number),
                refused => {
                    coverage.met_if(has_slept);
                    assert_aborted(refused);
                }
            }
        }
        assert_aborted(writer.close());
        let mut numbers = numbers_before_the_mark(&sink, REASON);
        numbers.sort_unstable();
        assert_eq!(numbers, expected, "what was accepted, and nothing else");
    });
}

#[test]
fn abort_vs_slots() {
    explore("a batch that waited in a slot when the output was given up", |coverage| {
        let sink = Shared::default();
        let writer = writer(&sink, 2);
        let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
        let other = thread::spawn(move || second.write(&batch(2)).map_err(Error::from));
        writer.abort(REASON).unwrap();
        assert_aborted(first.write(&batch(1)).map_err(Error::from));
        match other.join().unwrap() {
            Ok(()) => coverage.met(),
            refused => assert_aborted(refused),
        }
        assert_aborted(writer.flush());
        assert!(numbers_before_the_mark(&sink, REASON).is_empty(), "what waits is dropped");
    });
}

#[test]
fn abort_vs_drainer() {
    explore("a drainer that was refused with a batch in its hands", |coverage| {
        let sink = Shared::default();
        let writer = writer(&sink, 2);
        let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
        second.write(&batch(2)).unwrap();
        let other = thread::spawn(move || first.write(&batch(1)).map_err(Error::from));
        writer.abort(REASON).unwrap();
        let first = other.join().unwrap();
        let numbers = numbers_before_the_mark(&sink, REASON);
        match first {
            Ok(()) => assert!(numbers == [1] || numbers == [1, 2], "in order: {numbers:?}"),
            refused => {
                assert_aborted(refused);
                assert!(numbers.is_empty(), "{numbers:?}");
            }
        }
        coverage.met_if(numbers == [1]);
        assert_aborted(writer.close());
        assert_aborted(writer.reserve());
    });
}

#[test]
fn abort_vs_reserve() {
    explore("a thread that waited for a place when the output was given up", |coverage| {
        let sink = Shared::default();
        let writer = writer(&sink, 1);
        let out = writer.reserve().unwrap();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || (writer.reserve().map(drop), model::waits_of_this_thread() > 0))
        };
        writer.abort(REASON).unwrap();
        let (reserved, has_waited) = other.join().unwrap();
        assert_aborted(reserved);
        coverage.met_if(has_waited);
        drop(out);
        assert!(numbers_before_the_mark(&sink, REASON).is_empty());
    });
}

#[test]
fn abort_vs_close() {
    explore("a close that lost the race", |coverage| {
        let sink = Shared::default();
        let writer = writer(&sink, 1);
        writer.write(&batch(1)).unwrap();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || writer.close())
        };
        let aborted = writer.abort(REASON);
        match (aborted, other.join().unwrap()) {
            (Ok(()), closed) => {
                assert_aborted(closed);
                assert_eq!(numbers_before_the_mark(&sink, REASON), [1]);
                assert_aborted(writer.write(&batch(2)));
                coverage.met();
            }
            (Err(Error::Closed), Ok(_)) => {
                assert_eq!(sink.numbers(), [1], "no mark stands behind an end");
                assert!(matches!(writer.write(&batch(2)), Err(Error::Closed)), "it was closed, and not given up");
            }
            (aborted, closed) => panic!("{aborted:?}, {closed:?}"),
        }
    });
}

#[test]
fn abort_vs_abort() {
    explore("an abort that came second", |coverage| {
        let sink = Shared::default();
        let writer = writer(&sink, 1);
        let other = {
            let writer = writer.clone();
            thread::spawn(move || writer.abort(REASON))
        };
        let results = [writer.abort(REASON), other.join().unwrap()];
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "one gives up");
        results.into_iter().filter(Result::is_err).for_each(assert_aborted);
        coverage.met();
        assert!(numbers_before_the_mark(&sink, REASON).is_empty());
    });
}

#[test]
fn last_handle_leaves_the_mark() {
    explore("a last handle that was not the first one's", |coverage| {
        let sink = Shared::default();
        let writer = writer(&sink, 2);
        let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
        let bytes = sink.bytes().len();
        let others = [
            thread::spawn(move || drop(first)),
            thread::spawn(move || second.write(&batch(2)).map_err(Error::from).unwrap()),
        ];
        drop(writer);
        let is_dropped_early = sink.bytes().len() > bytes;
        others.into_iter().for_each(|other| other.join().unwrap());
        coverage.met_if(!is_dropped_early);
        assert_eq!(numbers_before_the_mark(&sink, DROPPED), [2], "what waits behind the last slot is appended first");
    });
}

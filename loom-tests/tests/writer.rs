//! Models of the shared writer, over the real lock. Those of its slots are in `slots.rs`.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "the code of tests")]

use std::io::{self, Write};

use arrow_array::RecordBatch;
use ipc_shared::internals::model;
use ipc_shared::{CoreError, Error, SharedWriter};
use loom::thread;
use loom_tests::{Coverage, Shared, Tearing, batch, dictionary_batch, explore, explore_within, values, words};

/// A close against writers of one batch each: what was accepted is there, and nothing else.
fn close_against<const WRITERS: usize>(coverage: &Coverage) {
    let sink = Shared::default();
    let writer = SharedWriter::stream(sink.clone()).schema(batch(0).schema()).build().unwrap();
    let mut value = 0;
    let writers = [(); WRITERS].map(|()| {
        value += 1;
        let mut producer = writer.producer();
        thread::spawn(move || (value, producer.write(&batch(value))))
    });
    writer.close().unwrap();
    let length = sink.bytes().len();
    let mut accepted = Vec::new();
    for handle in writers {
        match handle.join().unwrap() {
            (value, Ok(_)) => accepted.push(value),
            (_, Err(Error::Closed)) => coverage.met(),
            (_, Err(error)) => panic!("{error}"),
        }
    }
    let mut read = sink.numbers();
    read.sort_unstable();
    assert_eq!(read, accepted);
    assert_eq!(sink.bytes().len(), length, "no byte follows the close");
}

#[test]
fn close_vs_write() {
    explore("a write that lost the race", close_against::<1>);
}

#[test]
fn close_vs_write_x2() {
    explore_within(4, "a write that lost the race", close_against::<2>);
}

#[test]
fn close_vs_flush() {
    explore("a flush that came too late", |coverage| {
        let sink = Shared::default();
        let writer = SharedWriter::stream(sink.clone()).schema(batch(0).schema()).build().unwrap();
        let flusher = {
            let writer = writer.clone();
            thread::spawn(move || writer.flush())
        };
        writer.close().unwrap();
        match flusher.join().unwrap() {
            Ok(()) => {}
            Err(Error::Closed) => coverage.met(),
            Err(error) => panic!("{error}"),
        }
        assert!(sink.read().is_empty());
    });
}

#[test]
fn double_close() {
    explore("a second close", |coverage| {
        let sink = Shared::default();
        let writer = SharedWriter::stream(sink.clone()).schema(batch(0).schema()).build().unwrap();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || writer.close().map(drop))
        };
        let results = [writer.close().map(drop), other.join().unwrap()];
        assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1, "exactly one closes");
        coverage.met_if(results.iter().any(|r| matches!(r, Err(Error::Closed))));
        assert!(sink.read().is_empty(), "one end, behind nothing");
    });
}

#[test]
fn first_write_race() {
    explore("a writer that was not the first", |coverage| {
        let sink = Shared::default();
        let writer = SharedWriter::stream(sink.clone()).build().unwrap();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || writer.write(&batch(1)).unwrap())
        };
        let mine = writer.write(&batch(2)).unwrap();
        let theirs = other.join().unwrap();
        writer.close().unwrap();
        let mut numbers = sink.numbers();
        coverage.met_if(mine.sequence > theirs.sequence);
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2], "one schema, both batches");
    });
}

#[test]
fn first_write_race_of_schemas() {
    explore("a writer that was not the first, with a batch of another schema", |coverage| {
        let replans = model::replans();
        let sink = Shared::default();
        let writer = SharedWriter::stream(sink.clone()).build().unwrap();
        let other = {
            let writer = writer.clone();
            let renamed = RecordBatch::try_from_iter([("other", std::sync::Arc::clone(batch(2).column(0)))]).unwrap();
            thread::spawn(move || writer.write(&renamed))
        };
        let results = [writer.write(&batch(1)), other.join().unwrap()];
        assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "one schema");
        assert!(results.iter().any(|result| matches!(result, Err(Error::Core(CoreError::SchemaMismatch { .. })))));
        writer.close().unwrap();
        assert_eq!(sink.read().len(), 1);
        coverage.met_if(model::replans() > replans);
    });
}

#[test]
fn snapshot_version() {
    explore("a plan that went stale", |coverage| {
        let replans = model::replans();
        let sink = Shared::default();
        let values = values(&["a"]);
        let writer = SharedWriter::stream(sink.clone()).schema(dictionary_batch(&values).schema()).build().unwrap();
        let others = [(); 2].map(|()| {
            let (writer, values) = (writer.clone(), values.clone());
            thread::spawn(move || writer.write(&dictionary_batch(&values)).unwrap())
        });
        others.into_iter().for_each(|other| assert!(other.join().is_ok()));
        let summary = writer.close().unwrap();
        assert_eq!(summary.stats.dictionary_batches, 1, "equal dictionaries are sent once");
        assert_eq!(sink.read().len(), 2, "and before they are used");
        coverage.met_if(model::replans() > replans);
    });
}

#[test]
fn different_dictionaries() {
    explore("a dictionary replaced by another thread's", |coverage| {
        let sink = Shared::default();
        let (mine, theirs) = (values(&["a"]), values(&["b"]));
        let writer = SharedWriter::stream(sink.clone()).schema(dictionary_batch(&mine).schema()).build().unwrap();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || writer.write(&dictionary_batch(&theirs)).unwrap())
        };
        writer.write(&dictionary_batch(&mine)).unwrap();
        other.join().unwrap();
        let summary = writer.close().unwrap();
        coverage.met_if(summary.stats.replacements == 1);
        let mut read: Vec<_> = sink.read().iter().flat_map(words).collect();
        read.sort_unstable();
        assert_eq!(read, ["a", "b"], "each batch reads with its own dictionary");
    });
}

#[test]
fn dictionary_replaced_behind_a_plan() {
    explore("a batch that needed nothing sent until another thread replaced its dictionary", |coverage| {
        let sink = Shared::default();
        let (mine, theirs) = (values(&["a"]), values(&["b"]));
        let writer = SharedWriter::stream(sink.clone()).schema(dictionary_batch(&mine).schema()).build().unwrap();
        writer.write(&dictionary_batch(&mine)).unwrap();
        let replans = model::replans();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || writer.write(&dictionary_batch(&theirs)).unwrap())
        };
        writer.write(&dictionary_batch(&mine)).unwrap();
        other.join().unwrap();
        let summary = writer.close().unwrap();
        coverage.met_if(summary.stats.replacements == 2 && model::replans() > replans);
        let mut read: Vec<_> = sink.read().iter().flat_map(words).collect();
        read.sort_unstable();
        assert_eq!(read, ["a", "a", "b"], "each batch reads with its own dictionary");
    });
}

#[test]
fn nobody_is_overtaken_for_ever() {
    explore("a batch that was overtaken between each plan and the lock", |coverage| {
        let sink = Shared::default();
        let all = ["a", "b"].map(|word| dictionary_batch(&values(&[word])));
        let mine = dictionary_batch(&values(&["mine"]));
        let writer = SharedWriter::stream(sink.clone()).schema(mine.schema()).build().unwrap();
        let overtaken = std::rc::Rc::new(std::cell::Cell::new(0));
        // Whenever this thread has made a plan, others send another dictionary before it comes to the lock.
        model::after_each_plan({
            let (overtaken, other) = (std::rc::Rc::clone(&overtaken), writer.clone());
            move || {
                other.write(&all[overtaken.get() % 2]).unwrap();
                overtaken.set(overtaken.get() + 1);
                assert!(overtaken.get() <= 3, "a batch is overtaken for ever");
            }
        });
        let receipt = writer.write(&mine).unwrap();
        assert_eq!(
            usize::try_from(receipt.sequence),
            Ok(overtaken.get()),
            "the third plan sends everything, and holds"
        );
        coverage.met_if(overtaken.get() == 3);
        model::after_each_plan(|| ());
        writer.close().unwrap();
        let read: Vec<_> = sink.read().iter().flat_map(words).collect();
        assert_eq!(read, ["a", "b", "a", "mine"]);
    });
}

#[test]
fn io_error_poisons() {
    explore("a writer that slept while another tore the output", |coverage| {
        let sink = Shared::default();
        let tearing = Tearing::new(&sink);
        let writer = SharedWriter::stream(tearing).schema(batch(0).schema()).build().unwrap();
        let header = sink.bytes().len() as u64;
        let before = model::parks();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || writer.write(&batch(1)))
        };
        let results = [writer.write(&batch(2)), other.join().unwrap()];
        for result in results {
            let Err(Error::Poisoned { offset, .. }) = result else { panic!("{result:?}") };
            assert_eq!(offset, header, "whoever is refused is told why");
        }
        assert!(matches!(writer.close(), Err(Error::Poisoned { .. })));
        assert_eq!(sink.bytes().len() as u64, header + 3, "nothing follows torn bytes");
        coverage.met_if(model::parks() > before);
    });
}

#[test]
fn rollback_vs_write() {
    explore("a write that was refused, and one that came in after the rollback", |coverage| {
        let sink = Shared::default();
        let tearing = Tearing::new(&sink);
        let writer = SharedWriter::stream(tearing).schema(batch(0).schema()).build().unwrap();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || {
                let written = writer.write(&batch(1)).is_ok();
                if !written {
                    writer.rollback().unwrap();
                }
                written
            })
        };
        let mine = writer.write(&batch(2)).is_ok();
        if !mine {
            writer.rollback().unwrap();
        }
        let theirs = other.join().unwrap();
        writer.close().unwrap();
        let mut written = sink.numbers();
        written.sort_unstable();
        let expected: Vec<i32> = [(theirs, 1), (mine, 2)].into_iter().filter_map(|(is, n)| is.then_some(n)).collect();
        assert_eq!(written, expected, "what was accepted, and nothing else");
        coverage.met_if(mine != theirs);
    });
}

#[test]
fn rollback_vs_slot() {
    explore("a batch that was left in a slot before the rollback", |coverage| {
        let sink = Shared::default();
        let tearing = Tearing::new(&sink);
        let writer = SharedWriter::stream(tearing).schema(batch(0).schema()).window(2).build().unwrap();
        let [first, second] = [writer.reserve().unwrap(), writer.reserve().unwrap()];
        let other = thread::spawn(move || second.write(&batch(2)).is_ok());
        assert!(matches!(writer.write(&batch(3)), Err(Error::Poisoned { .. })));
        let unconfirmed = match writer.flush() {
            Err(Error::Poisoned { unconfirmed, .. }) => unconfirmed,
            other => panic!("{other:?}"),
        };
        writer.rollback().unwrap();
        first.write(&batch(1)).unwrap();
        let accepted = other.join().unwrap();
        writer.close().unwrap();
        assert_eq!(sink.numbers(), if accepted { vec![1, 2] } else { vec![1] });
        coverage.met_if(accepted && unconfirmed == 1);
    });
}

/// Panics when it is given a batch.
struct Panicking {
    sink: Shared,
    writes: usize,
}

impl Write for Panicking {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writes += 1;
        if self.writes > 1 {
            model::panic();
        }
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn panic_in_sink_poisons() {
    explore("a writer that finds that another has panicked in the sink", |coverage| {
        let sink = Shared::default();
        let panicking = Panicking { sink: sink.clone(), writes: 0 };
        let writer = SharedWriter::stream(panicking).schema(batch(0).schema()).build().unwrap();
        let header = sink.bytes().len() as u64;
        let other = {
            let writer = writer.clone();
            thread::spawn(move || model::catch(|| writer.write(&batch(1))))
        };
        let results = [model::catch(|| writer.write(&batch(2))), other.join().unwrap()];
        assert_eq!(results.iter().filter(|result| result.is_none()).count(), 1, "one panics, the other comes too late");
        for result in results.into_iter().flatten() {
            let Err(Error::Poisoned { offset, .. }) = result else { panic!("{result:?}") };
            assert_eq!(offset, header, "whoever is refused is told why");
            coverage.met();
        }
        assert!(matches!(writer.close(), Err(Error::Poisoned { .. })));
        assert_eq!(sink.bytes().len() as u64, header, "nothing follows");
    });
}

/// Says when it is dropped.
struct Mortal {
    sink: Shared,
    drops: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl Write for Mortal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.drops.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[test]
fn last_handle_dropped() {
    explore("a last handle that was not the first one's", |coverage| {
        let before = model::parkers();
        let sink = Shared::default();
        let drops = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let mortal = Mortal { sink: sink.clone(), drops: std::sync::Arc::clone(&drops) };
        let writer = SharedWriter::stream(mortal).schema(batch(0).schema()).build().unwrap();
        let header = sink.bytes().len();
        let mut producer = writer.producer();
        let slot = writer.reserve().unwrap();
        let others = [
            thread::spawn(move || producer.write(&batch(1)).map(drop)),
            thread::spawn(move || slot.write(&batch(2)).map_err(Error::from)),
        ];
        drop(writer);
        let dropped_early = drops.load(std::sync::atomic::Ordering::Relaxed) == 1;
        coverage.met_if(!dropped_early);
        others.into_iter().for_each(|other| other.join().unwrap().unwrap());
        assert_eq!(drops.load(std::sync::atomic::Ordering::Relaxed), 1, "the sink is dropped, once");
        assert_eq!(model::parkers(), before, "nobody keeps a waiter that has gone");
        assert!(sink.bytes().len() > header, "what was accepted is there, without an end");
    });
}

#[test]
fn close_without_schema() {
    explore("a write that lost the race against a close without schema", |coverage| {
        let sink = Shared::default();
        let writer = SharedWriter::stream(sink.clone()).build().unwrap();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || writer.write(&batch(1)))
        };
        let closed = writer.close();
        match (closed, other.join().unwrap()) {
            (Ok(_), Ok(_)) => assert_eq!(sink.numbers(), [1]),
            (Err(Error::NoSchema), Err(Error::Closed)) => {
                assert!(sink.bytes().is_empty(), "nothing is written");
                coverage.met();
            }
            (closed, written) => panic!("{closed:?}, {written:?}"),
        }
        assert!(matches!(writer.close(), Err(Error::Closed)));
    });
}

/// Writes to the writer that it is the sink of.
#[derive(Default)]
struct Calling {
    sink: Shared,
    writer: std::sync::Arc<std::sync::Mutex<Option<SharedWriter<Calling, ipc_shared::StreamFormat>>>>,
    refused: usize,
}

impl Write for Calling {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(writer) = &*self.writer.lock().unwrap() {
            assert!(matches!(writer.write(&batch(9)), Err(Error::Reentrant)));
            self.refused += 1;
        }
        self.sink.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn reentrant_sink() {
    explore("a sink that called its own writer while another slept", |coverage| {
        let before = model::parks();
        let sink = Shared::default();
        let calling = Calling { sink: sink.clone(), ..Calling::default() };
        let handle = std::sync::Arc::clone(&calling.writer);
        let writer = SharedWriter::stream(calling).schema(batch(0).schema()).build().unwrap();
        *handle.lock().unwrap() = Some(writer.clone());
        let other = {
            let writer = writer.clone();
            thread::spawn(move || writer.write(&batch(1)).unwrap().sequence)
        };
        writer.write(&batch(2)).unwrap();
        other.join().unwrap();
        *handle.lock().unwrap() = None;
        writer.close().unwrap();
        assert_eq!(sink.numbers().len(), 2);
        assert!(writer.into_inner().unwrap().refused > 0);
        coverage.met_if(model::parks() > before);
    });
}

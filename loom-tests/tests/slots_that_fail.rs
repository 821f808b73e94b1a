//! Models of slots whose writes fail, and of slots that panics take along.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "the code of tests")]

use std::any::Any;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Int32Array, RecordBatch};
use arrow_buffer::NullBuffer;
use arrow_data::ArrayData;
use arrow_schema::DataType;
use ipc_shared::internals::model;
use ipc_shared::{Error, SharedWriter, Slot, StreamFormat};
use loom::thread;
use loom_tests::{Act, Failing, Shared, Tearing, batch, explore};

/// Writes a slot as often as it takes, and rolls back each time. Returns how often it was refused.
fn write_at_last(
    writer: &SharedWriter<Tearing, StreamFormat>,
    mut slot: Slot<Tearing, StreamFormat>,
    number: i32,
) -> usize {
    let mut refused = 0;
    while let Err(failed) = slot.write(&batch(number)) {
        let (error, back) = failed.into_parts();
        assert!(matches!(error, Error::Poisoned { .. }), "{error:?}");
        refused += 1;
        writer.rollback().unwrap();
        slot = back;
    }
    refused
}

#[test]
fn tear_vs_slots() {
    explore("two slots that one tear refused", |coverage| {
        let sink = Shared::default();
        let writer = SharedWriter::stream(Tearing::new(&sink)).schema(batch(0).schema()).window(2).build().unwrap();
        let [first, second] = [(); 2].map(|()| writer.reserve().unwrap());
        let other = {
            let writer = writer.clone();
            thread::spawn(move || write_at_last(&writer, second, 2))
        };
        let mine = write_at_last(&writer, first, 1);
        let theirs = other.join().unwrap();
        coverage.met_if(mine > 0 && theirs > 0);
        assert_eq!(writer.close().unwrap().given_up, 0);
        assert_eq!(sink.numbers(), [1, 2], "no place is lost, and none is overtaken");
    });
}

#[test]
fn lost_slot_vs_close() {
    explore("a close that met a slot which a panic had taken along", |coverage| {
        let sink = Shared::default();
        let writer = SharedWriter::stream(sink.clone()).schema(batch(0).schema()).window(2).build().unwrap();
        let [first, second] = [(); 2].map(|()| writer.reserve().unwrap());
        second.write(&batch(2)).unwrap();
        let other = thread::spawn(move || {
            model::catch(move || {
                let _first = first;
                model::panic()
            })
        });
        let before = sink.bytes();
        let summary = match writer.close() {
            Ok(summary) => summary,
            Err(Error::Gaps { places }) => {
                coverage.met();
                assert_eq!(places, 1);
                assert!(sink.bytes().len() > before.len(), "what was accepted is there");
                assert!(!sink.bytes().ends_with(&[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]), "not a byte of the end");
                writer.close_with_gaps().unwrap()
            }
            Err(error) => panic!("{error:?}"),
        };
        assert_eq!(summary.given_up, 1, "by the close or by the panic, and once");
        assert_eq!(other.join().unwrap(), None);
        assert_eq!(sink.numbers(), [2]);
    });
}

/// An array whose last owner panics.
#[derive(Debug)]
struct Bomb(Int32Array);

impl Drop for Bomb {
    fn drop(&mut self) {
        model::panic()
    }
}

// SAFETY: everything that describes the array is that of a sound array, which it owns.
unsafe impl Array for Bomb {
    fn as_any(&self) -> &dyn Any {
        &self.0
    }

    fn to_data(&self) -> ArrayData {
        self.0.to_data()
    }

    fn into_data(self) -> ArrayData {
        self.0.to_data()
    }

    fn data_type(&self) -> &DataType {
        self.0.data_type()
    }

    fn slice(&self, offset: usize, length: usize) -> ArrayRef {
        Arc::new(self.0.slice(offset, length))
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

#[test]
fn panic_between_append_and_pass() {
    explore(
        "a place that was reserved behind one whose batch had been appended and whose drainer had panicked",
        |coverage| {
            let sink = Shared::default();
            let writer = SharedWriter::stream(sink.clone()).schema(batch(0).schema()).window(2).build().unwrap();
            let [first, second] = [(); 2].map(|()| writer.reserve().unwrap());
            let column: ArrayRef = Arc::new(Bomb(Int32Array::from(vec![2])));
            let bomb = RecordBatch::try_from_iter([("value", column)]).unwrap();
            second.write(&bomb).unwrap();
            // The writer has the last of it.
            drop(bomb);
            let other = {
                let writer = writer.clone();
                thread::spawn(move || writer.reserve().map(|slot| slot.write(&batch(3)).unwrap()))
            };
            first.write(&batch(1)).unwrap();
            let left = writer.reserve().unwrap();
            coverage.met();
            left.give_up();
            other.join().unwrap().unwrap();
            writer.close().unwrap();
            assert_eq!(sink.numbers(), [1, 2, 3], "what was appended is there, once");
        },
    );
}

#[test]
fn panic_with_anothers_batch() {
    explore("a slot whose thread appended another's batch, and met a panic", |coverage| {
        let sink = Shared::default();
        // The header and one batch are taken, the second batch is not.
        let failing = Failing::new(&sink, Act::Panic, 3);
        let writer = SharedWriter::stream(failing).schema(batch(0).schema()).window(2).build().unwrap();
        let [first, second] = [(); 2].map(|()| writer.reserve().unwrap());
        let other = thread::spawn(move || model::catch(|| second.write(&batch(2)).map_err(Error::from)));
        let mine = model::catch(|| first.write(&batch(1)));
        assert!(matches!(mine, Some(Ok(()))), "it has been accepted, whatever becomes of the other");
        let theirs = other.join().unwrap();
        // In its turn, the panic is the second slot's own; else the batch was left, and waits.
        let is_left = matches!(theirs, Some(Ok(())));
        assert!(writer.is_closed());
        writer.rollback().unwrap();
        coverage.met_if(is_left);
        match writer.close() {
            Ok(_) => assert!(is_left),
            Err(Error::Gaps { places: 1 }) => {
                assert!(!is_left);
                writer.close_with_gaps().unwrap();
            }
            Err(error) => panic!("{error:?}"),
        }
        assert_eq!(sink.numbers(), if is_left { vec![1, 2] } else { vec![1] });
    });
}

#[test]
fn first_error_counts() {
    explore("a thread that was refused before a rollback panicked", |coverage| {
        let sink = Shared::default();
        let failing = Failing::new(&sink, Act::Panic, 2).and_panic_when_cut();
        let writer = SharedWriter::stream(failing).schema(batch(0).schema()).window(1).build().unwrap();
        let other = {
            let writer = writer.clone();
            thread::spawn(move || model::catch(|| writer.write(&batch(2)).map(drop)))
        };
        let mine = model::catch(|| writer.write(&batch(1)).map(drop));
        let rolled_back = model::catch(|| writer.rollback());
        let theirs = other.join().unwrap();
        let last = Some(writer.flush());
        let mut told = Vec::new();
        for result in [mine, theirs, last].into_iter().flatten() {
            match result {
                Err(Error::Poisoned { source, .. }) => told.push(source),
                // Before the panic.
                other => panic!("{other:?}"),
            }
        }
        coverage.met_if(told.len() == 2 && rolled_back.is_none());
        assert!(told.iter().all(|source| Arc::ptr_eq(source, &told[0])), "the first error is what everybody hears");
    });
}

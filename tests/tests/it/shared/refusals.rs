//! What does not fit is refused before any byte of it, by an error that names the column, and everybody goes on.
//!
//! Fails where a batch is checked against a schema that another thread has overtaken (a float column in an integer
//! stream reads back as integers), where of two first batches each believes itself the first, or where a refused
//! dictionary counts as sent.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, new_empty_array};
use arrow_schema::{DataType, Field, Schema};
use ipc_core::format::{ABORTED_KEY, CHECKSUM_KEY, RESERVED_KEYS};
use ipc_shared::{DictionaryHandling, Error, Metadata, Options};
use ipc_tests::gate::gate;
use ipc_tests::shared::{Output, Words, batch, marks, sorted_marks, unstaged};
use ipc_tests::threads::together;

use super::in_both_formats;

in_both_formats!(
    first_batches_of_two_schemas_race,
    a_given_schema_refuses_others,
    too_deep_a_schema_is_not_settled,
    reserved_keys_of_metadata_are_refused_by_all_ways_in,
);

fn single(field: &str, column: ArrayRef) -> RecordBatch {
    let schema = Schema::new(vec![Field::new(field, column.data_type().clone(), false)]);
    RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap()
}

/// Threads with an even number write integers, the others floats, under one name.
fn first_batches_of_two_schemas_race<F: Output>(threads: usize) {
    for round in 0..15i32 {
        let writer = F::to(Vec::new()).options(unstaged()).build().unwrap();
        let of = |thread: usize| -> ArrayRef {
            let value = i32::try_from(thread).unwrap();
            match thread % 2 {
                0 => Arc::new(Int64Array::from(vec![i64::from(value); 5])),
                _ => Arc::new(Float64Array::from(vec![f64::from(value); 5])),
            }
        };
        let write = |thread: usize| {
            let batch = single("price", of(thread));
            // By all ways in.
            match (i32::try_from(thread).unwrap() + round) % 3 {
                0 => writer.write(&batch).map(drop),
                1 => writer.producer().write(&batch).map(drop),
                _ => writer.reserve().and_then(|slot| Ok(slot.write(&batch)?)),
            }
        };
        let results = together(threads, write);
        let settled = writer.schema().unwrap();
        let floats = settled.field(0).data_type() == &DataType::Float64;
        for (thread, result) in results.into_iter().enumerate() {
            let fits = (thread % 2 == 1) == floats;
            match result {
                Ok(()) => assert!(fits),
                Err(Error::Core(ipc_core::Error::SchemaMismatch { path, expected, found })) => {
                    assert!(!fits);
                    assert_eq!(path, "price");
                    assert_ne!(expected, found);
                }
                Err(error) => panic!("{error:?}"),
            }
        }
        let late = usize::from(floats);
        writer.write(&single("price", of(late))).unwrap();
        writer.close().unwrap();
        let found = F::whole(&writer.into_inner().unwrap());
        assert_eq!(found.len(), threads / 2 + 1, "half of the threads, and the late one");
        for batch in found {
            assert_eq!(batch.schema(), settled);
            let thread = (0..threads).find(|thread| thread % 2 == late && batch == single("price", of(*thread)));
            assert!(thread.is_some(), "values as somebody wrote them: {batch:?}");
        }
    }
}

fn a_given_schema_refuses_others<F: Output>(threads: usize) {
    let (sink, gate) = gate();
    let writer = F::to(sink)
        .options(unstaged())
        .schema(ipc_tests::shared::schema(Words::Plain))
        .window(threads)
        .build()
        .unwrap();
    let before = gate.len();
    let others =
        [(single("thread", Arc::new(Int64Array::from(vec![1]))), "columns"), (batch(Words::Equal, (0, 0)), "word")];
    together(threads, |thread| {
        let (other, expected) = &others[thread % 2];
        let mut producer = writer.producer();
        let slot = writer.reserve().unwrap();
        for result in
            [writer.write(other).map(drop), producer.write(other).map(drop), slot.write(other).map_err(Error::from)]
        {
            let Err(Error::Core(ipc_core::Error::SchemaMismatch { path, .. })) = &result else {
                panic!("{result:?}");
            };
            // A different number of columns has no one column to name.
            assert!(expected == &"columns" || path == expected, "{path}");
        }
    });
    assert_eq!(gate.len(), before, "nothing of it");
    together(threads, |thread| writer.write(&batch(Words::Plain, (thread, 0))).unwrap());
    writer.close().unwrap();
    assert_eq!(F::whole(&gate.taken()).len(), threads);
}

fn too_deep_a_schema_is_not_settled<F: Output>(threads: usize) {
    let options = Options::builder().max_nesting(2).build().unwrap();
    let writer = F::to(Vec::new()).options(options).build().unwrap();
    let list = |item: DataType| DataType::List(Arc::new(Field::new("item", item, true)));
    let deep = single("deep", new_empty_array(&list(list(DataType::Int32))));
    let refused = together(threads, |thread| {
        if thread == 0 {
            return writer.write(&batch(Words::Plain, (0, 0))).is_err();
        }
        let result = writer.write(&deep);
        match &result {
            // Overtaken by the thread whose schema is good, or refused for its own sake.
            Err(Error::Core(ipc_core::Error::SchemaMismatch { .. } | ipc_core::Error::NestingTooDeep { .. })) => true,
            _ => panic!("{result:?}"),
        }
    });
    assert!(!refused[0]);
    writer.close().unwrap();
    assert_eq!(marks(Words::Plain, &F::whole(&writer.into_inner().unwrap())), [(0, 0)]);
}

/// A file holds one dictionary per field: of many different ones, one is in it, and all batches that use it.
#[test]
fn a_file_refuses_a_second_dictionary() {
    ipc_tests::threads::at_every_width(|threads| {
        for _ in 0..10 {
            let writer = ipc_shared::SharedWriter::file(Vec::new()).build().unwrap();
            let results = together(threads, |thread| {
                let own = batch(Words::Own, (thread, 0));
                [writer.write(&own), writer.write(&own), writer.write(&own.slice(0, 1))]
            });
            let mut written = Vec::new();
            for (thread, results) in results.into_iter().enumerate() {
                let fitting = results.iter().filter(|result| result.is_ok()).count();
                assert!(fitting == 0 || fitting == 3, "the thread whose dictionary it is, writes on");
                for error in results.into_iter().filter_map(Result::err) {
                    let Error::Core(ipc_core::Error::DictionaryReplacement { path, .. }) = &error else {
                        panic!("{error:?}");
                    };
                    assert_eq!(path, "word");
                }
                if fitting > 0 {
                    written.push(thread);
                }
            }
            let [winner] = written[..] else { panic!("one dictionary wins: {written:?}") };
            let stats = writer.close().unwrap().stats;
            assert_eq!((stats.record_batches, stats.dictionary_batches), (3, 1));
            let found = ipc_shared::FileFormat::whole(&writer.into_inner().unwrap());
            assert_eq!(sorted_marks(Words::Own, &found[..2]), [(winner, 0), (winner, 0)]);
            assert_eq!(found[2], batch(Words::Own, (winner, 0)).slice(0, 1));
        }
    });
}

/// A batch with a key of the writer's own would be taken for an abort mark, or its body for damaged.
fn reserved_keys_of_metadata_are_refused_by_all_ways_in<F: Output>(threads: usize) {
    const KEYS: [&str; 2] = [ABORTED_KEY, CHECKSUM_KEY];
    assert!(RESERVED_KEYS.iter().all(|key| KEYS.contains(key)), "a key that is not tried here");
    for (words, dictionaries) in
        [(Words::Plain, DictionaryHandling::Delta), (Words::Growing, ipc_core::Unify::new().into())]
    {
        let (sink, gate) = gate();
        let options = Options::builder().staging(false).dictionaries(dictionaries).build().unwrap();
        let writer = F::to(sink).options(options).window(KEYS.len() * threads + 1).build().unwrap();
        writer.write(&batch(words, (99, 0))).unwrap();
        let taken = gate.taken();
        let front = writer.reserve().unwrap();
        let slots = together(threads, |thread| {
            let batch = batch(words, (thread, 0));
            let mut slots = Vec::new();
            for key in KEYS {
                let metadata = Metadata::from([("mine", "kept"), (key, "forged")]);
                let slot = writer.reserve().unwrap();
                let (of_slot, slot) = slot.write_with_metadata(&batch, &metadata).unwrap_err().into_parts();
                let refused = [
                    writer.write_with_metadata(&batch, &metadata).map(drop).unwrap_err(),
                    writer.producer().write_with_metadata(&batch, &metadata).map(drop).unwrap_err(),
                    of_slot,
                ];
                for error in refused {
                    let Error::Core(ipc_core::Error::ReservedKey { key: found }) = error else { panic!("{error:?}") };
                    assert_eq!(found, key);
                }
                slots.push(slot);
            }
            slots
        });
        // Also where it is the slot's turn.
        let front = KEYS.into_iter().fold(front, |front, key| {
            let metadata = Metadata::from([(key, "")]);
            let (error, front) = front.write_with_metadata(&batch(words, (98, 0)), &metadata).unwrap_err().into_parts();
            assert!(matches!(error, Error::Core(ipc_core::Error::ReservedKey { .. })), "{error:?}");
            front
        });
        assert_eq!(gate.taken(), taken, "not a byte of any");
        front.write(&batch(words, (98, 0))).unwrap();
        drop(slots);
        writer.close().unwrap();
        assert_eq!(marks(words, &F::whole(&gate.taken())), [(99, 0), (98, 0)]);
    }
}

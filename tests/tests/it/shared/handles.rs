//! The handles: a producer is an arrow `RecordBatchWriter`, a batch's metadata survives by all ways in, and the sink
//! comes back to the last handle.
//!
//! Fails where closing a producer closes the output, where metadata is lost between a place and its message, or where
//! `into_inner` takes the sink away under another handle.

use arrow_array::{RecordBatch, RecordBatchWriter};
use arrow_schema::ArrowError;
use ipc_core::Metadata;
use ipc_shared::{Error, Producer, SharedWriter};
use ipc_tests::framing;
use ipc_tests::shared::{Output, Words, batch, marks, schema, sorted_marks};
use ipc_tests::threads::{at_every_width, together};

use super::in_both_formats;

in_both_formats!(
    a_producer_is_a_record_batch_writer,
    metadata_survives_by_all_ways_in,
    the_sink_comes_back_to_the_last_handle,
    errors_keep_their_kind,
);

/// A function that was written for any writer.
fn write_all<W: RecordBatchWriter>(mut writer: W, batches: &[RecordBatch]) -> Result<(), ArrowError> {
    batches.iter().try_for_each(|batch| writer.write(batch))?;
    writer.close()
}

fn a_producer_is_a_record_batch_writer<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).build().unwrap();
    together(threads, |thread| {
        let batches = [0, 1, 2].map(|number| batch(Words::Plain, (thread, number)));
        write_all(writer.producer(), &batches).unwrap();
        assert!(!writer.is_closed(), "the output stays open for the others");
    });
    writer.close().unwrap();
    let found = sorted_marks(Words::Plain, &F::whole(&writer.into_inner().unwrap()));
    assert_eq!(found, (0..threads).flat_map(|thread| [0, 1, 2].map(|n| (thread, n))).collect::<Vec<_>>());
}

fn errors_keep_their_kind<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).schema(schema(Words::Plain)).build().unwrap();
    writer.close().unwrap();
    together(threads, |thread| {
        let producer: Producer<Vec<u8>, F> = writer.producer();
        let error = write_all(producer, &[batch(Words::Plain, (thread, 0))]).unwrap_err();
        let ArrowError::ExternalError(source) = error else { panic!("{error:?}") };
        assert!(matches!(source.downcast_ref::<Error>(), Some(Error::Closed)), "{source:?}");
    });
}

fn metadata_survives_by_all_ways_in<F: Output>(threads: usize) {
    let writer = F::to(Vec::new()).window(threads).build().unwrap();
    let front = writer.reserve().unwrap();
    together(threads, |thread| {
        let written = batch(Words::Plain, (thread, 0));
        let mut metadata = Metadata::new();
        metadata.insert("thread", thread.to_string());
        match thread % 3 {
            0 => writer.write_with_metadata(&written, &metadata).map(drop).unwrap(),
            1 => writer.producer().write_with_metadata(&written, &metadata).map(drop).unwrap(),
            // It is parked after the front slot.
            _ => writer.reserve().unwrap().write_with_metadata(&written, &metadata).unwrap(),
        }
    });
    drop(front);
    writer.close().unwrap();
    let bytes = writer.into_inner().unwrap();
    let found = marks(Words::Plain, &F::whole(&bytes));
    assert_eq!(found.len(), threads);
    for ((thread, _), message) in found.iter().zip(F::framing(&bytes).record_batches()) {
        assert_eq!(message.custom_metadata, [("thread".to_owned(), thread.to_string())]);
    }
}

fn the_sink_comes_back_to_the_last_handle<F: Output>(threads: usize) {
    let mut writer = F::to(Vec::new()).window(threads).build().unwrap();
    let clones = together(threads, |_| writer.clone());
    for clone in clones {
        writer = writer.into_inner().expect_err("others exist").into_inner();
        drop(clone);
    }
    let producer = writer.producer();
    writer = writer.into_inner().expect_err("a producer is a handle").into_inner();
    drop(producer);
    let slot = writer.reserve().unwrap();
    let still_shared = writer.into_inner().expect_err("a place is a handle");
    assert_eq!(still_shared.to_string(), "other handles on the writer still exist");
    writer = still_shared.into_inner();
    slot.write(&batch(Words::Plain, (0, 0))).unwrap();
    writer.close().unwrap();
    assert_eq!(F::whole(&writer.into_inner().unwrap()).len(), 1);
}

#[test]
fn footer_metadata_is_in_the_footer() {
    at_every_width(|threads| {
        // With the schema given or not, and with either handle first.
        for given in [false, true] {
            let mut builder = SharedWriter::file(Vec::new()).metadata("made by", "many threads");
            if given {
                builder = builder.schema(schema(Words::Plain));
            }
            let writer = builder.build().unwrap();
            together(threads, |thread| writer.write(&batch(Words::Plain, (thread, 0))).unwrap());
            writer.close().unwrap();
            let metadata = framing::footer(&writer.into_inner().unwrap()).custom_metadata;
            assert_eq!(metadata, [("made by".to_owned(), "many threads".to_owned())]);
        }
    });
}

#[test]
fn footer_metadata_can_be_set_until_the_close() {
    at_every_width(|threads| {
        for given in [false, true] {
            let mut builder = SharedWriter::file(Vec::new()).metadata("key", "first").metadata("made by", "a builder");
            if given {
                builder = builder.schema(schema(Words::Plain));
            }
            let writer = builder.build().unwrap();
            // Before the schema is known, and in place of what the builder was given.
            writer.write_metadata("key", "second").unwrap();
            together(threads, |thread| {
                writer.write_metadata(format!("before {thread}"), "").unwrap();
                writer.write(&batch(Words::Plain, (thread, 0))).unwrap();
                writer.write_metadata(format!("rows of {thread}"), "3").unwrap();
            });
            writer.write_metadata("made by", "many threads").unwrap();
            writer.close().unwrap();
            assert!(matches!(writer.write_metadata("late", ""), Err(Error::Closed)));
            let mut expected =
                vec![("key".to_owned(), "second".to_owned()), ("made by".to_owned(), "many threads".to_owned())];
            expected.extend((0..threads).map(|thread| (format!("before {thread}"), String::new())));
            expected.extend((0..threads).map(|thread| (format!("rows of {thread}"), "3".to_owned())));
            expected.sort();
            let mut found = framing::footer(&writer.into_inner().unwrap()).custom_metadata;
            found.sort();
            assert_eq!(found, expected);
        }
    });
}

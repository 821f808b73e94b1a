//! One batch is one `write_vectored` call: with its dictionaries, whatever the number of its columns, up to the 1,024
//! pieces that a system call takes. Small batches that are staged share a call.
//!
//! Fails where anything is written piece by piece, or where staging flushes too early or grows beyond its 256 KiB.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::Metadata;
use ipc_core::parts::BatchEncoder;
use ipc_core::{Compression, Encoder, Options};
use ipc_tests::arrays::Sharing;
use ipc_tests::batches::{Batches, Plan, every_kind};
use ipc_tests::sink::Counting;

const STAGE: u64 = 256 << 10;
const STAGED_AT_MOST: u64 = 64 << 10;

fn unstaged() -> Options {
    Options::builder().staging(false).build().unwrap()
}

/// Returns a batch of this many columns, each with values that are too long to be copied.
fn wide(columns: usize) -> RecordBatch {
    let column = Arc::new(Int64Array::from_iter_values(0..64)) as ArrayRef;
    RecordBatch::try_from_iter((0..columns).map(|i| (format!("c{i}"), column.clone()))).unwrap()
}

/// The pieces of a batch's message.
fn pieces(batch: &RecordBatch) -> usize {
    let mut encoder = BatchEncoder::new(&Options::default());
    let message = encoder.encode(batch).unwrap();
    message.slices().filter(|piece| !piece.is_empty()).count()
}

#[test]
fn a_batch_and_its_dictionaries_are_one_call() {
    let fields = every_kind();
    for compression in [Compression::None, Compression::Lz4] {
        let plan = Plan {
            fields: fields.clone(),
            metadata: Metadata::new(),
            rows: vec![1, 50, 0, 400],
            sharing: Sharing::Changing,
            seed: 1,
        };
        let Batches { schema, batches, .. } = Batches::new(plan);
        assert!(batches.iter().all(|batch| pieces(batch) < 900), "the dictionaries' pieces must fit too");
        let options = Options::builder().staging(false).compression(compression).build().unwrap();
        let mut encoder = Encoder::stream(Counting::default()).with_options(options).start(schema).unwrap();
        assert_eq!(encoder.get_ref().vectored, 1, "the schema");
        for batch in &batches {
            let before = encoder.get_ref().vectored;
            encoder.write(batch).unwrap();
            assert_eq!(encoder.get_ref().vectored - before, 1);
        }
        assert!(encoder.stats().dictionary_batches > 4);
        let before = *encoder.get_ref();
        let sink = encoder.close().unwrap().into_inner();
        assert_eq!(
            (sink.vectored - before.vectored, sink.flushes - before.flushes),
            (1, 1),
            "the end-of-stream marker"
        );
        assert_eq!(sink.plain, 0);
    }
}

#[test]
fn a_file_is_one_call_per_batch_too() {
    let batch = wide(20);
    let encoder = Encoder::file(Counting::default()).with_options(unstaged()).start(batch.schema()).unwrap();
    assert_eq!(encoder.get_ref().vectored, 0, "the header waits for the first batch");
    let mut encoder = encoder;
    for calls in 1..=3 {
        encoder.write(&batch).unwrap();
        assert_eq!(encoder.get_ref().vectored, calls);
    }
    let sink = encoder.close().unwrap().into_inner();
    assert_eq!((sink.vectored, sink.plain), (4, 0), "marker and footer are one call");
}

#[test]
fn more_than_1024_pieces_are_as_few_calls_as_can_be() {
    for columns in [1, 500, 1022, 1023, 1024, 1025, 2047, 2048, 3000] {
        let batch = wide(columns);
        let mut encoder = Encoder::stream(Counting::default()).with_options(unstaged()).start(batch.schema()).unwrap();
        encoder.write(&batch).unwrap();
        let before = encoder.get_ref().vectored;
        encoder.write(&batch).unwrap();
        let calls = encoder.get_ref().vectored - before;
        assert_eq!(calls, pieces(&batch).div_ceil(1024), "{columns} columns");
        assert!(encoder.get_ref().slices_at_most <= 1024);
    }
    assert!(pieces(&wide(3000)) > 2048, "long enough to need three");
}

#[test]
fn staged_batches_share_a_call_of_256_kib() {
    let batch = wide(4);
    let mut encoder = Encoder::file(Counting::default()).start(batch.schema()).unwrap();
    let (mut calls, mut staged) = (0, 0);
    for i in 0..2000 {
        let receipt = encoder.write(&batch).unwrap();
        let length = receipt.metadata_length + receipt.body_length;
        assert!(length <= STAGED_AT_MOST);
        if i == 0 {
            staged = receipt.offset;
        }
        if staged + length > STAGE {
            (calls, staged) = (calls + 1, 0);
        }
        staged += length;
        assert_eq!(encoder.get_ref().vectored, calls, "after batch {i}");
    }
    assert!(calls > 10, "enough batches to fill the stage");
    encoder.flush().unwrap();
    assert_eq!(encoder.get_ref().vectored, calls + 1);
}

#[test]
fn a_large_batch_takes_the_staged_ones_along() {
    let (small, large) = (wide(4), wide(200));
    let small = RecordBatch::try_new(large.schema(), large.slice(0, small.num_columns()).columns().to_vec()).unwrap();
    let mut encoder = Encoder::file(Counting::default()).start(large.schema()).unwrap();
    encoder.write(&small).unwrap();
    encoder.write(&small).unwrap();
    assert_eq!(encoder.get_ref().vectored, 0);
    let receipt = encoder.write(&large).unwrap();
    assert!(receipt.body_length > STAGED_AT_MOST);
    assert_eq!(encoder.get_ref().vectored, 1);
    assert_eq!(encoder.get_ref().bytes as u64, receipt.offset + receipt.metadata_length + receipt.body_length);
}

#[test]
fn a_sync_writes_what_is_staged_in_one_call_and_asks_the_sink_once() {
    let batch = wide(4);
    let mut encoder = Encoder::file(Counting::default()).start(batch.schema()).unwrap();
    let receipts: Vec<_> = (0..3).map(|_| encoder.write(&batch).unwrap()).collect();
    assert_eq!(encoder.get_ref().bytes, 0);
    encoder.sync().unwrap();
    let [.., last] = receipts.as_slice() else { panic!("three batches") };
    let sink = encoder.get_ref();
    assert_eq!((sink.vectored, sink.syncs), (1, 1));
    assert_eq!(sink.bytes as u64, last.offset + last.metadata_length + last.body_length);
}

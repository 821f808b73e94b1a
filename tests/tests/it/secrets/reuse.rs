//! Memory is used from message to message without being cleared: what a message holds must not depend on what was there.

use arrow_array::RecordBatch;
use arrow_schema::Metadata;
use ipc_core::Options;
use ipc_core::parts::BatchEncoder;
use ipc_tests::arrays::Sharing::Changing;
use ipc_tests::batches::{Batches, Plan, every_kind};

use super::layouts;

fn encoded(encoder: &mut BatchEncoder, batch: &RecordBatch) -> Vec<u8> {
    let message = encoder.encode(batch).unwrap();
    let bytes = message.slices().collect::<Vec<_>>().concat();
    encoder.recycle(message);
    bytes
}

/// Batches of every kind of column, with values that follow from `seed`.
fn batches(seed: u64) -> Vec<RecordBatch> {
    let rows = vec![300, 7, 0, 90, 1];
    Batches::new(Plan { fields: every_kind(), metadata: Metadata::new(), rows, sharing: Changing, seed }).batches
}

#[test]
fn a_message_is_the_same_whatever_was_encoded_before() {
    let (before, batches) = (batches(1), batches(2));
    for options in layouts() {
        let mut used = BatchEncoder::new(&options);
        for batch in &batches {
            before.iter().for_each(|batch| _ = encoded(&mut used, batch));
            let fresh = encoded(&mut BatchEncoder::new(&options), batch);
            assert!(encoded(&mut used, batch) == fresh, "{options:?}");
        }
    }
}

#[test]
fn a_message_is_the_same_after_one_that_was_refused() {
    let (before, batches) = (batches(1), batches(2));
    let options = Options::default();
    for batch in &batches {
        let mut used = BatchEncoder::new(&options);
        // The last column is too short, so that all others have been encoded when the batch is refused.
        let mut columns = before[0].columns().to_vec();
        let last = columns.pop().unwrap();
        columns.push(last.slice(1, last.len() - 1));
        // SAFETY: nothing but the encoder sees the batch, and that reads columns through checked accessors only.
        let refused = unsafe { RecordBatch::new_unchecked(before[0].schema(), columns, before[0].num_rows()) };
        used.encode(&refused).unwrap_err();
        assert!(encoded(&mut used, batch) == encoded(&mut BatchEncoder::new(&options), batch));
    }
}

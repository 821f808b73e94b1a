//! Uninitialised memory never reaches the sink. Only valgrind notices it: without valgrind, these tests show nothing.

use std::sync::Arc;

use super::layouts;
use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_buffer::{Buffer, MutableBuffer};
use arrow_schema::Metadata;
use ipc_core::Options;
use ipc_tests::arrays::Sharing::Changing;
use ipc_tests::batches::{Batches, Plan, every_kind};
use ipc_tests::encode;

/// Every byte is looked at where it is written: `encode` does so.
#[test]
fn every_byte_is_one_that_was_written() {
    let plan = Plan { fields: every_kind(), metadata: Metadata::new(), rows: vec![3, 90], sharing: Changing, seed: 5 };
    let Batches { schema, batches, .. } = Batches::new(plan);
    for options in layouts() {
        encode::stream(&schema, &batches, &options).unwrap();
    }
}

/// What `cargo xtask valgrind` runs to see whether it would notice.
#[test]
#[ignore = "to be seen by valgrind, which fails it"]
fn a_byte_that_was_never_written_is_noticed() {
    let mut values = MutableBuffer::with_capacity(16);
    // SAFETY: none, on purpose: the values are uninitialised, and are only copied.
    unsafe { values.set_len(16) };
    let column: ArrayRef = Arc::new(Int64Array::new(Buffer::from(values).into(), None));
    let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
    encode::stream(&batch.schema(), &[batch], &Options::default()).unwrap();
}

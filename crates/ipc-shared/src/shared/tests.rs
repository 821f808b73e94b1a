//! Publishing, with real threads and counted by the real primitives.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, RecordBatch};
use ipc_core::{DictionaryHandling, Options, Unify};

use crate::sync::SETTLED;
use crate::writer::SharedWriter;

fn batch(word: usize) -> RecordBatch {
    let column: DictionaryArray<Int32Type> = [word.to_string().as_str()].into_iter().collect();
    RecordBatch::try_from_iter([("word", Arc::new(column) as ArrayRef)]).expect("one column")
}

#[test]
fn dictionaries_are_published_at_a_cost_that_no_other_thread_adds_to() {
    for dictionaries in [DictionaryHandling::Resend, Unify::new().into()] {
        SETTLED.set(0);
        let options = Options::builder().dictionaries(dictionaries).build().unwrap();
        let writer = SharedWriter::stream(Vec::new()).options(options).build().unwrap();
        let mut producer = writer.producer();
        for word in 0..50 {
            producer.write(&batch(2 * word)).unwrap();
            writer.write(&batch(2 * word + 1)).unwrap();
        }
        assert_eq!(SETTLED.get(), 1, "{dictionaries:?}: the schema, and nothing of the dictionaries");
        assert_eq!(writer.close().unwrap().stats.dictionary_batches, 100);
    }
}

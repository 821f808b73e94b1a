//! Batches with dictionaries, in short, and what an output sends of them.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray, StructArray};
use arrow_ipc::MessageHeader;
use arrow_schema::{Field, Fields};

use crate::framing::messages;

/// What stands in a stream behind its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// A record batch.
    Batch,
    /// A dictionary, by id and rows.
    Whole(i64, i64),
    /// A delta, by id and rows.
    Extended(i64, i64),
}

/// What stands in `bytes`, a stream from `start` on, behind its schema.
#[must_use]
pub fn sent(bytes: &[u8], start: usize) -> Vec<Sent> {
    let messages = messages(bytes, start).messages;
    let sent = messages.iter().skip(1).map(|message| match message.kind {
        MessageHeader::RecordBatch => Sent::Batch,
        _ if message.is_delta => Sent::Extended(message.dictionary_id.unwrap(), message.rows),
        _ => Sent::Whole(message.dictionary_id.unwrap(), message.rows),
    });
    sent.collect()
}

/// Strings.
#[must_use]
pub fn words(words: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(words))
}

/// A dictionary-encoded array.
#[must_use]
pub fn dictionary(keys: &[i32], values: ArrayRef) -> ArrayRef {
    Arc::new(DictionaryArray::<Int32Type>::new(Int32Array::from(keys.to_vec()), values))
}

/// A batch with one column that uses the first of `values`.
#[must_use]
pub fn batch(values: &ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("word", dictionary(&[0, 0], values.clone()), true)]).unwrap()
}

/// A batch whose column is a dictionary of structs with a dictionary in each.
#[must_use]
pub fn nested(outer_keys: &[i32], inner_keys: &[i32], values: &ArrayRef) -> RecordBatch {
    let inner = dictionary(inner_keys, values.clone());
    let fields = Fields::from(vec![Field::new("inner", inner.data_type().clone(), true)]);
    let structs = Arc::new(StructArray::new(fields, vec![inner], None)) as ArrayRef;
    RecordBatch::try_from_iter_with_nullable([("outer", dictionary(outer_keys, structs), true)]).unwrap()
}

//! Hidden rows of dictionaries that are unified: such a row's key is no reason to send its value, and is not sent
//! itself.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, ListArray, RecordBatch, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::Field;
use ipc_core::{Options, Unify};
use ipc_tests::value::assert_same_batches;
use ipc_tests::{encode, read};

use super::canary::{arrays, is_in};

/// A dictionary of four values, used in their order.
fn dictionary(values: ArrayRef) -> ArrayRef {
    Arc::new(DictionaryArray::<Int32Type>::new(Int32Array::from(vec![0, 1, 2, 3]), values))
}

/// A struct and a list around an array, in which these rows are null.
fn around(array: &ArrayRef, is_nullable: bool, nulls: &NullBuffer) -> [ArrayRef; 2] {
    let field = Arc::new(Field::new("item", array.data_type().clone(), is_nullable));
    let lists = ListArray::new(field.clone(), OffsetBuffer::from_lengths([1; 4]), array.clone(), Some(nulls.clone()));
    [Arc::new(StructArray::new([field].into(), vec![array.clone()], Some(nulls.clone()))), Arc::new(lists)]
}

/// What a stream and a file with its dictionaries at close have of a column; both must read back.
fn outputs(column: ArrayRef) -> [Vec<u8>; 2] {
    let batch = RecordBatch::try_from_iter_with_nullable([("c", column, true)]).unwrap();
    let batches = [batch];
    let options = || Options::builder().dictionaries(Unify::new()).clear_nulls(true);
    let stream = encode::stream(&batches[0].schema(), &batches, &options().build().unwrap()).unwrap();
    assert_same_batches(&batches, &read::stream(&stream).unwrap().batches);
    let options = options().dictionaries(Unify::new().at_close(true)).build().unwrap();
    let file = encode::file(&batches[0].schema(), &batches, &options).unwrap();
    assert_same_batches(&batches, &read::file(&file).unwrap().batches);
    [stream, file]
}

#[test]
fn a_value_that_only_hidden_rows_have_is_not_sent() {
    for (what, values) in arrays() {
        for nulls in [vec![false, true, true, false], vec![false; 4]] {
            let buffer = NullBuffer::from(nulls.clone());
            for parent in around(&dictionary(values.clone()), false, &buffer) {
                // Hidden in the column itself, in a dictionary's values, and where both are.
                let dictionary = dictionary(parent.clone());
                let [both, _] = around(&dictionary, true, &buffer);
                for (place, column) in [("column", parent), ("dictionary", dictionary), ("hidden dictionary", both)] {
                    let [stream, file] = outputs(column);
                    assert!(!is_in(&stream) && !is_in(&file), "{what} in a {place} with {nulls:?}");
                }
            }
        }
    }
}

/// Keys that are already right are written unchanged, except those of hidden rows.
#[test]
fn a_key_below_a_null_is_cleared_also_where_it_would_be_right() {
    let values: ArrayRef = Arc::new(Int32Array::from(vec![10, 20, 30, 40]));
    let batch = |nulls: Option<NullBuffer>| {
        let keys = Int32Array::new(vec![3, 2, 1, 0].into(), nulls);
        let column: ArrayRef = Arc::new(DictionaryArray::new(keys, values.clone()));
        RecordBatch::try_from_iter_with_nullable([("c", column, true)]).unwrap()
    };
    let batches = [batch(None), batch(Some(vec![false, true, true, false].into()))];
    let options = Options::builder().dictionaries(Unify::new()).clear_nulls(true).build().unwrap();
    let stream = encode::stream(&batches[0].schema(), &batches, &options).unwrap();
    let written = read::stream(&stream).unwrap().batches;
    assert_same_batches(&batches, &written);
    let keys = written.iter().map(|batch| batch.column(0).as_dictionary::<Int32Type>().keys().values().to_vec());
    assert_eq!(keys.collect::<Vec<_>>(), [[3, 2, 1, 0], [0, 2, 1, 0]]);
}

//! What is written.

use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};

/// Five columns of 43 bytes a row: numbers with nulls, numbers without, strings, booleans.
pub(crate) fn mixed(rows: i32) -> RecordBatch {
    let id = Int64Array::from_iter((0..rows).map(|i| (i % 7 != 0).then_some(i64::from(i) * 31)));
    let value = Float64Array::from_iter_values((0..rows).map(|i| (f64::from(i) * 0.37).sin()));
    let name = StringArray::from_iter_values((0..rows).map(|i| format!("station {:010}", i64::from(i) * 7919 % 1000)));
    let flag = BooleanArray::from_iter((0..rows).map(|i| Some(i % 3 == 0)));
    let count = Int32Array::from_iter_values((0..rows).map(|i| i % 1000));
    batch([
        ("id", Arc::new(id) as ArrayRef),
        ("value", Arc::new(value)),
        ("name", Arc::new(name)),
        ("flag", Arc::new(flag)),
        ("count", Arc::new(count)),
    ])
}

/// 200 columns of numbers.
pub(crate) fn wide(rows: i32) -> RecordBatch {
    let column = |c: i32| Arc::new(Int32Array::from_iter_values((0..rows).map(|i| i.wrapping_mul(c)))) as ArrayRef;
    batch((0..200).map(|c| (format!("c{c}"), column(c))))
}

/// Lists of lists of numbers, some of them null.
pub(crate) fn nested(rows: i32) -> RecordBatch {
    let mut lists = ListBuilder::new(ListBuilder::new(Int32Builder::new()));
    for i in 0..rows {
        for j in 0..i % 4 {
            (0..j).for_each(|k| lists.values().values().append_value(k));
            lists.values().append(true);
        }
        lists.append(i % 5 != 0);
    }
    batch([("lists", Arc::new(lists.finish()) as ArrayRef)])
}

fn batch<S: Into<String>>(columns: impl IntoIterator<Item = (S, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, column)| (name.into(), column));
    RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).expect("the columns are equally long")
}

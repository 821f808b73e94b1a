//! Arrays of more rows than anyone could go through. Rows of nulls, of nothing, or of one run take no memory, so safe code
//! can make them.

use std::sync::Arc;

use arrow_array::types::{Int8Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, FixedSizeBinaryArray, Int8Array, Int64Array, LargeListArray, LargeListViewArray,
    NullArray, RecordBatch, RunArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field};
use ipc_core::Unify;
use ipc_core::{Error, Options, Validation};
use ipc_tests::by_hand::{field, schema};

use super::writers::{clearing, options, refusal};

const ROWS: usize = 1 << 62;

fn item() -> Arc<Field> {
    Arc::new(field("item", DataType::Null))
}

/// One list of nulls, as a view.
fn list_view(items: usize) -> ArrayRef {
    let size = i64::try_from(items).unwrap();
    let views = (ScalarBuffer::from(vec![0]), ScalarBuffer::from(vec![size]));
    Arc::new(LargeListViewArray::new(item(), views.0, views.1, Arc::new(NullArray::new(items)), None))
}

fn list(items: usize) -> ArrayRef {
    let offsets = OffsetBuffer::from_lengths([items]);
    Arc::new(LargeListArray::new(item(), offsets, Arc::new(NullArray::new(items)), None))
}

fn nulls(rows: usize) -> ArrayRef {
    Arc::new(NullArray::new(rows))
}

fn in_dictionary(values: ArrayRef) -> ArrayRef {
    Arc::new(DictionaryArray::<Int8Type>::new(Int8Array::from(vec![0]), values))
}

fn column(is_nullable: bool, array: ArrayRef) -> RecordBatch {
    let field = field("x", array.data_type().clone()).with_nullable(is_nullable);
    RecordBatch::try_new(schema(vec![field]), vec![array]).unwrap()
}

fn assert_refused(good: ArrayRef, bad: ArrayRef, is_nullable: bool, options: &Options) {
    let (good, bad) = (column(is_nullable, good), column(is_nullable, bad));
    match refusal(&good, 1, &bad, options) {
        Some(Error::InvalidArray { path, .. }) => assert!(path.starts_with('x'), "{path}"),
        refusal => panic!("{refusal:?}"),
    }
}

#[test]
fn rows_that_nobody_has_to_look_at_are_written() {
    let binary = |rows| Arc::new(FixedSizeBinaryArray::try_new_with_len(0, [].into(), None, rows).unwrap()) as ArrayRef;
    for make in [nulls, binary] {
        let (good, bad) = (column(false, make(0)), column(false, make(ROWS)));
        let refusal = refusal(&good, 1, &bad, &options(Validation::Layout));
        assert!(refusal.is_none(), "{refusal:?}");
    }
}

#[test]
fn values_of_no_bytes_may_be_null() {
    let nulls = NullBuffer::from(vec![true, false, true]);
    let binary = FixedSizeBinaryArray::try_new_with_len(0, [].into(), Some(nulls), 3).unwrap();
    let batch = column(true, Arc::new(binary));
    for options in [options(Validation::Layout), options(Validation::Full), clearing()] {
        let refusal = refusal(&batch, 1, &batch, &options);
        assert!(refusal.is_none(), "{refusal:?}");
    }
}

#[test]
fn more_rows_than_anyone_can_look_at_are_refused() {
    let full = options(Validation::Full);
    assert_refused(nulls(0), nulls(ROWS), false, &full);
    let run = |rows| -> ArrayRef {
        let values = Int64Array::from(vec![7]);
        Arc::new(RunArray::<Int64Type>::try_new(&Int64Array::from(vec![rows]), &values).unwrap())
    };
    assert_refused(run(1), run(1 << 62), false, &full);
    for options in [full, clearing()] {
        assert_refused(list_view(1), list_view(ROWS), true, &options);
    }
    assert_refused(in_dictionary(list_view(1)), in_dictionary(list_view(ROWS)), true, &options(Validation::Layout));
}

#[test]
fn more_rows_than_the_format_can_count_are_refused_by_their_column() {
    for options in [options(Validation::Layout), options(Validation::Full), clearing()] {
        assert_refused(nulls(0), nulls(usize::MAX), true, &options);
    }
}

#[test]
fn more_values_than_anyone_can_unify_are_refused() {
    let unify = Options::builder().dictionaries(Unify::new()).staging(false).build().unwrap();
    for rows in [1 << 45, ROWS] {
        for values in [nulls, list, list_view] {
            assert_refused(in_dictionary(values(1)), in_dictionary(values(rows)), true, &unify);
        }
    }
}

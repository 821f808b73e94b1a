//! Rows that a slice has cut off.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, make_array};
use arrow_buffer::NullBuffer;
use arrow_data::transform::MutableArrayData;
use arrow_schema::{DataType, Field};
use ipc_core::Options;
use ipc_tests::arrays::{Maker, Sharing, contains};
use ipc_tests::batches::arb_field;
use ipc_tests::cases::cases;
use ipc_tests::encode;
use proptest::prelude::{any, proptest};
use proptest::prop_assume;

use super::canary::{arrays, booleans, is_in, narrow};

pub(crate) fn written(column: ArrayRef, options: &Options) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable([("c", column, true)]).unwrap();
    encode::stream(&batch.schema(), &[batch], options).unwrap()
}

#[test]
fn rows_that_are_cut_off_stay_behind() {
    let options = Options::builder().compact_views(true).build().unwrap();
    for (what, column) in arrays().into_iter().chain([("narrow", Arc::new(narrow()) as ArrayRef)]) {
        assert!(is_in(&written(Arc::clone(&column), &options)), "{what}: the whole column has it");
        assert!(!is_in(&written(column.slice(1, 2), &options)), "{what}");
    }
}

/// Where what is hidden is cleared, that goes for the bytes of views too, even if no row is null and they are not
/// compacted.
#[test]
fn bytes_that_no_view_uses_stay_behind_where_nulls_are_cleared() {
    let clearing = Options::builder().clear_nulls(true).build().unwrap();
    let (_, views) = arrays().into_iter().find(|(name, _)| *name == "views").unwrap();
    assert!(is_in(&written(views.slice(1, 2), &Options::default())));
    assert!(!is_in(&written(views.slice(1, 2), &clearing)));
}

#[test]
fn bits_of_rows_that_are_cut_off_stay_behind() {
    // Bit 0 of a byte is the first row, so no row is shifted, and the last byte also has bits of later rows.
    let whole = BooleanArray::new(vec![true; 24].into(), Some(NullBuffer::from(vec![false; 24])));
    for len in 1..24 {
        let slice: ArrayRef = Arc::new(whole.slice(0, len));
        let copied = BooleanArray::new(vec![true; len].into(), Some(NullBuffer::from(vec![false; len])));
        assert!(written(slice, &Options::default()) == written(Arc::new(copied), &Options::default()), "{len} rows");
    }
    let slice = booleans().slice(1, 2);
    let copied = BooleanArray::from(vec![false, false]);
    assert!(written(Arc::new(slice), &Options::default()) == written(Arc::new(copied), &Options::default()));
}

/// `middle` between the rows of `junk`, whole and sliced back to `middle`.
fn between(junk: &ArrayRef, middle: &ArrayRef) -> ArrayRef {
    let (junk, middle) = (junk.to_data(), middle.to_data());
    let mut joined = MutableArrayData::new(vec![&junk, &middle], false, 2 * junk.len() + middle.len());
    joined.try_extend(0, 0, junk.len()).unwrap();
    joined.try_extend(1, 0, middle.len()).unwrap();
    joined.try_extend(0, 0, junk.len()).unwrap();
    make_array(joined.freeze()).slice(junk.len(), middle.len())
}

/// Types whose layout, though no value, depends on what was cut off: dictionaries are joined with the values of all,
/// list views without items may point anywhere, and views are compacted where that saves bytes.
fn is_laid_out_by_others(data_type: &DataType) -> bool {
    contains(data_type, &|data_type| {
        use DataType::{BinaryView, Dictionary, LargeListView, ListView, Utf8View};
        matches!(data_type, Dictionary(..) | ListView(_) | LargeListView(_) | Utf8View | BinaryView)
    })
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn rows_that_are_cut_off_change_no_byte(field in arb_field(), seeds in any::<[u64; 3]>()) {
        prop_assume!(!is_laid_out_by_others(field.data_type()));
        let [middle, one, other] = seeds.map(|seed| Maker::new(seed, Sharing::Shared).array(&field, 9, ""));
        let options = Options::default();
        let written = |junk: &ArrayRef| stream_of(&field, between(junk, &middle), &options);
        assert!(written(&one) == written(&other));
    }
}

/// A stream of one column, beside another that tells how many rows there are.
pub(crate) fn stream_of(field: &Field, column: ArrayRef, options: &Options) -> Vec<u8> {
    let rows: ArrayRef = Arc::new(Int64Array::from(vec![0; column.len()]));
    let columns = [("c", column, field.is_nullable()), ("rows", rows, false)];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    encode::stream(&batch.schema(), &[batch], options).unwrap()
}

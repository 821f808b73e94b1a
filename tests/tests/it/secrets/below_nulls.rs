//! Values that no reader can see, because they or their parents are null.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, BooleanArray, DictionaryArray, Int32Array, StructArray, make_array};
use arrow_buffer::NullBuffer;
use arrow_data::transform::MutableArrayData;
use arrow_schema::{DataType, Field};
use ipc_core::{Compression, Options};
use ipc_tests::arrays::{Maker, Sharing, contains};
use ipc_tests::batches::arb_field;
use ipc_tests::cases::cases;
use proptest::prelude::{any, proptest};
use proptest::prop_assume;

use super::canary::{arrays, booleans, is_in, narrow};
use super::cut_off::{stream_of, written};

fn first_and_last() -> NullBuffer {
    NullBuffer::from(vec![false, true, true, false])
}

/// The same array, null in its first and last row, if its type has validity of its own.
fn null_itself(array: &ArrayRef) -> Option<ArrayRef> {
    let has_validity = !matches!(array.data_type(), DataType::Union(..) | DataType::RunEndEncoded(..));
    let with_nulls = || array.to_data().into_builder().nulls(Some(first_and_last())).build().unwrap();
    has_validity.then(|| make_array(with_nulls()))
}

fn in_struct(array: &ArrayRef, nulls: Option<NullBuffer>) -> ArrayRef {
    let field = Field::new("x", array.data_type().clone(), true);
    Arc::new(StructArray::new(vec![field].into(), vec![Arc::clone(array)], nulls))
}

/// A struct that is null in its first and last row, around the array.
fn null_above(array: &ArrayRef) -> ArrayRef {
    in_struct(array, Some(first_and_last()))
}

/// A struct without nulls, around the array that has them.
fn null_below(array: &ArrayRef) -> Option<ArrayRef> {
    Some(in_struct(&null_itself(array)?, None))
}

/// A dictionary whose values are null where the array is.
fn null_in_dictionary(array: &ArrayRef) -> Option<ArrayRef> {
    let keys = Int32Array::from(vec![0, 1, 2, 3]);
    Some(Arc::new(DictionaryArray::<Int32Type>::try_new(keys, null_itself(array)?).unwrap()))
}

#[test]
fn what_is_below_a_null_leaves_only_where_it_is_not_cleared() {
    for compression in [Compression::None, Compression::Lz4] {
        let options = |clear| Options::builder().clear_nulls(clear).compression(compression).build().unwrap();
        for (what, column) in arrays().into_iter().chain([("narrow", Arc::new(narrow()) as ArrayRef)]) {
            let below = null_below(&column);
            let hidden = [null_itself(&column), Some(null_above(&column)), below, null_in_dictionary(&column)];
            for hidden in hidden.into_iter().flatten() {
                if compression == Compression::None {
                    assert!(is_in(&written(Arc::clone(&hidden), &options(false))), "{what}: it is there to be cleared");
                }
                assert!(!is_in(&written(hidden, &options(true))), "{what}");
            }
        }
    }
}

#[test]
fn bits_below_a_null_are_cleared() {
    let options = Options::builder().clear_nulls(true).build().unwrap();
    let with = |values: BooleanArray| {
        let (values, _) = values.into_parts();
        written(Arc::new(BooleanArray::new(values, Some(first_and_last()))), &options)
    };
    assert!(with(booleans()) == with(BooleanArray::from(vec![false; 4])));
    // Validity below a null tells nothing either.
    let above = |nulls: [bool; 4]| {
        let child: ArrayRef = Arc::new(BooleanArray::new(vec![false; 4].into(), Some(nulls.to_vec().into())));
        written(null_above(&child), &options)
    };
    assert!(above([true, false, true, true]) == above([false, false, true, false]));
}

/// Types whose hidden rows still show something: how many items, which member, where a run ends, how long buffers are.
fn shows_its_shape(data_type: &DataType) -> bool {
    contains(data_type, &|data_type| {
        use DataType::{
            BinaryView, Dictionary, LargeList, LargeListView, List, ListView, Map, RunEndEncoded, Union, Utf8View,
        };
        matches!(
            data_type,
            List(_)
                | LargeList(_)
                | ListView(_)
                | LargeListView(_)
                | Map(..)
                | Union(..)
                | Dictionary(..)
                | RunEndEncoded(..)
                | Utf8View
                | BinaryView
        )
    })
}

/// The rows of `seen`, and where `nulls` has a null, those of `junk`.
fn mixed(seen: &ArrayRef, junk: &ArrayRef, nulls: &NullBuffer) -> ArrayRef {
    let (seen, junk) = (seen.to_data(), junk.to_data());
    let mut mixed = MutableArrayData::new(vec![&seen, &junk], false, seen.len());
    (0..seen.len()).for_each(|row| mixed.try_extend(usize::from(nulls.is_null(row)), row, row + 1).unwrap());
    make_array(mixed.freeze())
}

proptest! {
    #![proptest_config(cases(600))]

    #[test]
    fn what_is_below_a_null_changes_no_byte(field in arb_field(), seeds in any::<[u64; 3]>(), bits in any::<[bool; 9]>()) {
        prop_assume!(!shows_its_shape(field.data_type()));
        let nulls = NullBuffer::from(bits.to_vec());
        let [seen, one, other] = seeds.map(|seed| Maker::new(seed, Sharing::Shared).array(&field, 9, ""));
        let options = Options::builder().compact_views(true).clear_nulls(true).build().unwrap();
        let written = |junk: &ArrayRef| {
            let child = mixed(&seen, junk, &nulls);
            let column = StructArray::new(vec![field.clone()].into(), vec![child], Some(nulls.clone()));
            stream_of(&Field::new("c", column.data_type().clone(), true), Arc::new(column), &options)
        };
        assert!(written(&one) == written(&other));
    }
}

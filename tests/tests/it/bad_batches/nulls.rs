//! Nulls in fields that are not nullable are refused at any level, except those that no reader can see.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, FixedSizeListArray, Int32Array, ListArray, ListViewArray, MapArray, NullArray,
    RunArray, StringArray, StructArray, UnionArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, FieldRef, Fields, UnionFields};
use ipc_core::{Error, Options, Validation};

use super::wraps::{WRAPS, batch, in_dictionary};
use super::writers::{options, refusal};

/// A field of integers that denies nulls.
fn denying() -> Field {
    Field::new("x", DataType::Int32, false)
}

fn integers(values: [Option<i32>; 3]) -> ArrayRef {
    Arc::new(Int32Array::from(values.to_vec()))
}

const NULL_IN_THE_MIDDLE: [Option<i32>; 3] = [Some(1), None, Some(3)];
const NO_NULL: [Option<i32>; 3] = [Some(1), Some(2), Some(3)];

#[track_caller]
fn assert_refused_at(path: &str, refusal: Option<Error>) {
    match refusal {
        Some(Error::InvalidArray { path: found, expected, .. }) => {
            assert_eq!((&*found, &*expected), (path, "no nulls"));
        }
        other => panic!("{path}: {other:?}"),
    }
}

#[test]
fn a_null_in_a_field_that_denies_it_is_refused_at_any_level() {
    for validation in [Validation::Layout, Validation::Full] {
        for wrap in &WRAPS {
            let column = |values| (wrap.wrap)(denying(), integers(values));
            // The column itself is the field only where it is not wrapped.
            let nullable = wrap.path != "c";
            let (good, bad) = (batch(column(NO_NULL), nullable), batch(column(NULL_IN_THE_MIDDLE), nullable));
            assert_refused_at(wrap.path, refusal(&good, 1, &bad, &options(validation)));

            // As the values of a dictionary, with a field that denies nulls below them.
            if nullable {
                let dictionary = |values| batch(in_dictionary(column(values)), true);
                let (good, bad) = (dictionary(NO_NULL), dictionary(NULL_IN_THE_MIDDLE));
                assert_refused_at(wrap.path, refusal(&good, 0, &bad, &options(validation)));
            }
        }
    }
}

#[test]
fn a_null_outside_of_the_rows_that_are_written_is_none() {
    let list = |rows: std::ops::Range<usize>| {
        let offsets = OffsetBuffer::from_lengths([1, 1, 1]);
        // SAFETY: the constructor looks at rows that are not written; the slice is valid.
        let list =
            unsafe { ListArray::new_unchecked(Arc::new(denying()), offsets, integers(NULL_IN_THE_MIDDLE), None) };
        batch(Arc::new(list.slice(rows.start, rows.len())), true)
    };
    assert_refused_at("c.x", refusal(&list(0..1), 1, &list(1..2), &Options::default()));
    for rows in [0..1, 2..3, 0..0] {
        assert!(refusal(&list(0..1), 1, &list(rows), &Options::default()).is_none());
    }
}

/// A field that denies nulls, below rows of which the second is null or does not name it.
fn hidden() -> Vec<(&'static str, ArrayRef)> {
    let x: FieldRef = Arc::new(denying());
    let second_is_null = || Some(NullBuffer::from(vec![true, false, true]));
    let values = || integers(NULL_IN_THE_MIDDLE);
    let lengths = || OffsetBuffer::<i32>::from_lengths([1, 1, 1]);
    let structs = |nulls| {
        let fields = Fields::from(vec![denying()]);
        // SAFETY: valid wherever the parent is null where `nulls` are not.
        unsafe { StructArray::new_unchecked(fields, vec![values()], nulls) }
    };
    let field_of = |array: &StructArray, nullable| Arc::new(Field::new("s", array.data_type().clone(), nullable));
    let two_levels = {
        let inner = structs(None);
        let field = field_of(&inner, false);
        // SAFETY: the outer null hides the inner one.
        unsafe { ListArray::new_unchecked(field, lengths(), Arc::new(inner), second_is_null()) }
    };
    let mut of_null_list =
        vec![("list", Arc::new(two_levels) as ArrayRef), ("struct", { Arc::new(structs(second_is_null())) })];
    // SAFETY: constructors of lists refuse nulls that no reader can see; the format does not.
    unsafe {
        let list = ListArray::new_unchecked(x.clone(), lengths(), values(), second_is_null());
        let (offsets, sizes) = (vec![0, 1, 2].into(), vec![1, 1, 1].into());
        let views = ListViewArray::new_unchecked(x.clone(), offsets, sizes, values(), second_is_null());
        let (offsets, sizes) = (vec![0, 0, 2].into(), vec![1, 0, 1].into());
        let gaps = ListViewArray::new_unchecked(x.clone(), offsets, sizes, values(), None);
        let fixed = FixedSizeListArray::new_unchecked(x.clone(), 1, values(), second_is_null(), 3);
        let fields = Fields::from(vec![Field::new("key", DataType::Int32, false), denying()]);
        let entries = StructArray::new_unchecked(fields.clone(), vec![integers(NO_NULL), values()], None);
        let field = Arc::new(Field::new("entries", DataType::Struct(fields), false));
        let map = MapArray::new_unchecked(field, lengths(), entries, second_is_null(), false);
        of_null_list.extend([
            ("list of integers", Arc::new(list) as ArrayRef),
            ("list views", Arc::new(views)),
            ("a gap between list views", Arc::new(gaps)),
            ("fixed-size list", Arc::new(fixed)),
            ("map", Arc::new(map)),
        ]);
    }
    let members = UnionFields::try_new([0, 1], [denying(), Field::new("y", DataType::Int32, true)]).unwrap();
    let union = |offsets: Option<Vec<i32>>| {
        let children = vec![values(), integers(NO_NULL)];
        UnionArray::try_new(members.clone(), vec![0, 1, 0].into(), offsets.map(Into::into), children).unwrap()
    };
    of_null_list.push(("sparse union", Arc::new(union(None))));
    of_null_list.push(("dense union", Arc::new(union(Some(vec![0, 0, 2])))));
    of_null_list
}

#[test]
fn a_null_that_no_reader_can_see_is_fine() {
    for (what, column) in hidden() {
        for validation in [Validation::Layout, Validation::Full] {
            let batch = batch(Arc::clone(&column), true);
            let refusal = refusal(&batch, 1, &batch, &options(validation));
            assert!(refusal.is_none(), "{what}: {refusal:?}");
        }
    }
}

#[test]
fn a_null_by_reference_is_found_by_full_validation() {
    let words: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let keys = |keys: [i32; 3]| DictionaryArray::new(Int32Array::from(keys.to_vec()), Arc::clone(&words));
    let runs = |ends: [i32; 2]| {
        let ends = Int32Array::from(ends.to_vec());
        RunArray::<Int32Type>::try_new(&ends, &words).unwrap().slice(0, 2)
    };
    let cases: [(&str, ArrayRef, ArrayRef); 3] = [
        ("dictionary", Arc::new(keys([0, 0, 0])), Arc::new(keys([0, 1, 0]))),
        ("runs", Arc::new(runs([2, 3])), Arc::new(runs([1, 3]))),
        ("nulls", Arc::new(NullArray::new(0)), Arc::new(NullArray::new(1))),
    ];
    for (what, good, bad) in cases {
        let (good, bad) = (batch(good, false), batch(bad, false));
        assert!(refusal(&good, 1, &bad, &options(Validation::Layout)).is_none(), "{what}");
        assert_refused_at("c", refusal(&good, 1, &bad, &options(Validation::Full)));
    }
}

//! An array inside others: the same rows, as items, fields, members, values.

use std::sync::Arc;

use arrow_array::types::{Int8Type, Int32Type};
use arrow_array::{
    Array, ArrayRef, DictionaryArray, FixedSizeListArray, GenericListArray, GenericListViewArray, Int8Array,
    Int32Array, MapArray, RecordBatch, RunArray, StructArray, UnionArray,
};
use arrow_buffer::{OffsetBuffer, RunEndBuffer};
use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, UnionFields};

/// A way to put an array into another.
pub(crate) struct Wrap {
    /// The path of a column that is wrapped so.
    pub(crate) path: &'static str,
    /// The column around an array and its field.
    pub(crate) wrap: fn(Field, ArrayRef) -> ArrayRef,
}

/// All ways but the values of a dictionary. A column is called `c`, what is in it `x`, where the choice is free.
pub(crate) const WRAPS: [Wrap; 9] = [
    Wrap { path: "c", wrap: |_, array| array },
    Wrap { path: "c.x", wrap: in_struct },
    Wrap { path: "c.x", wrap: in_list },
    Wrap { path: "c.x", wrap: in_list_view },
    Wrap { path: "c.x", wrap: in_fixed_size_list },
    Wrap { path: "c.entries.x", wrap: in_map },
    Wrap { path: "c.x", wrap: in_union },
    Wrap { path: "c.values", wrap: in_runs },
    Wrap { path: "c.x.x", wrap: in_struct_in_list },
];

/// A batch of one column, as it is: `RecordBatch`'s own checks look into some arrays.
pub(crate) fn batch(column: ArrayRef, nullable: bool) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("c", column.data_type().clone(), nullable)]);
    let rows = column.len();
    // SAFETY: what the column lacks, the encoder is there to find; nothing else looks at it.
    unsafe { RecordBatch::new_unchecked(Arc::new(schema), vec![column], rows) }
}

fn in_struct(field: Field, array: ArrayRef) -> ArrayRef {
    let len = array.len();
    // SAFETY: as the array that is wrapped: only the encoder sees it.
    Arc::new(unsafe { StructArray::new_unchecked_with_length(Fields::from(vec![field]), vec![array], None, len) })
}

/// One item for each row.
fn in_list(field: Field, array: ArrayRef) -> ArrayRef {
    let offsets = OffsetBuffer::<i32>::from_repeated_length(1, array.len());
    // SAFETY: as above.
    Arc::new(unsafe { GenericListArray::new_unchecked(Arc::new(field), offsets, array, None) })
}

fn in_list_view(field: Field, array: ArrayRef) -> ArrayRef {
    let offsets = (0i64..).take(array.len()).collect();
    let sizes = vec![1i64; array.len()].into();
    // SAFETY: as above.
    Arc::new(unsafe { GenericListViewArray::new_unchecked(Arc::new(field), offsets, sizes, array, None) })
}

fn in_fixed_size_list(field: Field, array: ArrayRef) -> ArrayRef {
    let len = array.len();
    // SAFETY: as above.
    Arc::new(unsafe { FixedSizeListArray::new_unchecked(Arc::new(field), 1, array, None, len) })
}

fn in_map(field: Field, array: ArrayRef) -> ArrayRef {
    let keys: ArrayRef = Arc::new(Int32Array::from_iter_values((0..).take(array.len())));
    let offsets = OffsetBuffer::from_repeated_length(1, array.len());
    let fields = Fields::from(vec![Field::new("key", DataType::Int32, false), field]);
    let entries: FieldRef = Arc::new(Field::new("entries", DataType::Struct(fields.clone()), false));
    let len = array.len();
    // SAFETY: as above.
    let columns = unsafe { StructArray::new_unchecked_with_length(fields, vec![keys, array], None, len) };
    // SAFETY: as above.
    Arc::new(unsafe { MapArray::new_unchecked(entries, offsets, columns, None, false) })
}

fn in_struct_in_list(field: Field, array: ArrayRef) -> ArrayRef {
    let inner = in_struct(field, array);
    in_list(Field::new("x", inner.data_type().clone(), true), inner)
}

/// Panics where `arrow` cannot take the array apart and put it together again, as it does for a union.
fn in_union(field: Field, array: ArrayRef) -> ArrayRef {
    let fields = UnionFields::try_new([5], [field]).unwrap();
    let type_ids = vec![5i8; array.len()].into();
    let offsets = (0..).take(array.len()).collect();
    // SAFETY: as above.
    Arc::new(unsafe { UnionArray::new_unchecked(fields, type_ids, Some(offsets), vec![array]) })
}

/// One run for each row.
fn in_runs(field: Field, array: ArrayRef) -> ArrayRef {
    let run_ends = Field::new(Field::REE_RUN_ENDS_FIELD_DEFAULT_NAME, DataType::Int32, false);
    let values = field.with_name(Field::REE_VALUES_FIELD_DEFAULT_NAME);
    let data_type = DataType::RunEndEncoded(Arc::new(run_ends), Arc::new(values));
    let ends = RunEndBuffer::new((1..).take(array.len()).collect(), 0, array.len());
    // SAFETY: as above.
    Arc::new(unsafe { RunArray::<Int32Type>::new_unchecked(data_type, ends, array) })
}

/// The values of a dictionary, each used once.
pub(crate) fn in_dictionary(array: ArrayRef) -> ArrayRef {
    let keys = Int8Array::from_iter_values((0..).take(array.len()));
    // SAFETY: as above.
    Arc::new(unsafe { DictionaryArray::<Int8Type>::new_unchecked(keys, array) })
}

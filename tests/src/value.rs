//! Cell by cell comparison of batches.
//!
//! `arrow-rs` compares arrays by type-specific code that has had its own bugs, and finds NaN different from NaN. A
//! [`Value`] is what a reader of the cell sees: the same whether it came through a dictionary, a run, a view or an
//! offset, and floats by their bits. What a null slot holds besides being null does not matter.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch, downcast_dictionary_array, downcast_primitive_array};
use arrow_buffer::ToByteSlice;
use arrow_schema::DataType;

/// What a cell holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing.
    Null,
    /// The bytes of a number, a boolean, a string.
    Bytes(Vec<u8>),
    /// The items of a list, the fields of a struct, the entries of a map.
    Items(Vec<Value>),
    /// A union's type id and value.
    Tagged(i8, Box<Value>),
}

/// What row `row` of `array` holds.
#[must_use]
pub fn value(array: &dyn Array, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    let items = |items: ArrayRef| Value::Items((0..items.len()).map(|i| value(&items, i)).collect());
    match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::Bytes(vec![u8::from(array.as_boolean().value(row))]),
        DataType::Utf8 => Value::Bytes(array.as_string::<i32>().value(row).into()),
        DataType::LargeUtf8 => Value::Bytes(array.as_string::<i64>().value(row).into()),
        DataType::Binary => Value::Bytes(array.as_binary::<i32>().value(row).into()),
        DataType::LargeBinary => Value::Bytes(array.as_binary::<i64>().value(row).into()),
        DataType::Utf8View => Value::Bytes(array.as_string_view().value(row).into()),
        DataType::BinaryView => Value::Bytes(array.as_binary_view().value(row).into()),
        DataType::FixedSizeBinary(_) => Value::Bytes(array.as_fixed_size_binary().value(row).into()),
        DataType::List(_) => items(array.as_list::<i32>().value(row)),
        DataType::LargeList(_) => items(array.as_list::<i64>().value(row)),
        DataType::ListView(_) => items(array.as_list_view::<i32>().value(row)),
        DataType::LargeListView(_) => items(array.as_list_view::<i64>().value(row)),
        DataType::FixedSizeList(..) => items(array.as_fixed_size_list().value(row)),
        DataType::Map(..) => items(std::sync::Arc::new(array.as_map().value(row))),
        DataType::Struct(_) => Value::Items(array.as_struct().columns().iter().map(|c| value(c, row)).collect()),
        DataType::Union(..) => {
            let array = array.as_union();
            let type_id = array.type_id(row);
            Value::Tagged(type_id, Box::new(value(array.child(type_id), array.value_offset(row))))
        }
        DataType::Dictionary(..) => downcast_dictionary_array!(
            array => value(array.values(), array.key(row).expect("not null")),
            other => unreachable!("a dictionary: {other}")
        ),
        DataType::RunEndEncoded(run_ends, _) => {
            macro_rules! run {
                ($t:ty) => {{
                    let array = array.as_run::<$t>();
                    value(array.values(), array.get_physical_index(row))
                }};
            }
            match run_ends.data_type() {
                DataType::Int16 => run!(Int16Type),
                DataType::Int32 => run!(Int32Type),
                _ => run!(Int64Type),
            }
        }
        _ => downcast_primitive_array!(
            array => Value::Bytes(array.value(row).to_byte_slice().to_vec()),
            other => unreachable!("every other type has an arm of its own: {other}")
        ),
    }
}

/// Panics, naming the first cell that differs, unless both are the same batches with the same schema.
#[track_caller]
pub fn assert_same_batches(expected: &[RecordBatch], found: &[RecordBatch]) {
    assert_eq!(expected.len(), found.len(), "record batches");
    for (i, (expected, found)) in expected.iter().zip(found).enumerate() {
        assert_eq!(expected.schema(), found.schema(), "schema of batch {i}");
        assert_eq!(expected.num_rows(), found.num_rows(), "rows of batch {i}");
        for (c, (expected, found)) in expected.columns().iter().zip(found.columns()).enumerate() {
            for row in 0..expected.len() {
                assert_eq!(value(expected, row), value(found, row), "batch {i}, column {c}, row {row}");
            }
        }
    }
}

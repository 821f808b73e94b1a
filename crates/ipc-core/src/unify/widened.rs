//! Wider keys, settled before the schema is written: so that what an 8-bit key has no room for finds some.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema};

use super::stored::with_children;

/// `schema` with 32-bit keys for every unified dictionary whose keys are shorter.
pub(crate) fn widened(schema: &Schema) -> Schema {
    let fields: Fields = schema.fields().iter().map(|field| Arc::new(widened_field(field))).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

/// Whether keys of type `found` are written as keys of type `expected`.
pub(crate) fn is_widened(expected: &DataType, found: &DataType) -> bool {
    *expected == WIDE && is_short(found)
}

/// What most readers take, and long enough for any dictionary that fits memory.
const WIDE: DataType = DataType::Int32;

fn is_short(key: &DataType) -> bool {
    matches!(key, DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16)
}

fn widened_field(field: &Field) -> Field {
    // An ordered dictionary is not unified: its keys are written as they are.
    let is_ordered = field.dict_is_ordered() == Some(true);
    let wide = match field.data_type() {
        DataType::Dictionary(key, values) if is_short(key) && !is_ordered => {
            DataType::Dictionary(Box::new(WIDE), Box::new(widened_type(values)))
        }
        DataType::Dictionary(key, values) => DataType::Dictionary(key.clone(), Box::new(widened_type(values))),
        other => widened_type(other),
    };
    field.clone().with_data_type(wide)
}

fn widened_type(data_type: &DataType) -> DataType {
    with_children(data_type, &mut widened_field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorter_keys_than_of_32_bits_are_widened_to_these_and_no_others() {
        use DataType::{Int8, Int16, Int32, Int64, UInt8, UInt16, UInt32, UInt64};

        for found in [Int8, Int16, UInt8, UInt16] {
            assert!(is_widened(&Int32, &found) && !is_widened(&Int64, &found) && !is_widened(&found, &found));
        }
        for found in [Int32, UInt32, Int64, UInt64] {
            assert!(!is_widened(&Int32, &found), "{found}");
            let field = |key: DataType| Field::new_dictionary("a", key, DataType::Utf8, true);
            assert_eq!(widened_field(&field(found.clone())), field(found));
        }
    }
}

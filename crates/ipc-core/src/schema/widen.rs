//! Dictionary keys that are written wider than they are.
//!
//! The schema of an output is fixed before its first batch, so keys are widened in it from the start.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema};

use crate::schema::types::{is_unifiable, map_children};

/// Returns `schema` with 32-bit keys for every unified dictionary whose keys are shorter.
pub(crate) fn widened(schema: &Schema) -> Schema {
    let fields: Fields = schema.fields().iter().map(|field| Arc::new(widened_field(field))).collect();
    Schema::new_with_metadata(fields, schema.metadata().clone())
}

/// Returns whether keys of type `found` are written as keys of type `expected`.
pub(crate) fn is_widened(expected: &DataType, found: &DataType) -> bool {
    *expected == WIDE && is_short(found)
}

/// Most readers know it, and it is wide enough for any dictionary that fits memory.
const WIDE: DataType = DataType::Int32;

fn is_short(key: &DataType) -> bool {
    matches!(key, DataType::Int8 | DataType::Int16 | DataType::UInt8 | DataType::UInt16)
}

fn widened_field(field: &Field) -> Field {
    let wide = match field.data_type() {
        // The keys of one that is not unified are written as they are, and so are those inside it.
        DataType::Dictionary(..) if !is_unifiable(field) => return field.clone(),
        DataType::Dictionary(key, values) if is_short(key) => {
            DataType::Dictionary(Box::new(WIDE), Box::new(widened_type(values)))
        }
        DataType::Dictionary(key, values) => DataType::Dictionary(key.clone(), Box::new(widened_type(values))),
        other => widened_type(other),
    };
    field.clone().with_data_type(wide)
}

fn widened_type(data_type: &DataType) -> DataType {
    map_children(data_type, &mut widened_field)
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

//! Fields, schemas and batches that a test spells out, wrong ones too.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef};

/// A field that may have nulls.
#[must_use]
pub fn field(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

/// A schema without metadata.
#[must_use]
pub fn schema(fields: Vec<Field>) -> SchemaRef {
    Arc::new(Schema::new(fields))
}

/// A batch that its own constructor would refuse.
#[must_use]
pub fn unchecked(schema: SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> RecordBatch {
    // SAFETY: nothing but the encoder sees the batch, and that reads columns through checked accessors only.
    unsafe { RecordBatch::new_unchecked(schema, columns, rows) }
}

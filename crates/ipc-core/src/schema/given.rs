//! The forms in which a caller may hand a schema over.

use std::sync::Arc;

use arrow_schema::{Schema, SchemaRef};

/// A schema as a caller has it: [`SchemaRef`], [`Schema`], or a reference to one of them. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a schema",
    note = "give a `SchemaRef` such as `batch.schema()`, a `Schema`, or a reference to one"
)]
pub trait IntoSchema: sealed::Sealed {
    /// Returns the schema, shared if it already is.
    fn into_schema(self) -> SchemaRef;
}

impl IntoSchema for SchemaRef {
    fn into_schema(self) -> SchemaRef {
        self
    }
}

impl IntoSchema for &SchemaRef {
    fn into_schema(self) -> SchemaRef {
        Arc::clone(self)
    }
}

impl IntoSchema for Schema {
    fn into_schema(self) -> SchemaRef {
        Arc::new(self)
    }
}

impl IntoSchema for &Schema {
    fn into_schema(self) -> SchemaRef {
        Arc::new(self.clone())
    }
}

impl sealed::Sealed for SchemaRef {}

impl sealed::Sealed for &SchemaRef {}

impl sealed::Sealed for Schema {}

impl sealed::Sealed for &Schema {}

mod sealed {
    pub trait Sealed {}
}

//! Finds the dictionaries of a batch's columns, in the order of their ids.
//!
//! Ids count depth first, and a dictionary comes after those inside its values, as
//! [`StreamSchema`] counts the fields of the schema.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;

use crate::arrays::children::each_child;
use crate::error::Result;
use crate::schema::StreamSchema;

/// Calls `found` with the id and the values of each dictionary of `batch`. Columns without dictionaries are not walked.
pub(crate) fn visit(
    schema: &StreamSchema,
    batch: &RecordBatch,
    found: &mut impl FnMut(usize, &ArrayRef) -> Result<()>,
) -> Result<()> {
    schema.dictionary_columns().iter().try_for_each(|&(column, first)| {
        let mut next = first;
        match batch.columns().get(column) {
            Some(column) => visit_array(column.as_ref(), &mut next, found),
            None => Err(schema.check(batch.schema_ref()).expect_err("there are fewer columns")),
        }
    })
}

fn visit_array(
    array: &dyn Array,
    next: &mut usize,
    found: &mut impl FnMut(usize, &ArrayRef) -> Result<()>,
) -> Result<()> {
    if let DataType::Dictionary(..) = array.data_type() {
        let values = array.as_any_dictionary().values();
        visit_array(values.as_ref(), next, found)?;
        let id = *next;
        *next += 1;
        return found(id, values);
    }
    each_child(array, &mut |child| visit_array(child, next, found))
}

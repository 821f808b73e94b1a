//! Checks of an array that take the same time whatever its length: type, length, number of children, length of the
//! validity.
//!
//! What goes through the rows is in [`validate`](mod@crate::arrays::validate).

use std::ops::Range;

use arrow_array::{Array, ArrayRef};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Fields};

use crate::error::{Error, Result};

/// Checks that a validity bitmap fits an array of `length` rows.
#[inline(always)]
pub(crate) fn validity_fits(nulls: &NullBuffer, length: usize) -> Result<(), Box<Error>> {
    if nulls.len() == length && nulls.null_count() <= length { Ok(()) } else { Err(other_validity(nulls, length)) }
}

#[cold]
fn other_validity(nulls: &NullBuffer, length: usize) -> Box<Error> {
    if nulls.len() != length {
        return Error::invalid(format!("validity for {length} rows"), format!("for {}", nulls.len()));
    }
    Error::invalid(format!("at most {length} nulls"), nulls.null_count().to_string())
}

/// Checks that an array of `length` rows has the rows `rows`.
#[inline(always)]
pub(crate) fn within(length: usize, rows: &Range<usize>) -> Result<(), Box<Error>> {
    if rows.end > length { Err(too_few_rows(length, rows)) } else { Ok(()) }
}

#[cold]
fn too_few_rows(length: usize, rows: &Range<usize>) -> Box<Error> {
    Error::invalid(format!("at least {} rows", rows.end), format!("{length} rows"))
}

/// Checks that an array has its field's type. Only unsafe code can make one that has not.
pub(crate) fn of_type(array: &dyn Array, data_type: &DataType) -> Result<(), Box<Error>> {
    let found = array.data_type();
    // Most types are equal altogether, which is faster to see.
    if found == data_type || found.equals_datatype(data_type) {
        return Ok(());
    }
    Err(Error::invalid(format!("type {data_type}"), found.to_string()))
}

/// Checks that a struct has as many children as fields.
#[inline]
pub(crate) fn children_fit(fields: &Fields, children: &[ArrayRef]) -> Result<(), Box<Error>> {
    if children.len() != fields.len() {
        return Err(Error::invalid(format!("{} children", fields.len()), children.len().to_string()));
    }
    Ok(())
}

/// Checks that a loop over this many rows of an array ends in a reasonable time, and that a mask of them fits memory.
/// Rows of nulls, of no columns or of one run take no memory, so there may be any number of them.
pub(crate) fn is_passable(array: &dyn Array, rows: usize) -> Result<(), Box<Error>> {
    const ALWAYS: usize = 1 << 28;
    if rows > ALWAYS && rows / 8 > array.get_array_memory_size() {
        return Err(Error::invalid(format!("at most {ALWAYS} rows where they take no memory"), rows.to_string()));
    }
    Ok(())
}

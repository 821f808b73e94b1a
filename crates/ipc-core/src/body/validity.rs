//! Writes an array's field node and its validity bitmap.
//!
//! The bitmap is written as the array has it, or built for an array whose hidden rows are cleared. It is left empty if
//! no row is null.

use std::ops::Range;

use arrow_buffer::NullBuffer;

use crate::arrays::shape::{validity_fits, within};
use crate::arrays::visible::RowMask;
use crate::body::Body;
use crate::body::rewrite;
use crate::error::{Error, Result};

/// Appends the field node and the validity bitmap of the rows `rows` of an array of `length` rows, whose field allows
/// nulls if it is `nullable`.
#[inline(always)]
pub(crate) fn validity<'a>(
    body: &mut Body<'_, 'a>,
    length: usize,
    nulls: Option<&'a NullBuffer>,
    rows: &Range<usize>,
    nullable: bool,
) -> Result<(), Box<Error>> {
    within(length, rows)?;
    match nulls {
        None => {
            body.node(rows.len(), 0, nullable)?;
            body.empty();
            Ok(())
        }
        Some(nulls) => bitmap(body, length, nulls, rows, nullable),
    }
}

fn bitmap<'a>(
    body: &mut Body<'_, 'a>,
    length: usize,
    nulls: &'a NullBuffer,
    rows: &Range<usize>,
    nullable: bool,
) -> Result<(), Box<Error>> {
    validity_fits(nulls, length)?;
    let null_count =
        if rows.len() == length { nulls.null_count() } else { rows.len() - rewrite::count_ones(nulls.inner(), rows) };
    body.node(rows.len(), null_count, nullable)?;
    if null_count == 0 {
        body.empty();
        return Ok(());
    }
    rewrite::bits(body, nulls.inner(), rows.clone())
}

/// Appends the field node and the validity bitmap of `length` rows whose hidden ones are cleared: the `visible` ones
/// are those that no parent hides, and the `seen` ones those of them that are not null.
///
/// An array with a null that can be seen has nulls also where nobody can see its rows; one without has none, so that
/// validity tells nothing of those either.
pub(crate) fn cleared(
    body: &mut Body<'_, '_>,
    length: usize,
    visible: &RowMask,
    seen: &RowMask,
    nullable: bool,
) -> Result<(), Box<Error>> {
    let count = seen.count(length);
    let null_count = if count == visible.count(length) { 0 } else { length - count };
    body.node(length, null_count, nullable)?;
    if null_count == 0 {
        body.empty();
        return Ok(());
    }
    rewrite::write_bits(body, &seen.bits(length))
}

//! Computes which rows of its children a range of an array's rows uses.
//!
//! An array names rows of its children by offsets, sizes, type ids or run ends. What is read here is checked, and the
//! caller checks a span against the child, so that an array that contradicts itself is an error and never a panic. What
//! is not read here, such as the offsets between the first and the last, only [`validate`](mod@crate::arrays::validate)
//! checks.

use std::ops::Range;

use arrow_array::OffsetSizeTrait;
use arrow_buffer::{ArrowNativeType, RunEndBuffer};

use crate::error::{Error, Result};

/// Returns the units of `rows` if each row has `factor` of them.
#[inline(always)]
pub(crate) fn scaled(rows: &Range<usize>, factor: usize) -> Result<Range<usize>, Box<Error>> {
    match (rows.start.checked_mul(factor), rows.end.checked_mul(factor)) {
        (Some(start), Some(end)) => Ok(start..end),
        _ => Err(Error::invalid("rows that fit memory", format!("{} rows of {factor}", rows.end))),
    }
}

/// Returns the offsets of `rows`, one more than rows, and the values that they span.
#[inline(always)]
pub(crate) fn of_offsets<'a, O: OffsetSizeTrait>(
    offsets: &'a [O],
    rows: &Range<usize>,
) -> Result<(&'a [O], Range<usize>), Box<Error>> {
    let Some(window) = offsets.get(rows.start..=rows.end) else {
        return Err(Error::invalid(format!("{} offsets", rows.end + 1), format!("{} offsets", offsets.len())));
    };
    let (first, last) = (window[0], window[window.len() - 1]);
    match (first.to_usize(), last.to_usize()) {
        (Some(start), Some(end)) if start <= end => Ok((window, start..end)),
        _ => Err(Error::invalid("offsets that rise from 0", format!("{first:?} to {last:?}"))),
    }
}

/// The list views of a range of rows.
pub(crate) struct ListViews<'a, O> {
    pub(crate) offsets: &'a [O],
    pub(crate) sizes: &'a [O],
    /// The values from the first that a view uses to the last.
    pub(crate) used: Range<usize>,
    /// The largest offset of an empty view, which may point anywhere.
    pub(crate) furthest_empty: usize,
}

/// Returns the list views of `rows`.
pub(crate) fn of_list_views<'a, O: OffsetSizeTrait>(
    offsets: &'a [O],
    sizes: &'a [O],
    rows: &Range<usize>,
) -> Result<ListViews<'a, O>, Box<Error>> {
    let (Some(offsets), Some(sizes)) = (offsets.get(rows.clone()), sizes.get(rows.clone())) else {
        return Err(Error::invalid(
            format!("{} offsets and sizes", rows.end),
            format!("{} offsets, {} sizes", offsets.len(), sizes.len()),
        ));
    };
    let (mut first, mut end, mut furthest_empty) = (usize::MAX, 0, 0);
    for (&offset, &size) in offsets.iter().zip(sizes) {
        let view = (offset.to_usize(), size.to_usize());
        let (Some(start), Some(behind)) = (view.0, view.0.zip(view.1).and_then(|(start, n)| start.checked_add(n)))
        else {
            return Err(Error::invalid("list views of at least 0", format!("offset {offset:?}, size {size:?}")));
        };
        if behind == start {
            furthest_empty = furthest_empty.max(start);
        } else {
            first = first.min(start);
            end = end.max(behind);
        }
    }
    Ok(ListViews { offsets, sizes, used: first.min(end)..end, furthest_empty })
}

/// The rows of its children that a range of a dense union's rows uses.
pub(crate) struct UnionRows {
    /// By type id, the first row and the end; the end is 0 if no row has that type.
    spans: [(i32, i32); 128],
}

impl UnionRows {
    pub(crate) fn of(&self, type_id: i8) -> Range<usize> {
        let (first, end) = self.spans[usize::from(type_id.unsigned_abs())];
        if end == 0 { 0..0 } else { first.as_usize()..end.as_usize() }
    }

    /// Whether the rows of each child begin at its first row.
    pub(crate) fn start_at_0(&self) -> bool {
        self.spans.iter().all(|(first, end)| *end == 0 || *first == 0)
    }

    /// Returns an offset into the child of this type as an offset into the used rows.
    pub(crate) fn rebased(&self, type_id: i8, offset: i32) -> i32 {
        offset - self.spans[usize::from(type_id.unsigned_abs())].0
    }
}

/// Returns the type ids and the offsets of a dense union's `rows`, and the rows of its children that they use.
pub(crate) fn of_union<'a>(
    type_ids: &'a [i8],
    offsets: &'a [i32],
    rows: &Range<usize>,
) -> Result<(&'a [i8], &'a [i32], UnionRows), Box<Error>> {
    let (Some(ids), Some(offsets)) = (type_ids.get(rows.clone()), offsets.get(rows.clone())) else {
        return Err(Error::invalid(
            format!("{} type ids and offsets", rows.end),
            format!("{} type ids, {} offsets", type_ids.len(), offsets.len()),
        ));
    };
    let mut spans = [(i32::MAX, 0); 128];
    for (&id, &offset) in ids.iter().zip(offsets) {
        let (Ok(id), true) = (usize::try_from(id), (0..i32::MAX).contains(&offset)) else {
            return Err(Error::invalid("type ids and offsets of at least 0", format!("id {id}, offset {offset}")));
        };
        let (first, end) = &mut spans[id];
        *first = offset.min(*first);
        *end = (offset + 1).max(*end);
    }
    Ok((ids, offsets, UnionRows { spans }))
}

/// Returns the runs that cover `rows`, as a range of the run ends, and `rows` as the run ends count them.
pub(crate) fn of_run_ends<E: ArrowNativeType>(
    run_ends: &RunEndBuffer<E>,
    rows: &Range<usize>,
) -> Result<(Range<usize>, Range<usize>), Box<Error>> {
    let ends = run_ends.values();
    let counted = run_ends.offset().saturating_add(rows.start)..run_ends.offset().saturating_add(rows.end);
    if rows.is_empty() {
        return Ok((0..0, counted));
    }
    let first = ends.partition_point(|e| e.as_usize() <= counted.start);
    let runs = first..ends.partition_point(|e| e.as_usize() < counted.end) + 1;
    if runs.is_empty() || runs.end > ends.len() {
        return Err(Error::invalid(
            format!("runs that end at or behind row {}", counted.end),
            format!("a last run end of {}", run_ends.max_value()),
        )
        .within("run_ends"));
    }
    Ok((runs, counted))
}

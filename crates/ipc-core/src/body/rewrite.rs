//! Brings buffers into the form that the format wants: bitmaps that start at bit 0, offsets that start at 0.
//!
//! Each function borrows the array's buffer if it has that form, and builds a new one in the arena if not. Those that
//! narrow a child return the rows of the child that the given rows use. All of them check what they index with: for an
//! array that contradicts itself they return an error, or write garbage for readers to refuse, and never panic.

use std::ops::Range;

use arrow_array::types::RunEndIndexType;
use arrow_array::{OffsetSizeTrait, RunArray, UnionArray};
use arrow_buffer::bit_chunk_iterator::{BitChunks, UnalignedBitChunk};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, RunEndBuffer, ScalarBuffer, ToByteSlice};

use crate::arrays::spans::{self, ListViews, UnionRows};
use crate::body::Body;
use crate::error::{Error, Result};

/// Appends the bits `rows` of `bits`, starting at bit 0 of the first byte. Bits after the last row are 0: those of rows
/// that a slice has cut off are not written.
#[inline(always)]
pub(crate) fn bits<'a>(body: &mut Body<'_, 'a>, bits: &'a BooleanBuffer, rows: Range<usize>) -> Result<(), Box<Error>> {
    let start = bits.offset() + rows.start;
    if start.is_multiple_of(8) && !has_bits_behind(bits, start + rows.len()) {
        body.array(bits.inner(), start / 8, rows.len().div_ceil(8))
    } else {
        shifted_bits(body, bits, start, rows.len())
    }
}

/// Whether a bit is set between `end` and the end of its byte.
#[inline]
fn has_bits_behind(bits: &BooleanBuffer, end: usize) -> bool {
    !end.is_multiple_of(8) && bits.values()[end / 8] >> (end % 8) != 0
}

fn shifted_bits(body: &mut Body<'_, '_>, bits: &BooleanBuffer, start: usize, length: usize) -> Result<(), Box<Error>> {
    body.build_buffer(length.div_ceil(8), |out| {
        let chunks = BitChunks::new(bits.values(), start, length);
        let (whole, rest) = out.split_at_mut(length / 64 * 8);
        for (out, chunk) in whole.chunks_exact_mut(8).zip(chunks.iter()) {
            out.copy_from_slice(&chunk.to_le_bytes());
        }
        let remainder = chunks.remainder_bits().to_le_bytes();
        rest.copy_from_slice(&remainder[..rest.len()]);
    })
}

/// Appends bits that were computed, not an array's own.
pub(crate) fn write_bits(body: &mut Body<'_, '_>, bits: &BooleanBuffer) -> Result<(), Box<Error>> {
    shifted_bits(body, bits, bits.offset(), bits.len())
}

/// Returns the number of set bits among the bits `rows`.
pub(crate) fn count_ones(bits: &BooleanBuffer, rows: &Range<usize>) -> usize {
    UnalignedBitChunk::new(bits.values(), bits.offset() + rows.start, rows.len()).count_ones()
}

/// Appends the offsets of `rows`, one more than rows, starting at 0. Returns the values that they span.
#[inline(always)]
pub(crate) fn offsets<'a, O: OffsetSizeTrait>(
    body: &mut Body<'_, 'a>,
    offsets: &'a ScalarBuffer<O>,
    rows: &Range<usize>,
) -> Result<Range<usize>, Box<Error>> {
    let (window, span) = spans::of_offsets(offsets, rows)?;
    if span.start == 0 {
        body.values(offsets, &(rows.start..rows.end + 1))?;
    } else {
        rebased(body, window, span.start)?;
    }
    Ok(span)
}

fn rebased<O: OffsetSizeTrait>(body: &mut Body<'_, '_>, offsets: &[O], start: usize) -> Result<(), Box<Error>> {
    // Wraps around if an offset in between is out of order, which is not checked.
    let rebased = |offset: &O| O::usize_as(offset.as_usize().wrapping_sub(start));
    body.build_buffer(size_of_val(offsets), |out| fill(out, offsets.iter().map(rebased)))
}

/// Appends the offsets of list views, rebased to the values that some row uses. Returns those values. Sizes are not
/// written.
pub(crate) fn list_view_offsets<'a, O: OffsetSizeTrait>(
    body: &mut Body<'_, 'a>,
    offsets: &'a ScalarBuffer<O>,
    sizes: &ScalarBuffer<O>,
    rows: &Range<usize>,
) -> Result<Range<usize>, Box<Error>> {
    let ListViews { offsets: window, sizes, used, furthest_empty } = spans::of_list_views(offsets, sizes, rows)?;
    if used.start == 0 && furthest_empty <= used.end {
        body.values(offsets, rows)?;
    } else {
        // An empty view may point anywhere in the child; here it points to the start, which always exists.
        let start = O::usize_as(used.start);
        body.build_buffer(size_of_val(window), |out| {
            let rebased = window.iter().zip(sizes);
            fill(out, rebased.map(|(&offset, &size)| if size == O::zero() { O::zero() } else { offset - start }));
        })?;
    }
    Ok(used)
}

/// Appends what comes before a union's children. Returns the rows that a dense union uses of each of them; a sparse one
/// uses the same rows.
pub(crate) fn union_ids<'a>(
    body: &mut Body<'_, 'a>,
    array: &'a UnionArray,
    rows: &Range<usize>,
) -> Result<Option<UnionRows>, Box<Error>> {
    body.node(rows.len(), 0, true)?;
    if body.options.metadata_version.unions_have_validity() {
        body.empty();
    }
    let type_ids = array.type_ids();
    body.values(type_ids, rows)?;
    array.offsets().map(|offsets| union_offsets(body, type_ids, offsets, rows)).transpose()
}

/// Appends the offsets of a dense union, rebased to the rows that it uses of each child. Returns those rows.
fn union_offsets<'a>(
    body: &mut Body<'_, 'a>,
    type_ids: &ScalarBuffer<i8>,
    offsets: &'a ScalarBuffer<i32>,
    rows: &Range<usize>,
) -> Result<UnionRows, Box<Error>> {
    let (ids, window, used) = spans::of_union(type_ids, offsets, rows)?;
    if used.start_at_0() {
        body.values(offsets, rows)?;
    } else {
        let rebased = ids.iter().zip(window).map(|(id, offset)| used.rebased(*id, *offset));
        body.build_buffer(size_of_val(window), |out| fill(out, rebased))?;
    }
    Ok(used)
}

/// Appends what comes before the values of a run-end encoded array. Returns the runs of its rows.
pub(crate) fn run_ends<'a, R: RunEndIndexType>(
    body: &mut Body<'_, 'a>,
    array: &'a RunArray<R>,
    rows: &Range<usize>,
) -> Result<Range<usize>, Box<Error>> {
    body.node(rows.len(), 0, true)?;
    run_ends_array(body, array.run_ends(), rows)
}

/// Appends the run ends of `rows` as an array: node, validity and values. Returns their runs.
fn run_ends_array<'a, E: ArrowNativeType>(
    body: &mut Body<'_, 'a>,
    run_ends: &'a RunEndBuffer<E>,
    rows: &Range<usize>,
) -> Result<Range<usize>, Box<Error>> {
    let (runs, Range { start, end }) = spans::of_run_ends(run_ends, rows)?;
    let window = &run_ends.values()[runs.clone()];
    body.node(window.len(), 0, true)?;
    body.empty();
    if start == 0 && window.last().is_none_or(|last| last.as_usize() == end) {
        body.values(run_ends.inner(), &runs)?;
    } else {
        let rebased = window.iter().map(|e| E::usize_as(e.as_usize().min(end).saturating_sub(start)));
        body.build_buffer(size_of_val(window), |out| fill(out, rebased))?;
    }
    Ok(runs)
}

/// Writes `values` to `out`, one after another.
pub(crate) fn fill<T: ToByteSlice>(out: &mut [u8], values: impl Iterator<Item = T>) {
    for (out, value) in out.chunks_exact_mut(size_of::<T>()).zip(values) {
        out.copy_from_slice(value.to_byte_slice());
    }
}

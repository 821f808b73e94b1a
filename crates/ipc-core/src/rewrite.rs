//! Buffers brought into the form that the format wants: bitmaps that start at bit 0, offsets that start at 0.
//!
//! Each function borrows the array's buffer where it already has that form and makes a new one in the arena where not.
//! Those that narrow a child return the rows of the child that the given rows use. All of them check what they index
//! with, so an array that contradicts itself is an error, or garbage for the reader to refuse, and not a panic.

use std::ops::Range;

use arrow_array::OffsetSizeTrait;
use arrow_buffer::bit_chunk_iterator::{BitChunks, UnalignedBitChunk};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, NullBuffer, RunEndBuffer, ScalarBuffer, ToByteSlice};

use crate::body::Body;
use crate::error::{Error, Step};

/// The bits `rows` of `bits`, from bit 0 of the first byte on.
#[inline(always)]
pub(crate) fn bits<'a>(body: &mut Body<'_, 'a>, bits: &'a BooleanBuffer, rows: Range<usize>) -> Step {
    let start = bits.offset() + rows.start;
    if start.is_multiple_of(8) {
        body.array(bits.inner(), start / 8, rows.len().div_ceil(8))
    } else {
        shifted_bits(body, bits, start, rows.len())
    }
}

fn shifted_bits(body: &mut Body<'_, '_>, bits: &BooleanBuffer, start: usize, length: usize) -> Step {
    body.made(length.div_ceil(8), |out| {
        let chunks = BitChunks::new(bits.values(), start, length);
        let (whole, rest) = out.split_at_mut(length / 64 * 8);
        for (out, chunk) in whole.chunks_exact_mut(8).zip(chunks.iter()) {
            out.copy_from_slice(&chunk.to_le_bytes());
        }
        let remainder = chunks.remainder_bits().to_le_bytes();
        rest.copy_from_slice(&remainder[..rest.len()]);
    })
}

/// How many of the bits `rows` are set.
pub(crate) fn count_ones(bits: &BooleanBuffer, rows: &Range<usize>) -> usize {
    UnalignedBitChunk::new(bits.values(), bits.offset() + rows.start, rows.len()).count_ones()
}

/// The offsets of `rows`, from 0 on, one more than rows. Returns the values they span.
#[inline(always)]
pub(crate) fn offsets<'a, O: OffsetSizeTrait>(
    body: &mut Body<'_, 'a>,
    offsets: &'a ScalarBuffer<O>,
    rows: &Range<usize>,
) -> Step<Range<usize>> {
    let Some(window) = offsets.get(rows.start..=rows.end) else {
        return Err(Error::invalid(format!("{} offsets", rows.end + 1), format!("{} offsets", offsets.len())));
    };
    let (first, last) = (window[0], window[window.len() - 1]);
    let (Some(start), Some(end)) = (first.to_usize(), last.to_usize()) else {
        return Err(falling(first, last));
    };
    if start > end {
        return Err(falling(first, last));
    }
    if start == 0 {
        body.array(offsets.inner(), rows.start * size_of::<O>(), size_of_val(window))?;
    } else {
        rebased(body, window, start)?;
    }
    Ok(start..end)
}

fn rebased<O: OffsetSizeTrait>(body: &mut Body<'_, '_>, offsets: &[O], start: usize) -> Step {
    // Wraps where an offset in between is out of order, which is not looked for.
    let rebased = |offset: &O| O::usize_as(offset.as_usize().wrapping_sub(start));
    body.made(size_of_val(offsets), |out| fill(out, offsets.iter().map(rebased)))
}

#[cold]
fn falling<O: OffsetSizeTrait>(first: O, last: O) -> Box<Error> {
    Error::invalid("offsets that rise from 0", format!("{first:?} to {last:?}"))
}

/// The offsets of list views, rebased to the values that some row uses, which are returned. Sizes are not touched.
pub(crate) fn list_view_offsets<'a, O: OffsetSizeTrait>(
    body: &mut Body<'_, 'a>,
    offsets: &'a ScalarBuffer<O>,
    sizes: &ScalarBuffer<O>,
    rows: &Range<usize>,
) -> Step<Range<usize>> {
    let (Some(window), Some(sizes)) = (offsets.get(rows.clone()), sizes.get(rows.clone())) else {
        return Err(Error::invalid(
            format!("{} offsets and sizes", rows.end),
            format!("{} offsets, {} sizes", offsets.len(), sizes.len()),
        ));
    };
    let (mut first, mut end, mut furthest_empty) = (usize::MAX, 0, 0);
    for (&offset, &size) in window.iter().zip(sizes) {
        let (Some(offset), Some(size)) = (offset.to_usize(), size.to_usize()) else {
            return Err(Error::invalid("list views of at least 0", format!("offset {offset:?}, size {size:?}")));
        };
        if size == 0 {
            furthest_empty = furthest_empty.max(offset);
        } else {
            first = first.min(offset);
            end = end.max(offset + size);
        }
    }
    let used = first.min(end)..end;
    if used.start == 0 && furthest_empty <= end {
        body.array(offsets.inner(), rows.start * size_of::<O>(), size_of_val(window))?;
    } else {
        // A view of size 0 may point anywhere in the child; it is sent to its start, which always exists.
        let start = O::usize_as(used.start);
        body.made(size_of_val(window), |out| {
            let rebased = window.iter().zip(sizes);
            fill(out, rebased.map(|(&offset, &size)| if size == O::zero() { O::zero() } else { offset - start }));
        })?;
    }
    Ok(used)
}

/// The rows that a dense union's children are asked for.
pub(crate) struct UnionRows {
    /// First row and end, by type id; an end of 0 where no row has that type.
    spans: [(i32, i32); 128],
}

impl UnionRows {
    pub(crate) fn rows_of(&self, type_id: i8) -> Range<usize> {
        let (first, end) = self.spans[usize::from(type_id.unsigned_abs())];
        if end == 0 { 0..0 } else { first.as_usize()..end.as_usize() }
    }
}

/// The offsets of a dense union, rebased to the rows that each child is asked for, which are returned.
pub(crate) fn union_offsets<'a>(
    body: &mut Body<'_, 'a>,
    type_ids: &ScalarBuffer<i8>,
    offsets: &'a ScalarBuffer<i32>,
    rows: &Range<usize>,
) -> Step<UnionRows> {
    let (Some(ids), Some(window)) = (type_ids.get(rows.clone()), offsets.get(rows.clone())) else {
        return Err(Error::invalid(
            format!("{} type ids and offsets", rows.end),
            format!("{} type ids, {} offsets", type_ids.len(), offsets.len()),
        ));
    };
    let mut spans = [(i32::MAX, 0); 128];
    for (&id, &offset) in ids.iter().zip(window) {
        let (Ok(id), true) = (usize::try_from(id), (0..i32::MAX).contains(&offset)) else {
            return Err(Error::invalid("type ids and offsets of at least 0", format!("id {id}, offset {offset}")));
        };
        let (first, end) = &mut spans[id];
        *first = offset.min(*first);
        *end = (offset + 1).max(*end);
    }
    if spans.iter().all(|(first, end)| *end == 0 || *first == 0) {
        body.array(offsets.inner(), rows.start * size_of::<i32>(), size_of_val(window))?;
    } else {
        let rebased = ids.iter().zip(window).map(|(id, offset)| offset - spans[usize::from(id.unsigned_abs())].0);
        body.made(size_of_val(window), |out| fill(out, rebased))?;
    }
    Ok(UnionRows { spans })
}

/// The run ends of `rows`, as the array that they are: node, validity and values. Returns the runs they name.
pub(crate) fn run_ends<'a, E: ArrowNativeType>(
    body: &mut Body<'_, 'a>,
    run_ends: &'a RunEndBuffer<E>,
    rows: &Range<usize>,
) -> Step<Range<usize>> {
    let ends = run_ends.values();
    let (start, end) = (run_ends.offset() + rows.start, run_ends.offset() + rows.end);
    let runs = if rows.is_empty() {
        0..0
    } else {
        ends.partition_point(|e| e.as_usize() <= start)..ends.partition_point(|e| e.as_usize() < end) + 1
    };
    let Some(window) = ends.get(runs.clone()) else {
        return Err(Error::invalid(
            format!("runs that end at or behind row {end}"),
            format!("a last run end of {}", run_ends.max_value()),
        )
        .within("run_ends"));
    };
    body.node(window.len(), 0)?;
    body.empty();
    if start == 0 && window.last().is_none_or(|last| last.as_usize() == end) {
        body.array(run_ends.inner().inner(), runs.start * size_of::<E>(), size_of_val(window))?;
    } else {
        let rebased = window.iter().map(|e| E::usize_as(e.as_usize().min(end).saturating_sub(start)));
        body.made(size_of_val(window), |out| fill(out, rebased))?;
    }
    Ok(runs)
}

/// A view longer than this holds a buffer's index and an offset; others hold their bytes.
const INLINE_VIEW: u32 = 12;

/// How many bytes the views of `rows` use of their data buffers, if that is less than these hold and one buffer can
/// hold it.
pub(crate) fn used_view_bytes(
    views: &ScalarBuffer<u128>,
    nulls: Option<&NullBuffer>,
    buffers: &[Buffer],
    rows: &Range<usize>,
) -> Step<Option<usize>> {
    let mut used = 0;
    for (_, view) in visible(views, nulls, rows)? {
        used += outlined(view, buffers)?.map_or(0, <[u8]>::len);
    }
    let held: usize = buffers.iter().map(Buffer::len).sum();
    Ok((used < held && i32::try_from(used).is_ok()).then_some(used))
}

/// The views of `rows`, and one data buffer that holds the `used` bytes that they use.
pub(crate) fn compact_views(
    body: &mut Body<'_, '_>,
    views: &ScalarBuffer<u128>,
    nulls: Option<&NullBuffer>,
    buffers: &[Buffer],
    rows: &Range<usize>,
    used: usize,
) -> Step {
    body.variadic(usize::from(used > 0));
    let mut found = Ok(());
    body.made(rows.len() * size_of::<u128>(), |out| {
        out.fill(0);
        found = visible(views, nulls, rows).and_then(|mut visible| {
            let mut offset = 0u32;
            visible.try_for_each(|(row, view)| {
                let moved = match outlined(view, buffers)? {
                    None => view,
                    Some(bytes) => {
                        // Length and prefix stay, the buffer's index becomes 0.
                        let moved = view & u128::from(u64::MAX) | u128::from(offset) << 96;
                        offset += u32::try_from(bytes.len()).expect("one buffer holds all bytes in use");
                        moved
                    }
                };
                out[row * 16..][..16].copy_from_slice(&moved.to_le_bytes());
                Ok(())
            })
        });
    })?;
    found?;
    if used == 0 {
        return Ok(());
    }
    let mut found = Ok(());
    body.made(used, |out| {
        found = visible(views, nulls, rows).and_then(|mut visible| {
            let mut end = 0;
            visible.try_for_each(|(_, view)| {
                if let Some(bytes) = outlined(view, buffers)? {
                    out[end..end + bytes.len()].copy_from_slice(bytes);
                    end += bytes.len();
                }
                Ok(())
            })
        });
    })?;
    found
}

/// The views of `rows` that are not null, each with its place among `rows`.
fn visible<'v>(
    views: &'v ScalarBuffer<u128>,
    nulls: Option<&'v NullBuffer>,
    rows: &Range<usize>,
) -> Step<impl Iterator<Item = (usize, u128)> + 'v> {
    let start = rows.start;
    let window = views
        .get(rows.clone())
        .ok_or_else(|| Error::invalid(format!("{} views", rows.end), format!("{} views", views.len())))?;
    let is_valid = move |row: usize| nulls.is_none_or(|nulls| nulls.is_valid(start + row));
    Ok(window.iter().copied().enumerate().filter(move |(row, _)| is_valid(*row)))
}

/// The bytes that a view names in a data buffer, or `None` where it holds them itself.
fn outlined(view: u128, buffers: &[Buffer]) -> Step<Option<&[u8]>> {
    let field = |shift: u32| u32::from_le_bytes([0, 8, 16, 24].map(|bit| (view >> (shift + bit)).to_le_bytes()[0]));
    let (length, index, offset) = (field(0), field(64), field(96));
    if length <= INLINE_VIEW {
        return Ok(None);
    }
    let bytes = buffers.get(index.as_usize()).and_then(|buffer| {
        let start = offset.as_usize();
        buffer.as_slice().get(start..start.checked_add(length.as_usize())?)
    });
    bytes.map(Some).ok_or_else(|| {
        Error::invalid(
            "views into the data buffers",
            format!("{length} bytes at {offset} of buffer {index}, of {}", buffers.len()),
        )
    })
}

/// Writes `values`, one behind the other, over `out`.
fn fill<T: ToByteSlice>(out: &mut [u8], values: impl Iterator<Item = T>) {
    for (out, value) in out.chunks_exact_mut(size_of::<T>()).zip(values) {
        out.copy_from_slice(value.to_byte_slice());
    }
}

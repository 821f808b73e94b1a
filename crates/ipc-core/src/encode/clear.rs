//! Walks over arrays like [`walk`](mod@crate::encode::walk), but writes no value that readers cannot see.
//!
//! A null row still has bytes in its array, perhaps what a filter, a join or a redaction left there, and the usual walk
//! writes them. [`OptionsBuilder::clear_nulls`](crate::OptionsBuilder::clear_nulls) asks for this walk instead. It
//! writes the same nodes, and the same visible values, but
//!
//! - numbers, booleans, fixed-size binary and dictionary keys are zeros in hidden rows;
//! - strings and binary are empty in hidden rows, and their bytes are left out; data buffers of views keep only bytes
//!   that a visible view uses, and have zeros elsewhere;
//! - rows of a child are hidden if their parent's row is, if they lie between list views, or if they belong to a
//!   union's row of another type.
//!
//! What remains visible is shape: how many items a null list has, the type of a hidden union row, where hidden runs
//! end. So are the values of a dictionary that no key uses, unless it is unified.
//!
//! Cleared buffers are built in the arena and masks are allocated, so this costs a copy of every array with nulls, and
//! of all views.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{self, ByteArrayType, ByteViewType};
use arrow_array::{Array, ArrowPrimitiveType, OffsetSizeTrait, RecordBatch, downcast_primitive, downcast_run_array};
use arrow_buffer::{ArrowNativeType, Buffer};
use arrow_schema::DataType;

use crate::arrays::shape::{children_fit, of_type, validity_fits, within};
use crate::arrays::spans;
use crate::arrays::views;
use crate::arrays::visible::{RowMask, children};
use crate::body::Body;
use crate::body::compact_views;
use crate::body::rewrite;
use crate::body::validity;
use crate::encode::keys::Keys;
use crate::encode::walk::{Walk, no_such_array, walk};
use crate::error::{Error, Result};

/// Appends the columns of a batch.
pub(crate) fn columns<'a>(walk: &mut Walk<'_, 'a>, batch: &'a RecordBatch) -> Result<(), Box<Error>> {
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        let rows = 0..batch.num_rows();
        of_type(column.as_ref(), field.data_type())
            .and_then(|()| array(walk, column.as_ref(), rows, field.is_nullable(), &RowMask::ALL))
            .map_err(|e| e.within(field.name()))?;
    }
    Ok(())
}

/// Appends the rows `rows` of an array, of which no parent hides the `visible` ones.
pub(crate) fn array<'a>(
    walk: &mut Walk<'_, 'a>,
    array: &'a dyn Array,
    rows: Range<usize>,
    nullable: bool,
    visible: &RowMask,
) -> Result<(), Box<Error>> {
    within(array.len(), &rows)?;
    if let Some(nulls) = array.nulls() {
        validity_fits(nulls, array.len())?;
    }
    let seen = visible.and_valid(array.nulls(), &rows);
    match array.data_type() {
        DataType::Null => return self::walk(walk, array.data_type(), array, rows, nullable),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            // Without values all rows are null, and must stay null even if they are hidden.
            let visible = if dictionary.values().is_empty() { &RowMask::ALL } else { visible };
            if let Keys::Unified(keys) = &mut walk.keys
                && keys.rewrite(&mut walk.body, dictionary, rows.clone(), nullable, Some(visible))?
            {
                return Ok(());
            }
            return self::array(walk, dictionary.keys(), rows, nullable, visible);
        }
        // These have no validity.
        DataType::Union(..) | DataType::RunEndEncoded(..) => {}
        flat if seen.is_all() && !flat.is_nested() && !is_view(flat) => {
            return self::walk(walk, array.data_type(), array, rows, nullable);
        }
        _ if walk.keeps_nulls => {
            // A null must not become a key if there may be no value for it.
            let valid = RowMask::ALL.and_valid(array.nulls(), &rows);
            validity::cleared(&mut walk.body, rows.len(), &RowMask::ALL, &valid, nullable)?;
        }
        _ => validity::cleared(&mut walk.body, rows.len(), visible, &seen, nullable)?,
    }
    own(&mut walk.body, array, &rows, &seen)?;
    children(array, &rows, &seen, &mut |child| {
        of_type(child.array, child.field.data_type())
            .and_then(|()| self::array(walk, child.array, child.rows, child.field.is_nullable(), &child.visible))
            .map_err(|e| e.within(child.name))
    })
}

fn is_view(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8View | DataType::BinaryView)
}

/// Appends the buffers of an array that come between its validity and its children.
fn own<'a>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    rows: &Range<usize>,
    seen: &RowMask,
) -> Result<(), Box<Error>> {
    macro_rules! primitive_array {
        ($type:ty) => {
            primitive::<$type>(body, array, rows, seen)
        };
    }
    downcast_primitive! {
        array.data_type() => (primitive_array),
        DataType::Boolean => {
            let values = array.as_boolean().values().slice(rows.start, rows.len());
            rewrite::write_bits(body, &seen.mask(&values))
        },
        DataType::Utf8 => bytes::<types::Utf8Type>(body, array, rows, seen),
        DataType::Binary => bytes::<types::BinaryType>(body, array, rows, seen),
        DataType::LargeUtf8 => bytes::<types::LargeUtf8Type>(body, array, rows, seen),
        DataType::LargeBinary => bytes::<types::LargeBinaryType>(body, array, rows, seen),
        DataType::Utf8View => byte_views::<types::StringViewType>(body, array, rows, seen),
        DataType::BinaryView => byte_views::<types::BinaryViewType>(body, array, rows, seen),
        DataType::FixedSizeBinary(_) => {
            let array = array.as_fixed_size_binary();
            fixed_width(body, array.values(), array.value_size(), rows, seen)
        },
        DataType::List(_) => rewrite::offsets(body, array.as_list::<i32>().offsets().inner(), rows).map(drop),
        DataType::LargeList(_) => rewrite::offsets(body, array.as_list::<i64>().offsets().inner(), rows).map(drop),
        DataType::Map(..) => rewrite::offsets(body, array.as_map().offsets().inner(), rows).map(drop),
        DataType::ListView(_) => list_views::<i32>(body, array, rows),
        DataType::LargeListView(_) => list_views::<i64>(body, array, rows),
        DataType::FixedSizeList(..) => Ok(()),
        DataType::Struct(fields) => children_fit(fields, array.as_struct().columns()),
        DataType::Union(..) => rewrite::union_ids(body, array.as_union(), rows).map(drop),
        DataType::RunEndEncoded(..) => downcast_run_array!(
            array => rewrite::run_ends(body, array, rows).map(drop),
            other => unreachable!("it is run-end encoded: {other}")
        ),
        other => Err(no_such_array(other))
    }
}

fn primitive<'a, T: ArrowPrimitiveType>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    rows: &Range<usize>,
    seen: &RowMask,
) -> Result<(), Box<Error>> {
    let array = array.as_primitive::<T>();
    fixed_width(body, array.values().inner(), size_of::<T::Native>(), rows, seen)
}

fn fixed_width<'a>(
    body: &mut Body<'_, 'a>,
    values: &'a Buffer,
    width: usize,
    rows: &Range<usize>,
    seen: &RowMask,
) -> Result<(), Box<Error>> {
    let span = spans::scaled(rows, width)?;
    let Some(bytes) = values.as_slice().get(span.clone()).filter(|_| !seen.is_all()) else {
        return body.array(values, span.start, span.len());
    };
    body.build_buffer(span.len(), |out| {
        for (row, (out, value)) in out.chunks_exact_mut(width).zip(bytes.chunks_exact(width)).enumerate() {
            if seen.sees(row) { out.copy_from_slice(value) } else { out.fill(0) }
        }
    })
}

fn bytes<T: ByteArrayType>(
    body: &mut Body<'_, '_>,
    array: &dyn Array,
    rows: &Range<usize>,
    seen: &RowMask,
) -> Result<(), Box<Error>> {
    let array = array.as_bytes::<T>();
    let (window, _) = spans::of_offsets(array.offsets(), rows)?;
    let values = array.values().as_slice();
    let text = |row: usize| match values.get(window[row].as_usize()..window[row + 1].as_usize()) {
        _ if !seen.sees(row) => Ok([].as_slice()),
        Some(text) => Ok(text),
        None => Err(Error::invalid(
            format!("offsets that do not decrease, up to {}", values.len()),
            format!("{:?} to {:?}", window[row], window[row + 1]),
        )),
    };
    let mut total = 0;
    for row in 0..rows.len() {
        total += text(row)?.len();
        // More bytes than the buffer has means that offsets overlap, and the sum might overflow.
        if total > values.len() {
            return Err(Error::invalid(
                "offsets that do not decrease",
                format!("strings of {total} bytes or more in {}", values.len()),
            ));
        }
    }
    body.build_buffer(size_of_val(window), |out| {
        let lengths = (0..rows.len()).map(|row| text(row).map_or(0, <[u8]>::len));
        let ends = lengths.scan(0, |end, length| {
            *end += length;
            Some(*end)
        });
        rewrite::fill(out, std::iter::once(0).chain(ends).map(T::Offset::usize_as));
    })?;
    body.build_buffer(total, |out| {
        let mut rest = out;
        for text in (0..rows.len()).filter_map(|row| text(row).ok()) {
            let (place, behind) = rest.split_at_mut(text.len());
            place.copy_from_slice(text);
            rest = behind;
        }
    })
}

fn byte_views<T: ByteViewType>(
    body: &mut Body<'_, '_>,
    array: &dyn Array,
    rows: &Range<usize>,
    seen: &RowMask,
) -> Result<(), Box<Error>> {
    let array = array.as_byte_view::<T>();
    let (window, buffers) = (views::window(array.views(), rows)?, array.data_buffers());
    let compacted = compact_views::worth_compacting(window, seen, buffers)?.filter(|_| body.options.compact_views);
    if let Some(used) = compacted {
        return compact_views::compact(body, window, seen, buffers, used);
    }
    body.variadic(buffers.len());
    body.build_buffer(size_of_val(window), |out| {
        rewrite::fill(out, window.iter().enumerate().map(|(row, view)| if seen.sees(row) { *view } else { 0 }));
    })?;
    let mut used: Vec<Vec<Range<usize>>> = vec![Vec::new(); buffers.len()];
    views::named(window, seen).for_each(|range| used[range.buffer].push(range.start..range.start + range.length));
    buffers.iter().zip(used).try_for_each(|(buffer, used)| {
        body.build_buffer(buffer.len(), |out| {
            out.fill(0);
            used.into_iter().for_each(|range| out[range.clone()].copy_from_slice(&buffer[range]));
        })
    })
}

fn list_views<'a, O: OffsetSizeTrait>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    rows: &Range<usize>,
) -> Result<(), Box<Error>> {
    let array = array.as_list_view::<O>();
    rewrite::list_view_offsets(body, array.offsets(), array.sizes(), rows)?;
    let sizes = spans::scaled(rows, size_of::<O>())?;
    body.array(array.sizes().inner(), sizes.start, sizes.len())
}

//! From arrays to a body: field nodes and buffers in the format's order, for a range of rows.
//!
//! Arrays are walked with an explicit row range instead of being sliced, and read through their typed accessors
//! instead of `to_data()`; both of those would allocate. The range narrows on the way down - through offsets, run ends
//! and union offsets - so that a slice writes only what its rows use. How a buffer is brought into the form that the
//! format wants is in [`rewrite`]; what becomes of it, in [`body`](mod@crate::body).
//!
//! See the [columnar format's physical layouts](https://arrow.apache.org/docs/format/Columnar.html#physical-memory-layout).

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{ByteArrayType, ByteViewType, RunEndIndexType};
use arrow_array::{Array, GenericByteArray, GenericByteViewArray, GenericListArray, GenericListViewArray};
use arrow_array::{OffsetSizeTrait, RunArray, UnionArray, downcast_primitive_array, types};
use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field};

use crate::body::Body;
use crate::error::{Error, Step};
use crate::rewrite;

/// Appends the rows `rows` of `array` to `body`. Errors carry the path below the array.
pub(crate) fn walk<'a>(body: &mut Body<'_, 'a>, array: &'a dyn Array, rows: Range<usize>) -> Step {
    if rows.end > array.len() {
        return Err(Error::invalid(format!("at least {} rows", rows.end), format!("{} rows", array.len())));
    }
    match array.data_type() {
        DataType::Null => body.node(rows.len(), rows.len()),
        DataType::Boolean => {
            validity(body, array, &rows)?;
            rewrite::bits(body, array.as_boolean().values(), rows)
        }
        DataType::Utf8 => bytes(body, array.as_bytes::<types::Utf8Type>(), rows),
        DataType::Binary => bytes(body, array.as_bytes::<types::BinaryType>(), rows),
        DataType::LargeUtf8 => bytes(body, array.as_bytes::<types::LargeUtf8Type>(), rows),
        DataType::LargeBinary => bytes(body, array.as_bytes::<types::LargeBinaryType>(), rows),
        DataType::Utf8View => views(body, array.as_byte_view::<types::StringViewType>(), rows),
        DataType::BinaryView => views(body, array.as_byte_view::<types::BinaryViewType>(), rows),
        DataType::FixedSizeBinary(_) => {
            let array = array.as_fixed_size_binary();
            validity(body, array, &rows)?;
            fixed_width(body, array.values(), array.value_size(), rows)
        }
        DataType::List(field) => list(body, array.as_list::<i32>(), field, rows),
        DataType::LargeList(field) => list(body, array.as_list::<i64>(), field, rows),
        DataType::ListView(field) => list_view(body, array.as_list_view::<i32>(), field, rows),
        DataType::LargeListView(field) => list_view(body, array.as_list_view::<i64>(), field, rows),
        DataType::FixedSizeList(field, _) => {
            let array = array.as_fixed_size_list();
            validity(body, array, &rows)?;
            let size = usize::try_from(array.value_length())
                .map_err(|_| Error::invalid("a list size of at least 0", array.value_length().to_string()))?;
            child(body, field, array.values().as_ref(), scaled(&rows, size)?)
        }
        DataType::Map(field, _) => {
            let array = array.as_map();
            validity(body, array, &rows)?;
            let entries = rewrite::offsets(body, array.offsets().inner(), &rows)?;
            child(body, field, array.entries(), entries)
        }
        DataType::Struct(fields) => {
            validity(body, array, &rows)?;
            for (field, column) in fields.iter().zip(array.as_struct().columns()) {
                child(body, field, column.as_ref(), rows.clone())?;
            }
            Ok(())
        }
        DataType::Union(..) => union(body, array.as_union(), rows),
        DataType::Dictionary(..) => walk(body, array.as_any_dictionary().keys(), rows),
        DataType::RunEndEncoded(run_ends, _) => match run_ends.data_type() {
            DataType::Int16 => run_end_encoded(body, array.as_run::<types::Int16Type>(), rows),
            DataType::Int32 => run_end_encoded(body, array.as_run::<types::Int32Type>(), rows),
            _ => run_end_encoded(body, array.as_run::<types::Int64Type>(), rows),
        },
        _ => primitive(body, array, rows),
    }
}

/// A child array; errors below it are told its field's name.
fn child<'a>(body: &mut Body<'_, 'a>, field: &Field, array: &'a dyn Array, rows: Range<usize>) -> Step {
    walk(body, array, rows).map_err(|e| e.within(field.name()))
}

/// The field node and the validity bitmap, which is left empty where no row is null.
#[inline(always)]
fn validity<'a>(body: &mut Body<'_, 'a>, array: &'a dyn Array, rows: &Range<usize>) -> Step {
    match array.nulls() {
        None => {
            body.node(rows.len(), 0)?;
            body.empty();
            Ok(())
        }
        Some(nulls) => bitmap(body, array, nulls, rows),
    }
}

fn bitmap<'a>(body: &mut Body<'_, 'a>, array: &dyn Array, nulls: &'a NullBuffer, rows: &Range<usize>) -> Step {
    if nulls.len() != array.len() {
        return Err(Error::invalid(format!("validity for {} rows", array.len()), format!("for {}", nulls.len())));
    }
    let null_count = if rows.len() == nulls.len() {
        nulls.null_count()
    } else {
        rows.len() - rewrite::count_ones(nulls.inner(), rows)
    };
    body.node(rows.len(), null_count)?;
    if null_count == 0 {
        body.empty();
        return Ok(());
    }
    rewrite::bits(body, nulls.inner(), rows.clone())
}

fn primitive<'a>(body: &mut Body<'_, 'a>, array: &'a dyn Array, rows: Range<usize>) -> Step {
    validity(body, array, &rows)?;
    let (values, width) = downcast_primitive_array!(
        array => (array.values().inner(), width_of(array.values())),
        other => unreachable!("every type but the primitive ones has an arm of its own: {other}")
    );
    fixed_width(body, values, width, rows)
}

const fn width_of<T: arrow_buffer::ArrowNativeType>(_: &ScalarBuffer<T>) -> usize {
    size_of::<T>()
}

#[inline(always)]
fn fixed_width<'a>(body: &mut Body<'_, 'a>, values: &'a Buffer, width: usize, rows: Range<usize>) -> Step {
    let bytes = scaled(&rows, width)?;
    body.array(values, bytes.start, bytes.len())
}

/// `rows` where each row is `factor` units long.
#[inline(always)]
fn scaled(rows: &Range<usize>, factor: usize) -> Step<Range<usize>> {
    match (rows.start.checked_mul(factor), rows.end.checked_mul(factor)) {
        (Some(start), Some(end)) => Ok(start..end),
        _ => Err(Error::invalid("rows that fit memory", format!("{} rows of {factor}", rows.end))),
    }
}

fn bytes<'a, T: ByteArrayType>(body: &mut Body<'_, 'a>, array: &'a GenericByteArray<T>, rows: Range<usize>) -> Step {
    validity(body, array, &rows)?;
    let values = rewrite::offsets(body, array.offsets().inner(), &rows)?;
    body.array(array.values(), values.start, values.len())
}

fn views<'a, T: ByteViewType>(body: &mut Body<'_, 'a>, array: &'a GenericByteViewArray<T>, rows: Range<usize>) -> Step {
    validity(body, array, &rows)?;
    if body.options.compact_views
        && let Some(used) = rewrite::used_view_bytes(array.views(), array.nulls(), array.data_buffers(), &rows)?
    {
        return rewrite::compact_views(body, array.views(), array.nulls(), array.data_buffers(), &rows, used);
    }
    body.variadic(array.data_buffers().len());
    fixed_width(body, array.views().inner(), size_of::<u128>(), rows)?;
    array.data_buffers().iter().try_for_each(|buffer| body.array(buffer, 0, buffer.len()))
}

fn list<'a, O: OffsetSizeTrait>(
    body: &mut Body<'_, 'a>,
    array: &'a GenericListArray<O>,
    field: &Field,
    rows: Range<usize>,
) -> Step {
    validity(body, array, &rows)?;
    let values = rewrite::offsets(body, array.offsets().inner(), &rows)?;
    child(body, field, array.values().as_ref(), values)
}

fn list_view<'a, O: OffsetSizeTrait>(
    body: &mut Body<'_, 'a>,
    array: &'a GenericListViewArray<O>,
    field: &Field,
    rows: Range<usize>,
) -> Step {
    validity(body, array, &rows)?;
    let values = rewrite::list_view_offsets(body, array.offsets(), array.sizes(), &rows)?;
    fixed_width(body, array.sizes().inner(), size_of::<O>(), rows)?;
    child(body, field, array.values().as_ref(), values)
}

fn union<'a>(body: &mut Body<'_, 'a>, array: &'a UnionArray, rows: Range<usize>) -> Step {
    body.node(rows.len(), 0)?;
    if body.options.metadata_version.unions_have_validity() {
        body.empty();
    }
    let type_ids = array.type_ids();
    fixed_width(body, type_ids.inner(), size_of::<i8>(), rows.clone())?;
    let used = match array.offsets() {
        Some(offsets) => Some(rewrite::union_offsets(body, type_ids, offsets, &rows)?),
        None => None,
    };
    for (type_id, field) in array.fields().iter() {
        let rows = used.as_ref().map_or_else(|| rows.clone(), |used| used.rows_of(type_id));
        child(body, field, array.child(type_id).as_ref(), rows)?;
    }
    Ok(())
}

fn run_end_encoded<'a, R: RunEndIndexType>(
    body: &mut Body<'_, 'a>,
    array: &'a RunArray<R>,
    rows: Range<usize>,
) -> Step {
    body.node(rows.len(), 0)?;
    let runs = rewrite::run_ends(body, array.run_ends(), &rows)?;
    walk(body, array.values().as_ref(), runs).map_err(|e| e.within("values"))
}

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
use arrow_array::{
    AnyDictionaryArray, Array, ArrowPrimitiveType, BooleanArray, FixedSizeBinaryArray, FixedSizeListArray,
    GenericByteArray, GenericByteViewArray, GenericListArray, GenericListViewArray, MapArray, NullArray,
    OffsetSizeTrait, PrimitiveArray, RunArray, StructArray, UnionArray, downcast_primitive, types,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Field, Fields, UnionFields, UnionMode};

use crate::arrays::spans::{self, UnionRows};
use crate::arrays::validate::{children_fit, of_type, validity_fits};
use crate::arrays::views;
use crate::arrays::visible::Visible;
use crate::body::Body;
use crate::body::rewrite;
use crate::encode::keys::unified_keys;
use crate::error::{Error, Result};

/// Appends the rows `rows` of `array`, whose field is of type `data_type`, to `body`. Errors carry the path below the
/// array.
///
/// It is inlined where it is called, and primitive arrays, which most columns are, into it: so that a column costs no
/// call of its own. All others have a function each, which is not. In debug builds nothing is: there each type that is
/// inlined would have room of its own in the frames of this recursion, and deep types would take up a thread's stack.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn walk<'a>(
    body: &mut Body<'_, 'a>,
    data_type: &DataType,
    array: &'a dyn Array,
    rows: Range<usize>,
) -> Result<(), Box<Error>> {
    macro_rules! primitive_array {
        ($type:ty) => {
            primitive::<$type>(body, array, rows)
        };
    }
    downcast_primitive! {
        data_type => (primitive_array),
        DataType::Null => null(body, array, rows),
        DataType::Boolean => boolean(body, array, rows),
        DataType::Utf8 => bytes::<types::Utf8Type>(body, array, rows),
        DataType::Binary => bytes::<types::BinaryType>(body, array, rows),
        DataType::LargeUtf8 => bytes::<types::LargeUtf8Type>(body, array, rows),
        DataType::LargeBinary => bytes::<types::LargeBinaryType>(body, array, rows),
        DataType::Utf8View => byte_views::<types::StringViewType>(body, array, rows),
        DataType::BinaryView => byte_views::<types::BinaryViewType>(body, array, rows),
        DataType::FixedSizeBinary(size) => fixed_size_binary(body, array, *size, rows),
        DataType::List(field) => list::<i32>(body, array, field, rows),
        DataType::LargeList(field) => list::<i64>(body, array, field, rows),
        DataType::ListView(field) => list_view::<i32>(body, array, field, rows),
        DataType::LargeListView(field) => list_view::<i64>(body, array, field, rows),
        DataType::FixedSizeList(field, size) => fixed_size_list(body, array, field, *size, rows),
        DataType::Map(entries, _) => map(body, array, entries, rows),
        DataType::Struct(fields) => structs(body, array, fields, rows),
        DataType::Union(fields, mode) => union(body, array, fields, *mode, rows),
        DataType::Dictionary(key, values) => dictionary(body, array, [key, values], rows),
        DataType::RunEndEncoded(run_ends, field) => match run_ends.data_type() {
            DataType::Int16 => run_end_encoded::<types::Int16Type>(body, array, field, rows),
            DataType::Int32 => run_end_encoded::<types::Int32Type>(body, array, field, rows),
            _ => run_end_encoded::<types::Int64Type>(body, array, field, rows),
        },
        other => Err(no_such_array(other))
    }
}

/// There are types, such as 32-bit times of nanoseconds, that no array has.
#[cold]
pub(crate) fn no_such_array(data_type: &DataType) -> Box<Error> {
    Error::invalid("a type that arrays have", data_type.to_string())
}

/// A child array; errors below it are told its field's name.
fn child<'a>(
    body: &mut Body<'_, 'a>,
    field: &Field,
    array: &'a dyn Array,
    rows: Range<usize>,
) -> Result<(), Box<Error>> {
    body.expect(field);
    walk(body, field.data_type(), array, rows).map_err(|e| e.within(field.name()))
}

/// The array as what its field says it is. Only unsafe code can build a batch where it is something else.
#[inline(always)]
fn typed<A: Array + 'static>(array: &dyn Array) -> Result<&A, Box<Error>> {
    match array.as_any().downcast_ref() {
        Some(typed) => Ok(typed),
        None => Err(other_type(array.data_type())),
    }
}

#[cold]
fn other_type(found: &DataType) -> Box<Error> {
    Error::invalid("an array of its field's type", format!("one of type {found}"))
}

/// The field node and the validity bitmap, which is left empty where no row is null.
#[inline(always)]
pub(crate) fn validity<'a>(
    body: &mut Body<'_, 'a>,
    length: usize,
    nulls: Option<&'a NullBuffer>,
    rows: &Range<usize>,
) -> Result<(), Box<Error>> {
    within(length, rows)?;
    match nulls {
        None => {
            body.node(rows.len(), 0)?;
            body.empty();
            Ok(())
        }
        Some(nulls) => bitmap(body, length, nulls, rows),
    }
}

fn bitmap<'a>(
    body: &mut Body<'_, 'a>,
    length: usize,
    nulls: &'a NullBuffer,
    rows: &Range<usize>,
) -> Result<(), Box<Error>> {
    validity_fits(nulls, length)?;
    let null_count =
        if rows.len() == length { nulls.null_count() } else { rows.len() - rewrite::count_ones(nulls.inner(), rows) };
    body.node(rows.len(), null_count)?;
    if null_count == 0 {
        body.empty();
        return Ok(());
    }
    rewrite::bits(body, nulls.inner(), rows.clone())
}

/// Checks that an array of so many rows has `rows`.
#[inline(always)]
pub(crate) fn within(length: usize, rows: &Range<usize>) -> Result<(), Box<Error>> {
    if rows.end > length { Err(too_few_rows(length, rows)) } else { Ok(()) }
}

#[cold]
fn too_few_rows(length: usize, rows: &Range<usize>) -> Box<Error> {
    Error::invalid(format!("at least {} rows", rows.end), format!("{length} rows"))
}

#[cfg_attr(not(debug_assertions), inline(always))]
fn primitive<'a, T: ArrowPrimitiveType>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    rows: Range<usize>,
) -> Result<(), Box<Error>> {
    let array = typed::<PrimitiveArray<T>>(array)?;
    validity(body, array.len(), array.nulls(), &rows)?;
    body.values(array.values(), &rows)
}

#[inline(never)]
fn null(body: &mut Body<'_, '_>, array: &dyn Array, rows: Range<usize>) -> Result<(), Box<Error>> {
    let array = typed::<NullArray>(array)?;
    within(array.len(), &rows)?;
    body.node(rows.len(), rows.len())
}

#[inline(never)]
fn boolean<'a>(body: &mut Body<'_, 'a>, array: &'a dyn Array, rows: Range<usize>) -> Result<(), Box<Error>> {
    let array = typed::<BooleanArray>(array)?;
    validity(body, array.len(), array.nulls(), &rows)?;
    rewrite::bits(body, array.values(), rows)
}

#[inline(never)]
fn bytes<'a, T: ByteArrayType>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    rows: Range<usize>,
) -> Result<(), Box<Error>> {
    let array = typed::<GenericByteArray<T>>(array)?;
    validity(body, array.len(), array.nulls(), &rows)?;
    let values = rewrite::offsets(body, array.offsets().inner(), &rows)?;
    body.array(array.values(), values.start, values.len())
}

#[inline(never)]
fn byte_views<'a, T: ByteViewType>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    rows: Range<usize>,
) -> Result<(), Box<Error>> {
    let array = typed::<GenericByteViewArray<T>>(array)?;
    validity(body, array.len(), array.nulls(), &rows)?;
    if body.options.compact_views {
        let (window, visible) = (views::window(array.views(), &rows)?, Visible::ALL.but_nulls(array.nulls(), &rows));
        if let Some(used) = views::worth_compacting(window, &visible, array.data_buffers())? {
            return views::compact(body, window, &visible, array.data_buffers(), used);
        }
    }
    body.variadic(array.data_buffers().len());
    body.values(array.views(), &rows)?;
    array.data_buffers().iter().try_for_each(|buffer| body.array(buffer, 0, buffer.len()))
}

#[inline(never)]
fn fixed_size_binary<'a>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    size: i32,
    rows: Range<usize>,
) -> Result<(), Box<Error>> {
    let array = typed::<FixedSizeBinaryArray>(array)?;
    if array.value_length() != size {
        return Err(other_type(array.data_type()));
    }
    validity(body, array.len(), array.nulls(), &rows)?;
    let bytes = spans::scaled(&rows, array.value_size())?;
    body.array(array.values(), bytes.start, bytes.len())
}

#[inline(never)]
fn list<'a, O: OffsetSizeTrait>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    field: &Field,
    rows: Range<usize>,
) -> Result<(), Box<Error>> {
    let array = typed::<GenericListArray<O>>(array)?;
    validity(body, array.len(), array.nulls(), &rows)?;
    let values = rewrite::offsets(body, array.offsets().inner(), &rows)?;
    child(body, field, array.values().as_ref(), values)
}

#[inline(never)]
fn list_view<'a, O: OffsetSizeTrait>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    field: &Field,
    rows: Range<usize>,
) -> Result<(), Box<Error>> {
    let array = typed::<GenericListViewArray<O>>(array)?;
    validity(body, array.len(), array.nulls(), &rows)?;
    let values = rewrite::list_view_offsets(body, array.offsets(), array.sizes(), &rows)?;
    body.values(array.sizes(), &rows)?;
    child(body, field, array.values().as_ref(), values)
}

#[inline(never)]
fn fixed_size_list<'a>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    field: &Field,
    size: i32,
    rows: Range<usize>,
) -> Result<(), Box<Error>> {
    let array = typed::<FixedSizeListArray>(array)?;
    if array.value_length() != size {
        return Err(other_type(array.data_type()));
    }
    validity(body, array.len(), array.nulls(), &rows)?;
    let size = usize::try_from(array.value_length())
        .map_err(|_| Error::invalid("a list size of at least 0", array.value_length().to_string()))?;
    child(body, field, array.values().as_ref(), spans::scaled(&rows, size)?)
}

#[inline(never)]
fn map<'a>(body: &mut Body<'_, 'a>, array: &'a dyn Array, field: &Field, rows: Range<usize>) -> Result<(), Box<Error>> {
    let array = typed::<MapArray>(array)?;
    validity(body, array.len(), array.nulls(), &rows)?;
    let entries = rewrite::offsets(body, array.offsets().inner(), &rows)?;
    child(body, field, array.entries(), entries)
}

#[inline(never)]
fn structs<'a>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    fields: &Fields,
    rows: Range<usize>,
) -> Result<(), Box<Error>> {
    let array = typed::<StructArray>(array)?;
    validity(body, array.len(), array.nulls(), &rows)?;
    children_fit(fields, array.columns())?;
    let mut children = fields.iter().zip(array.columns());
    children.try_for_each(|(field, column)| child(body, field, column.as_ref(), rows.clone()))
}

#[inline(never)]
fn union<'a>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    fields: &UnionFields,
    mode: UnionMode,
    rows: Range<usize>,
) -> Result<(), Box<Error>> {
    let array = typed::<UnionArray>(array)?;
    let has_same_ids = fields.iter().map(|(id, _)| id).eq(array.fields().iter().map(|(id, _)| id));
    if array.offsets().is_some() != (mode == UnionMode::Dense) || !has_same_ids {
        return Err(other_type(array.data_type()));
    }
    within(array.len(), &rows)?;
    let used = union_ids(body, array, &rows)?;
    for (type_id, field) in fields.iter() {
        let rows = used.as_ref().map_or_else(|| rows.clone(), |used| used.of(type_id));
        child(body, field, array.child(type_id).as_ref(), rows)?;
    }
    Ok(())
}

/// What a union has before its children, and the rows that each of them is asked for, if not the same.
pub(crate) fn union_ids<'a>(
    body: &mut Body<'_, 'a>,
    array: &'a UnionArray,
    rows: &Range<usize>,
) -> Result<Option<UnionRows>, Box<Error>> {
    body.node(rows.len(), 0)?;
    if body.options.metadata_version.unions_have_validity() {
        body.empty();
    }
    let type_ids = array.type_ids();
    body.values(type_ids, rows)?;
    array.offsets().map(|offsets| rewrite::union_offsets(body, type_ids, offsets, rows)).transpose()
}

/// The keys, which are what a dictionary array has in a record batch; its values go into a message of their own.
#[inline(never)]
fn dictionary<'a>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    [key, values]: [&DataType; 2],
    rows: Range<usize>,
) -> Result<(), Box<Error>> {
    let Some(array) = array.as_any_dictionary_opt() else { return Err(other_type(array.data_type())) };
    of_type(array.values().as_ref(), values)?;
    if body.unifying.is_some() { unified_keys(body, array, rows, None) } else { walk(body, key, array.keys(), rows) }
}

/// A dictionary array's keys as they are.
pub(crate) fn own_keys<'a>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn AnyDictionaryArray,
    rows: Range<usize>,
) -> Result<(), Box<Error>> {
    walk(body, array.keys().data_type(), array.keys(), rows)
}

#[inline(never)]
fn run_end_encoded<'a, R: RunEndIndexType>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    field: &Field,
    rows: Range<usize>,
) -> Result<(), Box<Error>> {
    let array = typed::<RunArray<R>>(array)?;
    within(array.len(), &rows)?;
    let runs = run_ends(body, array, &rows)?;
    body.expect(field);
    walk(body, field.data_type(), array.values().as_ref(), runs).map_err(|e| e.within("values"))
}

/// What a run-end encoded array has before its values, and the runs that its rows are in.
pub(crate) fn run_ends<'a, R: RunEndIndexType>(
    body: &mut Body<'_, 'a>,
    array: &'a RunArray<R>,
    rows: &Range<usize>,
) -> Result<Range<usize>, Box<Error>> {
    body.node(rows.len(), 0)?;
    rewrite::run_ends(body, array.run_ends(), rows)
}

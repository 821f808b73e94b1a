//! Walks over arrays and writes their field nodes and buffers to a body, in the format's order, for a range of rows.
//!
//! Slicing an array, or asking for its `to_data()`, would allocate. So arrays are read through their typed accessors,
//! with an explicit row range, which narrows on the way down through offsets, run ends and union offsets: a slice
//! writes only what its rows use. [`rewrite`] brings a buffer into the form that the format wants.
//!
//! See the [columnar format's physical
//! layouts](https://arrow.apache.org/docs/format/Columnar.html#physical-memory-layout).

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{ByteArrayType, ByteViewType, RunEndIndexType};
use arrow_array::{
    Array, ArrowPrimitiveType, BooleanArray, FixedSizeBinaryArray, FixedSizeListArray, GenericByteArray,
    GenericByteViewArray, GenericListArray, GenericListViewArray, MapArray, NullArray, OffsetSizeTrait, PrimitiveArray,
    RunArray, StructArray, UnionArray, downcast_primitive, downcast_run_end_index, types,
};
use arrow_schema::{DataType, Field, Fields, UnionFields, UnionMode};

use crate::arrays::shape::{children_fit, of_type, within};
use crate::arrays::spans;
use crate::arrays::views;
use crate::arrays::visible::RowMask;
use crate::body::Body;
use crate::body::compact_views;
use crate::body::rewrite;
use crate::body::validity::validity;
use crate::encode::keys::Keys;
use crate::error::{Error, Result};

/// A walk over arrays: the body that it writes, and what becomes of keys.
pub(crate) struct Walk<'s, 'a> {
    pub(crate) body: Body<'s, 'a>,
    pub(crate) keys: Keys<'s>,
    /// Whether hidden nulls stay nulls in a body that is cleared.
    pub(crate) keeps_nulls: bool,
}

/// Appends the rows `rows` of `array` to the body. Its field has the type `data_type` and allows nulls if it is
/// `nullable`. Errors carry the path below the array.
///
/// This function and the one for primitive arrays, which most columns are, are inlined, so that a column costs no call.
/// All other types have a function each that is not inlined. Debug builds inline nothing: every inlined type would
/// enlarge the frames of this recursion, and deep types would exhaust a thread's stack.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(crate) fn walk<'a>(
    walk: &mut Walk<'_, 'a>,
    data_type: &DataType,
    array: &'a dyn Array,
    rows: Range<usize>,
    nullable: bool,
) -> Result<(), Box<Error>> {
    macro_rules! primitive_array {
        ($type:ty) => {
            primitive::<$type>(&mut walk.body, array, rows, nullable)
        };
    }
    macro_rules! runs {
        ($type:ty, $field:ident) => {
            run_end_encoded::<$type>(walk, array, $field, rows)
        };
    }
    downcast_primitive! {
        data_type => (primitive_array),
        DataType::Null => null(&mut walk.body, array, rows, nullable),
        DataType::Boolean => boolean(&mut walk.body, array, rows, nullable),
        DataType::Utf8 => bytes::<types::Utf8Type>(&mut walk.body, array, rows, nullable),
        DataType::Binary => bytes::<types::BinaryType>(&mut walk.body, array, rows, nullable),
        DataType::LargeUtf8 => bytes::<types::LargeUtf8Type>(&mut walk.body, array, rows, nullable),
        DataType::LargeBinary => bytes::<types::LargeBinaryType>(&mut walk.body, array, rows, nullable),
        DataType::Utf8View => byte_views::<types::StringViewType>(&mut walk.body, array, rows, nullable),
        DataType::BinaryView => byte_views::<types::BinaryViewType>(&mut walk.body, array, rows, nullable),
        DataType::FixedSizeBinary(size) => fixed_size_binary(&mut walk.body, array, *size, rows, nullable),
        DataType::List(field) => list::<i32>(walk, array, field, rows, nullable),
        DataType::LargeList(field) => list::<i64>(walk, array, field, rows, nullable),
        DataType::ListView(field) => list_view::<i32>(walk, array, field, rows, nullable),
        DataType::LargeListView(field) => list_view::<i64>(walk, array, field, rows, nullable),
        DataType::FixedSizeList(field, size) => fixed_size_list(walk, array, field, *size, rows, nullable),
        DataType::Map(entries, _) => map(walk, array, entries, rows, nullable),
        DataType::Struct(fields) => structs(walk, array, fields, rows, nullable),
        DataType::Union(fields, mode) => union(walk, array, fields, *mode, rows),
        DataType::Dictionary(key, values) => dictionary(walk, array, [key, values], rows, nullable),
        DataType::RunEndEncoded(run_ends, field) => downcast_run_end_index! {
            run_ends.data_type() => (runs, field),
            other => Err(no_such_array(other))
        },
        other => Err(no_such_array(other))
    }
}

/// Some types, such as 32-bit times in nanoseconds, have no array.
#[cold]
pub(crate) fn no_such_array(data_type: &DataType) -> Box<Error> {
    Error::invalid("a type that arrays have", data_type.to_string())
}

/// Walks over a child array. Adds the field's name to the path of an error.
fn child<'a>(
    walk: &mut Walk<'_, 'a>,
    field: &Field,
    array: &'a dyn Array,
    rows: Range<usize>,
) -> Result<(), Box<Error>> {
    self::walk(walk, field.data_type(), array, rows, field.is_nullable()).map_err(|e| e.within(field.name()))
}

/// Returns the array as the type that its field says. Only unsafe code can build a batch where it has another one.
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

#[cfg_attr(not(debug_assertions), inline(always))]
fn primitive<'a, T: ArrowPrimitiveType>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    rows: Range<usize>,
    nullable: bool,
) -> Result<(), Box<Error>> {
    let array = typed::<PrimitiveArray<T>>(array)?;
    validity(body, array.len(), array.nulls(), &rows, nullable)?;
    body.values(array.values(), &rows)
}

#[inline(never)]
fn null(body: &mut Body<'_, '_>, array: &dyn Array, rows: Range<usize>, nullable: bool) -> Result<(), Box<Error>> {
    let array = typed::<NullArray>(array)?;
    within(array.len(), &rows)?;
    body.node(rows.len(), rows.len(), nullable)
}

#[inline(never)]
fn boolean<'a>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    rows: Range<usize>,
    nullable: bool,
) -> Result<(), Box<Error>> {
    let array = typed::<BooleanArray>(array)?;
    validity(body, array.len(), array.nulls(), &rows, nullable)?;
    rewrite::bits(body, array.values(), rows)
}

#[inline(never)]
fn bytes<'a, T: ByteArrayType>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    rows: Range<usize>,
    nullable: bool,
) -> Result<(), Box<Error>> {
    let array = typed::<GenericByteArray<T>>(array)?;
    validity(body, array.len(), array.nulls(), &rows, nullable)?;
    let values = rewrite::offsets(body, array.offsets().inner(), &rows)?;
    body.array(array.values(), values.start, values.len())
}

#[inline(never)]
fn byte_views<'a, T: ByteViewType>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn Array,
    rows: Range<usize>,
    nullable: bool,
) -> Result<(), Box<Error>> {
    let array = typed::<GenericByteViewArray<T>>(array)?;
    validity(body, array.len(), array.nulls(), &rows, nullable)?;
    if body.options.compact_views {
        let (window, visible) = (views::window(array.views(), &rows)?, RowMask::ALL.and_valid(array.nulls(), &rows));
        if let Some(used) = compact_views::worth_compacting(window, &visible, array.data_buffers())? {
            return compact_views::compact(body, window, &visible, array.data_buffers(), used);
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
    nullable: bool,
) -> Result<(), Box<Error>> {
    let array = typed::<FixedSizeBinaryArray>(array)?;
    if array.value_length() != size {
        return Err(other_type(array.data_type()));
    }
    validity(body, array.len(), array.nulls(), &rows, nullable)?;
    let bytes = spans::scaled(&rows, array.value_size())?;
    body.array(array.values(), bytes.start, bytes.len())
}

#[inline(never)]
fn list<'a, O: OffsetSizeTrait>(
    walk: &mut Walk<'_, 'a>,
    array: &'a dyn Array,
    field: &Field,
    rows: Range<usize>,
    nullable: bool,
) -> Result<(), Box<Error>> {
    let array = typed::<GenericListArray<O>>(array)?;
    validity(&mut walk.body, array.len(), array.nulls(), &rows, nullable)?;
    let values = rewrite::offsets(&mut walk.body, array.offsets().inner(), &rows)?;
    child(walk, field, array.values().as_ref(), values)
}

#[inline(never)]
fn list_view<'a, O: OffsetSizeTrait>(
    walk: &mut Walk<'_, 'a>,
    array: &'a dyn Array,
    field: &Field,
    rows: Range<usize>,
    nullable: bool,
) -> Result<(), Box<Error>> {
    let array = typed::<GenericListViewArray<O>>(array)?;
    validity(&mut walk.body, array.len(), array.nulls(), &rows, nullable)?;
    let values = rewrite::list_view_offsets(&mut walk.body, array.offsets(), array.sizes(), &rows)?;
    walk.body.values(array.sizes(), &rows)?;
    child(walk, field, array.values().as_ref(), values)
}

#[inline(never)]
fn fixed_size_list<'a>(
    walk: &mut Walk<'_, 'a>,
    array: &'a dyn Array,
    field: &Field,
    size: i32,
    rows: Range<usize>,
    nullable: bool,
) -> Result<(), Box<Error>> {
    let array = typed::<FixedSizeListArray>(array)?;
    if array.value_length() != size {
        return Err(other_type(array.data_type()));
    }
    validity(&mut walk.body, array.len(), array.nulls(), &rows, nullable)?;
    let size = usize::try_from(array.value_length())
        .map_err(|_| Error::invalid("a list size of at least 0", array.value_length().to_string()))?;
    child(walk, field, array.values().as_ref(), spans::scaled(&rows, size)?)
}

#[inline(never)]
fn map<'a>(
    walk: &mut Walk<'_, 'a>,
    array: &'a dyn Array,
    field: &Field,
    rows: Range<usize>,
    nullable: bool,
) -> Result<(), Box<Error>> {
    let array = typed::<MapArray>(array)?;
    validity(&mut walk.body, array.len(), array.nulls(), &rows, nullable)?;
    let entries = rewrite::offsets(&mut walk.body, array.offsets().inner(), &rows)?;
    child(walk, field, array.entries(), entries)
}

#[inline(never)]
fn structs<'a>(
    walk: &mut Walk<'_, 'a>,
    array: &'a dyn Array,
    fields: &Fields,
    rows: Range<usize>,
    nullable: bool,
) -> Result<(), Box<Error>> {
    let array = typed::<StructArray>(array)?;
    validity(&mut walk.body, array.len(), array.nulls(), &rows, nullable)?;
    children_fit(fields, array.columns())?;
    let mut children = fields.iter().zip(array.columns());
    children.try_for_each(|(field, column)| child(walk, field, column.as_ref(), rows.clone()))
}

#[inline(never)]
fn union<'a>(
    walk: &mut Walk<'_, 'a>,
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
    let used = rewrite::union_ids(&mut walk.body, array, &rows)?;
    for (type_id, field) in fields.iter() {
        let rows = used.as_ref().map_or_else(|| rows.clone(), |used| used.of(type_id));
        child(walk, field, array.child(type_id).as_ref(), rows)?;
    }
    Ok(())
}

/// Writes the keys of a dictionary-encoded array. Its values go into a message of their own.
#[inline(never)]
fn dictionary<'a>(
    walk: &mut Walk<'_, 'a>,
    array: &'a dyn Array,
    [key, values]: [&DataType; 2],
    rows: Range<usize>,
    nullable: bool,
) -> Result<(), Box<Error>> {
    let Some(array) = array.as_any_dictionary_opt() else { return Err(other_type(array.data_type())) };
    of_type(array.values().as_ref(), values)?;
    if let Keys::Unified(keys) = &mut walk.keys
        && keys.rewrite(&mut walk.body, array, rows.clone(), nullable, None)?
    {
        return Ok(());
    }
    self::walk(walk, key, array.keys(), rows, nullable)
}

#[inline(never)]
fn run_end_encoded<'a, R: RunEndIndexType>(
    walk: &mut Walk<'_, 'a>,
    array: &'a dyn Array,
    field: &Field,
    rows: Range<usize>,
) -> Result<(), Box<Error>> {
    let array = typed::<RunArray<R>>(array)?;
    within(array.len(), &rows)?;
    let runs = rewrite::run_ends(&mut walk.body, array, &rows)?;
    self::walk(walk, field.data_type(), array.values().as_ref(), runs, field.is_nullable())
        .map_err(|e| e.within("values"))
}

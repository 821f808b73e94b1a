//! Checks whether the rows of an array keep what its layout promises.
//!
//! The walk that writes an array checks only what it reads: lengths, the ends of offsets, whatever it rewrites. That
//! costs next to nothing, and keeps it within the array's buffers. The checks here go through the rows value by value,
//! and stop at the first fault:
//!
//! | checks | of what | when |
//! |---|---|---|
//! | [`Checks::Nulls`] | nulls in fields that deny them, unless a parent's null hides them | the walk met such a field with nulls |
//! | [`Checks::Indices`] | all that one part of an array says of another: types, offsets, keys, type ids, run ends, views | a dictionary, before it is sent or compared |
//! | [`Checks::Written`], [`Checks::Cleared`] | both, and the contents of buffers: null counts, UTF-8, prefixes of views | [`Validation::Full`](crate::Validation::Full) |
//!
//! The format does not ask hidden rows to make sense: a null may have any key and any bytes, if its offsets are in
//! order. But some readers look at them. So they are checked if they are written, and not if they are
//! [cleared](mod@crate::encode::clear). Keys of null rows are never checked.

use std::fmt::Display;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{self, ByteArrayType, ByteViewType, RunEndIndexType};
use arrow_array::{
    Array, GenericByteArray, GenericByteViewArray, RecordBatch, RunArray, UnionArray, downcast_integer_array,
    downcast_run_array,
};
use arrow_buffer::{ArrowNativeType, Buffer, NullBuffer};
use arrow_schema::{DataType, UnionFields};

use crate::arrays::shape::{children_fit, is_passable, of_type, validity_fits};
use crate::arrays::spans;
use crate::arrays::views;
use crate::arrays::visible::{Child, RowMask, children};
use crate::error::{Error, Result};
use crate::options::Options;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checks {
    /// Nulls in fields that deny them.
    Nulls,
    /// What one part of the array says of another.
    Indices,
    /// All that can be checked without knowing what the values mean.
    Written,
    /// The same in visible rows only, since hidden ones are cleared.
    Cleared,
}

impl Checks {
    /// The checks of full validation.
    pub(crate) fn full(options: &Options) -> Self {
        if options.clear_nulls { Self::Cleared } else { Self::Written }
    }

    fn is_full(self) -> bool {
        matches!(self, Self::Written | Self::Cleared)
    }
}

/// Checks the columns of a batch.
#[cold]
pub(crate) fn columns(batch: &RecordBatch, checks: Checks) -> Result<(), Box<Error>> {
    batch.schema_ref().fields().iter().zip(batch.columns()).try_for_each(|(field, array)| {
        let (rows, visible) = (0..batch.num_rows(), RowMask::ALL);
        child(Child { name: field.name(), field, array: array.as_ref(), rows, visible }, checks)
    })
}

/// Checks the values `rows` of a dictionary.
pub(crate) fn dictionary(values: &dyn Array, rows: &Range<usize>, checks: Checks) -> Result<(), Box<Error>> {
    array(values, rows, &RowMask::ALL, checks)
}

fn child(Child { name, field, array: values, rows, visible }: Child<'_>, checks: Checks) -> Result<(), Box<Error>> {
    let check = || {
        of_type(values, field.data_type())?;
        array(values, &rows, &visible, checks)?;
        if checks != Checks::Indices && !field.is_nullable() {
            return no_nulls(values, &rows, &visible, checks);
        }
        Ok(())
    };
    check().map_err(|e| e.within(name))
}

/// Checks an array regardless of its field.
fn array(array: &dyn Array, rows: &Range<usize>, visible: &RowMask, checks: Checks) -> Result<(), Box<Error>> {
    if rows.end > array.len() {
        return Err(Error::invalid(format!("at least {} rows", rows.end), format!("{} rows", array.len())));
    }
    if let Some(nulls) = array.nulls() {
        validity_fits(nulls, array.len())?;
        if checks.is_full() {
            nulls_are_counted(nulls)?;
        }
    }
    let visible = visible.and_valid(array.nulls(), rows);
    if checks != Checks::Nulls {
        let read = match (checks, array.data_type()) {
            (Checks::Written, DataType::Dictionary(..)) => &RowMask::ALL.and_valid(array.nulls(), rows),
            (Checks::Written, _) => &RowMask::ALL,
            _ => &visible,
        };
        content(array, rows, read, checks)?;
    }
    children(array, rows, &visible, &mut |found| child(found, checks))
}

fn nulls_are_counted(nulls: &NullBuffer) -> Result<(), Box<Error>> {
    let counted = nulls.len() - nulls.inner().count_set_bits();
    if nulls.null_count() != counted {
        return Err(Error::invalid(format!("a null count of {counted}"), nulls.null_count().to_string()));
    }
    Ok(())
}

/// Checks the array's own buffers, in those of the rows that are `visible`.
fn content(array: &dyn Array, rows: &Range<usize>, visible: &RowMask, checks: Checks) -> Result<(), Box<Error>> {
    match array.data_type() {
        DataType::Utf8 => bytes(array.as_bytes::<types::Utf8Type>(), rows, visible, checks),
        DataType::LargeUtf8 => bytes(array.as_bytes::<types::LargeUtf8Type>(), rows, visible, checks),
        DataType::Binary => bytes(array.as_bytes::<types::BinaryType>(), rows, visible, checks),
        DataType::LargeBinary => bytes(array.as_bytes::<types::LargeBinaryType>(), rows, visible, checks),
        DataType::Utf8View => byte_views(array.as_byte_view::<types::StringViewType>(), rows, visible, checks),
        DataType::BinaryView => byte_views(array.as_byte_view::<types::BinaryViewType>(), rows, visible, checks),
        DataType::FixedSizeBinary(_) => {
            let array = array.as_fixed_size_binary();
            reaches(array.values(), spans::scaled(rows, array.value_size())?.end)
        }
        DataType::List(_) => in_order(spans::of_offsets(array.as_list::<i32>().offsets(), rows)?.0),
        DataType::LargeList(_) => in_order(spans::of_offsets(array.as_list::<i64>().offsets(), rows)?.0),
        DataType::Map(..) => in_order(spans::of_offsets(array.as_map().offsets(), rows)?.0),
        DataType::Struct(fields) => children_fit(fields, array.as_struct().columns()),
        DataType::Union(fields, _) => union(array.as_union(), fields, rows, checks),
        DataType::Dictionary(..) => keys(array, rows, visible),
        DataType::RunEndEncoded(..) => downcast_run_array!(
            array => run_ends_rise(array),
            other => unreachable!("it is run-end encoded: {other}")
        ),
        _ => Ok(()),
    }
}

fn reaches(buffer: &Buffer, end: usize) -> Result<(), Box<Error>> {
    if end > buffer.len() {
        return Err(Error::invalid(format!("a buffer of at least {end} bytes"), format!("{} bytes", buffer.len())));
    }
    Ok(())
}

fn in_order<O: PartialOrd + Display>(offsets: &[O]) -> Result<(), Box<Error>> {
    match offsets.windows(2).find(|pair| pair[0] > pair[1]) {
        None => Ok(()),
        Some(pair) => Err(Error::invalid("offsets that do not decrease", format!("{}, then {}", pair[0], pair[1]))),
    }
}

fn bytes<T: ByteArrayType>(
    array: &GenericByteArray<T>,
    rows: &Range<usize>,
    visible: &RowMask,
    checks: Checks,
) -> Result<(), Box<Error>>
where
    T::Offset: Display,
{
    let (offsets, span) = spans::of_offsets(array.offsets(), rows)?;
    in_order(offsets)?;
    reaches(array.values(), span.end)?;
    if checks.is_full() && matches!(T::DATA_TYPE, DataType::Utf8 | DataType::LargeUtf8) {
        let text = |row: usize| &array.values()[offsets[row].as_usize()..offsets[row + 1].as_usize()];
        return visible.rows(rows.len()).try_for_each(|row| utf8(text(row), rows.start + row));
    }
    Ok(())
}

fn utf8(bytes: &[u8], row: usize) -> Result<(), Box<Error>> {
    match std::str::from_utf8(bytes) {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::invalid("UTF-8", format!("row {row}: {error}"))),
    }
}

fn byte_views<T: ByteViewType>(
    array: &GenericByteViewArray<T>,
    rows: &Range<usize>,
    visible: &RowMask,
    checks: Checks,
) -> Result<(), Box<Error>> {
    let window = views::window(array.views(), rows)?;
    visible.rows(rows.len()).try_for_each(|row| {
        let bytes = views::bytes(&window[row], array.data_buffers())?;
        if !checks.is_full() {
            return Ok(());
        }
        if !views::has_prefix_of(&window[row], bytes) {
            return Err(Error::invalid(
                "views with the first bytes of what they name, or with zeros behind their own",
                format!("row {}: {:#034x}", rows.start + row, window[row]),
            ));
        }
        if T::IS_UTF8 { utf8(bytes, rows.start + row) } else { Ok(()) }
    })
}

fn union(array: &UnionArray, fields: &UnionFields, rows: &Range<usize>, checks: Checks) -> Result<(), Box<Error>> {
    let type_ids: &[i8] = array.type_ids();
    let Some(window) = type_ids.get(rows.clone()) else {
        return Err(Error::invalid(format!("{} type ids", rows.end), format!("{} type ids", type_ids.len())));
    };
    let known = |id: i8| fields.iter().any(|(type_id, _)| type_id == id);
    if let Some(id) = window.iter().find(|id| !known(**id)) {
        return Err(Error::invalid("type ids of the union's fields", id.to_string()));
    }
    let Some(offsets) = array.offsets().filter(|_| checks.is_full()) else {
        return Ok(());
    };
    let (type_ids, offsets, _) = spans::of_union(type_ids, offsets, rows)?;
    let mut last = [0; 128];
    for (id, &offset) in type_ids.iter().zip(offsets) {
        let last = &mut last[usize::from(id.unsigned_abs())];
        if offset < *last {
            return Err(Error::invalid(
                "offsets that do not decrease within a type",
                format!("{last}, then {offset} in type {id}"),
            ));
        }
        *last = offset;
    }
    Ok(())
}

fn keys(array: &dyn Array, rows: &Range<usize>, visible: &RowMask) -> Result<(), Box<Error>> {
    let dictionary = array.as_any_dictionary();
    let (keys, count) = (dictionary.keys(), dictionary.values().len());
    downcast_integer_array!(
        keys => {
            let window = &keys.values()[rows.clone()];
            let is_wrong = |row: &usize| window[*row].to_usize().is_none_or(|key| key >= count);
            match visible.rows(rows.len()).find(is_wrong) {
                None => Ok(()),
                Some(row) => Err(Error::invalid(
                    format!("keys of {count} values"),
                    format!("{} in row {}", window[row], rows.start + row),
                )),
            }
        },
        other => unreachable!("keys are integers: {other}")
    )
}

/// Checks all run ends: those of a few rows are found by a search that relies on the order of all.
fn run_ends_rise<R: RunEndIndexType>(array: &RunArray<R>) -> Result<(), Box<Error>>
where
    R::Native: Display,
{
    let ends = array.run_ends().values();
    let found = match ends.first() {
        Some(first) if *first <= R::Native::default() => Some(format!("{first} as the first")),
        _ => ends.windows(2).find(|pair| pair[0] >= pair[1]).map(|pair| format!("{}, then {}", pair[0], pair[1])),
    };
    match found {
        None => Ok(()),
        Some(found) => Err(Error::invalid("run ends that rise from 1", found).within("run_ends")),
    }
}

/// Refuses nulls in visible rows: by the array's own validity, or, with full checks, by that of the values it refers
/// to.
fn no_nulls(array: &dyn Array, rows: &Range<usize>, visible: &RowMask, checks: Checks) -> Result<(), Box<Error>> {
    let refers = matches!(array.data_type(), DataType::Null | DataType::Dictionary(..) | DataType::RunEndEncoded(..));
    if array.nulls().is_none() && !(checks.is_full() && refers) {
        return Ok(());
    }
    is_passable(array, rows.len())?;
    let is_null = |row: &usize| if checks.is_full() { is_null(array, *row) } else { array.is_null(*row) };
    match visible.rows(rows.len()).map(|row| rows.start + row).find(is_null) {
        None => Ok(()),
        Some(row) => Err(Error::invalid("no nulls", format!("one in row {row}"))),
    }
}

/// Whether a row is null to a reader, by its own validity or by that of the value that it refers to.
fn is_null(array: &dyn Array, row: usize) -> bool {
    fn run<R: RunEndIndexType>(array: &RunArray<R>, row: usize) -> bool {
        is_null(array.values().as_ref(), array.get_physical_index(row))
    }
    match array.data_type() {
        DataType::Null => true,
        DataType::Dictionary(..) if array.is_valid(row) => {
            let dictionary = array.as_any_dictionary();
            let keys = dictionary.keys();
            let key = downcast_integer_array!(
                keys => keys.value(row).as_usize(),
                other => unreachable!("keys are integers: {other}")
            );
            dictionary.values().nulls().is_some_and(|nulls| key < nulls.len() && nulls.is_null(key))
        }
        DataType::RunEndEncoded(..) => downcast_run_array!(
            array => run(array, row),
            other => unreachable!("it is run-end encoded: {other}")
        ),
        _ => array.is_null(row),
    }
}

//! Reads the values of an array as bytes, which are equal if and only if the values are.
//!
//! Types that are not nested lend the bytes as they are in the array. Nested values are laid out in scratch memory,
//! with lengths in front, so that no two values have the same bytes. Numbers are compared by their bits: every NaN, and
//! -0.0, is a value of its own. A value is what a reader of the array sees; offsets, views, run ends and the bytes of
//! null slots do not matter.
//!
//! Arrays are not trusted: one that contradicts itself is an error. Dictionaries do not occur, since
//! [`canonical`](mod@crate::dictionary::unified::canonical) values have ids in their place.

use arrow_array::cast::AsArray;
use arrow_array::types::{self, ByteArrayType, ByteViewType, RunEndIndexType};
use arrow_array::{
    Array, GenericByteViewArray, OffsetSizeTrait, RunArray, UnionArray, downcast_primitive_array, downcast_run_array,
};
use arrow_buffer::{ArrowNativeType, BooleanBuffer, Buffer, NullBuffer};
use arrow_schema::DataType;

use crate::arrays::shape;
use crate::arrays::views;
use crate::error::{Error, Result};

/// Reads the values of one array. Made once, asked for many rows.
pub(crate) struct ValueReader<'a> {
    length: usize,
    nulls: Option<&'a NullBuffer>,
    access: Access<'a>,
}

/// A value's bytes, or `None` for null.
pub(crate) type ValueBytes<'c> = Option<&'c [u8]>;

enum Access<'a> {
    Null,
    Bits(&'a BooleanBuffer),
    Fixed { bytes: &'a [u8], width: usize },
    Short { offsets: &'a [i32], bytes: &'a [u8] },
    Long { offsets: &'a [i64], bytes: &'a [u8] },
    Views { views: &'a [u128], buffers: &'a [Buffer] },
    Nested(&'a dyn Array),
}

impl<'a> ValueReader<'a> {
    pub(crate) fn of(array: &'a dyn Array) -> Result<Self, Box<Error>> {
        let access = match array.data_type() {
            DataType::Null => Access::Null,
            DataType::Boolean => Access::Bits(array.as_boolean().values()),
            DataType::Utf8 => short::<types::Utf8Type>(array),
            DataType::Binary => short::<types::BinaryType>(array),
            DataType::LargeUtf8 => long::<types::LargeUtf8Type>(array),
            DataType::LargeBinary => long::<types::LargeBinaryType>(array),
            DataType::Utf8View => of_views(array.as_byte_view::<types::StringViewType>()),
            DataType::BinaryView => of_views(array.as_byte_view::<types::BinaryViewType>()),
            DataType::FixedSizeBinary(_) => {
                let array = array.as_fixed_size_binary();
                Access::Fixed { bytes: array.values().as_slice(), width: array.value_size() }
            }
            _ => downcast_primitive_array!(
                array => Access::Fixed { bytes: array.values().inner().as_slice(), width: array.data_type().primitive_width().unwrap_or(0) },
                _ => Access::Nested(array)
            ),
        };
        let nulls = array.nulls();
        if let Some(nulls) = nulls
            && nulls.len() != array.len()
        {
            return Err(Error::invalid(format!("validity for {} rows", array.len()), format!("for {}", nulls.len())));
        }
        Ok(Self { length: array.len(), nulls, access })
    }

    /// Returns the value in `row`, from the array or laid out in `scratch`, whose contents are lost.
    pub(crate) fn get<'c>(&self, row: usize, scratch: &'c mut Vec<u8>) -> Result<ValueBytes<'c>, Box<Error>>
    where
        'a: 'c,
    {
        if row >= self.length {
            return Err(beyond(row, self.length));
        }
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return Ok(None);
        }
        let bytes = match &self.access {
            Access::Null => return Ok(None),
            Access::Bits(bits) if row < bits.len() => Some([b"\0", b"\x01"][usize::from(bits.value(row))].as_slice()),
            Access::Bits(_) => None,
            Access::Fixed { bytes, width } => {
                row.checked_mul(*width).and_then(|start| bytes.get(start..start.checked_add(*width)?))
            }
            Access::Short { offsets, bytes } => between(offsets, row).and_then(|range| bytes.get(range)),
            Access::Long { offsets, bytes } => between(offsets, row).and_then(|range| bytes.get(range)),
            Access::Views { views, buffers } => views.get(row).and_then(|view| views::bytes(view, buffers).ok()),
            Access::Nested(array) => {
                scratch.clear();
                lay_out(*array, row, scratch)?;
                Some(scratch.as_slice())
            }
        };
        bytes.map(Some).ok_or_else(|| Error::invalid("values within their buffers", format!("row {row} outside")))
    }

    /// Appends the value in `row` so that what follows cannot be taken for a part of it.
    fn append(&self, row: usize, out: &mut Vec<u8>) -> Result<(), Box<Error>> {
        const NULL: u8 = 0;
        const VALUE: u8 = 1;
        if let Access::Nested(array) = self.access
            && row < self.length
            && self.nulls.is_none_or(|nulls| nulls.is_valid(row))
        {
            out.push(VALUE);
            return lay_out(array, row, out);
        }
        // Only nested values need scratch memory, and those are handled above.
        match self.get(row, &mut Vec::new())? {
            None => out.push(NULL),
            Some(bytes) => {
                out.push(VALUE);
                append_length(bytes.len(), out);
                out.extend_from_slice(bytes);
            }
        }
        Ok(())
    }
}

fn short<'a, T: ByteArrayType<Offset = i32>>(array: &'a dyn Array) -> Access<'a> {
    let array = array.as_bytes::<T>();
    Access::Short { offsets: array.value_offsets(), bytes: array.values().as_slice() }
}

fn long<'a, T: ByteArrayType<Offset = i64>>(array: &'a dyn Array) -> Access<'a> {
    let array = array.as_bytes::<T>();
    Access::Long { offsets: array.value_offsets(), bytes: array.values().as_slice() }
}

fn of_views<T: ByteViewType>(array: &GenericByteViewArray<T>) -> Access<'_> {
    Access::Views { views: array.views(), buffers: array.data_buffers() }
}

/// Returns the range between an offset and the next.
fn between<O: ArrowNativeType>(offsets: &[O], row: usize) -> Option<std::ops::Range<usize>> {
    let [start, end] = offsets.get(row..row.checked_add(2)?)? else { return None };
    Some(start.to_usize()?..end.to_usize()?)
}

/// Appends the value in `row`, which is not null, of a nested array.
fn lay_out(array: &dyn Array, row: usize, out: &mut Vec<u8>) -> Result<(), Box<Error>> {
    match array.data_type() {
        DataType::List(_) => {
            let array = array.as_list::<i32>();
            items(array.values(), between(array.value_offsets(), row), out)
        }
        DataType::LargeList(_) => {
            let array = array.as_list::<i64>();
            items(array.values(), between(array.value_offsets(), row), out)
        }
        DataType::Map(..) => {
            let array = array.as_map();
            items(array.entries(), between(array.value_offsets(), row), out)
        }
        DataType::ListView(_) => {
            let array = array.as_list_view::<i32>();
            items(array.values(), span(array.offsets(), array.sizes(), row), out)
        }
        DataType::LargeListView(_) => {
            let array = array.as_list_view::<i64>();
            items(array.values(), span(array.offsets(), array.sizes(), row), out)
        }
        DataType::FixedSizeList(..) => {
            let array = array.as_fixed_size_list();
            let size = usize::try_from(array.value_length()).ok();
            let range = size.and_then(|size| Some(row.checked_mul(size)?..row.checked_add(1)?.checked_mul(size)?));
            items(array.values(), range, out)
        }
        DataType::Struct(_) => {
            array.as_struct().columns().iter().try_for_each(|column| ValueReader::of(column)?.append(row, out))
        }
        DataType::Union(..) => union(array.as_union(), row, out),
        DataType::RunEndEncoded(..) => downcast_run_array!(
            array => run(array, row, out),
            other => unreachable!("it is run-end encoded: {other}")
        ),
        other => unreachable!("a type without others inside lends its bytes, and ids stand for dictionaries: {other}"),
    }
}

fn items(values: &dyn Array, range: Option<std::ops::Range<usize>>, out: &mut Vec<u8>) -> Result<(), Box<Error>> {
    let length = values.len();
    let range = range
        .filter(|range| range.start <= range.end && range.end <= length)
        .ok_or_else(|| Error::invalid(format!("lists of {length} items"), "one that goes beyond"))?;
    shape::is_passable(values, range.len())?;
    append_length(range.len(), out);
    let reader = ValueReader::of(values)?;
    range.into_iter().try_for_each(|item| reader.append(item, out))
}

fn span<O: OffsetSizeTrait>(offsets: &[O], sizes: &[O], row: usize) -> Option<std::ops::Range<usize>> {
    let start = offsets.get(row)?.to_usize()?;
    Some(start..start.checked_add(sizes.get(row)?.to_usize()?)?)
}

fn union(array: &UnionArray, row: usize, out: &mut Vec<u8>) -> Result<(), Box<Error>> {
    let type_id = *array.type_ids().get(row).ok_or_else(|| beyond(row, array.type_ids().len()))?;
    let is_known = array.fields().iter().any(|(id, _)| id == type_id);
    let offset = match array.offsets() {
        None => Some(row),
        Some(offsets) => offsets.get(row).and_then(|offset| offset.to_usize()),
    };
    let (true, Some(offset)) = (is_known, offset) else {
        return Err(Error::invalid("type ids and offsets of the union's children", format!("id {type_id}")));
    };
    out.extend_from_slice(&type_id.to_le_bytes());
    ValueReader::of(array.child(type_id))?.append(offset, out)
}

fn run<R: RunEndIndexType>(array: &RunArray<R>, row: usize, out: &mut Vec<u8>) -> Result<(), Box<Error>> {
    let ends = array.run_ends();
    let row = ends.offset() + row;
    let run = ends.values().partition_point(|end| end.as_usize() <= row);
    ValueReader::of(array.values())?.append(run, out)
}

fn append_length(length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(length as u64).to_le_bytes());
}

#[cold]
fn beyond(row: usize, length: usize) -> Box<Error> {
    Error::invalid(format!("more than {row} rows"), format!("{length} rows"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Float64Array, ListArray, StringArray, StringViewArray, StructArray};

    use super::*;

    fn bytes(array: &dyn Array, row: usize) -> Option<Vec<u8>> {
        ValueReader::of(array).unwrap().get(row, &mut Vec::new()).unwrap().map(<[u8]>::to_vec)
    }

    #[test]
    fn numbers_are_their_bits() {
        let odd_nan = f64::from_bits(f64::NAN.to_bits() | 1);
        let array = Float64Array::from(vec![0.0, -0.0, f64::NAN, odd_nan, f64::NAN]);
        assert_ne!(bytes(&array, 0), bytes(&array, 1));
        assert_ne!(bytes(&array, 2), bytes(&array, 3));
        assert_eq!(bytes(&array, 2), bytes(&array, 4));
    }

    #[test]
    fn a_view_is_what_it_shows() {
        let long = "a string that is too long for a view";
        let (views, strings) =
            (StringViewArray::from(vec!["", "short", long]), StringArray::from(vec!["", "short", long]));
        (0..3).for_each(|row| assert_eq!(bytes(&views, row), bytes(&strings, row)));
    }

    #[test]
    fn what_is_nested_differs_wherever_its_parts_end() {
        let strings = |values: &[Option<&str>]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
        let pairs = StructArray::try_from(vec![
            ("a", strings(&[Some("x"), Some("xy"), None, Some("")])),
            ("b", strings(&[Some("yz"), Some("z"), Some(""), None])),
        ]);
        let pairs = pairs.unwrap();
        let all: std::collections::HashSet<_> = (0..4).map(|row| bytes(&pairs, row)).collect();
        assert_eq!(all.len(), 4);
    }

    #[test]
    fn a_list_is_its_items_wherever_they_lie() {
        use arrow_array::types::Int32Type;
        let lists = [Some(vec![Some(1), None]), None, Some(vec![]), Some(vec![Some(1), None])];
        let array = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
        assert_eq!(bytes(&array, 0), bytes(&array.slice(3, 1), 0));
        assert_eq!(bytes(&array, 1), None);
        assert_ne!(bytes(&array, 0), bytes(&array, 2));
    }

    #[test]
    fn a_row_that_is_not_there_is_an_error() {
        let array = StringArray::from(vec!["a"]);
        assert!(ValueReader::of(&array).unwrap().get(1, &mut Vec::new()).is_err());
    }
}

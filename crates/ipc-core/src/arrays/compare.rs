//! Compares the values of two dictionaries.
//!
//! Dictionaries are compared with every batch and seldom change, and a program that reads them often wraps the same
//! memory anew for each batch. So the addresses of the arrays are compared first, then those of their memory, and
//! values last, which is the only step that takes time in proportion to their number.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{self, ByteArrayType, ByteViewType, RunEndIndexType};
use arrow_array::{Array, ArrayRef, OffsetSizeTrait, UnionArray, downcast_primitive_array};
use arrow_data::ArrayData;
use arrow_schema::DataType;

use crate::arrays::validate::{self, Checks};
use crate::error::Result;
use crate::schema::types::children;

/// How the values of a dictionary differ from those of an earlier one. Values are compared by their bits; the metadata
/// of fields inside their type is not compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// They are the same.
    Same,
    /// They are the earlier values, followed by others.
    Extends,
    /// They are the first of the earlier values.
    Within,
    /// None of these.
    Different,
}

impl Comparison {
    /// Compares the arrays' addresses first, then the addresses of their memory, and values last.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArray`](crate::Error::InvalidArray) if the new values contradict themselves. The old ones were
    /// checked when they were new.
    pub fn of(old: &ArrayRef, new: &ArrayRef) -> Result<Self> {
        if is_same(old, new) {
            return Ok(Self::Same);
        }
        // Comparing follows the indices of both.
        validate::dictionary(new.as_ref(), &(0..new.len()), Checks::Indices)?;
        let old = old.to_data();
        let Some(new) = with_type(new.to_data(), old.data_type()) else { return Ok(Self::Different) };
        let common = old.len().min(new.len());
        if old.slice(0, common) != new.slice(0, common) {
            return Ok(Self::Different);
        }
        Ok(match old.len().cmp(&new.len()) {
            std::cmp::Ordering::Equal => Self::Same,
            std::cmp::Ordering::Less => Self::Extends,
            std::cmp::Ordering::Greater => Self::Within,
        })
    }
}

/// Returns the data with the metadata of other fields; `None` if the types differ in more than metadata, or if arrow
/// does not accept the data.
fn with_type(data: ArrayData, data_type: &DataType) -> Option<ArrayData> {
    if data.data_type() == data_type {
        return Some(data);
    }
    if !data.data_type().equals_datatype(data_type) {
        return None;
    }
    let types: Vec<&DataType> = match data_type {
        DataType::Dictionary(_, values) => vec![values],
        other => children(other).into_iter().map(|field| field.data_type()).collect(),
    };
    let parts = data.child_data().iter().zip(types).map(|(child, data_type)| with_type(child.clone(), data_type));
    let parts = parts.collect::<Option<Vec<_>>>()?;
    data.into_builder().data_type(data_type.clone()).child_data(parts).build().ok()
}

/// Whether two arrays are the same by their addresses: one array, or, at any level, two arrays over the same memory.
/// Reads no values, and allocates nothing.
pub(crate) fn is_same(old: &ArrayRef, new: &ArrayRef) -> bool {
    Arc::ptr_eq(old, new) || has_same_memory(old.as_ref(), new.as_ref())
}

fn has_same_memory(old: &dyn Array, new: &dyn Array) -> bool {
    let nulls = [old, new].map(|array| array.nulls().filter(|nulls| nulls.null_count() > 0));
    let has_same_nulls = match nulls {
        [Some(old), Some(new)] => old.inner().ptr_eq(new.inner()),
        [old, new] => old.is_none() && new.is_none(),
    };
    old.len() == new.len() && has_same_nulls && has_same_content(old, new)
}

/// Compares all but length and validity.
fn has_same_content(old: &dyn Array, new: &dyn Array) -> bool {
    use DataType::{
        Binary, BinaryView, Boolean, Dictionary, FixedSizeBinary, FixedSizeList, LargeBinary, LargeList, LargeListView,
        LargeUtf8, List, ListView, Map, Null, RunEndEncoded, Struct, Union, Utf8, Utf8View,
    };
    match (old.data_type(), new.data_type()) {
        (Null, Null) => true,
        (Boolean, Boolean) => old.as_boolean().values().ptr_eq(new.as_boolean().values()),
        (Utf8, Utf8) => bytes::<types::Utf8Type>(old, new),
        (LargeUtf8, LargeUtf8) => bytes::<types::LargeUtf8Type>(old, new),
        (Binary, Binary) => bytes::<types::BinaryType>(old, new),
        (LargeBinary, LargeBinary) => bytes::<types::LargeBinaryType>(old, new),
        (Utf8View, Utf8View) => views::<types::StringViewType>(old, new),
        (BinaryView, BinaryView) => views::<types::BinaryViewType>(old, new),
        (FixedSizeBinary(width), FixedSizeBinary(other)) => {
            width == other && old.as_fixed_size_binary().values().ptr_eq(new.as_fixed_size_binary().values())
        }
        (List(_), List(_)) => lists::<i32>(old, new),
        (LargeList(_), LargeList(_)) => lists::<i64>(old, new),
        (ListView(_), ListView(_)) => list_views::<i32>(old, new),
        (LargeListView(_), LargeListView(_)) => list_views::<i64>(old, new),
        (FixedSizeList(_, size), FixedSizeList(_, other)) => {
            size == other && is_same(old.as_fixed_size_list().values(), new.as_fixed_size_list().values())
        }
        (Map(..), Map(..)) => {
            let (old, new) = (old.as_map(), new.as_map());
            old.offsets().ptr_eq(new.offsets()) && has_same_memory(old.entries(), new.entries())
        }
        (Struct(_), Struct(_)) => {
            let (old, new) = (old.as_struct().columns(), new.as_struct().columns());
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| is_same(old, new))
        }
        (Union(..), Union(..)) => unions(old.as_union(), new.as_union()),
        (Dictionary(..), Dictionary(..)) => {
            let (old, new) = (old.as_any_dictionary(), new.as_any_dictionary());
            has_same_memory(old.keys(), new.keys()) && is_same(old.values(), new.values())
        }
        (RunEndEncoded(ends, _), RunEndEncoded(other, _)) => match (ends.data_type(), other.data_type()) {
            (DataType::Int16, DataType::Int16) => runs::<types::Int16Type>(old, new),
            (DataType::Int32, DataType::Int32) => runs::<types::Int32Type>(old, new),
            (DataType::Int64, DataType::Int64) => runs::<types::Int64Type>(old, new),
            _ => false,
        },
        (old_type, new_type) if old_type == new_type => downcast_primitive_array!(
            (old, new) => old.values().ptr_eq(new.values()),
            _ => false
        ),
        _ => false,
    }
}

fn bytes<T: ByteArrayType>(old: &dyn Array, new: &dyn Array) -> bool {
    let (old, new) = (old.as_bytes::<T>(), new.as_bytes::<T>());
    old.offsets().ptr_eq(new.offsets()) && old.values().ptr_eq(new.values())
}

fn views<T: ByteViewType>(old: &dyn Array, new: &dyn Array) -> bool {
    let (old, new) = (old.as_byte_view::<T>(), new.as_byte_view::<T>());
    let (old_buffers, new_buffers) = (old.data_buffers(), new.data_buffers());
    old.views().ptr_eq(new.views())
        && old_buffers.len() == new_buffers.len()
        && old_buffers.iter().zip(new_buffers.iter()).all(|(old, new)| old.ptr_eq(new))
}

fn lists<O: OffsetSizeTrait>(old: &dyn Array, new: &dyn Array) -> bool {
    let (old, new) = (old.as_list::<O>(), new.as_list::<O>());
    old.offsets().ptr_eq(new.offsets()) && is_same(old.values(), new.values())
}

fn list_views<O: OffsetSizeTrait>(old: &dyn Array, new: &dyn Array) -> bool {
    let (old, new) = (old.as_list_view::<O>(), new.as_list_view::<O>());
    old.offsets().ptr_eq(new.offsets()) && old.sizes().ptr_eq(new.sizes()) && is_same(old.values(), new.values())
}

fn unions(old: &UnionArray, new: &UnionArray) -> bool {
    let has_same_offsets = match (old.offsets(), new.offsets()) {
        (Some(old), Some(new)) => old.ptr_eq(new),
        (old, new) => old.is_none() && new.is_none(),
    };
    let (fields, others) = (old.fields(), new.fields());
    let is_same_child = |type_id, other| type_id == other && is_same(old.child(type_id), new.child(other));
    old.type_ids().ptr_eq(new.type_ids())
        && has_same_offsets
        && fields.len() == others.len()
        && fields.iter().zip(others.iter()).all(|((type_id, _), (other, _))| is_same_child(type_id, other))
}

fn runs<R: RunEndIndexType>(old: &dyn Array, new: &dyn Array) -> bool {
    let (old, new) = (old.as_run::<R>(), new.as_run::<R>());
    let (old_ends, new_ends) = (old.run_ends(), new.run_ends());
    old_ends.offset() == new_ends.offset()
        && old_ends.inner().ptr_eq(new_ends.inner())
        && is_same(old.values(), new.values())
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;
    use arrow_buffer::NullBuffer;

    use super::*;

    fn strings(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(values))
    }

    #[test]
    fn the_same_memory_with_other_nulls_is_not_the_same() {
        let plain = StringArray::from_iter_values(["a", "b"]);
        let with = |nulls| {
            let nulls: Option<Vec<bool>> = nulls;
            let array = StringArray::new(plain.offsets().clone(), plain.values().clone(), nulls.map(NullBuffer::from));
            Arc::new(array) as ArrayRef
        };
        let arrays = [None, Some(vec![true, false]), Some(vec![false, true])].map(with);
        for (old, (new, is_old)) in
            arrays.iter().flat_map(|old| arrays.iter().map(move |new| (old, (new, Arc::ptr_eq(old, new)))))
        {
            assert_eq!(is_same(old, &new.slice(0, 2)), is_old);
            assert_eq!(Comparison::of(old, new).unwrap() == Comparison::Same, is_old);
        }
        assert!(is_same(&arrays[0], &with(Some(vec![true, true]))), "no nulls are no nulls");
    }

    #[test]
    fn comparison_tells_growth_from_change() {
        let compare = |old: &ArrayRef, new: &ArrayRef| Comparison::of(old, new).unwrap();
        let old = strings(&["a", "b"]);
        assert_eq!(compare(&old, &old), Comparison::Same);
        assert_eq!(compare(&old, &old.slice(0, 2)), Comparison::Same);
        assert_eq!(compare(&old, &strings(&["a", "b"])), Comparison::Same);
        assert_eq!(compare(&old, &strings(&["a", "b", "c"])), Comparison::Extends);
        assert_eq!(compare(&old, &strings(&["a"])), Comparison::Within);
        assert_eq!(compare(&old, &strings(&["b", "a"])), Comparison::Different);
        assert_eq!(compare(&old, &strings(&["a", "c", "b"])), Comparison::Different);
    }
}

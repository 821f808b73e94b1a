//! How the values of one dictionary stand to those of another.
//!
//! Dictionaries are compared with every batch and seldom change, and whoever reads them wraps the same memory anew for each
//! batch. So the addresses of arrays are compared first, then the addresses of their memory, and values last: only that
//! takes time with their number.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{self, ByteArrayType};
use arrow_array::{Array, ArrayRef, downcast_primitive_array};
use arrow_data::ArrayData;
use arrow_schema::DataType;

use crate::error::Result;
use crate::schema::children;
use crate::validate::{self, Checks};

/// How the values of a dictionary stand to those of one before it. Values are compared by their bits, and the metadata of
/// fields inside their type is of no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// They are the same.
    Same,
    /// The first of them are those before, and there are more.
    Extends,
    /// They are the first of those before.
    Within,
    /// Neither.
    Different,
}

impl Comparison {
    /// Compares the arrays' addresses first, then the addresses of their memory, and values last.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArray`](crate::Error::InvalidArray) where the new values contradict themselves; of the old ones this is known.
    pub fn of(old: &ArrayRef, new: &ArrayRef) -> Result<Self> {
        if is_same(old, new) {
            return Ok(Self::Same);
        }
        // Comparing follows the indices of both.
        validate::dictionary(new.as_ref(), &(0..new.len()), Checks::Indices)?;
        let old = old.to_data();
        let Some(new) = with_type(new.to_data(), old.data_type()) else { return Ok(Self::Different) };
        if old.ptr_eq(&new) {
            return Ok(Self::Same);
        }
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

/// The same data with fields that have other metadata; `None` where the type differs in more than that, or where arrow
/// does not take the data for valid.
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

/// Whether two arrays are known to be the same without a look at their values.
pub(crate) fn is_same(old: &ArrayRef, new: &ArrayRef) -> bool {
    Arc::ptr_eq(old, new) || has_same_buffers(old.as_ref(), new.as_ref())
}

/// Whether two arrays are different wrappings, as readers make them for each batch, of the same memory. Asks only the
/// types that most dictionaries have; `false` means that it is not known.
fn has_same_buffers(old: &dyn Array, new: &dyn Array) -> bool {
    fn bytes<T: ByteArrayType>(old: &dyn Array, new: &dyn Array) -> bool {
        let (old, new) = (old.as_bytes::<T>(), new.as_bytes::<T>());
        old.values().ptr_eq(new.values()) && old.offsets().ptr_eq(new.offsets())
    }
    let same_nulls = match (old.nulls(), new.nulls()) {
        (Some(old), Some(new)) => old.inner().ptr_eq(new.inner()),
        (old, new) => old.is_none() && new.is_none(),
    };
    old.data_type() == new.data_type()
        && same_nulls
        && match old.data_type() {
            DataType::Utf8 => bytes::<types::Utf8Type>(old, new),
            DataType::LargeUtf8 => bytes::<types::LargeUtf8Type>(old, new),
            DataType::Binary => bytes::<types::BinaryType>(old, new),
            DataType::LargeBinary => bytes::<types::LargeBinaryType>(old, new),
            _ => downcast_primitive_array!(
                (old, new) => old.values().ptr_eq(new.values()),
                _ => false
            ),
        }
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;

    use super::*;

    fn strings(values: &[&str]) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(values))
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

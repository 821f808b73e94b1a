//! Dictionaries that all batches of an output share, whatever dictionaries the batches have.
//!
//! [`UnifiedDictionaries`] holds one [growing dictionary](segments) for each dictionary-encoded field, with the values
//! that batches have used. The [batch encoder](crate::encode) rewrites a batch's [keys](crate::encode::keys) to a
//! [`UnifiedSnapshot`]. [`UnifiedDictionaries::grow`] adds the values that the snapshot lacks.
//!
//! - A snapshot is cheap to clone and never changes: one thread can read it while another one grows the dictionaries.
//! - Ids never change, so keys that were rewritten to one snapshot are right for all later ones. One owner grows the
//!   dictionaries, so no two later snapshots differ.
//! - Growing is all or nothing. It looks values up again among those added since the snapshot, so a value that one
//!   snapshot lacks is not added twice.
//!
//! What readers have been sent is not known here; see [`SentDictionaries`](crate::parts::SentDictionaries).

pub(crate) mod canonical;
mod capacity;
mod segments;
pub(crate) mod value_bytes;
pub(crate) mod value_id;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use ahash::RandomState;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use self::canonical::{canonical, canonical_type};
use self::segments::{Limits, SegmentedDictionary, Wanted};
use self::value_id::ValueId;
use crate::error::{Error, Result};
use crate::schema::StreamSchema;
use crate::schema::survey::DictionaryField;

/// The unified dictionaries of an output, which grow.
#[derive(Debug)]
pub struct UnifiedDictionaries {
    newest: UnifiedSnapshot,
}

/// The unified dictionaries of an output at one moment, by dictionary id. Cheap to clone: values are shared.
#[derive(Clone)]
pub struct UnifiedSnapshot {
    schema: Arc<StreamSchema>,
    /// Identifies the dictionaries: all their snapshots share it, and no others do.
    pub(crate) hasher: Arc<RandomState>,
    dictionaries: Vec<Arc<SegmentedDictionary>>,
}

/// Values of a batch that the unified dictionaries lack.
#[derive(Debug)]
#[must_use = "a batch cannot be written before the dictionaries have grown"]
pub struct NewValues {
    /// Identifies the dictionaries.
    pub(crate) hasher: Arc<RandomState>,
    pub(crate) list: Vec<New>,
}

#[derive(Debug)]
pub(crate) struct New {
    pub(crate) id: usize,
    pub(crate) values: ArrayRef,
    pub(crate) rows: Vec<u32>,
    /// The values are none of this many first values of the dictionary.
    pub(crate) others: usize,
}

/// The ids of values that the unified dictionaries have grown by.
#[derive(Debug)]
pub struct AddedValues {
    /// Identifies the dictionaries.
    pub(crate) hasher: Arc<RandomState>,
    pub(crate) list: Vec<(New, Vec<ValueId>)>,
}

impl UnifiedDictionaries {
    /// Returns empty dictionaries for those fields of `schema` that are unified.
    #[must_use]
    pub fn new(schema: Arc<StreamSchema>) -> Self {
        let count = if schema.has_unified_dictionaries() { schema.dictionary_count() } else { 0 };
        let dictionaries = (0..count).map(|_| Arc::default()).collect();
        Self { newest: UnifiedSnapshot { schema, hasher: Arc::new(RandomState::new()), dictionaries } }
    }

    /// The dictionaries at this moment.
    #[must_use]
    pub fn snapshot(&self) -> &UnifiedSnapshot {
        &self.newest
    }

    /// Adds those of `new` that are still missing, and returns the ids of all of them.
    ///
    /// # Errors
    ///
    /// [`Error::DictionaryOverflow`] where a field's keys cannot tell so many values
    /// apart, [`Error::DictionaryTooLarge`] where one array does not hold them,
    /// [`Error::InvalidArray`] where values contradict themselves. Nothing is added
    /// then.
    ///
    /// # Panics
    ///
    /// If other dictionaries lack `new`: its batch was encoded for a snapshot of those.
    pub fn grow(&mut self, new: NewValues) -> Result<AddedValues> {
        assert!(self.newest.is_related(&new.hasher), "dictionaries grow by what is lacking in a snapshot of theirs");
        let mut grown = self.newest.clone();
        let mut list = Vec::with_capacity(new.list.len());
        for new in new.list {
            let places = grown.add(new.id, &new.values, &new.rows, new.others)?;
            list.push((new, places));
        }
        self.newest = grown;
        Ok(AddedValues { hasher: Arc::clone(&self.newest.hasher), list })
    }
}

/// The unified dictionaries of an output, wherever they are kept.
///
/// A batch encoder reads them through [`snapshot`](Self::snapshot), and has them [grow](Self::grow) by the values that
/// a batch brings. For one thread, [`UnifiedDictionaries`] is the store. To share them between threads, implement this
/// trait for a handle that reads a published [`UnifiedSnapshot`], and that grows one `UnifiedDictionaries` behind a
/// lock: `ipc-shared` does so.
///
/// Where the [schema](Self::schema) has no unified dictionary, only `schema` is called.
pub trait UnifiedStore {
    /// The schema that batches are encoded for. It says which dictionaries are unified.
    fn schema(&self) -> &StreamSchema;

    /// Returns the dictionaries as of now, or as of a moment ago. They have all that this store has grown by.
    fn snapshot(&mut self) -> &UnifiedSnapshot;

    /// Adds values that a snapshot lacks, by [`UnifiedDictionaries::grow`].
    ///
    /// # Errors
    ///
    /// As [`UnifiedDictionaries::grow`].
    fn grow(&mut self, new: NewValues) -> Result<AddedValues>;
}

impl UnifiedStore for UnifiedDictionaries {
    fn schema(&self) -> &StreamSchema {
        &self.newest.schema
    }

    fn snapshot(&mut self) -> &UnifiedSnapshot {
        &self.newest
    }

    fn grow(&mut self, new: NewValues) -> Result<AddedValues> {
        Self::grow(self, new)
    }
}

impl UnifiedSnapshot {
    /// The schema that they are for.
    #[must_use]
    pub fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    /// The number of dictionaries.
    pub(crate) fn count(&self) -> usize {
        self.dictionaries.len()
    }

    /// The number of values of the dictionary `id`.
    pub(crate) fn len(&self, id: usize) -> usize {
        self.dictionaries[id].len()
    }

    /// Returns the values of these ids, in the type in which they are written.
    pub(crate) fn values(&self, id: usize, ids: Range<usize>) -> Result<ArrayRef, Box<Error>> {
        self.dictionaries[id].values(ids, &canonical_type(self.schema.dictionary(id).values()))
    }

    /// Whether `hasher` identifies these dictionaries.
    pub(crate) fn is_related(&self, hasher: &Arc<RandomState>) -> bool {
        Arc::ptr_eq(&self.hasher, hasher)
    }

    /// Returns the ids of the rows `rows` of `values`; `None` for those that are missing.
    pub(crate) fn find(&self, id: usize, values: &ArrayRef, rows: &[u32]) -> Result<Vec<Option<ValueId>>, Box<Error>> {
        let (field, dictionary) = (self.schema.dictionary(id), &self.dictionaries[id]);
        if field.inner().is_empty() {
            return dictionary.find(&self.hasher, Wanted { values, rows });
        }
        let mut inner = |turn: usize, values: &ArrayRef, rows: &[u32]| self.find(field.inner()[turn], values, rows);
        match canonical(values, rows, field.values(), &mut inner)? {
            Some(values) => dictionary.find(&self.hasher, Wanted { values: &values, rows: &all_rows(&values)? }),
            // An inner value is missing. Which outer values need it turns out when they are added.
            None => Ok(vec![None; rows.len()]),
        }
    }

    /// Returns the ids of the rows `rows` of `values`, and adds those that are missing. They are none of the first
    /// `others` values.
    fn add(&mut self, id: usize, values: &ArrayRef, rows: &[u32], others: usize) -> Result<Vec<ValueId>, Box<Error>> {
        let schema = Arc::clone(&self.schema);
        let field = schema.dictionary(id);
        if field.inner().is_empty() {
            let added = self.add_to(id, field, Wanted { values, rows }, others);
            return added.map_err(|error| error.at(field.path()));
        }
        let mut inner = |turn: usize, values: &ArrayRef, rows: &[u32]| {
            let places = self.add(field.inner()[turn], values, rows, 0)?;
            Ok(places.into_iter().map(Some).collect())
        };
        let values = canonical(values, rows, field.values(), &mut inner).map_err(|error| error.at(field.path()))?;
        let values = values.expect("what is lacking is added");
        let rows = all_rows(&values).map_err(|error| error.at(field.path()))?;
        let added = self.add_to(id, field, Wanted { values: &values, rows: &rows }, others);
        added.map_err(|error| error.at(field.path()))
    }

    fn add_to(
        &mut self,
        id: usize,
        field: &DictionaryField,
        wanted: Wanted<'_>,
        others: usize,
    ) -> Result<Vec<ValueId>, Box<Error>> {
        let dictionary = Arc::make_mut(&mut self.dictionaries[id]);
        let limits = Limits { data_type: canonical_type(field.values()), length: most_values(field.key()) };
        dictionary.add(&self.hasher, wanted, others, &limits)
    }
}

impl fmt::Debug for UnifiedSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths = self.dictionaries.iter().map(|dictionary| dictionary.len());
        f.debug_struct("UnifiedSnapshot").field("lengths", &lengths.collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

fn all_rows(values: &ArrayRef) -> Result<Vec<u32>, Box<Error>> {
    Ok((0..canonical::row_number(values.len())?).collect())
}

/// Returns the number of values that keys of this type can tell apart. Ids have 31 bits: the highest bit marks what is
/// no id.
pub(crate) fn most_values(key: &DataType) -> u64 {
    match key {
        DataType::Int8 => 1 << 7,
        DataType::UInt8 => 1 << 8,
        DataType::Int16 => 1 << 15,
        DataType::UInt16 => 1 << 16,
        _ => 1 << 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_apart_as_many_values_as_their_type_has_from_0_on() {
        let signed =
            [(DataType::Int8, i8::MAX.into()), (DataType::Int16, i16::MAX.into()), (DataType::Int32, i32::MAX)];
        for (key, highest) in signed {
            assert_eq!(most_values(&key), u64::from(highest.unsigned_abs()) + 1, "{key}");
        }
        for (key, highest) in [(DataType::UInt8, u8::MAX.into()), (DataType::UInt16, u16::MAX)] {
            assert_eq!(most_values(&key), u64::from(highest) + 1, "{key}");
        }
        // Ids have no more.
        for key in [DataType::UInt32, DataType::Int64, DataType::UInt64] {
            assert_eq!(most_values(&key), 1 << 31, "{key}");
        }
    }
}

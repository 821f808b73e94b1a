//! Dictionaries that all batches of an output share, whatever dictionaries they came with.
//!
//! [`UnifiedDictionaries`] have, for each dictionary-encoded field, one [growing](segments) dictionary of the values that
//! batches have used. The [batch encoder](crate::encode) rewrites a batch's [keys](crate::encode::keys) to a
//! [`UnifiedSnapshot`] of them; [`UnifiedDictionaries::grow`] adds the values that the snapshot lacks.
//!
//! - A snapshot is cheap and does not change: it can be read on one thread while another one grows the dictionaries.
//! - Ids never change, so keys that were rewritten for one snapshot are right for all later ones. Only one owner can grow
//!   the dictionaries, so that there are no two later ones that differ.
//! - SegmentedDictionary is all or nothing, and looks up again, in what has been added since, before it adds: what is missing in one
//!   snapshot need not be missing in the next.
//!
//! What readers have been sent is no matter here; see [`SentDictionaries`](crate::parts::SentDictionaries).

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

/// The unified dictionaries of an output as of one moment, by dictionary id. Cheap to clone: values are shared.
#[derive(Clone)]
pub struct UnifiedSnapshot {
    schema: Arc<StreamSchema>,
    /// All snapshots of the same dictionaries have the same, and no others have it.
    pub(crate) hasher: Arc<RandomState>,
    dictionaries: Vec<Arc<SegmentedDictionary>>,
}

/// The values that a batch brings along, and that the unified dictionaries lack.
#[derive(Debug)]
#[must_use = "a batch cannot be written before the dictionaries have grown"]
pub struct NewValues {
    /// Tells which dictionaries.
    pub(crate) hasher: Arc<RandomState>,
    pub(crate) list: Vec<New>,
}

#[derive(Debug)]
pub(crate) struct New {
    pub(crate) id: usize,
    pub(crate) values: ArrayRef,
    pub(crate) rows: Vec<u32>,
    /// Of how many values of the dictionary it is known that they are others.
    pub(crate) others: usize,
}

/// Where values are that have been added to the unified dictionaries.
#[derive(Debug)]
pub struct AddedValues {
    /// Tells to which dictionaries.
    pub(crate) hasher: Arc<RandomState>,
    pub(crate) list: Vec<(New, Vec<ValueId>)>,
}

impl UnifiedDictionaries {
    /// Empty dictionaries for the fields of `schema`, of which those are unified that its options say.
    #[must_use]
    pub fn new(schema: Arc<StreamSchema>) -> Self {
        let count = if schema.has_unified_dictionaries() { schema.dictionary_count() } else { 0 };
        let dictionaries = (0..count).map(|_| Arc::default()).collect();
        Self { newest: UnifiedSnapshot { schema, hasher: Arc::new(RandomState::new()), dictionaries } }
    }

    /// The dictionaries as of now.
    #[must_use]
    pub fn snapshot(&self) -> &UnifiedSnapshot {
        &self.newest
    }

    /// Adds those of `new` that are still not there, and says where all of them are.
    ///
    /// # Errors
    ///
    /// [`Error::DictionaryOverflow`](crate::Error::DictionaryOverflow) where a field's keys cannot tell so many values
    /// apart, [`Error::DictionaryTooLarge`](crate::Error::DictionaryTooLarge) where one array does not hold them,
    /// [`Error::InvalidArray`](crate::Error::InvalidArray) where values contradict themselves. Nothing is added
    /// then.
    ///
    /// # Panics
    ///
    /// Where `new` is lacking in other dictionaries than these: it came of a batch that was encoded for a snapshot of others.
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
/// A batch encoder reads them through [`snapshot`](Self::snapshot), and has them [grow](Self::grow) by the values that a
/// batch brings. For one thread, [`UnifiedDictionaries`] is the store. To share them between threads, implement this trait
/// for a handle that reads a published [`UnifiedSnapshot`], and that grows one `UnifiedDictionaries` behind a lock:
/// `ipc-shared` does so.
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

    /// How many dictionaries there are.
    pub(crate) fn count(&self) -> usize {
        self.dictionaries.len()
    }

    /// How many values the dictionary `id` has.
    pub(crate) fn len(&self, id: usize) -> usize {
        self.dictionaries[id].len()
    }

    /// The values of these ids, as they are to be written.
    pub(crate) fn values(&self, id: usize, ids: Range<usize>) -> Result<ArrayRef, Box<Error>> {
        self.dictionaries[id].values(ids, &canonical_type(self.schema.dictionary(id).values()))
    }

    /// Whether these are the dictionaries that have `hasher`.
    pub(crate) fn is_related(&self, hasher: &Arc<RandomState>) -> bool {
        Arc::ptr_eq(&self.hasher, hasher)
    }

    /// The places of the rows `rows` of `values`; `None` for those that are not there.
    pub(crate) fn find(&self, id: usize, values: &ArrayRef, rows: &[u32]) -> Result<Vec<Option<ValueId>>, Box<Error>> {
        let (field, dictionary) = (self.schema.dictionary(id), &self.dictionaries[id]);
        if field.inner().is_empty() {
            return dictionary.find(&self.hasher, Wanted { values, rows });
        }
        let mut inner = |turn: usize, values: &ArrayRef, rows: &[u32]| self.find(field.inner()[turn], values, rows);
        match canonical(values, rows, field.values(), &mut inner)? {
            Some(values) => dictionary.find(&self.hasher, Wanted { values: &values, rows: &all_rows(&values)? }),
            // An inner value is lacking. Which values it is in comes out when it is added.
            None => Ok(vec![None; rows.len()]),
        }
    }

    /// The places of the rows `rows` of `values`, which are added where they are not there. They are none of the first
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

/// How many values keys of this type can tell apart. Ids have 31 bits: another one says that there is none.
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

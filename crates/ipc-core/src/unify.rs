//! Dictionaries that all batches of an output share, whatever dictionaries they came with.
//!
//! [`UnifiedDictionaries`] have, for each dictionary-encoded field, one [`growing`] dictionary of the values that
//! batches have used. [`BatchEncoder::encode_unified`](crate::BatchEncoder::encode_unified) rewrites a batch's
//! [`keys`] to a [`UnifiedSnapshot`] of them, and says which values are missing there; [`UnifiedDictionaries::grow`]
//! adds them.
//!
//! - A snapshot is cheap and does not change: it can be read on one thread while another one grows the dictionaries.
//! - Ids never change, so keys that were rewritten for one snapshot are right for all later ones. Only one owner can grow
//!   the dictionaries, so that there are no two later ones that differ.
//! - Growing is all or nothing, and looks everything up again before it adds: what is missing in one snapshot need not be
//!   missing in the next.
//!
//! What readers have been sent is no matter here; see [`Dictionaries`](crate::Dictionaries).

pub(crate) mod cells;
mod growing;
pub(crate) mod keys;
mod stored;
pub(crate) mod widened;

use std::fmt;
use std::num::NonZero;
use std::ops::Range;
use std::sync::Arc;

use ahash::RandomState;
use arrow_array::{Array, ArrayRef};
use arrow_schema::DataType;

use self::growing::{Growing, Wanted};
use self::stored::{stored, stored_type};
use crate::error::{Result, Step};
use crate::schema::{DictionaryField, StreamSchema};

/// An id, and one more: so that the absence of an id is the number 0.
pub(crate) type Place = NonZero<u32>;

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
    hasher: Arc<RandomState>,
    dictionaries: Vec<Arc<Growing>>,
}

/// The values that a batch brings along, and that the unified dictionaries lack.
#[derive(Debug, Default)]
#[must_use = "a batch cannot be written before the dictionaries have grown"]
pub struct NewValues {
    list: Vec<New>,
}

#[derive(Debug)]
struct New {
    id: usize,
    values: ArrayRef,
    rows: Vec<u32>,
}

impl UnifiedDictionaries {
    /// Empty dictionaries for the fields of `schema`, of which those are unified that its options say.
    #[must_use]
    pub fn new(schema: Arc<StreamSchema>) -> Self {
        let dictionaries = (0..schema.dictionary_count()).map(|_| Arc::default()).collect();
        Self { newest: UnifiedSnapshot { schema, hasher: Arc::new(RandomState::new()), dictionaries } }
    }

    /// The dictionaries as of now.
    #[must_use]
    pub fn snapshot(&self) -> &UnifiedSnapshot {
        &self.newest
    }

    /// Adds those of `new` that are still not there.
    ///
    /// # Errors
    ///
    /// [`Error::DictionaryOverflow`](crate::Error::DictionaryOverflow) where a field's keys cannot tell so many values
    /// apart, [`Error::InvalidArray`](crate::Error::InvalidArray) where values contradict themselves. Nothing is added
    /// then.
    pub fn grow(&mut self, new: &NewValues) -> Result<()> {
        let mut grown = self.newest.clone();
        for New { id, values, rows } in &new.list {
            grown.add(*id, values, rows)?;
        }
        self.newest = grown;
        Ok(())
    }
}

impl UnifiedSnapshot {
    /// The schema that they are for.
    #[must_use]
    pub fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    /// How many values the dictionary `id` has.
    pub(crate) fn len(&self, id: usize) -> usize {
        self.dictionaries[id].len()
    }

    /// The values of these ids, as they are to be written.
    pub(crate) fn values(&self, id: usize, ids: Range<usize>) -> Step<ArrayRef> {
        self.dictionaries[id].values(ids, &stored_type(self.schema.dictionary(id).values()))
    }

    /// Whether these are the dictionaries that have `hasher`.
    fn is_related(&self, hasher: &Arc<RandomState>) -> bool {
        Arc::ptr_eq(&self.hasher, hasher)
    }

    /// The places of the rows `rows` of `values`; `None` for those that are not there.
    fn find(&self, id: usize, values: &ArrayRef, rows: &[u32]) -> Step<Vec<Option<Place>>> {
        let (field, dictionary) = (self.schema.dictionary(id), &self.dictionaries[id]);
        let mut places = Vec::with_capacity(rows.len());
        let mut inner = |turn: usize, values: &ArrayRef, rows: &[u32]| self.find(field.inner()[turn], values, rows);
        if field.inner().is_empty() {
            dictionary.find(&self.hasher, Wanted { values, rows }, |place| places.push(place))?;
        } else if let Some(values) = stored(values, rows, field.values(), &mut inner)? {
            let rows = all_rows(&values)?;
            dictionary.find(&self.hasher, Wanted { values: &values, rows: &rows }, |place| places.push(place))?;
        } else {
            // An inner value is lacking. Which values it is in comes out when it is added.
            places.resize(rows.len(), None);
        }
        Ok(places)
    }

    /// The places of the rows `rows` of `values`, which are added where they are not there.
    fn add(&mut self, id: usize, values: &ArrayRef, rows: &[u32]) -> Step<Vec<Option<Place>>> {
        let schema = Arc::clone(&self.schema);
        let field = schema.dictionary(id);
        if field.inner().is_empty() {
            return self.add_to(id, field, Wanted { values, rows }).map_err(|error| error.at(field.path()));
        }
        let mut inner = |turn: usize, values: &ArrayRef, rows: &[u32]| self.add(field.inner()[turn], values, rows);
        let values = stored(values, rows, field.values(), &mut inner).map_err(|error| error.at(field.path()))?;
        let values = values.expect("what is lacking is added");
        let rows = all_rows(&values)?;
        self.add_to(id, field, Wanted { values: &values, rows: &rows }).map_err(|error| error.at(field.path()))
    }

    fn add_to(&mut self, id: usize, field: &DictionaryField, wanted: Wanted<'_>) -> Step<Vec<Option<Place>>> {
        let mut places = Vec::with_capacity(wanted.rows.len());
        let dictionary = Arc::make_mut(&mut self.dictionaries[id]);
        let (data_type, limit) = (stored_type(field.values()), most_values(field.key()));
        dictionary.add(&self.hasher, wanted, &data_type, limit, |place| places.push(Some(place)))?;
        Ok(places)
    }
}

impl fmt::Debug for UnifiedSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths = self.dictionaries.iter().map(|dictionary| dictionary.len());
        f.debug_struct("UnifiedSnapshot").field("lengths", &lengths.collect::<Vec<_>>()).finish_non_exhaustive()
    }
}

fn all_rows(values: &ArrayRef) -> Step<Vec<u32>> {
    Ok((0..stored::row_number(values.len())?).collect())
}

/// How many values keys of this type can tell apart. Ids have 32 bits, less two values that mean something else.
fn most_values(key: &DataType) -> u64 {
    match key {
        DataType::Int8 => 1 << 7,
        DataType::UInt8 => 1 << 8,
        DataType::Int16 => 1 << 15,
        DataType::UInt16 => 1 << 16,
        DataType::Int32 => 1 << 31,
        _ => (1 << 32) - 2,
    }
}

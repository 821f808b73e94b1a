//! One dictionary that only grows, cheap to clone and cheap to add to.
//!
//! It is a list of immutable segments, each with consecutive values, their hashes, and a table from hash to value.
//! Adding makes a new segment, and joins the last ones as long as the one before is less than twice as long. So there
//! are about *log n* segments, and a value is copied about that often in all: adding costs in proportion to what is
//! added, not to what is there. Clones share the segments.
//!
//! A value's id is its place in the order in which values were added. It never changes.

use std::ops::Range;
use std::sync::Arc;

use ahash::RandomState;
use arrow_array::{Array, ArrayRef, new_empty_array};
use arrow_buffer::ArrowNativeType;
use arrow_schema::DataType;
use hashbrown::HashTable;

use crate::dictionary::unified::canonical::{canonical, joined};
use crate::dictionary::unified::capacity::Capacity;
use crate::dictionary::unified::value_bytes::{ValueBytes, ValueReader};
use crate::dictionary::unified::value_id::ValueId;
use crate::error::{Error, Result};

/// The values of a dictionary, each once.
#[derive(Debug, Clone, Default)]
pub(crate) struct SegmentedDictionary {
    /// In the order of ids.
    segments: Vec<Arc<Segment>>,
    length: usize,
    capacity: Capacity,
}

#[derive(Debug)]
struct Segment {
    /// The id of its first value.
    start: usize,
    values: ArrayRef,
    hashes: Vec<u64>,
    /// Indexes into this segment.
    table: HashTable<u32>,
}

/// Values to look up or to add: some rows of an array.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'w> {
    pub(crate) values: &'w dyn Array,
    pub(crate) rows: &'w [u32],
}

/// What a dictionary may hold.
pub(crate) struct Limits {
    /// Values of this type.
    pub(crate) data_type: DataType,
    /// At most this many.
    pub(crate) length: u64,
}

impl SegmentedDictionary {
    /// The number of values.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Returns the id of each wanted value, in order; `None` if it is missing.
    pub(crate) fn find(&self, hasher: &RandomState, wanted: Wanted<'_>) -> Result<Vec<Option<ValueId>>, Box<Error>> {
        let known = self.readers(0)?;
        let reader = ValueReader::of(wanted.values)?;
        let [mut own, mut others] = [Vec::new(), Vec::new()];
        let id_of = |row: &u32| {
            let value = reader.get(row.as_usize(), &mut own)?;
            Ok(find_in(&known, hasher.hash_one(value), value, &mut others))
        };
        wanted.rows.iter().map(id_of).collect()
    }

    /// Returns the ids of the wanted values, which are none of the first `others`, and adds those that are missing. All
    /// or nothing: if there would be too many values for the keys, or for one array, the dictionary stays as it is.
    pub(crate) fn add(
        &mut self,
        hasher: &RandomState,
        wanted: Wanted<'_>,
        others: usize,
        limits: &Limits,
    ) -> Result<Vec<ValueId>, Box<Error>> {
        let known = self.readers(others)?;
        let reader = ValueReader::of(wanted.values)?;
        let mut new = Additions::default();
        let [mut own, mut scratch] = [Vec::new(), Vec::new()];
        let id_of = |row: &u32| {
            let value = reader.get(row.as_usize(), &mut own)?;
            let hash = hasher.hash_one(value);
            if let Some(id) = find_in(&known, hash, value, &mut scratch) {
                return Ok(id);
            }
            let id = self.length + new.index(&reader, hash, value, *row, &mut scratch);
            ValueId::new(id).ok_or_else(|| overflow(id + 1, limits.length))
        };
        let ids = wanted.rows.iter().map(id_of).collect::<Result<Vec<ValueId>, Box<Error>>>()?;
        let count = self.length + new.rows.len();
        if count as u64 > limits.length {
            return Err(overflow(count, limits.length));
        }
        if new.rows.is_empty() {
            return Ok(ids);
        }
        drop(known);
        let mut no_inner = |_, _: &ArrayRef, _: &[u32]| unreachable!("inner dictionaries have become ids by now");
        let values = canonical(wanted.values, &new.rows, &limits.data_type, &mut no_inner)?;
        let values = values.expect("without inner dictionaries nothing is lacking");
        let capacity = self.capacity.with(values.as_ref())?;
        let Additions { hashes, table, .. } = new;
        self.segments.push(Arc::new(Segment { start: self.length, values, hashes, table }));
        (self.length, self.capacity) = (count, capacity);
        self.join()?;
        Ok(ids)
    }

    /// Returns the values of these ids.
    pub(crate) fn values(&self, ids: Range<usize>, data_type: &DataType) -> Result<ArrayRef, Box<Error>> {
        let parts: Vec<ArrayRef> = self
            .segments
            .iter()
            .filter_map(|segment| {
                let start = ids.start.max(segment.start);
                let end = ids.end.min(segment.start + segment.values.len());
                (start < end).then(|| segment.values.slice(start - segment.start, end - start))
            })
            .collect();
        match parts.as_slice() {
            [] => Ok(new_empty_array(data_type)),
            [one] => Ok(Arc::clone(one)),
            several => joined(&several.iter().collect::<Vec<_>>()),
        }
    }

    /// Returns the segments with values beyond the first `others`, each with a reader of its values.
    fn readers(&self, others: usize) -> Result<Vec<(&Segment, ValueReader<'_>)>, Box<Error>> {
        let is_wanted = |segment: &&Segment| segment.start + segment.values.len() > others;
        let segments = self.segments.iter().map(Arc::as_ref).filter(is_wanted);
        segments.map(|segment| Ok((segment, ValueReader::of(segment.values.as_ref())?))).collect()
    }

    /// Joins the last segments, as many as the rule at the top of the file says.
    fn join(&mut self) -> Result<(), Box<Error>> {
        let (mut due, mut length, mut bytes) = (0, 0, 0);
        for values in self.segments.iter().rev().map(|segment| &segment.values) {
            bytes += values.get_array_memory_size();
            if due > 0 && (values.len() >= 2 * length || bytes > JOINED_AT_MOST) {
                break;
            }
            due += 1;
            length += values.len();
        }
        if due < 2 {
            return Ok(());
        }
        let last = &self.segments[self.segments.len() - due..];
        let values = joined(&last.iter().map(|segment| &segment.values).collect::<Vec<_>>())?;
        let hashes: Vec<u64> = last.iter().flat_map(|segment| segment.hashes.iter().copied()).collect();
        let mut table = HashTable::with_capacity(hashes.len());
        for (index, hash) in (0..).zip(&hashes) {
            table.insert_unique(*hash, index, |&index: &u32| hashes[index.as_usize()]);
        }
        let segment = Segment { start: last[0].start, values, hashes, table };
        self.segments.truncate(self.segments.len() - due);
        self.segments.push(Arc::new(segment));
        Ok(())
    }
}

/// At most this many bytes of values are joined into one segment: the thread that grows the dictionary waits for the
/// copy.
const JOINED_AT_MOST: usize = 1 << 30;

/// Values on their way into a new segment.
#[derive(Default)]
struct Additions {
    /// The rows of the first of each.
    rows: Vec<u32>,
    hashes: Vec<u64>,
    table: HashTable<u32>,
}

impl Additions {
    /// Returns the index of a value among the additions, and adds it if it is new.
    fn index(
        &mut self,
        reader: &ValueReader<'_>,
        hash: u64,
        value: ValueBytes<'_>,
        row: u32,
        scratch: &mut Vec<u8>,
    ) -> usize {
        let Self { rows, hashes, table } = self;
        let known = table.find(hash, |&index| {
            let index = index.as_usize();
            hashes[index] == hash && reader.get(rows[index].as_usize(), scratch).is_ok_and(|known| known == value)
        });
        if let Some(index) = known {
            return index.as_usize();
        }
        let index = rows.len();
        rows.push(row);
        hashes.push(hash);
        let noted = u32::try_from(index).expect("no more values than rows, which are 32-bit");
        table.insert_unique(hash, noted, |&index| hashes[index.as_usize()]);
        index
    }
}

/// Returns the id of a value in one of these segments.
fn find_in(
    segments: &[(&Segment, ValueReader<'_>)],
    hash: u64,
    value: ValueBytes<'_>,
    scratch: &mut Vec<u8>,
) -> Option<ValueId> {
    segments.iter().find_map(|(segment, values)| {
        let index = segment.table.find(hash, |&index| {
            let index = index.as_usize();
            segment.hashes[index] == hash && values.get(index, scratch).is_ok_and(|known| known == value)
        })?;
        ValueId::new(segment.start + index.as_usize())
    })
}

#[cold]
fn overflow(count: usize, limit: u64) -> Box<Error> {
    Box::new(Error::DictionaryOverflow { path: String::new(), count: count as u64, limit })
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;

    use super::*;

    fn add(
        growing: &mut SegmentedDictionary,
        hasher: &RandomState,
        values: &[&str],
        length: u64,
    ) -> Result<Vec<u32>, String> {
        let array = StringArray::from(values.to_vec());
        let rows: Vec<u32> = (0..u32::try_from(values.len()).unwrap()).collect();
        let limits = Limits { data_type: DataType::Utf8, length };
        let ids = growing.add(hasher, Wanted { values: &array, rows: &rows }, 0, &limits);
        ids.map(|all| all.iter().map(|id| id.get()).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_keeps_the_id_it_got_first() {
        let (mut growing, hasher) = (SegmentedDictionary::default(), RandomState::new());
        assert_eq!(add(&mut growing, &hasher, &["a", "b", "a"], 9).unwrap(), [0, 1, 0]);
        let before = growing.clone();
        assert_eq!(add(&mut growing, &hasher, &["c", "b"], 9).unwrap(), [2, 1]);
        assert_eq!((before.len(), growing.len()), (2, 3));
        let all = growing.values(1..3, &DataType::Utf8).unwrap();
        assert_eq!(all.as_ref(), &StringArray::from(vec!["b", "c"]) as &dyn Array);
    }

    #[test]
    fn what_is_there_is_shared_and_not_copied() {
        let (mut growing, hasher) = (SegmentedDictionary::default(), RandomState::new());
        add(&mut growing, &hasher, &["a", "b", "c", "d"], 9).unwrap();
        let before = growing.clone();
        add(&mut growing, &hasher, &["e", "a", "f"], 9).unwrap();
        assert_eq!(growing.segments.len(), 2);
        assert!(Arc::ptr_eq(&before.segments[0], &growing.segments[0]));
    }

    #[test]
    fn what_would_be_too_much_changes_nothing() {
        let (mut growing, hasher) = (SegmentedDictionary::default(), RandomState::new());
        add(&mut growing, &hasher, &["a", "b"], 3).unwrap();
        let error = add(&mut growing, &hasher, &["c", "a", "d", "e"], 3).unwrap_err();
        assert!(error.contains("would have 5 values; the key type allows 3"), "{error}");
        assert_eq!(growing.len(), 2);
        assert_eq!(add(&mut growing, &hasher, &["c"], 3).unwrap(), [2]);
    }

    #[test]
    fn segments_stay_few_and_values_are_seldom_copied() {
        let (mut growing, hasher) = (SegmentedDictionary::default(), RandomState::new());
        let mut copied = 0;
        for round in 0..1000 {
            let last = growing.segments.last().map(Arc::as_ptr);
            add(&mut growing, &hasher, &[&format!("{round}")], 9999).unwrap();
            let newest = growing.segments.last().unwrap();
            copied += if last == Some(Arc::as_ptr(newest)) { 0 } else { newest.values.len() };
            assert!(growing.segments.len() <= 11, "{} segments", growing.segments.len());
        }
        assert!(copied <= 1000 * 11, "{copied} values copied for 1000 added");
        assert_eq!(add(&mut growing, &hasher, &["0", "999", "500"], 9999).unwrap(), [0, 999, 500]);
    }
}

//! Maps the keys of one producer's dictionary to unified ids.
//!
//! A [`KeyMap`] learns ids as batches use values, and rewrites keys by them. Values that it does not know are looked up
//! in the unified dictionaries, and those that are missing there are noted. [`keys`](crate::encode::keys) picks the map
//! of a batch, and handles the missing values.
//!
//! Most of what unified dictionaries cost is the loop over keys here. One table holds the ids as they are written; an
//! entry that is no id has a bit set that no id has. So a run of keys is rewritten first and checked for that bit once.
//! Keys that are their own ids are compared with one bound, many at a time, and borrowed. Once the ids of [narrow
//! keys](KeyPairs) have settled, a second table needs neither check.

use std::iter::successors;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_buffer::{ArrowNativeType, ToByteSlice};
use arrow_schema::DataType;

use crate::arrays::compare::is_same;
use crate::arrays::shape;
use crate::arrays::validate::{self, Checks};
use crate::arrays::visible::RowMask;
use crate::body::Body;
use crate::dictionary::unified::canonical::row_number;
use crate::dictionary::unified::value_id::ValueId;
use crate::dictionary::unified::{UnifiedSnapshot, most_values};
use crate::encode::key_pairs::KeyPairs;
use crate::error::{Error, Result};
use crate::options::{Options, Validation};

/// The unified ids of one producer's dictionary.
#[derive(Debug)]
pub(super) struct KeyMap {
    values: ArrayRef,
    /// By key: its id, or [`UNKNOWN`].
    ids: Vec<u32>,
    /// The number of keys with an id.
    known: usize,
    /// The number of keys rewritten since the last id was learned.
    rewritten: usize,
    /// The same ids for keys of one or two bytes, once many keys have been rewritten.
    pairs: Option<KeyPairs>,
    /// All keys below this are their own ids.
    same: usize,
    /// The highest id plus 1: the number of values that a reader needs.
    required: usize,
    /// Whether the values have been validated.
    is_checked: bool,
    /// Whether the unused values have been counted.
    is_counted: bool,
}

/// The entry of a key whose id is not known.
const UNKNOWN: u32 = u32::MAX;

/// The entry of a key whose value is about to be looked up.
const WANTED: u32 = u32::MAX - 1;

/// The bit that both have, and no id has: there are at most 2^31 ids.
const NO_ID: u32 = 1 << 31;

/// After this many keys without a new id, a [`KeyPairs`] table is built: rewriting them took far longer than building
/// it.
const SETTLED: usize = 1 << 18;

/// The number of maps kept for each field, so that as many producers can take turns. Each keeps its dictionary alive.
const KEPT: usize = 8;

impl KeyMap {
    /// Returns the map from a producer's `values` to a dictionary of `length` values, and moves it to the front of
    /// `kept`.
    pub(super) fn of<'m>(
        kept: &'m mut Vec<Self>,
        values: &ArrayRef,
        length: usize,
    ) -> Result<&'m mut Self, Box<Error>> {
        // A map with ids beyond the dictionary's length was made with a later snapshot.
        let known = kept.iter().position(|map| map.required <= length && is_same(&map.values, values));
        match known {
            Some(at) => kept[..=at].rotate_right(1),
            None => {
                shape::is_passable(values, values.len())?;
                let oldest = if kept.len() < KEPT { None } else { kept.pop() };
                kept.insert(0, Self::new(values, oldest.map_or_else(Vec::new, |map| map.ids)));
            }
        }
        Ok(&mut kept[0])
    }

    /// Returns a map without ids, in the memory of `ids`.
    fn new(values: &ArrayRef, mut ids: Vec<u32>) -> Self {
        ids.clear();
        ids.resize(values.len(), UNKNOWN);
        Self {
            values: Arc::clone(values),
            ids,
            known: 0,
            rewritten: 0,
            pairs: None,
            same: 0,
            required: 0,
            is_checked: false,
            is_counted: false,
        }
    }

    /// The array of values that the map was made for.
    pub(super) fn values(&self) -> &ArrayRef {
        &self.values
    }

    /// The number of values that a reader needs for the keys rewritten so far.
    pub(super) fn required(&self) -> usize {
        self.required
    }

    /// Returns the number of values that no key has used so far, at the first call, and 0 at any other.
    pub(super) fn count_unused(&mut self) -> u64 {
        if std::mem::replace(&mut self.is_counted, true) { 0 } else { (self.ids.len() - self.known) as u64 }
    }

    /// Returns the rows of all values, as many as keys of the field's type can tell apart. Validates them first.
    pub(super) fn all(&mut self, lookup: &Lookup<'_>) -> Result<Vec<u32>, Box<Error>> {
        if !self.is_checked {
            lookup.check(&self.values)?;
            self.is_checked = true;
        }
        let most = most_values(lookup.dictionaries.schema().dictionary(lookup.id).key());
        Ok((0..row_number(self.values.len().min(usize::try_from(most).unwrap_or(usize::MAX)))?).collect())
    }

    /// Appends the ids of the keys `rows`, in keys of the same type. Borrows the keys if all of them are their own ids
    /// and `may_borrow` allows it.
    pub(super) fn rewrite_same<'a, K: ArrowPrimitiveType>(
        &mut self,
        body: &mut Body<'_, 'a>,
        keys: &'a PrimitiveArray<K>,
        rows: Range<usize>,
        seen: &RowMask,
        may_borrow: bool,
        lookup: &mut Lookup<'_>,
    ) -> Result<(), Box<Error>> {
        let window = window(keys, &rows)?;
        if may_borrow && self.are_same(window) {
            return body.array(keys.values().inner(), rows.start * size_of::<K::Native>(), size_of_val(window));
        }
        self.rewrite::<K::Native, K::Native>(body, window, seen, lookup)
    }

    /// Whether all keys of a window are known to be their own ids.
    fn are_same<T: ArrowNativeType>(&self, window: &[T]) -> bool {
        let Some(last) = self.same.checked_sub(1).and_then(T::from_usize) else { return false };
        // In chunks: no branch for each key, and no look at all keys if the first ones differ. Two folds of comparisons
        // take two thirds of the time of one.
        window.chunks(256).all(|keys| {
            let (mut from_zero, mut to_last) = (true, true);
            for key in keys {
                from_zero &= *key >= T::default();
                to_last &= *key <= last;
            }
            from_zero & to_last
        })
    }

    /// Appends the ids of the keys of a window, in keys of type `O`.
    pub(super) fn rewrite<T: ArrowNativeType, O: ArrowNativeType + ToByteSlice>(
        &mut self,
        body: &mut Body<'_, '_>,
        window: &[T],
        seen: &RowMask,
        lookup: &mut Lookup<'_>,
    ) -> Result<(), Box<Error>> {
        let mut found = Ok(());
        body.build_buffer(window.len() * size_of::<O>(), |out| {
            if self.known == 0 || !self.fill::<T, O>(out, window, seen) {
                found = self.look_up(window, seen, lookup);
                self.fill::<T, O>(out, window, seen);
            }
        })?;
        found?;
        self.rewritten = self.rewritten.saturating_add(window.len());
        if self.rewritten >= SETTLED && self.pairs.is_none() && size_of::<T>() == size_of::<O>() {
            self.pairs = KeyPairs::new::<T>(&self.ids, self.required);
        }
        Ok(())
    }

    /// Writes the ids of the visible keys of a window, and 0 for the others. Returns whether all visible keys are
    /// known; if not, `out` holds garbage.
    fn fill<T: ArrowNativeType, O: ArrowNativeType + ToByteSlice>(
        &self,
        out: &mut [u8],
        window: &[T],
        seen: &RowMask,
    ) -> bool {
        // A hidden key may be anything, but usually it is a known one. So all keys are tried first.
        let is_filled = self.fill_all::<T, O>(out, window);
        let Some(words) = seen.words() else { return is_filled };
        let mut runs = out.chunks_mut(64 * size_of::<O>()).zip(window.chunks(64)).zip(words);
        runs.all(|((out, keys), seen)| {
            if is_filled || self.fill_all::<T, O>(out, keys) {
                hide::<O>(out, seen);
                true
            } else {
                self.fill_seen::<T, O>(out, keys, seen)
            }
        })
    }

    /// The same for keys of which all are visible.
    fn fill_all<T: ArrowNativeType, O: ArrowNativeType + ToByteSlice>(&self, out: &mut [u8], keys: &[T]) -> bool {
        if let Some(pairs) = &self.pairs {
            return pairs.rewrite(out, keys.to_byte_slice());
        }
        // The compiler does not unroll a loop with a branch out of it.
        const AT_ONCE: usize = 4;
        let (runs, rest) = keys.as_chunks::<AT_ONCE>();
        let (out_of_runs, out_of_rest) = out.split_at_mut(runs.len() * AT_ONCE * size_of::<O>());
        let mut ids = 0;
        for (out, keys) in out_of_runs.chunks_exact_mut(AT_ONCE * size_of::<O>()).zip(runs) {
            for (out, key) in out.chunks_exact_mut(size_of::<O>()).zip(keys) {
                let Some(id) = self.ids.get(key.as_usize()) else { return false };
                ids |= id;
                put::<O>(out, *id);
            }
        }
        for (out, key) in out_of_rest.chunks_exact_mut(size_of::<O>()).zip(rest) {
            let Some(id) = self.ids.get(key.as_usize()) else { return false };
            ids |= id;
            put::<O>(out, *id);
        }
        ids & NO_ID == 0
    }

    /// The same for at most 64 keys, of which those are visible that have a bit in `seen`.
    fn fill_seen<T: ArrowNativeType, O: ArrowNativeType + ToByteSlice>(
        &self,
        out: &mut [u8],
        keys: &[T],
        seen: u64,
    ) -> bool {
        out.fill(0);
        rows(seen).all(|row| match self.ids.get(keys[row].as_usize()) {
            Some(id) if id & NO_ID == 0 => {
                put::<O>(&mut out[row * size_of::<O>()..][..size_of::<O>()], *id);
                true
            }
            _ => false,
        })
    }

    /// Looks up the values of those visible keys that have no id.
    #[cold]
    fn look_up<T: ArrowNativeType>(
        &mut self,
        window: &[T],
        seen: &RowMask,
        lookup: &mut Lookup<'_>,
    ) -> Result<(), Box<Error>> {
        if !self.is_checked {
            lookup.check(&self.values)?;
            self.is_checked = true;
        }
        let mut wanted = Vec::new();
        let noted = self.note(window, seen, &mut wanted);
        wanted.iter().for_each(|row| self.ids[row.as_usize()] = UNKNOWN);
        noted?;
        wanted.sort_unstable();
        let found = lookup.dictionaries.find(lookup.id, &self.values, &wanted)?;
        for (row, value) in wanted.into_iter().zip(found) {
            match value {
                None => lookup.missing.push(row),
                Some(value) => self.learn(row.as_usize(), value),
            }
        }
        Ok(())
    }

    /// Adds the visible keys without an id to `wanted`, and marks them, so that each is added once.
    fn note<T: ArrowNativeType>(
        &mut self,
        window: &[T],
        seen: &RowMask,
        wanted: &mut Vec<u32>,
    ) -> Result<(), Box<Error>> {
        let length = self.ids.len();
        for key in seen.rows(window.len()).map(|row| window[row].as_usize()) {
            let id = self.ids.get_mut(key);
            let id = id.ok_or_else(|| Error::invalid(format!("keys below {length}"), format!("key {key}")))?;
            if *id == UNKNOWN {
                wanted.push(row_number(key)?);
                *id = WANTED;
            }
        }
        Ok(())
    }

    /// Records the id of a key's value.
    pub(super) fn learn(&mut self, key: usize, value: ValueId) {
        let id = value.get();
        (self.rewritten, self.pairs) = (0, None);
        self.known += usize::from(std::mem::replace(&mut self.ids[key], id) == UNKNOWN);
        self.required = self.required.max(value.required().as_usize());
        while self.ids.get(self.same).is_some_and(|id| id.as_usize() == self.same) {
            self.same += 1;
        }
    }
}

/// Returns the keys of the rows `rows`.
pub(super) fn window<'w, K: ArrowPrimitiveType>(
    keys: &'w PrimitiveArray<K>,
    rows: &Range<usize>,
) -> Result<&'w [K::Native], Box<Error>> {
    let (all, end) = (keys.values(), rows.end);
    all.get(rows.clone()).ok_or_else(|| Error::invalid(format!("{end} keys"), format!("{} keys", all.len())))
}

/// Overwrites the hidden ones of at most 64 keys with 0.
fn hide<O>(out: &mut [u8], seen: u64) {
    let keys = out.len() / size_of::<O>();
    rows(!seen).take_while(|row| *row < keys).for_each(|row| out[row * size_of::<O>()..][..size_of::<O>()].fill(0));
}

/// Writes an id as a key.
fn put<O: ArrowNativeType + ToByteSlice>(out: &mut [u8], id: u32) {
    out.copy_from_slice(O::usize_as(id.as_usize()).to_byte_slice());
}

/// Returns the numbers of the bits that are set in a word.
fn rows(word: u64) -> impl Iterator<Item = usize> {
    let without_lowest = |word: &u64| Some(word & (word - 1)).filter(|rest| *rest != 0);
    successors(Some(word).filter(|word| *word != 0), without_lowest).map(|word| word.trailing_zeros().as_usize())
}

/// A lookup of one array's values in a unified dictionary.
pub(super) struct Lookup<'l> {
    pub(super) dictionaries: &'l UnifiedSnapshot,
    pub(super) id: usize,
    pub(super) options: &'l Options,
    pub(super) missing: &'l mut Vec<u32>,
}

impl Lookup<'_> {
    /// Refuses values that could not be written: once they are in a unified dictionary, it is too late. Values that are
    /// not nested are checked as they are read.
    fn check(&self, values: &ArrayRef) -> Result<(), Box<Error>> {
        self.dictionaries.schema().dictionary(self.id).check_values(values.data_type())?;
        let rows = 0..values.len();
        match self.options.validation {
            Validation::Full => validate::dictionary(values, &rows, Checks::full(self.options)),
            // To arrow, a run-end encoded type is as nested as its values.
            Validation::Layout
                if values.data_type().is_nested() || matches!(values.data_type(), DataType::RunEndEncoded(..)) =>
            {
                validate::dictionary(values, &rows, Checks::Indices)?;
                validate::dictionary(values, &rows, Checks::Nulls)
            }
            Validation::Layout => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow_array::StringArray;
    use arrow_buffer::{BooleanBuffer, NullBuffer};

    use super::*;

    /// A map of five keys, whose ids are these, but for the third, whose value is not known.
    fn map() -> KeyMap {
        let values: ArrayRef = Arc::new(StringArray::from_iter_values(["a", "b", "c", "d", "e"]));
        let mut map = KeyMap::new(&values, Vec::new());
        IDS.iter().enumerate().for_each(|(key, id)| {
            id.iter().for_each(|id| map.learn(key, value(*id)));
        });
        map
    }

    const IDS: [Option<u32>; 5] = [Some(3), Some(0), None, Some(1), Some(100)];

    fn value(id: u32) -> ValueId {
        ValueId::new(id.as_usize()).unwrap()
    }

    /// Lengths around those of runs.
    const LENGTHS: [usize; 9] = [0, 1, 4, 5, 63, 64, 65, 128, 200];

    /// So many keys that are known, and their ids.
    fn known(length: usize) -> (Vec<i32>, Vec<u32>) {
        let keys = [0, 4, 1, 3, 4, 1, 0].into_iter().cycle();
        keys.take(length).map(|key: i32| (key, IDS[key.as_usize()].unwrap())).unzip()
    }

    /// What becomes of keys in keys of type `O`; `None` if not all of them are known. The same once the ids have
    /// settled.
    fn filled<T: ArrowNativeType, O: ArrowNativeType + ToByteSlice>(keys: &[T], seen: &RowMask) -> Option<Vec<O>> {
        let mut map = map();
        let found = filled_by(&map, keys, seen);
        if size_of::<T>() == size_of::<O>() {
            map.pairs = KeyPairs::new::<T>(&map.ids, map.required);
            assert_eq!(found, filled_by(&map, keys, seen), "by the table of those that have settled");
        }
        found
    }

    fn filled_by<T: ArrowNativeType, O: ArrowNativeType + ToByteSlice>(
        map: &KeyMap,
        keys: &[T],
        seen: &RowMask,
    ) -> Option<Vec<O>> {
        let mut out = vec![0xEE; keys.len() * size_of::<O>()];
        let number = |bytes: &[u8]| {
            let whole: usize = bytes.iter().rev().fold(0, |whole, byte| whole << 8 | usize::from(*byte));
            O::usize_as(whole)
        };
        map.fill::<T, O>(&mut out, keys, seen).then(|| out.chunks(size_of::<O>()).map(number).collect())
    }

    #[test]
    fn keys_become_ids_of_any_width() {
        for length in LENGTHS {
            let (keys, ids) = known(length);
            assert_eq!(filled::<i32, u32>(&keys, &RowMask::ALL).unwrap(), ids);
            let narrow: Vec<u8> = keys.iter().map(|key| u8::try_from(*key).unwrap()).collect();
            let wide: Vec<u64> = ids.iter().map(|id| u64::from(*id)).collect();
            assert_eq!(filled::<u8, u64>(&narrow, &RowMask::ALL).unwrap(), wide);
            let bytes: Vec<i8> = ids.iter().map(|id| i8::try_from(*id).unwrap()).collect();
            assert_eq!(filled::<i32, i8>(&keys, &RowMask::ALL).unwrap(), bytes);
            assert_eq!(filled::<u8, i8>(&narrow, &RowMask::ALL).unwrap(), bytes);
        }
    }

    #[test]
    fn a_key_that_cannot_be_seen_may_be_anything_and_becomes_0() {
        const START: usize = 3;
        for length in LENGTHS {
            for (hidden_key, every) in [0, 2, 5, -1, i32::MAX].into_iter().flat_map(|key| [1, 2, 70].map(|n| (key, n)))
            {
                let (mut keys, mut ids) = known(length);
                let is_hidden = |row: &usize| row.is_multiple_of(every);
                (0..length).filter(is_hidden).for_each(|row| (keys[row], ids[row]) = (hidden_key, 0));
                // As if the rows came from the middle of an array.
                let valid =
                    BooleanBuffer::collect_bool(START + length, |bit| bit < START || !is_hidden(&(bit - START)));
                let seen = RowMask::ALL.and_valid(Some(&NullBuffer::new(valid)), &(START..START + length));
                let case = || format!("{length} keys, {hidden_key} cannot be seen");
                assert_eq!(filled::<i32, u32>(&keys, &seen).unwrap(), ids, "{}", case());
                let narrow: Vec<i16> = keys.iter().map(|key| i16::try_from(*key).unwrap_or(i16::MAX)).collect();
                let found: Vec<i16> = filled(&narrow, &seen).unwrap();
                assert!(found.iter().zip(&ids).all(|(found, id)| u32::try_from(*found) == Ok(*id)), "{}", case());
            }
        }
    }

    #[test]
    fn a_key_without_an_id_is_noticed_wherever_it_stands() {
        let (length, nulls) = (133, BooleanBuffer::collect_bool(133, |row| row % 2 == 0));
        let some = RowMask::ALL.and_valid(Some(&NullBuffer::new(nulls)), &(0..length));
        for (seen, step) in [(RowMask::ALL, 1), (some, 2)] {
            for (row, key) in (0..length).step_by(step).flat_map(|row| [2, 5, -1, i32::MIN].map(|key| (row, key))) {
                let (mut keys, _) = known(length);
                keys[row] = key;
                assert_eq!(filled::<i32, u32>(&keys, &seen), None, "key {key} in row {row}");
            }
        }
    }

    #[test]
    fn keys_are_right_only_if_all_of_them_stand_for_themselves() {
        let values: ArrayRef = Arc::new(StringArray::from(vec![""; 300]));
        let mut map = KeyMap::new(&values, Vec::new());
        assert!(!map.are_same(&[0]), "nothing is known");
        // The bound moves on once what was missing is there, and not beyond what stands for another.
        (0..120).filter(|key| ![50, 100].contains(key)).for_each(|key| map.learn(key.as_usize(), value(key)));
        assert!(map.are_same(&[49]) && !map.are_same(&[51]), "50 is missing");
        map.learn(50, value(50));
        map.learn(100, value(250));
        let right: Vec<i16> = (0..100).cycle().take(600).collect();
        assert!(map.are_same(&right));
        for (row, key) in (0..right.len()).flat_map(|row| [100, 101, -1].map(|key| (row, key))) {
            let mut keys = right.clone();
            keys[row] = key;
            assert!(!map.are_same(&keys), "key {key} in row {row}");
        }
    }
}

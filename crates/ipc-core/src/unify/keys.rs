//! A batch's keys, rewritten to the unified dictionaries while its body is walked.
//!
//! For each array of dictionary values that an encoder has met lately, it keeps a [`KeyMap`]: from the producer's keys to
//! unified ids. In the long run a batch costs one pass over its keys, with one look-up in that table for each. Where a
//! key is not in the map, the values that the batch uses are looked up in the unified dictionaries. What these lack is
//! collected, and the body is made anew once they have grown; what was made so far is of no use.
//!
//! Ids never change, so a map is right for good. Maps are kept by the address of the values' memory, which they keep
//! alive: that is what makes an address mean the same values.

use std::ops::Range;
use std::sync::Arc;

use ahash::RandomState;
use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{AnyDictionaryArray, Array, ArrayRef, PrimitiveArray, downcast_integer_array};
use arrow_buffer::{ArrowNativeType, NullBuffer, ToByteSlice};
use arrow_schema::DataType;

use super::stored::{blank, row_number};
use super::{Added, New, NewValues, Place, UnifiedSnapshot};
use crate::body::Body;
use crate::clear;
use crate::compare::is_same;
use crate::error::{Error, Step};
use crate::options::{Options, Validation};
use crate::validate::{self, Checks};
use crate::visible::Visible;
use crate::walk::{own_keys, validity};

/// What an encoder remembers of the dictionaries of batches.
#[derive(Debug, Default)]
pub(crate) struct KeyMaps {
    /// Tells which dictionaries the maps lead to.
    hasher: Option<Arc<RandomState>>,
    /// By dictionary id, those used last in front.
    maps: Vec<Vec<KeyMap>>,
    /// What the batch at hand brings that is not known.
    lacking: Vec<New>,
    /// How many values that no key uses have been left out of dictionaries that were met for the first time, and are on no
    /// batch's account yet.
    unused: u64,
}

/// How many maps are kept for each field: as many producers can take turns. Their dictionaries stay alive with them.
const KEPT: usize = 8;

impl KeyMaps {
    /// Makes ready for a batch.
    fn begin(&mut self, dictionaries: &UnifiedSnapshot) {
        let count = dictionaries.dictionaries.len();
        if !self.hasher.as_ref().is_some_and(|hasher| dictionaries.is_related(hasher)) {
            self.maps.clear();
            self.maps.resize_with(count, Vec::new);
            self.hasher = Some(Arc::clone(&dictionaries.hasher));
            self.unused = 0;
        }
        self.lacking.clear();
    }

    /// Notes where values are that have been added.
    pub(crate) fn learn(&mut self, added: Added) {
        if !self.hasher.as_ref().is_some_and(|hasher| Arc::ptr_eq(hasher, &added.hasher)) {
            return;
        }
        for (New { id, values, rows, .. }, places) in added.list {
            let maps = self.maps.get_mut(id).into_iter().flatten();
            if let Some(map) = maps.into_iter().find(|map| Arc::ptr_eq(&map.values, &values)) {
                rows.into_iter().zip(places).for_each(|(row, place)| map.learn(row.as_usize(), place));
            }
        }
    }

    /// What the batch that has been walked brings and is not known, if anything.
    pub(crate) fn take_lacking(&mut self) -> Option<NewValues> {
        let hasher = self.hasher.as_ref().filter(|_| !self.lacking.is_empty())?;
        Some(NewValues { hasher: Arc::clone(hasher), list: std::mem::take(&mut self.lacking) })
    }

    /// How many values have been left out, for a batch to take on its account.
    pub(crate) fn take_unused(&mut self) -> u64 {
        std::mem::take(&mut self.unused)
    }

    /// Takes back what is on the account of a batch that was not written.
    pub(crate) fn put_unused(&mut self, count: u64) {
        self.unused += count;
    }
}

/// The unified ids of one producer's dictionary.
#[derive(Debug)]
struct KeyMap {
    values: ArrayRef,
    /// By key.
    places: Vec<Option<Place>>,
    /// How many keys have a place.
    known: usize,
    /// How many of the first keys are their own unified ids.
    same: usize,
    /// The highest place: so many values a reader must have.
    top: usize,
    /// Whether its unused values have been counted.
    is_counted: bool,
}

/// What a walk needs to rewrite keys.
pub(crate) struct Unifying<'s> {
    dictionaries: &'s UnifiedSnapshot,
    maps: &'s mut KeyMaps,
    /// How many values of each dictionary a reader must have.
    uses: &'s mut Vec<usize>,
    /// How many dictionaries the walk has met.
    met: usize,
}

impl<'s> Unifying<'s> {
    pub(crate) fn new(dictionaries: &'s UnifiedSnapshot, maps: &'s mut KeyMaps, uses: &'s mut Vec<usize>) -> Self {
        maps.begin(dictionaries);
        uses.clear();
        uses.resize(dictionaries.schema.dictionary_count(), 0);
        Self { dictionaries, maps, uses, met: 0 }
    }
}

/// Appends the keys `rows` of a dictionary-encoded array, as ids of its unified dictionary if it has one. Where hidden rows
/// are to be cleared, `visible` says which ones those are besides the null ones.
pub(crate) fn unified_keys<'a>(
    body: &mut Body<'_, 'a>,
    array: &'a dyn AnyDictionaryArray,
    rows: Range<usize>,
    visible: Option<&Visible>,
) -> Step {
    // A walk needs all of the body, and this, too.
    let Some(mut unifying) = body.unifying.take() else {
        return own_keys(body, array, rows);
    };
    let written = unifying.keys(body, array, rows, visible);
    body.unifying = Some(unifying);
    written
}

impl Unifying<'_> {
    fn keys<'a>(
        &mut self,
        body: &mut Body<'_, 'a>,
        array: &'a dyn AnyDictionaryArray,
        rows: Range<usize>,
        visible: Option<&Visible>,
    ) -> Step {
        let schema = &self.dictionaries.schema;
        let Some(&id) = schema.outermost().get(self.met) else {
            return Err(Error::invalid(format!("{} dictionaries", schema.outermost().len()), "more"));
        };
        self.met += 1;
        let (field, keys) = (schema.dictionary(id), array.keys());
        if !field.is_unified() {
            return match visible {
                None => own_keys(body, array, rows),
                Some(visible) => clear::array(body, keys, rows, visible),
            };
        }
        let seen = match visible {
            None => {
                validity(body, keys.len(), keys.nulls(), &rows)?;
                Seen::of(keys.nulls(), &rows)
            }
            Some(visible) => Seen::Visible(cleared(body, keys, &rows, visible)?),
        };
        let map = KeyMap::of(&mut self.maps.maps[id], array.values(), self.dictionaries.len(id));
        let mut lacking = Vec::new();
        let options = body.options;
        let mut lookup = Lookup { dictionaries: self.dictionaries, id, options, lacking: &mut lacking };
        downcast_integer_array!(
            keys => {
                if keys.data_type() == field.key() {
                    map.rewrite_same(body, keys, rows.clone(), &seen, &mut lookup)?;
                } else {
                    map.rewrite::<_, i32>(body, keys, rows.clone(), &seen, &mut lookup)?;
                }
            },
            other => unreachable!("keys are integers: {other}")
        );
        self.uses[id] = map.top;
        let others = self.dictionaries.len(id);
        // A key that is cleared has become a 0, and that has to be the id of some value.
        let needs_any = visible.is_some() && has_valid(array.nulls(), &rows);
        if needs_any {
            self.uses[id] = map.top.max(1);
        }
        let new = if !lacking.is_empty() {
            // In the map's wrapping, by which it is found again.
            New { id, values: Arc::clone(&map.values), rows: lacking, others }
        } else if needs_any && others == 0 {
            New { id, values: blank(field.values()), rows: vec![0], others }
        } else {
            if !map.is_counted {
                map.is_counted = true;
                self.maps.unused += (map.places.len() - map.known) as u64;
            }
            return Ok(());
        };
        self.maps.lacking.push(new);
        // What is made from here on is thrown away: no need to compress it.
        body.forget_codec();
        Ok(())
    }
}

/// Appends node and validity of keys that are to be cleared, and says which of them to write as they are. The others
/// become 0. Where all are null, they stay so: there may be no value that a key could stand for.
fn cleared(body: &mut Body<'_, '_>, keys: &dyn Array, rows: &Range<usize>, visible: &Visible) -> Step<Visible> {
    let nulls = keys.nulls();
    let visible = if has_valid(nulls, rows) { visible } else { &Visible::ALL };
    let seen = visible.but_nulls(nulls, rows);
    clear::validity(body, nulls, rows, visible, &seen)?;
    Ok(seen)
}

fn has_valid(nulls: Option<&NullBuffer>, rows: &Range<usize>) -> bool {
    rows.clone().any(|row| nulls.is_none_or(|nulls| nulls.is_valid(row)))
}

impl KeyMap {
    /// The map of a producer's `values` to a dictionary of `length` values, moved to the front of `kept`.
    fn of<'m>(kept: &'m mut Vec<Self>, values: &ArrayRef, length: usize) -> &'m mut Self {
        // A map that knows more than the dictionary has comes from a later version.
        let known = kept.iter().position(|map| map.top <= length && is_same(&map.values, values));
        match known {
            Some(at) => kept[..=at].rotate_right(1),
            None => {
                let oldest = if kept.len() < KEPT { None } else { kept.pop() };
                kept.insert(0, Self::new(values, oldest.map_or_else(Vec::new, |map| map.places)));
            }
        }
        &mut kept[0]
    }

    /// A map that knows nothing yet, in the memory of `places`.
    fn new(values: &ArrayRef, mut places: Vec<Option<Place>>) -> Self {
        places.clear();
        places.resize(values.len(), None);
        Self { values: Arc::clone(values), places, known: 0, same: 0, top: 0, is_counted: false }
    }

    /// Appends the ids that `rows` of `keys` stand for, in keys of the same type.
    fn rewrite_same<'a, K: ArrowPrimitiveType>(
        &mut self,
        body: &mut Body<'_, 'a>,
        keys: &'a PrimitiveArray<K>,
        rows: Range<usize>,
        seen: &Seen<'_>,
        lookup: &mut Lookup<'_>,
    ) -> Step {
        let window = window(keys, &rows)?;
        // Piece by piece: without a branch for each key, and without a look at all of them where the first are others.
        let are_right = |keys: &[K::Native]| keys.iter().fold(true, |all, key| all & (key.as_usize() < self.same));
        // What nobody may see is written over even then.
        if self.same > 0 && !matches!(seen, Seen::Visible(_)) && window.chunks(256).all(are_right) {
            return body.array(keys.values().inner(), rows.start * size_of::<K::Native>(), size_of_val(window));
        }
        self.rewrite::<K, K::Native>(body, keys, rows, seen, lookup)
    }

    /// Appends the ids that `rows` of `keys` stand for, in keys of type `O`.
    fn rewrite<'a, K: ArrowPrimitiveType, O: ArrowNativeType + ToByteSlice>(
        &mut self,
        body: &mut Body<'_, 'a>,
        keys: &'a PrimitiveArray<K>,
        rows: Range<usize>,
        seen: &Seen<'_>,
        lookup: &mut Lookup<'_>,
    ) -> Step {
        let window = window(keys, &rows)?;
        let mut found = Ok(());
        body.made(window.len() * size_of::<O>(), |out| {
            if self.known == 0 || !self.fill::<_, O>(out, window, seen) {
                found = self.look_up(window, seen, lookup);
                self.fill::<_, O>(out, window, seen);
            }
        })?;
        found
    }

    /// Writes the ids of the keys of a window, and 0 for those that cannot be seen or are unknown. Says whether all that
    /// can be seen were known.
    fn fill<T: ArrowNativeType, O: ArrowNativeType + ToByteSlice>(
        &self,
        out: &mut [u8],
        window: &[T],
        seen: &Seen<'_>,
    ) -> bool {
        let mut all_known = true;
        let mut write = |out: &mut [u8], key: T, is_seen: bool| {
            let place = self.places.get(key.as_usize()).copied().flatten();
            all_known &= place.is_some() | !is_seen;
            let id = place.filter(|_| is_seen).map_or(0, |place| place.get() - 1);
            out.copy_from_slice(O::usize_as(id.as_usize()).to_byte_slice());
        };
        let pairs = out.chunks_exact_mut(size_of::<O>()).zip(window.iter().copied());
        if let Seen::All = seen {
            pairs.for_each(|(out, key)| write(out, key, true));
        } else {
            pairs.enumerate().for_each(|(row, (out, key))| write(out, key, seen.sees(row)));
        }
        all_known
    }

    /// Looks up the values that a window uses and whose place is not known yet.
    #[cold]
    fn look_up<T: ArrowNativeType>(&mut self, window: &[T], seen: &Seen<'_>, lookup: &mut Lookup<'_>) -> Step {
        if self.known == 0 {
            lookup.check(&self.values)?;
        }
        let mut wanted = Vec::new();
        let noted = self.note(window, seen, &mut wanted);
        wanted.iter().for_each(|row| self.places[row.as_usize()] = None);
        noted?;
        wanted.sort_unstable();
        let places = lookup.dictionaries.find(lookup.id, &self.values, &wanted)?;
        for (row, place) in wanted.into_iter().zip(places) {
            match place {
                None => lookup.lacking.push(row),
                Some(place) => self.learn(row.as_usize(), place),
            }
        }
        Ok(())
    }

    /// Puts the keys of a window that have no place yet into `wanted`, and marks them, so that each is there once.
    fn note<T: ArrowNativeType>(&mut self, window: &[T], seen: &Seen<'_>, wanted: &mut Vec<u32>) -> Step {
        let length = self.places.len();
        for (_, key) in window.iter().enumerate().filter(|(row, _)| seen.sees(*row)) {
            let key = key.as_usize();
            let place = self.places.get_mut(key);
            let place = place.ok_or_else(|| Error::invalid(format!("keys below {length}"), format!("key {key}")))?;
            if place.is_none() {
                wanted.push(row_number(key)?);
                *place = Some(Place::MAX);
            }
        }
        Ok(())
    }

    fn learn(&mut self, key: usize, place: Place) {
        self.known += usize::from(self.places[key].replace(place).is_none());
        self.top = self.top.max(place.get().as_usize());
        let is_same =
            |key: usize| self.places.get(key).copied().flatten().is_some_and(|p| p.get().as_usize() == key + 1);
        while is_same(self.same) {
            self.same += 1;
        }
    }
}

/// The keys of a walk's rows.
fn window<'w, K: ArrowPrimitiveType>(keys: &'w PrimitiveArray<K>, rows: &Range<usize>) -> Step<&'w [K::Native]> {
    let (all, end) = (keys.values(), rows.end);
    all.get(rows.clone()).ok_or_else(|| Error::invalid(format!("{end} keys"), format!("{} keys", all.len())))
}

/// Which of a walk's rows have a value that somebody may see.
enum Seen<'n> {
    All,
    /// Those that are not null, counted from a row of the array.
    Valid(&'n NullBuffer, usize),
    Visible(Visible),
}

impl<'n> Seen<'n> {
    fn of(nulls: Option<&'n NullBuffer>, rows: &Range<usize>) -> Self {
        match nulls.filter(|nulls| nulls.null_count() > 0) {
            None => Self::All,
            Some(nulls) => Self::Valid(nulls, rows.start),
        }
    }

    /// Whether a row has, counted from the first of the walk.
    fn sees(&self, row: usize) -> bool {
        match self {
            Self::All => true,
            Self::Valid(nulls, start) => nulls.is_valid(start + row),
            Self::Visible(visible) => visible.sees(row),
        }
    }
}

/// Where values are looked up, and where those are noted that are not there.
struct Lookup<'l> {
    dictionaries: &'l UnifiedSnapshot,
    id: usize,
    options: &'l Options,
    lacking: &'l mut Vec<u32>,
}

impl Lookup<'_> {
    /// Refuses values that a dictionary message would be refused for: once they are in a unified dictionary, it is too
    /// late. Values without others inside are checked as they are read.
    fn check(&self, values: &ArrayRef) -> Step {
        self.dictionaries.schema.dictionary(self.id).check_values(values.data_type())?;
        let rows = 0..values.len();
        match self.options.validation {
            Validation::Full => validate::dictionary(values, &rows, Checks::full(self.options)),
            // To arrow, runs of flat values are as flat as these.
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

//! One producer's dictionary: which unified ids its keys stand for.
//!
//! A [`KeyMap`] learns places as batches use values, and rewrites keys by them. It looks up what it does not know, and
//! notes what is nowhere. Which map a batch needs, and what becomes of values that are nowhere, is for
//! [`keys`](super::keys).

use std::ops::Range;
use std::sync::Arc;

use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{Array, ArrayRef, PrimitiveArray};
use arrow_buffer::{ArrowNativeType, NullBuffer, ToByteSlice};
use arrow_schema::DataType;

use super::stored::row_number;
use super::{Place, UnifiedSnapshot};
use crate::body::Body;
use crate::compare::is_same;
use crate::error::{Error, Step};
use crate::options::{Options, Validation};
use crate::validate::{self, Checks};
use crate::visible::Visible;

/// The unified ids of one producer's dictionary.
#[derive(Debug)]
pub(super) struct KeyMap {
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

/// How many maps are kept for each field: as many producers can take turns. Their dictionaries stay alive with them.
const KEPT: usize = 8;

impl KeyMap {
    /// The map of a producer's `values` to a dictionary of `length` values, moved to the front of `kept`.
    pub(super) fn of<'m>(kept: &'m mut Vec<Self>, values: &ArrayRef, length: usize) -> &'m mut Self {
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

    /// The values, in the wrapping that the map was made for.
    pub(super) fn values(&self) -> &ArrayRef {
        &self.values
    }

    /// How many values a reader must have.
    pub(super) fn top(&self) -> usize {
        self.top
    }

    /// How many values no key has used so far; 0 for whoever asks again.
    pub(super) fn count_unused(&mut self) -> u64 {
        if std::mem::replace(&mut self.is_counted, true) { 0 } else { (self.places.len() - self.known) as u64 }
    }

    /// Appends the ids that `rows` of `keys` stand for, in keys of the same type.
    pub(super) fn rewrite_same<'a, K: ArrowPrimitiveType>(
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
    pub(super) fn rewrite<'a, K: ArrowPrimitiveType, O: ArrowNativeType + ToByteSlice>(
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

    /// Notes where the value of a key is.
    pub(super) fn learn(&mut self, key: usize, place: Place) {
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
pub(super) enum Seen<'n> {
    All,
    /// Those that are not null, counted from a row of the array.
    Valid(&'n NullBuffer, usize),
    Visible(Visible),
}

impl<'n> Seen<'n> {
    pub(super) fn of(nulls: Option<&'n NullBuffer>, rows: &Range<usize>) -> Self {
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
pub(super) struct Lookup<'l> {
    pub(super) dictionaries: &'l UnifiedSnapshot,
    pub(super) id: usize,
    pub(super) options: &'l Options,
    pub(super) lacking: &'l mut Vec<u32>,
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

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
use arrow_array::{AnyDictionaryArray, Array, downcast_integer_array};
use arrow_buffer::{ArrowNativeType, NullBuffer};

use crate::arrays::visible::RowMask;
use crate::body::Body;
use crate::body::validity::{self, validity};
use crate::dictionary::unified::canonical::blank;
use crate::dictionary::unified::{AddedValues, New, NewValues, UnifiedSnapshot};
use crate::encode::key_map::{KeyMap, Lookup, window};
use crate::error::{Error, Result};
use crate::schema::widen::is_widened;

/// What an encoder remembers of the dictionaries of batches.
#[derive(Debug, Default)]
pub(crate) struct KeyMaps {
    /// Tells which dictionaries the maps lead to.
    hasher: Option<Arc<RandomState>>,
    /// By dictionary id, those used last in front.
    maps: Vec<Vec<KeyMap>>,
    /// What the batch at hand brings that is not known.
    missing: Vec<New>,
    /// How many values that no key uses have been left out of dictionaries that were met for the first time, and are on no
    /// batch's account yet.
    unused: u64,
}

impl KeyMaps {
    /// Makes ready for a batch.
    fn begin(&mut self, dictionaries: &UnifiedSnapshot) {
        let count = dictionaries.count();
        if !self.hasher.as_ref().is_some_and(|hasher| dictionaries.is_related(hasher)) {
            self.maps.clear();
            self.maps.resize_with(count, Vec::new);
            self.hasher = Some(Arc::clone(&dictionaries.hasher));
            self.unused = 0;
        }
        self.missing.clear();
    }

    /// Notes where values are that have been added.
    pub(crate) fn learn(&mut self, added: AddedValues) {
        if !self.hasher.as_ref().is_some_and(|hasher| Arc::ptr_eq(hasher, &added.hasher)) {
            return;
        }
        for (New { id, values, rows, .. }, ids) in added.list {
            let maps = self.maps.get_mut(id).into_iter().flatten();
            if let Some(map) = maps.into_iter().find(|map| Arc::ptr_eq(map.values(), &values)) {
                rows.into_iter().zip(ids).for_each(|(row, id)| map.learn(row.as_usize(), id));
            }
        }
    }

    /// What the batch that has been walked brings and is not known, if anything.
    pub(crate) fn take_missing(&mut self) -> Option<NewValues> {
        let hasher = self.hasher.as_ref().filter(|_| !self.missing.is_empty())?;
        Some(NewValues { hasher: Arc::clone(hasher), list: std::mem::take(&mut self.missing) })
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

/// What a walk does with the keys of dictionary-encoded arrays.
pub(crate) enum Keys<'s> {
    /// It writes the batch's own.
    Own,
    /// It writes those of unified dictionaries, where the field has one.
    Unified(KeyRewriter<'s>),
}

/// Rewrites the keys of one batch to unified dictionaries.
pub(crate) struct KeyRewriter<'s> {
    dictionaries: &'s UnifiedSnapshot,
    maps: &'s mut KeyMaps,
    /// How many values of each dictionary a reader must have.
    required: &'s mut Vec<usize>,
    /// How many dictionaries the walk has met.
    met: usize,
}

impl<'s> KeyRewriter<'s> {
    pub(crate) fn new(dictionaries: &'s UnifiedSnapshot, maps: &'s mut KeyMaps, required: &'s mut Vec<usize>) -> Self {
        maps.begin(dictionaries);
        required.clear();
        required.resize(dictionaries.schema().dictionary_count(), 0);
        Self { dictionaries, maps, required, met: 0 }
    }

    /// Appends the keys `rows` of a dictionary-encoded array as ids of its unified dictionary. Does nothing, and returns
    /// `false`, where its field has none: then the caller writes the keys as they are.
    ///
    /// Where hidden rows are to be cleared, `visible` says which rows no parent hides.
    pub(crate) fn rewrite<'a>(
        &mut self,
        body: &mut Body<'_, 'a>,
        array: &'a dyn AnyDictionaryArray,
        rows: Range<usize>,
        nullable: bool,
        visible: Option<&RowMask>,
    ) -> Result<bool, Box<Error>> {
        let schema = self.dictionaries.schema();
        let Some(&id) = schema.outermost().get(self.met) else {
            return Err(Error::invalid(format!("{} dictionaries", schema.outermost().len()), "more"));
        };
        self.met += 1;
        let (field, keys) = (schema.dictionary(id), array.keys());
        if !field.is_unified() {
            return Ok(false);
        }
        let seen = match visible {
            None => {
                validity(body, keys.len(), keys.nulls(), &rows, nullable)?;
                RowMask::ALL.and_valid(keys.nulls(), &rows)
            }
            Some(visible) => cleared(body, keys, &rows, nullable, visible)?,
        };
        // What nobody may see is written over even where all the rest is right.
        let may_borrow = visible.is_none() || seen.is_all();
        let map = KeyMap::of(&mut self.maps.maps[id], array.values(), self.dictionaries.len(id))?;
        let mut missing = Vec::new();
        let options = body.options;
        let mut lookup = Lookup { dictionaries: self.dictionaries, id, options, missing: &mut missing };
        downcast_integer_array!(
            keys => {
                if keys.data_type() == field.key() {
                    map.rewrite_same(body, keys, rows.clone(), &seen, may_borrow, &mut lookup)?;
                } else if is_widened(field.key(), keys.data_type()) {
                    map.rewrite::<_, i32>(body, window(keys, &rows)?, &seen, &mut lookup)?;
                } else {
                    return Err(Error::invalid(format!("keys of type {}", field.key()), keys.data_type().to_string()));
                }
            },
            other => unreachable!("keys are integers: {other}")
        );
        self.required[id] = map.required();
        let others = self.dictionaries.len(id);
        // Readers need a dictionary before the first batch, and some take that one for all there is: better a whole one
        // whose values are not used yet than an empty one.
        if others == 0 && lookup.missing.is_empty() && field.inner().is_empty() && !options.clear_nulls {
            *lookup.missing = map.all(&lookup)?;
        }
        // A key that is cleared has become a 0, and that has to be the id of some value.
        let needs_any = visible.is_some() && has_valid(array.nulls(), &rows);
        if needs_any {
            self.required[id] = map.required().max(1);
        }
        let new = if !missing.is_empty() {
            // In the map's wrapping, by which it is found again.
            New { id, values: Arc::clone(map.values()), rows: missing, others }
        } else if needs_any && others == 0 {
            New { id, values: blank(field.values()), rows: vec![0], others }
        } else {
            self.maps.unused += map.count_unused();
            return Ok(true);
        };
        self.maps.missing.push(new);
        // What is made from here on is thrown away: no need to compress it.
        body.forget_codec();
        Ok(true)
    }
}

/// Appends node and validity of keys that are to be cleared, and says which of them to write as they are. The others
/// become 0. Where all are null, they stay so: there may be no value that a key could stand for.
fn cleared(
    body: &mut Body<'_, '_>,
    keys: &dyn Array,
    rows: &Range<usize>,
    nullable: bool,
    visible: &RowMask,
) -> Result<RowMask, Box<Error>> {
    let nulls = keys.nulls();
    let visible = if has_valid(nulls, rows) { visible } else { &RowMask::ALL };
    let seen = visible.and_valid(nulls, rows);
    validity::cleared(body, rows.len(), visible, &seen, nullable)?;
    Ok(seen)
}

fn has_valid(nulls: Option<&NullBuffer>, rows: &Range<usize>) -> bool {
    rows.clone().any(|row| nulls.is_none_or(|nulls| nulls.is_valid(row)))
}

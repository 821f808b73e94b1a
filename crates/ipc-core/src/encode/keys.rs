//! Rewrites the keys of a batch to unified dictionaries, while the walk over the batch writes its body.
//!
//! An encoder keeps a [`KeyMap`] for each array of dictionary values that it has met lately, from the producer's keys
//! to unified ids. Once a map is complete, a batch costs one lookup for each of its keys. Where a key is not in the
//! map, its value is looked up in the unified dictionaries. Values that are missing there are collected: the
//! dictionaries grow by them, and the batch is encoded again.
//!
//! Ids never change, so a map stays right. Maps are found by the address of the values' memory. They keep that memory
//! alive, so an address cannot come to mean other values.

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

/// The key maps of an encoder.
#[derive(Debug, Default)]
pub(crate) struct KeyMaps {
    /// Identifies the unified dictionaries whose ids the maps hold.
    hasher: Option<Arc<RandomState>>,
    /// By dictionary id, the most recently used first.
    maps: Vec<Vec<KeyMap>>,
    /// The values of the current batch that the unified dictionaries lack.
    missing: Vec<New>,
    /// The number of values that no key uses, in dictionaries that were met for the first time. The next message counts
    /// them.
    unused: u64,
}

impl KeyMaps {
    /// Starts a batch. Forgets all maps if they are of other dictionaries.
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

    /// Records the ids of values that the dictionaries have grown by, so that they need not be looked up again.
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

    /// Returns the values of the current batch that the dictionaries lack, if there are any.
    pub(crate) fn take_missing(&mut self) -> Option<NewValues> {
        let hasher = self.hasher.as_ref().filter(|_| !self.missing.is_empty())?;
        Some(NewValues { hasher: Arc::clone(hasher), list: std::mem::take(&mut self.missing) })
    }

    /// Takes the number of unused values, for a message to count them.
    pub(crate) fn take_unused(&mut self) -> u64 {
        std::mem::take(&mut self.unused)
    }

    /// Puts back the unused values of a message that was not written.
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
    /// How many values of each unified dictionary a reader needs, by dictionary id.
    required: &'s mut Vec<usize>,
    /// The number of dictionary-encoded arrays that the walk has met.
    met: usize,
}

impl<'s> KeyRewriter<'s> {
    pub(crate) fn new(dictionaries: &'s UnifiedSnapshot, maps: &'s mut KeyMaps, required: &'s mut Vec<usize>) -> Self {
        maps.begin(dictionaries);
        required.clear();
        required.resize(dictionaries.schema().dictionary_count(), 0);
        Self { dictionaries, maps, required, met: 0 }
    }

    /// Appends the keys `rows` of a dictionary-encoded array as ids of its unified dictionary. Returns `false`, and
    /// appends nothing, if its field is not unified: then the caller writes the keys as they are.
    ///
    /// If hidden rows are to be cleared, `visible` holds the rows that no parent hides.
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
        // Keys of hidden rows are overwritten, even if all visible keys are right.
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
        // Readers need a dictionary before the first batch, and some never look for a later one. So an empty dictionary
        // gets all the values that the batch brings, used or not.
        if others == 0 && lookup.missing.is_empty() && field.inner().is_empty() && !options.clear_nulls {
            *lookup.missing = map.all(&lookup)?;
        }
        // A cleared key becomes 0, which must be the id of some value.
        let needs_any = visible.is_some() && has_valid(array.nulls(), &rows);
        if needs_any {
            self.required[id] = map.required().max(1);
        }
        let new = if !missing.is_empty() {
            // The array that the map holds, not the batch's: `learn` finds the map by its address.
            New { id, values: Arc::clone(map.values()), rows: missing, others }
        } else if needs_any && others == 0 {
            New { id, values: blank(field.values()), rows: vec![0], others }
        } else {
            self.maps.unused += map.count_unused();
            return Ok(true);
        };
        self.maps.missing.push(new);
        // The batch is encoded again, so the rest of this body need not be compressed.
        body.forget_codec();
        Ok(true)
    }
}

/// Appends the field node and the validity of keys whose hidden rows are cleared. Returns the rows whose keys are
/// written; all other keys become 0. If all rows are null they stay null, since the dictionary may have no value for a
/// key.
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

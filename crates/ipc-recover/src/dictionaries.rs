//! Tracks which dictionaries have been read, and whether those that their values refer to have been read as well.
//!
//! A dictionary is *complete* if it has been read and all dictionaries that its values refer to are complete. A result
//! is remembered, so that checking a record batch costs time for the dictionaries it names itself, however many have
//! been read.

use std::collections::BTreeMap;

/// The dictionaries read so far, by id.
#[derive(Debug, Default)]
pub(crate) struct Dictionaries {
    known: BTreeMap<i64, Known>,
    /// Grows whenever a complete dictionary becomes incomplete. Results of an earlier age are not used.
    age: u64,
}

/// A dictionary that has been read.
#[derive(Debug, Default)]
struct Known {
    /// The ids of the dictionaries that its values, and those of its deltas, refer to.
    needs: Vec<i64>,
    /// How many of these, from the first on, were found complete at `age`.
    complete: usize,
    age: u64,
}

impl Dictionaries {
    /// Returns whether a dictionary with this id has been read.
    pub(crate) fn has(&self, id: i64) -> bool {
        self.known.contains_key(&id)
    }

    /// Records a dictionary batch whose values refer to the dictionaries `needs`.
    pub(crate) fn take(&mut self, id: i64, is_delta: bool, needs: &[i64]) {
        let was_complete = self.missing(id).is_none();
        let known = self.known.entry(id).or_default();
        if !is_delta {
            *known = Known { age: self.age, ..Known::default() };
        }
        known.needs.extend_from_slice(needs);
        if was_complete && self.missing(id).is_some() {
            self.age += 1;
            if self.age > AGES_AT_MOST {
                self.lose();
            }
        }
    }

    /// Forgets all dictionaries.
    pub(crate) fn lose(&mut self) {
        self.known.clear();
    }

    /// Returns the first missing dictionary among these and those that they refer to.
    pub(crate) fn missing_of(&mut self, ids: &[i64]) -> Option<i64> {
        ids.iter().find_map(|id| self.missing(*id))
    }

    /// The same for one dictionary.
    ///
    /// The recursion ends: no dictionary is inside itself, and none is nested more deeply than the schema.
    pub(crate) fn missing(&mut self, id: i64) -> Option<i64> {
        let age = self.age;
        loop {
            let Some(known) = self.known.get_mut(&id) else { return Some(id) };
            if known.age != age {
                (known.age, known.complete) = (age, 0);
            }
            let next = *known.needs.get(known.complete)?;
            if let Some(missing) = self.missing(next) {
                return Some(missing);
            }
            self.known.get_mut(&id)?.complete += 1;
        }
    }
}

/// How often a complete dictionary may become incomplete. Each time, all results are computed again, and a hostile
/// input could cause that with every message. No real writer replaces so many dictionaries by ones that refer to a
/// dictionary that was never sent.
const AGES_AT_MOST: u64 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_is_complete_once_all_below_it_has_come() {
        let mut dictionaries = Dictionaries::default();
        assert_eq!(dictionaries.missing(1), Some(1));
        dictionaries.take(1, false, &[2, 3]);
        assert_eq!(dictionaries.missing_of(&[1]), Some(2));
        dictionaries.take(2, false, &[]);
        dictionaries.take(3, false, &[4]);
        assert_eq!(dictionaries.missing(1), Some(4));
        dictionaries.take(4, false, &[]);
        assert_eq!(dictionaries.missing(1), None);
        // An inner dictionary may change, too.
        dictionaries.take(3, false, &[5]);
        assert_eq!(dictionaries.missing(1), Some(5));
        dictionaries.take(3, false, &[4]);
        assert_eq!(dictionaries.missing(1), None);
        dictionaries.take(2, true, &[5]);
        assert_eq!(dictionaries.missing(1), Some(5));
        dictionaries.take(5, false, &[]);
        assert_eq!(dictionaries.missing(1), None);
    }

    #[test]
    fn nobody_makes_us_look_at_everything_for_each_message() {
        let mut dictionaries = Dictionaries::default();
        dictionaries.take(0, false, &[1]);
        for _ in 0..=AGES_AT_MOST {
            dictionaries.take(1, false, &[]);
            dictionaries.take(1, false, &[-1]);
        }
        assert!(!dictionaries.has(0), "nothing is good for anything any more");
    }
}

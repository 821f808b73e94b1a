//! Which dictionaries have come so far, and whether all is there that their values refer to.
//!
//! The values of a dictionary may refer to other dictionaries. One is *complete* when it has come, and those that it
//! refers to are complete. What has been found complete is not looked at again, so that a record batch takes time for
//! what it names itself, however much is behind.

use std::collections::BTreeMap;

/// The dictionaries so far, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Dictionaries {
    known: BTreeMap<i64, Known>,
    /// Grows whenever a dictionary that was complete is no longer. What was found in another age is forgotten.
    age: u64,
}

/// A dictionary that has come.
#[derive(Debug, Default)]
struct Known {
    /// The dictionaries that its values refer to, with those of its deltas.
    needs: Vec<i64>,
    /// How many of these have been found complete, in that age.
    complete: usize,
    age: u64,
}

impl Dictionaries {
    /// Whether a dictionary with this id has come.
    pub(crate) fn has(&self, id: i64) -> bool {
        self.known.contains_key(&id)
    }

    /// A dictionary batch has come, whose values refer to dictionaries with these ids.
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

    /// Forgets all that has come.
    pub(crate) fn lose(&mut self) {
        self.known.clear();
    }

    /// The first of these dictionaries, or of those that their values refer to, that has not come.
    pub(crate) fn missing_of(&mut self, ids: &[i64]) -> Option<i64> {
        ids.iter().find_map(|id| self.missing(*id))
    }

    /// The same for one dictionary.
    ///
    /// A dictionary is never inside itself, and none is deeper inside another than the schema is deep.
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

/// How often a dictionary may be found incomplete that was complete before. Then all is looked at again, and an input
/// could ask for that with each of its messages. No writer replaces a dictionary by one that refers to another which has
/// never come, for each of so many others.
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
        // What is below may change, too.
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

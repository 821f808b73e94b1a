//! The updates of one batch, by dictionary id.
//!
//! There may be tens of thousands, and whether they are still right is asked under a lock: so they are walked and never
//! searched. Whoever looks at one gets it from here, where the unit tests count that.

use crate::dictionary::DictionaryBatch;

/// DictionaryBatches of dictionaries, at most one for each, in the order of their ids.
#[derive(Debug, Default)]
pub(crate) struct Listed {
    list: Vec<DictionaryBatch>,
}

impl Listed {
    /// Adds an update of a dictionary that has none yet.
    pub(crate) fn push(&mut self, update: DictionaryBatch) {
        self.list.push(update);
    }

    /// Brings those of unified dictionaries, which were pushed after all others, to their places: a merge of two runs.
    pub(crate) fn bring_in_order(&mut self) {
        if self.list.len() > 1 {
            self.list.sort_by_key(|update| update.id);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &DictionaryBatch> {
        self.list.iter().inspect(|_| look())
    }

    /// For going through all dictionaries in the order of their ids.
    pub(crate) fn by_id(&self) -> ById<'_> {
        ById { rest: &self.list }
    }

    pub(crate) fn retain(&mut self, is_kept: impl FnMut(&DictionaryBatch) -> bool) {
        self.list.retain(is_kept);
    }

    pub(crate) fn into_vec(self) -> Vec<DictionaryBatch> {
        self.list
    }
}

/// A walk over updates beside one over all dictionaries.
pub(crate) struct ById<'u> {
    rest: &'u [DictionaryBatch],
}

impl<'u> ById<'u> {
    /// The update of the dictionary `id`, if there is one; ids must not decrease from call to call.
    pub(crate) fn of(&mut self, id: usize) -> Option<&'u DictionaryBatch> {
        while let [first, rest @ ..] = self.rest {
            look();
            if first.id >= id {
                return Some(first).filter(|first| first.id == id);
            }
            self.rest = rest;
        }
        None
    }

    /// How many values of a unified dictionary readers have behind the updates, if they `have` so many before; ids must
    /// not decrease from call to call.
    pub(crate) fn unified_behind(&mut self, id: usize, have: Option<usize>) -> usize {
        let added = self.of(id).map(|update| update.sent.count());
        have.max(added).unwrap_or(0)
    }
}

/// An update is looked at.
#[inline(always)]
fn look() {
    #[cfg(test)]
    tests::LOOKS.set(tests::LOOKS.get() + 1);
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{ArrayRef, DictionaryArray, RecordBatch};

    use crate::dictionary::Sending;
    use crate::dictionary::unified::UnifiedDictionaries;
    use crate::encode::BatchEncoder;
    use crate::format::StreamFormat;
    use crate::key_values::Metadata;
    use crate::options::Options;
    use crate::options::dictionaries::DictionaryHandling::{self, Delta, Resend};
    use crate::options::dictionaries::Unify;
    use crate::output::ledger::Ledger;
    use crate::schema::StreamSchema;

    thread_local! {
        /// How often this thread has looked at an update.
        pub(super) static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    /// A batch of so many columns, each with a dictionary of these values.
    fn batch(columns: usize, values: &[&str]) -> RecordBatch {
        let column = || Arc::new(values.iter().copied().collect::<DictionaryArray<Int32Type>>()) as ArrayRef;
        RecordBatch::try_from_iter((0..columns).map(|number| (number.to_string(), column()))).unwrap()
    }

    /// How often updates are looked at to encode a batch of new dictionaries, to see whether that is right after another
    /// one was appended, and to append it.
    fn looks(columns: usize, handling: DictionaryHandling) -> [usize; 3] {
        let options = Options::builder().dictionaries(handling).build().unwrap();
        let batches = [&["a"][..], &["a", "b"]].map(|values| batch(columns, values));
        let schema = Arc::new(StreamSchema::try_new(batches[0].schema(), &options).unwrap());
        let mut ledger = Ledger::new::<StreamFormat>(Arc::clone(&schema), &options).unwrap();
        let mut unified = UnifiedDictionaries::new(Arc::clone(&schema));
        let mut encoder = BatchEncoder::new(&options);
        let mut encode = |batch, ledger: &Ledger| {
            let (metadata, sent) = (Metadata::new(), ledger.sent());
            let group = encoder.encode_group::<StreamFormat>(batch, &metadata, &mut unified, sent, Sending::Everything);
            group.unwrap().into_owned()
        };
        let mut sink = Vec::new();
        ledger.append(&mut sink, &mut encode(&batches[0], &ledger)).unwrap();

        LOOKS.set(0);
        let mut group = encode(&batches[1], &ledger);
        let encoded = LOOKS.take();
        let compared = ledger.sent().clone();
        ledger.append(&mut sink, &mut encode(&batches[1], &ledger)).unwrap();
        LOOKS.set(0);
        assert!(ledger.accepts(&group, &compared));
        let held = LOOKS.take();
        ledger.append(&mut sink, &mut group).unwrap();
        [encoded, held, LOOKS.take()]
    }

    /// Also under the lock of a shared writer.
    #[test]
    fn no_update_is_searched_for() {
        for handling in [Resend, Delta, Unify::new().into()] {
            for columns in [50, 500] {
                let [encoded, held, appended] = looks(columns, handling);
                assert!(encoded <= columns, "{handling:?}: {encoded} looks to encode {columns}");
                assert!(held >= columns && held <= 2 * columns, "{handling:?}: {held} looks to check {columns}");
                assert!(appended <= 10 * columns, "{handling:?}: {appended} looks to append {columns}");
            }
        }
    }

    /// Those inside a dictionary's values stand just before it.
    #[test]
    fn only_updates_inside_a_dictionary_are_looked_at_to_decide_on_it() {
        let (few, many) = (looks(10, Resend), looks(1000, Resend));
        assert_eq!((few[0], many[0]), (0, 0), "none are inside");
    }
}

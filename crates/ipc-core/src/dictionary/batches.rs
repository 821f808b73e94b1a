//! The dictionary batches that must precede a record batch.
//!
//! They are decided and encoded long before they are written, perhaps on another thread. Whether the decision still
//! holds then is told by pointers and lengths alone: of a unified dictionary readers hold a prefix, which only grows,
//! so two lengths are compared.
//!
//! There may be tens of thousands of them, and the question is asked under a lock. So they are walked in the order of
//! their ids and never searched; the unit tests count the looks.

use arrow_buffer::Buffer;

use crate::dictionary::sent::{Sent, SentDictionaries};
use crate::error::{Error, Result};
use crate::message::Message;
use crate::schema::StreamSchema;

/// How much to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// What readers do not have.
    Changes,
    /// Every dictionary of the batch in full, if the format allows that. In a stream the decision then holds whatever
    /// others send meanwhile. Of unified dictionaries only what readers do not have: others can only send a part of it.
    Everything,
}

/// The dictionary batches that one record batch needs before it, or that a file needs before its end.
#[derive(Debug)]
#[must_use = "a batch must not be written before its dictionaries"]
pub struct DictionaryBatches {
    /// The version of the dictionaries that were compared.
    version: u64,
    sending: Sending,
    list: Listed,
}

/// One dictionary batch, and what readers have once they read it.
#[derive(Debug)]
pub(crate) struct DictionaryBatch {
    pub(crate) id: usize,
    /// What readers must have, for a delta.
    pub(crate) extends: Option<Sent>,
    pub(crate) sent: Sent,
    pub(crate) message: Message<Buffer>,
}

impl DictionaryBatches {
    /// Returns no batches, to which those are added that readers need who have what was `sent`.
    pub(crate) fn new(sent: &SentDictionaries, sending: Sending) -> Self {
        Self { version: sent.version(), sending, list: Listed::default() }
    }

    /// Returns no batches, as for an output to which no dictionary was sent.
    pub(crate) fn none() -> Self {
        Self::new(&SentDictionaries::default(), Sending::Changes)
    }

    /// Adds a batch of a dictionary that has none yet.
    pub(crate) fn push(&mut self, batch: DictionaryBatch) {
        self.list.push(batch);
    }

    /// Brings those of unified dictionaries, which were pushed after all others, to their places: a merge of two runs.
    pub(crate) fn in_order(mut self) -> Self {
        self.list.bring_in_order();
        self
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.len() == 0
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether what was decided against `compared` is right for `current` too, in an output that takes replacements or
    /// not. Compares no values. If it was decided against something else, it is not.
    pub(crate) fn still_hold(
        &self,
        compared: &SentDictionaries,
        current: &SentDictionaries,
        may_replace: bool,
    ) -> bool {
        if self.version == current.version() || self.version != compared.version() {
            return self.version == current.version();
        }
        let mut batches = self.by_id();
        (0..current.count().max(compared.count())).all(|id| {
            let batch = batches.of(id);
            compared.agrees(current, id)
                || match batch {
                    // Readers have all that is needed, or more, and never come to have less.
                    None => current.unified(id).is_some(),
                    Some(batch) if batch.is_known(current) => true,
                    // What is sent in full, and may replace whatever was sent, is right whatever others sent.
                    Some(DictionaryBatch { sent: Sent::Array(_), extends: None, .. }) => {
                        self.sending == Sending::Everything && may_replace
                    }
                    Some(_) => false,
                }
        })
    }

    /// Drops those whose values readers have been sent since.
    #[inline]
    pub(crate) fn drop_sent(&mut self, sent: &SentDictionaries) {
        if self.version != sent.version() && self.list.len() > 0 {
            self.list.retain(|batch| !batch.is_known(sent));
        }
    }

    /// Refuses batches that an output of `schema`, whose readers have what was `sent`, cannot take: of dictionaries
    /// that it does not have, deltas of something else, and replacements where there may be none.
    pub(crate) fn check(
        &self,
        schema: &StreamSchema,
        sent: &SentDictionaries,
        may_replace: bool,
    ) -> Result<(), Box<Error>> {
        self.list.iter().try_for_each(|batch| {
            let (id, count) = (batch.id, schema.dictionary_count());
            if id >= count {
                return Err(Box::new(Error::SchemaMismatch {
                    path: "columns".into(),
                    expected: format!("{count} dictionaries"),
                    found: format!("dictionary {id}"),
                }));
            }
            let expected = match (&batch.extends, sent.get(id)) {
                (Some(extended), Some(had)) if extended.is(had) => return Ok(()),
                (Some(extended), _) => format!("the {} values that are extended", extended.count()),
                (None, Some(had)) if !may_replace => format!("the {} values already written", had.count()),
                (None, _) => return Ok(()),
            };
            let found = match (&batch.extends, sent.get(id)) {
                (Some(_), None) => "none".to_owned(),
                (Some(_), Some(had)) => format!("{} others already written", had.count()),
                (None, _) => format!("{} others", batch.sent.count()),
            };
            let (path, remedy) = (schema.dictionary(id).path().to_owned(), schema.remedy(id, batch.extends.is_some()));
            Err(Box::new(Error::DictionaryReplacement { path, expected, found, remedy }))
        })
    }

    /// Starts a walk beside one over all dictionaries.
    pub(crate) fn by_id(&self) -> ById<'_> {
        ById { rest: &self.list.list }
    }

    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message<Buffer>> {
        self.list.iter().map(|batch| &batch.message)
    }

    /// The length of all messages in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.messages().map(Message::length).sum()
    }

    /// Takes all of them out.
    pub(crate) fn take(&mut self) -> Vec<DictionaryBatch> {
        std::mem::take(&mut self.list.list)
    }

    /// Whether one of the dictionaries from `first` on is sent in full although readers have one already. No batch has
    /// a larger id than the dictionary that is decided on.
    pub(crate) fn replaces_any(&self, first: usize, sent: &SentDictionaries) -> bool {
        let mut batches = self.list.iter().rev().take_while(|batch| batch.id >= first);
        batches.any(|batch| batch.extends.is_none() && sent.get(batch.id).is_some())
    }
}

impl DictionaryBatch {
    /// Whether readers have what this batch would give them.
    fn is_known(&self, sent: &SentDictionaries) -> bool {
        match self.sent {
            Sent::Unified(required) => sent.unified(self.id).is_some_and(|sent| sent >= required),
            Sent::Array(_) => false,
        }
    }
}

/// Dictionary batches, at most one for each dictionary, in the order of their ids.
#[derive(Debug, Default)]
struct Listed {
    list: Vec<DictionaryBatch>,
}

impl Listed {
    fn push(&mut self, batch: DictionaryBatch) {
        self.list.push(batch);
    }

    fn bring_in_order(&mut self) {
        if self.list.len() > 1 {
            self.list.sort_by_key(|batch| batch.id);
        }
    }

    fn len(&self) -> usize {
        self.list.len()
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = &DictionaryBatch> {
        self.list.iter().inspect(|_| look())
    }

    fn retain(&mut self, is_kept: impl FnMut(&DictionaryBatch) -> bool) {
        self.list.retain(is_kept);
    }
}

/// A walk over dictionary batches beside one over all dictionaries.
pub(crate) struct ById<'u> {
    rest: &'u [DictionaryBatch],
}

impl<'u> ById<'u> {
    /// Returns the batch of the dictionary `id`, if there is one. Ids must not decrease from call to call.
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

    /// Returns how many values of a unified dictionary readers have after the batches, if they were `sent` this many
    /// before. Ids must not decrease from call to call.
    pub(crate) fn unified_after(&mut self, id: usize, sent: Option<usize>) -> usize {
        let added = self.of(id).map(|batch| batch.sent.count());
        sent.max(added).unwrap_or(0)
    }
}

/// Counts a look at a batch, in unit tests.
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

    use super::Sending;
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
        /// How often this thread has looked at a dictionary batch.
        pub(super) static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    /// A batch of so many columns, each with a dictionary of these values.
    fn batch(columns: usize, values: &[&str]) -> RecordBatch {
        let column = || Arc::new(values.iter().copied().collect::<DictionaryArray<Int32Type>>()) as ArrayRef;
        RecordBatch::try_from_iter((0..columns).map(|number| (number.to_string(), column()))).unwrap()
    }

    /// How often updates are looked at to encode a batch of new dictionaries, to see whether that is right after
    /// another one was appended, and to append it.
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
    fn no_dictionary_batch_is_searched_for() {
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
    fn only_batches_of_inner_dictionaries_are_looked_at_to_decide_on_an_outer_one() {
        let (few, many) = (looks(10, Resend), looks(1000, Resend));
        assert_eq!((few[0], many[0]), (0, 0), "none are inside");
    }
}

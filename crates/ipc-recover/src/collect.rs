//! Collects the messages to keep, and makes sure that every kept batch has its dictionaries.
//!
//! A record batch needs the dictionaries that its values refer to, and the dictionaries that their values refer to. A
//! dictionary itself needs none until a record batch uses it, so an outer dictionary may precede its inner ones. In a
//! stream, all of them precede the record batch. In a file they may be anywhere, so a record batch without them waits
//! until everything is collected. A delta is useless without the dictionary that it extends.
//!
//! If a dictionary batch is lost, there is no telling which dictionary it was of, or what later deltas would extend. So
//! no batch after the loss may use a dictionary from before it: its keys could refer to the wrong values.

use std::collections::BTreeMap;

use crate::dictionaries::Dictionaries;
use crate::error::{Damage, Fault};
use crate::format::{Framing, Kind};
use crate::report::Cuts;
use crate::schema::{Checked, Item, Role};

/// Collects messages in order, and decides which are kept.
#[derive(Debug)]
pub(crate) struct Collector {
    kind: Kind,
    /// The framing of the stream's messages, if the output has another one.
    reframed: Option<Framing>,
    /// All messages so far, in order.
    entries: Vec<Entry>,
    /// The number of entries that are cut.
    cut_entries: usize,
    dictionaries: Dictionaries,
    /// By dictionary id: the entries of each dictionary that refers to missing dictionaries.
    unresolved: BTreeMap<i64, Vec<usize>>,
    /// By the id of a missing dictionary: the dictionaries that need it next.
    awaited: BTreeMap<i64, Vec<i64>>,
    losses: Losses,
    cuts: Cuts,
}

/// The messages that are kept, in an order in which they can be read, and what was cut.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) kept: Vec<Item>,
    pub(crate) cuts: Cuts,
    /// Whether some batch precedes its dictionary.
    pub(crate) has_late_dictionaries: bool,
    /// The number of cuts that have, or may have, rows, and are followed by a record batch that is kept.
    pub(crate) holes: u64,
}

#[derive(Debug)]
struct Entry {
    item: Item,
    fate: Fate,
}

/// What happens to a message.
#[derive(Debug)]
enum Fate {
    Kept,
    Cut,
    /// Kept if these dictionaries, which it needs, are found.
    Waits(Vec<i64>),
}

/// Whether dictionary batches have been lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Losses {
    None,
    Some,
}

impl Collector {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            reframed: None,
            entries: Vec::new(),
            cut_entries: 0,
            dictionaries: Dictionaries::default(),
            unresolved: BTreeMap::new(),
            awaited: BTreeMap::new(),
            losses: Losses::None,
            cuts: Cuts::default(),
        }
    }

    /// The format of the input.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Begins another stream, which has no dictionaries yet. `reframed` is the framing of its messages, if the output
    /// has another one.
    pub(crate) fn begin_stream(&mut self, reframed: Option<Framing>) {
        self.settle();
        self.dictionaries.lose();
        self.reframed = reframed;
    }

    /// Returns the number of messages that are kept so far.
    pub(crate) fn kept(&self) -> usize {
        self.entries.len() - self.cut_entries
    }

    /// Returns whether everything so far is kept, whatever follows.
    pub(crate) fn is_whole(&mut self) -> bool {
        if !self.cuts.is_empty() || self.losses != Losses::None {
            return false;
        }
        let Self { entries, dictionaries, .. } = self;
        entries.iter().all(|entry| match &entry.fate {
            Fate::Kept => true,
            Fate::Cut => false,
            Fate::Waits(needs) => dictionaries.missing_of(needs).is_none(),
        })
    }

    pub(crate) fn cuts_mut(&mut self) -> &mut Cuts {
        &mut self.cuts
    }

    /// Takes the next message, or refuses it as damaged.
    pub(crate) fn take(&mut self, checked: Checked) -> Result<(), Damage> {
        let checked = Checked { item: Item { reframed: self.reframed, ..checked.item }, ..checked };
        match checked.item.role {
            Role::RecordBatch { .. } => self.take_record_batch(checked),
            Role::DictionaryBatch { id, is_delta: true } if !self.dictionaries.has(id) => {
                self.cuts.message(&checked.item, Fault::DictionaryMissing { id });
            }
            Role::DictionaryBatch { id, is_delta: false } if self.dictionaries.has(id) && self.kind == Kind::File => {
                return Err(Damage::new(checked.item.place.offset, Fault::DictionaryReplaced { id }));
            }
            Role::DictionaryBatch { id, is_delta } => self.take_dictionary_batch(checked, id, is_delta),
        }
        Ok(())
    }

    /// Records that a dictionary batch was lost at this point.
    pub(crate) fn lose_dictionary(&mut self) {
        self.settle();
        self.dictionaries.lose();
        self.losses = Losses::Some;
    }

    /// Returns the last message, unless it is cut.
    pub(crate) fn last(&self) -> Option<Item> {
        self.entries.last().filter(|entry| !matches!(entry.fate, Fate::Cut)).map(|entry| entry.item)
    }

    /// Cuts the last message, which had been kept.
    pub(crate) fn cut_last(&mut self, last: &Item, fault: Fault) {
        self.entries.pop();
        if let Role::DictionaryBatch { id, .. } = last.role {
            if let Some(unresolved) = self.unresolved.get_mut(&id) {
                unresolved.retain(|number| *number < self.entries.len());
            }
            self.lose_dictionary();
        }
        self.cuts.message(last, fault);
    }

    /// Ends the collection, and decides about the messages that still wait.
    pub(crate) fn finish(mut self) -> Collected {
        self.settle();
        let mut has_late_dictionaries = false;
        for number in 0..self.entries.len() {
            let Entry { fate: Fate::Waits(needs), .. } = &self.entries[number] else { continue };
            // If a dictionary batch was lost, the later dictionaries of that id may not be the ones meant.
            let unsure = needs.first().copied().filter(|_| self.losses == Losses::Some);
            match self.dictionaries.missing_of(needs).or(unsure) {
                None => {
                    self.entries[number].fate = Fate::Kept;
                    has_late_dictionaries = true;
                }
                Some(id) => self.cut_entry(number, id),
            }
        }
        let kept = self.entries.into_iter().filter(|entry| matches!(entry.fate, Fate::Kept)).map(|entry| entry.item);
        let kept: Vec<_> = kept.collect();
        let last = kept.iter().rev().find(|item| !item.is_dictionary()).map(|item| item.place.offset);
        let holes = last.map_or(0, |last| self.cuts.with_rows_before(last));
        Collected { kept, cuts: self.cuts, has_late_dictionaries, holes }
    }

    fn take_record_batch(&mut self, Checked { item, needs }: Checked) {
        let fate = match (self.dictionaries.missing_of(&needs), self.kind) {
            (None, _) => Fate::Kept,
            (Some(_), Kind::File) => Fate::Waits(needs),
            (Some(id), Kind::Stream) => {
                self.cuts.message(&item, Fault::DictionaryMissing { id });
                return;
            }
        };
        self.entries.push(Entry { item, fate });
    }

    fn take_dictionary_batch(&mut self, Checked { item, needs }: Checked, id: i64, is_delta: bool) {
        if !is_delta {
            self.settle_dictionary(id);
        }
        self.dictionaries.take(id, is_delta, &needs);
        self.entries.push(Entry { item, fate: Fate::Waits(needs) });
        let unresolved = self.unresolved.entry(id).or_default();
        unresolved.push(self.entries.len() - 1);
        let is_new = unresolved.len() == 1;
        let awaiting = self.awaited.remove(&id).unwrap_or_default();
        for id in awaiting.into_iter().chain(is_new.then_some(id)) {
            match self.dictionaries.missing(id) {
                None => self.resolve(id),
                Some(missing) => self.awaited.entry(missing).or_default().push(id),
            }
        }
    }

    /// Keeps the entries of a dictionary that now has all that it refers to.
    fn resolve(&mut self, id: i64) {
        for number in self.unresolved.remove(&id).unwrap_or_default() {
            self.entries[number].fate = Fate::Kept;
        }
    }

    /// Decides about all dictionary batches that still wait: no more dictionaries follow.
    fn settle(&mut self) {
        let ids: Vec<_> = self.unresolved.keys().copied().collect();
        ids.into_iter().for_each(|id| self.settle_dictionary(id));
    }

    fn settle_dictionary(&mut self, id: i64) {
        match self.dictionaries.missing(id) {
            None => self.resolve(id),
            Some(missing) => {
                for number in self.unresolved.remove(&id).unwrap_or_default() {
                    self.cut_entry(number, missing);
                }
            }
        }
    }

    fn cut_entry(&mut self, number: usize, missing: i64) {
        let item = self.entries[number].item;
        self.entries[number].fate = Fate::Cut;
        self.cut_entries += 1;
        self.cuts.message(&item, Fault::DictionaryMissing { id: missing });
    }
}

impl Collected {
    /// Cuts dictionary batches at the end that no record batch follows: readers of streams would wait for one.
    pub(crate) fn cut_unused_dictionaries(&mut self) {
        if self.has_late_dictionaries {
            return;
        }
        while let Some(item) = self.kept.pop_if(|item| item.is_dictionary()) {
            self.cuts.message(&item, Fault::DictionaryUnused);
        }
    }
}

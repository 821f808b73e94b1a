//! Collects the messages that are kept, and sees to it that every batch that is has its dictionaries.
//!
//! In a stream a dictionary stands before the batches that need it. In a file it may stand anywhere, so a batch without
//! its dictionary waits for one until all is collected. A delta is worth nothing without what it extends.
//!
//! Where a dictionary batch is lost, nobody can tell which dictionary it was of, or what the deltas behind it would
//! extend. None of the dictionaries so far is then good for any batch behind, lest its keys refer to other values than
//! they were meant to.

use std::collections::BTreeSet;

use crate::error::{Damage, Fault};
use crate::report::Cuts;
use crate::scan::Kind;
use crate::schema::{Checked, Item, Role};

/// A collection in the making.
#[derive(Debug)]
pub(crate) struct Collector {
    kind: Kind,
    kept: Vec<Item>,
    /// Batches whose dictionary may still come.
    waiting: Vec<Checked>,
    /// The dictionaries that are whole so far.
    known: BTreeSet<i64>,
    losses: Losses,
    cuts: Cuts,
}

/// What is kept, in the order in which it can be read, and what is not.
#[derive(Debug)]
pub(crate) struct Collected {
    pub(crate) kept: Vec<Item>,
    pub(crate) cuts: Cuts,
    /// Whether a batch stands before its dictionary.
    pub(crate) has_late_dictionaries: bool,
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
            kept: Vec::new(),
            waiting: Vec::new(),
            known: BTreeSet::new(),
            losses: Losses::None,
            cuts: Cuts::default(),
        }
    }

    /// How many messages are kept so far.
    pub(crate) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Whether everything so far is kept.
    pub(crate) fn is_whole(&self) -> bool {
        self.waiting.is_empty() && self.cuts.is_empty()
    }

    pub(crate) fn cuts_mut(&mut self) -> &mut Cuts {
        &mut self.cuts
    }

    /// Takes the next message, or refuses it as damaged.
    pub(crate) fn take(&mut self, checked: Checked) -> Result<(), Damage> {
        let Checked { item, needs } = &checked;
        let missing = needs.iter().copied().find(|id| !self.known.contains(id));
        match (item.role, missing) {
            (Role::RecordBatch { .. }, None) => self.kept.push(*item),
            (Role::RecordBatch { .. }, Some(_)) => self.waiting.push(checked),
            (Role::DictionaryBatch { .. }, Some(id)) => self.cuts.message(item, Fault::DictionaryMissing { id }),
            (Role::DictionaryBatch { id, is_delta }, None) => match (is_delta, self.known.contains(&id)) {
                (true, false) => self.cuts.message(item, Fault::DictionaryMissing { id }),
                (false, true) if self.kind == Kind::File => {
                    return Err(Damage::new(item.place.offset, Fault::DictionaryReplaced { id }));
                }
                _ => {
                    self.known.insert(id);
                    self.kept.push(*item);
                }
            },
        }
        Ok(())
    }

    /// A dictionary batch is lost that stood here.
    pub(crate) fn lose_dictionary(&mut self) {
        self.known.clear();
        self.losses = Losses::Some;
    }

    /// The last message that is kept so far.
    pub(crate) fn last(&self) -> Option<Item> {
        self.kept.last().copied()
    }

    /// Cuts the last message after all.
    pub(crate) fn cut_last(&mut self, last: &Item, fault: Fault) {
        self.kept.pop();
        self.cuts.message(last, fault);
        if last.is_dictionary() {
            self.lose_dictionary();
        }
    }

    /// All is collected that there is.
    pub(crate) fn finish(mut self) -> Collected {
        let kept_at_once = self.kept.len();
        for Checked { item, needs } in std::mem::take(&mut self.waiting) {
            let missing = needs.iter().copied().find(|id| !self.known.contains(id));
            match missing.or_else(|| needs.first().copied().filter(|_| !self.allows_late_dictionaries())) {
                None => self.kept.push(item),
                Some(id) => self.cuts.message(&item, Fault::DictionaryMissing { id }),
            }
        }
        let has_late_dictionaries = self.kept.len() > kept_at_once;
        self.kept.sort_by_key(|item| item.place.offset);
        Collected { kept: self.kept, cuts: self.cuts, has_late_dictionaries }
    }

    fn allows_late_dictionaries(&self) -> bool {
        self.kind == Kind::File && self.losses == Losses::None
    }
}

impl Collected {
    /// Cuts the dictionary batches at the end, behind which no batch follows: readers of streams wait for one in vain.
    pub(crate) fn cut_unused_dictionaries(&mut self) {
        if self.has_late_dictionaries {
            return;
        }
        while let Some(item) = self.kept.pop_if(|item| item.is_dictionary()) {
            self.cuts.message(&item, Fault::DictionaryUnused);
        }
    }
}

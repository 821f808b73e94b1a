//! What a recovery kept, what it cut, and why.

use crate::error::Fault;
use crate::format::Kind;
use crate::schema::{Item, Role};

/// The outcome of a recovery.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// What the input is.
    pub input: Kind,
    /// What the output is.
    pub output: Kind,
    /// What the input's condition is.
    pub condition: Condition,
    /// How many streams, one behind the other, the input has as far as it was kept. A file counts as one.
    pub streams: u64,
    /// What is in the output.
    pub kept: Tally,
    /// What is not. Of bytes that make no message, only their number is known.
    pub cut: Tally,
    /// The first 100 pieces that were cut, in the order in which they were found.
    pub cuts: Vec<Cut>,
    /// How many more there are.
    pub further_cuts: u64,
    /// How many pieces were cut, of record batches or of what may have been some, that have a record batch behind them
    /// which is kept: rows are missing between others.
    pub holes: u64,
    /// How many dictionaries without values were put into the output: a schema asks for them, and no value that is kept
    /// refers to them.
    pub empty_dictionaries: u64,
    /// How long the output is, in bytes.
    pub written_bytes: u64,
}

/// The condition of an input that can be recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// Nothing is wrong with it.
    Complete,
    /// It ends too early, or what follows its end is no part of it.
    Torn,
    /// It is damaged before its tail: whole messages stand behind the damage.
    Damaged,
}

/// How much there is of something.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Messages, the schema among them.
    pub messages: u64,
    /// Record batches.
    pub record_batches: u64,
    /// Their rows.
    pub rows: u64,
    /// Dictionary batches.
    pub dictionary_batches: u64,
    /// Bytes, of messages and of what is none.
    pub bytes: u64,
}

/// A piece of the input that was cut.
#[derive(Debug)]
#[non_exhaustive]
pub struct Cut {
    /// Where it starts.
    pub offset: u64,
    /// How many bytes it has.
    pub length: u64,
    /// Why it was cut.
    pub fault: Fault,
}

/// What has been cut so far.
#[derive(Debug, Default)]
pub(crate) struct Cuts {
    pub(crate) tally: Tally,
    pub(crate) list: Vec<Cut>,
    pub(crate) further: u64,
    /// Where pieces stood that have rows, or may have some.
    rows_at: Vec<u64>,
}

impl Report {
    /// Whether rows are left out that were whole, or may have been: a batch was cut, or something among what was kept, or
    /// the rest of an input that is damaged before its tail. What is torn at its tail alone has none,
    /// and what was [not confirmed](crate::RecoverOptions::with_confirmed_only) is left out on request.
    #[must_use]
    pub fn leaves_rows_out(&self) -> bool {
        self.holes > 0 || self.cut.record_batches > 0 || self.condition == Condition::Damaged
    }
}

impl Condition {
    /// The condition in a word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Torn => "torn",
            Self::Damaged => "damaged",
        }
    }
}

impl Tally {
    /// Counts a schema message.
    pub(crate) fn add_schema(&mut self, length: u64) {
        self.messages += 1;
        self.bytes = self.bytes.saturating_add(length);
    }

    /// Counts a batch.
    pub(crate) fn add(&mut self, item: &Item) {
        self.messages += 1;
        self.bytes = self.bytes.saturating_add(item.place.length());
        match item.role {
            Role::RecordBatch { rows } => {
                self.record_batches += 1;
                self.rows = self.rows.saturating_add(rows);
            }
            Role::DictionaryBatch { .. } => self.dictionary_batches += 1,
        }
    }
}

impl Cuts {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Cuts a whole message.
    pub(crate) fn message(&mut self, item: &Item, fault: Fault) {
        self.tally.add(item);
        if matches!(item.role, Role::RecordBatch { rows } if rows > 0) {
            self.rows_at.push(item.place.offset);
        }
        self.note(item.place.offset, item.place.length(), fault);
    }

    /// Leaves out what stands between two streams: no rows are lost with it.
    pub(crate) fn between_streams(&mut self, offset: u64, length: u64, fault: Fault) {
        self.tally.bytes = self.tally.bytes.saturating_add(length);
        self.note(offset, length, fault);
    }

    /// Cuts what is no message.
    pub(crate) fn bytes(&mut self, offset: u64, length: u64, fault: Fault) {
        self.tally.bytes = self.tally.bytes.saturating_add(length);
        if length > 0 {
            self.rows_at.push(offset);
        }
        self.note(offset, length, fault);
    }

    /// How many pieces with rows, or what may have some, stood before this offset.
    pub(crate) fn with_rows_before(&self, offset: u64) -> u64 {
        self.rows_at.iter().filter(|at| **at < offset).count() as u64
    }

    fn note(&mut self, offset: u64, length: u64, fault: Fault) {
        if self.list.len() < LISTED_AT_MOST {
            self.list.push(Cut { offset, length, fault });
        } else {
            self.further += 1;
        }
    }
}

/// How many cuts are listed one by one: an input may ask for more of them than it has bytes.
const LISTED_AT_MOST: usize = 100;

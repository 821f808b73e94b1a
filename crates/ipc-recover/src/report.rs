//! What a recovery kept, what it cut, and why.

use crate::error::Fault;
use crate::format::Kind;
use crate::schema::{Item, Role};

/// The outcome of a recovery.
#[derive(Debug)]
#[non_exhaustive]
pub struct Report {
    /// The format of the input.
    pub input: Kind,
    /// The format of the output.
    pub output: Kind,
    /// The condition of the input.
    pub condition: Condition,
    /// The number of consecutive streams in the input that were kept. A file counts as one.
    pub streams: u64,
    /// Counts of what is in the output.
    pub kept: Tally,
    /// Counts of what was cut. Bytes that are not a message only count as bytes.
    pub cut: Tally,
    /// The first 100 cuts, in the order in which they were made.
    pub cuts: Vec<Cut>,
    /// The number of further cuts.
    pub further_cuts: u64,
    /// The number of cuts that are or may be record batches, and are followed by a record batch that was kept: rows are
    /// missing between others.
    pub holes: u64,
    /// The number of empty dictionaries that were added: the schema has these dictionaries, and no kept value refers to
    /// them.
    pub empty_dictionaries: u64,
    /// The length of the output in bytes.
    pub written_bytes: u64,
}

/// The condition of an input that can be recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// Nothing is wrong with it.
    Complete,
    /// It ends too early, or bytes follow its end that are not part of it.
    Torn,
    /// It is damaged before its end: whole messages follow the damage.
    Damaged,
}

/// Counts of messages and their contents.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Messages, including the schema.
    pub messages: u64,
    /// Record batches.
    pub record_batches: u64,
    /// Rows in record batches.
    pub rows: u64,
    /// Dictionary batches.
    pub dictionary_batches: u64,
    /// Bytes, including those that are not a message.
    pub bytes: u64,
}

/// A piece of the input that was cut.
#[derive(Debug)]
#[non_exhaustive]
pub struct Cut {
    /// The offset of the piece.
    pub offset: u64,
    /// The length of the piece in bytes.
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
    /// The offsets of cuts that have rows, or may have some.
    rows_at: Vec<u64>,
}

impl Report {
    /// Returns whether rows were left out that were whole, or may have been: a batch was cut, something between kept
    /// batches was cut, or the input is damaged before its end. Bytes that are only torn at the tail hold no whole
    /// rows. Bytes that were [not confirmed](crate::RecoverOptions::with_confirmed_only) are left out on request, and
    /// do not count.
    #[must_use]
    pub fn leaves_rows_out(&self) -> bool {
        self.holes > 0 || self.cut.record_batches > 0 || self.condition == Condition::Damaged
    }
}

impl Condition {
    /// Returns the condition in one word.
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

    /// Cuts bytes between two streams, which hold no rows.
    pub(crate) fn between_streams(&mut self, offset: u64, length: u64, fault: Fault) {
        self.tally.bytes = self.tally.bytes.saturating_add(length);
        self.note(offset, length, fault);
    }

    /// Cuts bytes that are not a message.
    pub(crate) fn bytes(&mut self, offset: u64, length: u64, fault: Fault) {
        self.tally.bytes = self.tally.bytes.saturating_add(length);
        if length > 0 {
            self.rows_at.push(offset);
        }
        self.note(offset, length, fault);
    }

    /// Returns the number of cuts before this offset that have rows, or may have some.
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

/// The number of cuts that are listed: an input may cause more of them than it has bytes.
const LISTED_AT_MOST: usize = 100;

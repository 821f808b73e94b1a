//! The dictionaries that readers of an output have.
//!
//! The ledger changes them when it has written a dictionary batch, and publishes copies: so they are cheap to clone,
//! and two of them are compared by pointers and lengths alone.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef};

/// The dictionaries that an output's readers have, by dictionary id. Cheap to clone: values are shared.
#[derive(Debug, Clone, Default)]
pub struct SentDictionaries {
    version: u64,
    sent: Vec<Option<Sent>>,
}

/// What readers have of one dictionary.
#[derive(Debug, Clone)]
pub(crate) enum Sent {
    /// These values.
    Array(ArrayRef),
    /// This many of the first values of a unified dictionary.
    Unified(usize),
}

impl SentDictionaries {
    /// Returns `count` dictionaries of which readers have nothing.
    pub(crate) fn new(count: usize) -> Self {
        Self { version: 0, sent: vec![None; count] }
    }

    /// A number that changes with every change of a dictionary.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many dictionaries there are.
    pub(crate) fn count(&self) -> usize {
        self.sent.len()
    }

    pub(crate) fn get(&self, id: usize) -> Option<&Sent> {
        self.sent.get(id).and_then(Option::as_ref)
    }

    /// The values that readers have of a dictionary that is not unified.
    pub(crate) fn array(&self, id: usize) -> Option<&ArrayRef> {
        match self.get(id)? {
            Sent::Array(values) => Some(values),
            Sent::Unified(_) => None,
        }
    }

    /// How many values readers have of a unified dictionary.
    pub(crate) fn unified(&self, id: usize) -> Option<usize> {
        match self.get(id)? {
            Sent::Array(_) => None,
            Sent::Unified(count) => Some(*count),
        }
    }

    /// Whether both have the very same array, or as many values of a unified dictionary, under `id`.
    pub(crate) fn agrees(&self, other: &Self, id: usize) -> bool {
        match (self.get(id), other.get(id)) {
            (Some(a), Some(b)) => a.is(b),
            (None, None) => true,
            _ => false,
        }
    }

    /// Records that readers have been sent a dictionary of the schema. Returns what they had of it before.
    pub(crate) fn record(&mut self, id: usize, sent: Sent) -> Option<Sent> {
        self.version += 1;
        self.sent[id].replace(sent)
    }
}

impl Sent {
    /// Whether both are the very same array, or as many values of a unified dictionary.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Array(a), Self::Array(b)) => Arc::ptr_eq(a, b),
            (Self::Unified(a), Self::Unified(b)) => a == b,
            _ => false,
        }
    }

    /// How many values these are.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Array(values) => values.len(),
            Self::Unified(count) => *count,
        }
    }
}

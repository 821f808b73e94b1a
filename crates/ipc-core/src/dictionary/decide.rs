//! Decides what an output does about a dictionary that a batch brings: nothing, a delta, a replacement, or a refusal.
//!
//! The decision [compares](mod@crate::arrays::compare) the dictionary with what readers have. `ipc-core`'s encoder acts
//! on it, and programs that look at their inputs before they write ask [`StreamSchema::change`] for it.
//!
//! Two rules go beyond comparing values:
//! - When a dictionary inside another one's values is replaced, the outer one is sent again too, equal or not: readers
//!   bind the inner dictionary when they read the outer one.
//! - A dictionary that has dictionaries inside its values is never extended by a delta, for the same reason.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef};

use crate::arrays::compare::Comparison;
use crate::dictionary::batches::{DictionaryBatches, Sending};
use crate::dictionary::sent::{Sent, SentDictionaries};
use crate::error::{Error, Remedy, Result};
use crate::format::Format;
use crate::options::dictionaries::DictionaryHandling;
use crate::schema::StreamSchema;

/// What an output does about a dictionary of a field whose readers already have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It sends nothing: the batch's keys mean the same in the dictionary that readers have.
    Known,
    /// It rewrites the batch's keys to the field's unified dictionary, and sends values that are new.
    Unified,
    /// It sends the new values as a delta.
    Extended,
    /// It sends the whole dictionary again.
    Replaced,
    /// It refuses the batch.
    Refused(Remedy),
}

impl StreamSchema {
    /// Returns what an output of format `F` does about a dictionary whose values compare like this to those that
    /// readers have; `None` if the schema has no dictionary `id`. Ids count the dictionary-encoded fields depth first,
    /// and those inside a dictionary's values before it.
    #[must_use]
    pub fn change<F: Format>(&self, id: usize, values: Comparison) -> Option<Change> {
        (id < self.dictionary_count()).then(|| self.change_of(id, values, F::HAS_FOOTER))
    }

    pub(crate) fn change_of(&self, id: usize, values: Comparison, is_file: bool) -> Change {
        let field = self.dictionary(id);
        if field.is_unified() {
            return Change::Unified;
        }
        // With `Unify`, dictionaries that cannot be unified are extended, as with `Delta`.
        let grows_only = self.handling() != DictionaryHandling::Resend;
        match values {
            Comparison::Same => Change::Known,
            // Readers have more values than the batch knows of; its keys mean the same to them.
            Comparison::Within if grows_only || is_file => Change::Known,
            Comparison::Extends if grows_only && field.nested() == 0 => Change::Extended,
            _ if is_file => Change::Refused(self.remedy(id, values == Comparison::Extends)),
            _ => Change::Replaced,
        }
    }

    /// Returns what would let the dictionary `id` change in a file. `grows` says whether its values are only extended.
    pub(crate) fn remedy(&self, id: usize, grows: bool) -> Remedy {
        let field = self.dictionary(id);
        let can_grow = grows && field.nested() == 0;
        if !(field.is_unifiable() || can_grow) {
            Remedy::Stream
        } else if (0..self.dictionary_count()).map(|id| self.dictionary(id)).any(|d| d.is_unifiable() && d.nested() > 0)
        {
            Remedy::UnifyAtClose
        } else {
            Remedy::Unify
        }
    }
}

/// What must be sent of a dictionary.
pub(crate) struct ToSend {
    /// Of its values, these.
    pub(crate) rows: Range<usize>,
    /// What readers must have, for a delta.
    pub(crate) extends: Option<Sent>,
}

/// Returns what of `values` must be sent, if anything: all of them, or, as a delta, those that follow what readers
/// have.
///
/// `batches` are those of the dictionaries with smaller ids that have been decided on.
pub(crate) fn decide<F: Format>(
    schema: &StreamSchema,
    id: usize,
    values: &ArrayRef,
    sent: &SentDictionaries,
    batches: &DictionaryBatches,
    sending: Sending,
) -> Result<Option<ToSend>, Box<Error>> {
    let all = ToSend { rows: 0..values.len(), extends: None };
    let Some(old) = sent.array(id) else {
        return Ok(Some(all));
    };
    let nested = schema.dictionary(id).nested();
    let rebound = nested > 0 && batches.replaces_any(id - nested, sent);
    let comparison = if rebound || (sending == Sending::Everything && !F::HAS_FOOTER) {
        Comparison::Different
    } else {
        Comparison::of(old, values).map_err(Box::new)?
    };
    // The common case, which no rule concerns.
    if comparison == Comparison::Same {
        return Ok(None);
    }
    match schema.change_of(id, comparison, F::HAS_FOOTER) {
        Change::Known | Change::Unified => Ok(None),
        Change::Extended => {
            Ok(Some(ToSend { rows: old.len()..values.len(), extends: Some(Sent::Array(Arc::clone(old))) }))
        }
        Change::Replaced => Ok(Some(all)),
        Change::Refused(remedy) => Err(Box::new(Error::DictionaryReplacement {
            path: String::new(),
            expected: format!("the {} values already written", old.len()),
            found: format!("{} others", values.len()),
            remedy,
        })),
    }
}

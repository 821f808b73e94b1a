//! What an output does about a dictionary that changes, and what would let it change where it may not.
//!
//! One place decides it for the encoder, which acts on it, and for those who look at their inputs before they write.

use crate::arrays::compare::Comparison;
use crate::error::Remedy;
use crate::format::Format;
use crate::options::dictionaries::DictionaryHandling;
use crate::schema::StreamSchema;

/// What becomes of a dictionary that a batch brings for a field whose readers have one already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// Nothing is sent: the batch's keys mean the same in what readers have.
    Known,
    /// The batch's keys are rewritten to the field's unified dictionary, and values that are new are sent.
    Unified,
    /// The new values are sent as a delta.
    Extended,
    /// The whole dictionary is sent again.
    Replaced,
    /// The batch is refused.
    Refused(Remedy),
}

impl StreamSchema {
    /// What an output of format `F` does about a dictionary whose values stand so to those that its readers have; `None`
    /// where the schema has no dictionary `id`. Ids count the dictionary-encoded fields depth first, those inside a
    /// dictionary's values before it.
    #[must_use]
    pub fn change<F: Format>(&self, id: usize, values: Comparison) -> Option<Change> {
        (id < self.dictionary_count()).then(|| self.change_of(id, values, F::HAS_FOOTER))
    }

    pub(crate) fn change_of(&self, id: usize, values: Comparison, is_file: bool) -> Change {
        let field = self.dictionary(id);
        if field.is_unified() {
            return Change::Unified;
        }
        // Where dictionaries are unified, those that cannot be may still grow.
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

    /// What would let the dictionary `id` change in a file, where it only `grows` or not.
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

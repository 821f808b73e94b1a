//! Encodes the dictionary batches that a record batch, or the end of an output, needs sent.
//!
//! What must be sent is [decided](mod@crate::dictionary::decide) from what readers have. Here that becomes messages,
//! each of which owns its bytes or shares those of its array, since it may be written much later.

use std::ops::Range;

use arrow_array::{Array, ArrayRef, RecordBatch};

use crate::arrays::validate::{self, Checks};
use crate::arrays::visible::RowMask;
use crate::body::signed;
use crate::dictionary::batches::{DictionaryBatch, DictionaryBatches, Sending};
use crate::dictionary::decide::{ToSend, decide};
use crate::dictionary::sent::{Sent, SentDictionaries};
use crate::dictionary::unified::{UnifiedSnapshot, UnifiedStore};
use crate::dictionary::visit::visit;
use crate::encode::clear;
use crate::encode::group::Group;
use crate::encode::walk::{Walk, walk};
use crate::encode::{BatchEncoder, same_width};
use crate::error::{Error, Result};
use crate::format::Format;
use crate::key_values::Metadata;
use crate::options::Validation;
use crate::schema::StreamSchema;

impl BatchEncoder {
    /// Encodes the dictionary batches of a group again, for readers that now have the dictionaries in `sent`. The
    /// group's record batch message stays as it is.
    ///
    /// `batch` and `unified` must be those that the group was encoded from.
    ///
    /// # Errors
    ///
    /// As [`encode_group`](Self::encode_group); and [`Error::InvalidArray`] if the store lacks values that the message
    /// requires. After an error the group has no dictionary batches, and must not be appended.
    pub fn reencode_dictionaries<F: Format, B>(
        &mut self,
        group: &mut Group<B>,
        batch: &RecordBatch,
        unified: &mut impl UnifiedStore,
        sent: &SentDictionaries,
        sending: Sending,
    ) -> Result<()> {
        // Frees the old batches before the new ones take memory.
        group.dictionaries = DictionaryBatches::none();
        group.dictionaries = if unified.schema().has_unified_dictionaries() {
            self.encode_unified_dictionaries::<F>(batch, group.message.required(), unified.snapshot(), sent, sending)?
        } else {
            self.encode_dictionaries::<F>(unified.schema(), batch, sent, sending)?
        };
        Ok(())
    }

    /// Encodes the dictionary batches that an output needs before its end: the values of unified dictionaries that its
    /// batches require, as [`Ledger::required`](crate::parts::Ledger::required) counts them, and that are not in
    /// `sent`. There are none if nothing is unified.
    ///
    /// # Errors
    ///
    /// As [`encode`](Self::encode).
    pub fn encode_closing(
        &mut self,
        unified: &mut impl UnifiedStore,
        required: &[usize],
        sent: &SentDictionaries,
    ) -> Result<DictionaryBatches> {
        let mut batches = DictionaryBatches::new(sent, Sending::Changes);
        if unified.schema().has_unified_dictionaries() {
            self.encode_unsent(unified.snapshot(), required, sent, &mut batches)?;
        }
        Ok(batches)
    }

    /// Encodes the dictionaries of `batch` that readers lack, except for unified ones.
    pub(super) fn encode_dictionaries<F: Format>(
        &mut self,
        schema: &StreamSchema,
        batch: &RecordBatch,
        sent: &SentDictionaries,
        sending: Sending,
    ) -> Result<DictionaryBatches> {
        let mut batches = DictionaryBatches::new(sent, sending);
        if schema.has_only_unified_dictionaries() {
            return Ok(batches);
        }
        same_width(batch)?;
        visit(schema, batch, &mut |id, values| {
            if id >= schema.dictionary_count() {
                return Err(more_dictionaries(schema.dictionary_count()).into());
            }
            if schema.dictionary(id).is_unified() {
                return Ok(());
            }
            let decision = decide::<F>(schema, id, values, sent, &batches, sending)
                .map_err(|e| e.within(schema.dictionary(id).path()))?;
            if let Some(to_send) = decision {
                let batch = self.encode_dictionary(id, values, to_send, Sent::Array(values.clone()), false);
                batches.push(batch.map_err(|e| Box::new(e).within(schema.dictionary(id).path()))?);
            }
            Ok(())
        })?;
        Ok(batches)
    }

    /// Encodes the dictionaries of `batch` that readers lack, and the values of unified ones that its message requires.
    /// Fails if the snapshot is older than the one that the message was encoded with, and lacks some of these.
    pub(super) fn encode_unified_dictionaries<F: Format>(
        &mut self,
        batch: &RecordBatch,
        required: &[usize],
        dictionaries: &UnifiedSnapshot,
        sent: &SentDictionaries,
        sending: Sending,
    ) -> Result<DictionaryBatches> {
        let mut batches = self.encode_dictionaries::<F>(dictionaries.schema(), batch, sent, sending)?;
        if !self.options.dictionaries_at_close() {
            self.encode_unsent(dictionaries, required, sent, &mut batches)?;
        }
        Ok(batches.in_order())
    }

    /// Encodes what readers lack of the values that are `required` of each unified dictionary.
    fn encode_unsent(
        &mut self,
        dictionaries: &UnifiedSnapshot,
        required: &[usize],
        sent: &SentDictionaries,
        batches: &mut DictionaryBatches,
    ) -> Result<()> {
        if required.is_empty() {
            return Ok(());
        }
        dictionaries.schema().outermost().iter().try_for_each(|&id| {
            if dictionaries.schema().dictionary(id).is_unified() {
                self.encode_growth(dictionaries, id, required.get(id).copied().unwrap_or(0), sent, batches)
            } else {
                Ok(())
            }
        })
    }

    /// Encodes what readers lack of the first `required` values of one unified dictionary, and of the dictionaries
    /// inside it.
    fn encode_growth(
        &mut self,
        dictionaries: &UnifiedSnapshot,
        id: usize,
        required: usize,
        sent: &SentDictionaries,
        batches: &mut DictionaryBatches,
    ) -> Result<()> {
        let already_sent = sent.unified(id);
        if already_sent.is_some_and(|count| count >= required) {
            return Ok(());
        }
        let field = dictionaries.schema().dictionary(id);
        let known = dictionaries.len(id);
        // The first message of a dictionary has all known values, rather than none.
        let required = if already_sent.is_none() && required == 0 { known } else { required };
        if known < required {
            let (expected, found) = (format!("a snapshot of {required} unified values"), format!("one of {known}"));
            return Err(Error::invalid(expected, found).at(field.path()).into());
        }
        // The values of inner dictionaries come first: readers bind them when they read this one.
        field
            .inner()
            .iter()
            .try_for_each(|&inner| self.encode_growth(dictionaries, inner, dictionaries.len(inner), sent, batches))?;
        let extended = already_sent.filter(|_| field.inner().is_empty());
        let batch = dictionaries.values(id, extended.unwrap_or(0)..required).map_err(Error::from).and_then(|values| {
            let to_send = ToSend { rows: 0..values.len(), extends: extended.map(Sent::Unified) };
            // An inner dictionary without values has none that a cleared null could refer to.
            let keeps_nulls = field.inner().iter().any(|inner| dictionaries.len(*inner) == 0);
            self.encode_dictionary(id, &values, to_send, Sent::Unified(required), keeps_nulls)
        });
        batches.push(batch.map_err(|error| Box::new(error).at(field.path()))?);
        Ok(())
    }

    fn encode_dictionary(
        &mut self,
        id: usize,
        values: &ArrayRef,
        to_send: ToSend,
        sent: Sent,
        keeps_nulls: bool,
    ) -> Result<DictionaryBatch> {
        let ToSend { rows, extends } = to_send;
        let dictionary = Some((signed("dictionary id", id)?, extends.is_some()));
        let mut message = self.blank();
        let (count, metadata) = (rows.len(), Metadata::new());
        self.fill(&mut message, count, dictionary, &metadata, None, |walk| {
            walk.keeps_nulls = keeps_nulls;
            values_of(walk, values.as_ref(), rows)
        })?;
        Ok(DictionaryBatch { id, extends, sent, message: message.into_owned() })
    }
}

/// Walks over the values `rows` of a dictionary.
fn values_of<'a>(walk: &mut Walk<'_, 'a>, values: &'a dyn Array, rows: Range<usize>) -> Result<(), Box<Error>> {
    let options = walk.body.options;
    let checks = match options.validation {
        Validation::Layout => Checks::Indices,
        Validation::Full => Checks::full(options),
    };
    validate::dictionary(values, &rows, checks)?;
    // No field denies nulls among the values of a dictionary.
    let nullable = true;
    if options.clear_nulls {
        clear::array(walk, values, rows.clone(), nullable, &RowMask::ALL)?;
    } else {
        self::walk(walk, values.data_type(), values, rows.clone(), nullable)?;
    }
    if walk.body.has_suspects() { validate::dictionary(values, &rows, Checks::Nulls) } else { Ok(()) }
}

/// The columns have other types than their batch's schema says. Only unsafe code can build such a batch.
#[cold]
fn more_dictionaries(expected: usize) -> Box<Error> {
    Error::invalid(format!("{expected} dictionaries"), "more").within("columns")
}

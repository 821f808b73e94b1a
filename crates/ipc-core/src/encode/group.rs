//! A group: a record batch message with the dictionary batches that must precede it.
//!
//! The batch encoder encodes groups, and the ledger appends each of them in one call, so that readers never find keys
//! without their values.

use arrow_buffer::Buffer;

use crate::dictionary::batches::DictionaryBatches;
use crate::message::Message;
use crate::message::segment::Slice;

/// A record batch message, and the dictionary batches that readers need before it.
///
/// [`BatchEncoder::encode_group`](crate::parts::BatchEncoder::encode_group) decides which dictionary batches those are,
/// from what readers have at that moment. The record batch message itself does not depend on it. So a group can be
/// encoded on any thread, and later, where the output is at hand, [`Ledger::accepts`](crate::parts::Ledger::accepts)
/// says whether its dictionary batches are still right. If they are not,
/// [`BatchEncoder::reencode_dictionaries`](crate::parts::BatchEncoder::reencode_dictionaries) replaces them.
///
/// `B` is how the group holds the bytes of arrays: a `Group<Slice>` borrows the batch, a `Group<Buffer>` shares its
/// memory.
#[derive(Debug)]
#[must_use = "a group is not written before a ledger appends it"]
pub struct Group<B> {
    pub(crate) message: Message<B>,
    pub(crate) dictionaries: DictionaryBatches,
}

impl<B> Group<B> {
    /// The record batch message.
    pub fn message(&self) -> &Message<B> {
        &self.message
    }

    /// The dictionary batches that must precede it.
    pub fn dictionaries(&self) -> &DictionaryBatches {
        &self.dictionaries
    }
}

impl Group<Slice<'_>> {
    /// Returns the same group, sharing the memory of its batch instead of borrowing it. Copies no array.
    pub fn into_owned(self) -> Group<Buffer> {
        Group { message: self.message.into_owned(), dictionaries: self.dictionaries }
    }
}

/// A group without dictionary batches: for a schema that has no dictionaries, or none that readers lack.
impl<B> From<Message<B>> for Group<B> {
    fn from(message: Message<B>) -> Self {
        Self { message, dictionaries: DictionaryBatches::none() }
    }
}

/// The record batch message alone, for [recycling](crate::parts::BatchEncoder::recycle) its memory.
impl<B> From<Group<B>> for Message<B> {
    fn from(group: Group<B>) -> Self {
        group.message
    }
}

//! What batches are encoded for, once that is settled: the schema of the output, and the dictionaries that they share.
//!
//! A basis is made from the first batch that any thread brings, or from the schema that the builder was given. Threads that
//! race to be the first each have one of their own; that of the first batch in the output becomes the writer's, and what
//! was encoded for another one is encoded again.
//!
//! Unified dictionaries are read without the writer's lock, through a published snapshot, which each thread keeps until
//! there is a newer one. A batch that brings new values takes a
//! short section of its own, which is not the writer's lock: there they are looked up again, since another thread may
//! have added them meanwhile, and those that are still missing are added and published.

use std::sync::Arc;

use arrow_array::RecordBatch;
use ipc_core::{Added, Dictionaries, Format, Message, Metadata, NewValues, Sending, Slice};
use ipc_core::{StreamSchema, UnifiedDictionaries, UnifiedSnapshot, Updates};

use crate::shared::thread_encoder::ThreadEncoder;
use crate::sync::{Mutex, Published};

/// What batches are encoded for.
#[derive(Debug)]
pub(crate) struct Basis {
    schema: Arc<StreamSchema>,
    /// There where a field has a unified dictionary.
    unified: Option<Unified>,
}

impl Basis {
    pub(crate) fn new(schema: Arc<StreamSchema>) -> Self {
        let unified = schema.has_unified_dictionaries().then(|| Unified::new(Arc::clone(&schema)));
        Self { schema, unified }
    }

    pub(crate) fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    /// Whether there are unified dictionaries: what a batch needs of them is known only once it is encoded.
    pub(crate) fn has_unified(&self) -> bool {
        self.unified.is_some()
    }

    /// Whether batches never need a dictionary that an output may refuse.
    pub(crate) fn accepts_any_dictionary(&self) -> bool {
        self.schema.has_only_unified_dictionaries()
    }

    /// Encodes a batch, and adds to the unified dictionaries what it brings.
    pub(crate) fn encode<'a>(
        self: &Arc<Self>,
        encoder: &mut ThreadEncoder,
        batch: &'a RecordBatch,
        metadata: &Metadata,
    ) -> ipc_core::Result<Message<Slice<'a>>> {
        let Some(unified) = &self.unified else {
            return encoder.encode_with_metadata(batch, metadata);
        };
        loop {
            let (batch_encoder, snapshot) = encoder.with_unified(self, unified);
            match batch_encoder.encode_unified(batch, metadata, snapshot)? {
                Ok(message) => return Ok(message),
                Err(new) => encoder.learn(unified.grow(new)?),
            }
        }
    }

    /// Encodes the dictionaries that a batch needs before it, whose message [uses](Message::uses) so many values of unified
    /// ones.
    pub(crate) fn encode_dictionaries<F: Format>(
        self: &Arc<Self>,
        encoder: &mut ThreadEncoder,
        batch: &RecordBatch,
        uses: &[usize],
        sent: &Dictionaries,
        sending: Sending,
    ) -> ipc_core::Result<Updates> {
        match &self.unified {
            None => encoder.encode_dictionaries::<F>(&self.schema, batch, sent, sending),
            Some(unified) => {
                let (encoder, snapshot) = encoder.with_unified(self, unified);
                encoder.encode_unified_dictionaries::<F>(batch, uses, snapshot, sent, sending)
            }
        }
    }

    /// Encodes the dictionaries that belong behind all batches, which use so many values of unified ones.
    pub(crate) fn encode_closing_dictionaries(
        self: &Arc<Self>,
        encoder: &mut ThreadEncoder,
        uses: &[usize],
        sent: &Dictionaries,
    ) -> ipc_core::Result<Updates> {
        let unified = self.unified.as_ref().expect("only unified dictionaries are sent behind batches");
        let (encoder, snapshot) = encoder.with_unified(self, unified);
        encoder.encode_closing_dictionaries(snapshot, uses, sent)
    }
}

/// Unified dictionaries that any thread may read, and one at a time may add to.
#[derive(Debug)]
pub(crate) struct Unified {
    newest: Mutex<UnifiedDictionaries>,
    published: Published<UnifiedSnapshot>,
}

impl Unified {
    fn new(schema: Arc<StreamSchema>) -> Self {
        let empty = UnifiedDictionaries::new(schema);
        Self { published: Published::new(empty.snapshot().clone()), newest: Mutex::new(empty) }
    }

    /// The dictionaries, for those who keep what they have seen of them.
    pub(crate) fn published(&self) -> &Published<UnifiedSnapshot> {
        &self.published
    }

    /// Adds those of `new` that are not there by now.
    fn grow(&self, new: NewValues) -> ipc_core::Result<Added> {
        let mut newest = self.newest.lock();
        let added = newest.grow(new)?;
        // Under the same lock, so that no older one is published after a newer one.
        self.published.store(newest.snapshot().clone());
        Ok(added)
    }
}

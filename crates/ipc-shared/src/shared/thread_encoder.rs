//! A batch encoder with the published snapshots that its owner has seen last.
//!
//! Snapshots of the output and of the unified dictionaries are published by the thread that changes them. An encoding
//! thread keeps its last ones: while nothing changes, it looks at one word of each and shares nothing with other threads.
//!
//! A snapshot may be old. That costs a plan which has to be made again, and keeps replaced dictionaries in memory until the
//! owner writes again; nothing else depends on it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use arrow_array::RecordBatch;
use ipc_core::{BatchEncoder, Dictionaries, Format, Message, Metadata, Sending, Slice, UnifiedSnapshot, Updates};

use super::context::{EncodingContext, Unified};
use super::output::View;
use crate::sync::{Published, Seen};

/// A batch encoder with the snapshots that its owner has seen last.
#[derive(Debug)]
pub(crate) struct ThreadEncoder {
    encoder: BatchEncoder,
    view: Seen<View>,
    /// Of the context that was used last.
    unified: Option<(Arc<EncodingContext>, Seen<UnifiedSnapshot>)>,
}

impl ThreadEncoder {
    pub(crate) fn new(encoder: BatchEncoder, view: &Published<View>) -> Self {
        Self { encoder, view: view.see(), unified: None }
    }

    /// The view of the output: the newest, or one that was the newest a moment ago.
    pub(super) fn view(&mut self, published: &Published<View>) -> &Arc<View> {
        published.look(&mut self.view)
    }

    /// Encodes a batch, and adds its new values to the unified dictionaries.
    pub(super) fn encode_in<'a>(
        &mut self,
        context: &Arc<EncodingContext>,
        batch: &'a RecordBatch,
        metadata: &Metadata,
    ) -> ipc_core::Result<Message<Slice<'a>>> {
        let Some(unified) = context.unified() else {
            return self.encoder.encode_with_metadata(batch, metadata);
        };
        loop {
            let (encoder, snapshot) = self.with_unified(context, unified);
            match encoder.encode_unified(batch, metadata, snapshot)? {
                Ok(message) => return Ok(message),
                // The snapshot lacks values of this batch: add them, and encode again with the next one.
                Err(new) => self.encoder.learn(unified.grow(new)?),
            }
        }
    }

    /// Encodes the dictionaries that a batch needs sent before it. Its message [uses](Message::uses) that many values of
    /// each unified dictionary.
    pub(super) fn encode_dictionaries_in<F: Format>(
        &mut self,
        context: &Arc<EncodingContext>,
        batch: &RecordBatch,
        uses: &[usize],
        sent: &Dictionaries,
        sending: Sending,
    ) -> ipc_core::Result<Updates> {
        match context.unified() {
            None => self.encoder.encode_dictionaries::<F>(context.schema(), batch, sent, sending),
            Some(unified) => {
                let (encoder, snapshot) = self.with_unified(context, unified);
                encoder.encode_unified_dictionaries::<F>(batch, uses, snapshot, sent, sending)
            }
        }
    }

    /// Encodes the dictionaries that a file has after all batches, which use that many values of each.
    pub(super) fn encode_closing_dictionaries_in(
        &mut self,
        context: &Arc<EncodingContext>,
        uses: &[usize],
        sent: &Dictionaries,
    ) -> ipc_core::Result<Updates> {
        let unified = context.unified().expect("only unified dictionaries are sent after batches");
        let (encoder, snapshot) = self.with_unified(context, unified);
        encoder.encode_closing_dictionaries(snapshot, uses, sent)
    }

    /// The encoder, with a snapshot of the unified dictionaries: the newest, or one that was the newest a moment ago.
    fn with_unified(
        &mut self,
        context: &Arc<EncodingContext>,
        unified: &Unified,
    ) -> (&mut BatchEncoder, &UnifiedSnapshot) {
        let (_, seen) = match self.unified.take() {
            Some(kept) if Arc::ptr_eq(&kept.0, context) => self.unified.insert(kept),
            _ => self.unified.insert((Arc::clone(context), unified.published().see())),
        };
        (&mut self.encoder, unified.published().look(seen))
    }
}

impl Deref for ThreadEncoder {
    type Target = BatchEncoder;

    fn deref(&self) -> &BatchEncoder {
        &self.encoder
    }
}

impl DerefMut for ThreadEncoder {
    fn deref_mut(&mut self) -> &mut BatchEncoder {
        &mut self.encoder
    }
}

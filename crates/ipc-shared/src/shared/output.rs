//! An output whose schema is known, and the view of it that is published.
//!
//! The output itself belongs to the holder of the lock. Threads that encode read the view, which may be a moment old.

use std::sync::Arc;

use ipc_core::parts::{Ledger, SentDictionaries};
use ipc_core::{Format, Metadata, Options};

use super::context::EncodingContext;

/// An output whose schema is known: its state, and the context that its batches are encoded in.
pub(crate) struct Output {
    pub(crate) ledger: Ledger,
    pub(crate) context: Arc<EncodingContext>,
}

impl Output {
    /// Opens an output of format `F`. Its header is staged.
    ///
    /// # Errors
    ///
    /// If the schema cannot be written, or the footer has no room for the metadata.
    pub(crate) fn open<F: Format>(
        context: Arc<EncodingContext>,
        options: &Options,
        footer_metadata: &Metadata,
    ) -> ipc_core::Result<Self> {
        let mut output = Self { ledger: Ledger::new::<F>(Arc::clone(context.schema()), options)?, context };
        output.insert_metadata(footer_metadata)?;
        Ok(output)
    }

    /// Puts key-value pairs into the footer.
    ///
    /// # Errors
    ///
    /// If the footer has no room for them.
    pub(super) fn insert_metadata(&mut self, metadata: &Metadata) -> ipc_core::Result<()> {
        metadata.iter().try_for_each(|(key, value)| self.ledger.insert_footer_metadata(key, value))
    }
}

/// The state of the output as it is published. It may be a moment old.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// There once the schema is known.
    pub(super) context: Option<Arc<EncodingContext>>,
    /// The dictionaries that readers have.
    pub(super) sent: SentDictionaries,
}

impl View {
    pub(super) fn of(output: &Output) -> Self {
        Self { context: Some(Arc::clone(&output.context)), sent: output.ledger.sent().clone() }
    }
}

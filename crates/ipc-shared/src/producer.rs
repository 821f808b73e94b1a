//! A handle on the writer that belongs to one thread.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchWriter};
use arrow_schema::ArrowError;
use ipc_core::{Format, Metadata, Receipt};

use crate::error::Result;
use crate::shared::Shared;
use crate::shared::thread_encoder::ThreadEncoder;

/// A handle for one thread that writes often.
///
/// It owns the memory in which its batches are encoded: it shares nothing with other threads before it takes the lock,
/// and once it is warm it allocates nothing, unless it has to wait. Where dictionaries are [unified](crate::Unify), it
/// also keeps the last ones that it was given. It gives back memory for batches far larger than the last 64, and all of
/// its memory when it is dropped.
pub struct Producer<W: Write + Send, F: Format> {
    shared: Arc<Shared<W, F>>,
    encoder: ThreadEncoder,
}

impl<W: Write + Send, F: Format> Producer<W, F> {
    pub(crate) fn new(shared: Arc<Shared<W, F>>) -> Self {
        Self { encoder: shared.encoder(), shared }
    }

    /// Writes a record batch, as [`SharedWriter::write`](crate::SharedWriter::write) does.
    ///
    /// # Errors
    ///
    /// As [`SharedWriter::write`](crate::SharedWriter::write).
    pub fn write(&mut self, batch: &RecordBatch) -> Result<Receipt> {
        self.write_with_metadata(batch, &Metadata::new())
    }

    /// Writes a record batch whose message carries `metadata`.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_with_metadata(&mut self, batch: &RecordBatch, metadata: &Metadata) -> Result<Receipt> {
        self.shared.write(&mut self.encoder, batch, metadata)
    }
}

/// For code that is generic over arrow's writers. `close` drops this handle only: the output stays open for the others.
impl<W: Write + Send, F: Format> RecordBatchWriter for Producer<W, F> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        Self::write(self, batch)?;
        Ok(())
    }

    fn close(self) -> Result<(), ArrowError> {
        Ok(())
    }
}

impl<W: Write + Send, F: Format> fmt::Debug for Producer<W, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}

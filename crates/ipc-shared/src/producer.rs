//! A thread's own handle on a writer.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchWriter};
use arrow_schema::ArrowError;
use ipc_core::{Format, Metadata, Receipt};

use crate::error::Result;
use crate::shared::Shared;
use crate::shared::thread_encoder::ThreadEncoder;

/// A handle for one thread that writes often. It owns the memory in which its batches are encoded, so it shares nothing
/// with other threads before it takes the lock, and allocates nothing once it is warm, unless it has to sleep. Where
/// dictionaries are [unified](crate::Unify), it also keeps the last ones that it was given. Memory for
/// batches far larger than the last 64 is given back, and all of it with the handle.
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

/// Lets code that is generic over arrow's writers feed a shared output. `close` lets go of the handle; the output
/// stays open for the others.
impl<W: Write + Send, F: Format> RecordBatchWriter for Producer<W, F> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        Self::write(self, batch).map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
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

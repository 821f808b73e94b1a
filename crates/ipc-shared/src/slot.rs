//! A reserved place in the output.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use ipc_core::{Failed, Format, Metadata};

use crate::error::{Error, Result};
use crate::shared::Shared;

/// A place in the output, to be filled whenever its batch is ready.
///
/// Slots come out in the order in which they were [reserved](crate::SharedWriter::reserve), whoever encodes first.
/// Writing to one never waits for another to be written, so slots may be written in any order, by any threads, also several
/// by one.
///
/// A thread that writes a slot whose turn it is appends what waits behind it, too: at most twice as many batches of others
/// as the window has places. Where a thread appends for others already, `write` leaves its batch and returns. Only if that
/// one has appended a window's worth, or flushes, syncs or closes, `write` waits until it can take over.
///
/// # Dropping
///
/// A slot that is dropped unwritten [gives up](Self::give_up) its place, and what waits behind it is appended then: its drop
/// can take the lock and write to the sink, also in a future that is cancelled. Dropped by a thread that is unwinding from a
/// panic, its batch counts as lost, and [`close`](crate::SharedWriter::close) fails.
///
/// Dictionaries are sent when the turn of their batch comes, in a stream and wherever they are
/// [unified](crate::Unify). A file allows no replacement, so there the other dictionaries of a batch
/// that has to wait are sent ahead, when the batch is written to its slot, and what does not fit those already sent is
/// refused then: which of two threads brings its dictionary first can make a difference.
///
/// ```
/// # use arrow_array::record_batch;
/// # use ipc_shared::SharedWriter;
/// let writer = SharedWriter::stream(Vec::new()).build()?;
/// let [first, second] = [writer.reserve()?, writer.reserve()?];
/// second.write(&record_batch!(("a", Int32, [2])).unwrap())?;
/// first.write(&record_batch!(("a", Int32, [1])).unwrap())?;
/// assert_eq!(writer.close()?.stats.rows, 2); // 1, then 2
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a slot that is dropped gives up its place"]
pub struct Slot<W: Write + Send, F: Format> {
    shared: Arc<Shared<W, F>>,
    /// `None` once the place is filled or given up.
    place: Option<u64>,
}

impl<W: Write + Send, F: Format> Slot<W, F> {
    pub(crate) fn new(shared: Arc<Shared<W, F>>, place: u64) -> Self {
        Self { shared, place: Some(place) }
    }

    /// Encodes a record batch, and appends it if it is its turn, with all that waits behind it; else leaves it with
    /// the writer and returns.
    ///
    /// `Ok` means *accepted*: [`flush`](crate::SharedWriter::flush) and [`close`](crate::SharedWriter::close) confirm. What
    /// comes of the batches behind it, an error or a panic of the sink, is theirs to report. So is, in a file, that the footer
    /// can list no more messages, which is found at the batch's turn, after some 89 million: neither gets past it.
    ///
    /// # Errors
    ///
    /// As [`SharedWriter::write`](crate::SharedWriter::write). The error gives the slot back, which still has its place: write
    /// to it again after a [rollback](crate::SharedWriter::rollback), when the sink is good again, or with another batch.
    /// Until then the batches behind it wait. A `?` drops it, and gives up its place.
    pub fn write(self, batch: &RecordBatch) -> Result<(), Failed<Self, Error>> {
        self.write_with_metadata(batch, &Metadata::new())
    }

    /// Writes a record batch whose message carries `metadata`.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_with_metadata(mut self, batch: &RecordBatch, metadata: &Metadata) -> Result<(), Failed<Self, Error>> {
        let filled = self.shared.fill_slot(&mut self.place, batch, metadata);
        filled.map_err(|error| Failed::new(error, self))
    }

    /// Gives up the place: the output does without its batch, and the batches behind it go on. Not counted as lost, not even
    /// by a thread that is unwinding.
    pub fn give_up(mut self) {
        self.shared.give_up_slot(&mut self.place);
    }
}

impl<W: Write + Send, F: Format> Drop for Slot<W, F> {
    fn drop(&mut self) {
        self.shared.drop_slot(&mut self.place);
    }
}

impl<W: Write + Send, F: Format> fmt::Debug for Slot<W, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("place", &self.place).finish_non_exhaustive()
    }
}

//! A handle on one reserved place in the output.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use ipc_core::{Failed, Format, Metadata};

use crate::error::{Error, Result};
use crate::shared::Shared;

/// A reserved place in the output, to be filled whenever its batch is ready.
///
/// Slots come out in the order in which they were [reserved](crate::SharedWriter::reserve), whichever is written first.
/// Writing to one never waits for another to be written: slots may be written in any order, by any threads, and one
/// thread may write several.
///
/// A thread that writes the first slot in order also appends the batches that wait behind it: at most twice as many
/// batches of other threads as the window has places. If another thread is appending already, `write` parks its batch
/// and returns. Only if that thread has appended a window of batches, or flushes, syncs or closes, `write` waits to
/// take over.
///
/// # Dropping
///
/// A slot that is dropped unwritten [gives up](Self::give_up) its place, and the batches behind it are appended then:
/// the drop can take the lock and write to the sink, also in a future that is cancelled. If the thread that drops it is
/// unwinding from a panic, its batch counts as lost, and [`close`](crate::SharedWriter::close) fails.
///
/// # Dictionaries
///
/// In a stream, and where they are [unified](crate::Unify), dictionaries are sent with their batch, in order. A file
/// allows no replacement, so the other dictionaries of a batch that has to wait are sent ahead, when the batch is
/// written to its slot. A dictionary that does not fit those already sent is refused then: which of two threads brings
/// its dictionary first can make a difference.
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

    /// Encodes a record batch. Appends it if it is the first in order, with the batches that wait behind it; otherwise
    /// parks it and returns.
    ///
    /// `Ok` means *accepted*: [`flush`](crate::SharedWriter::flush) and [`close`](crate::SharedWriter::close) confirm
    /// it, and report an error or a panic of the sink that comes with batches behind this one. In a file they also
    /// report that the footer can list no more messages, after some 89 million, which is found at the batch's turn;
    /// they cannot get past that.
    ///
    /// # Errors
    ///
    /// As [`SharedWriter::write`](crate::SharedWriter::write). The error gives the slot back, which keeps its place:
    /// write to it again after a [rollback](crate::SharedWriter::rollback), when the sink works again, or with another
    /// batch. The batches behind it wait until then. A `?` drops it, and gives up its place.
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

    /// Gives up the place: the output does without its batch, and the batches behind it go on. Not counted as lost, not
    /// even if the thread is unwinding.
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

//! A reserved place in the output.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use ipc_core::{Failed, Format, Message, Metadata};

use crate::error::{Error, Result};
use crate::shared::context::Basis;
use crate::shared::reorder::GivenUp;
use crate::shared::thread_encoder::ThreadEncoder;
use crate::shared::{Plan, Shared, Turn};
use crate::sync::panicking;

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
    /// `None` once the place is filled, or has passed.
    place: Option<u64>,
}

/// What waits in a place: an encoded batch that shares the memory of the batch it was made from.
pub(crate) struct Deposit {
    /// Kept to decide anew about its dictionaries, should others have overtaken the plan.
    pub(crate) batch: RecordBatch,
    pub(crate) message: Message<Buffer>,
    /// What the message was encoded for.
    pub(crate) basis: Arc<Basis>,
    pub(crate) plan: Option<Plan>,
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
        let shared = Arc::clone(&self.shared);
        let checked = shared.check();
        let filled = checked.and_then(|()| shared.with_encoder(|encoder| self.fill(encoder, batch, metadata)));
        filled.map_err(|error| Failed::new(error, self))
    }

    /// Gives up the place: the output does without its batch, and what waits behind it goes on. Not counted as lost, not
    /// even by a thread that is unwinding.
    pub fn give_up(mut self) {
        self.leave(GivenUp::OnPurpose);
    }

    fn leave(&mut self, how: GivenUp) {
        if let Some(place) = self.place.take() {
            self.shared.give_up(place, how);
        }
    }

    /// Fills the place. After an error it is out as before.
    fn fill(&mut self, encoder: &mut ThreadEncoder, batch: &RecordBatch, metadata: &Metadata) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let place = self.place.expect("a slot is written once, which consumes it");
        let (message, plan) = shared.prepare(encoder, batch, metadata)?;
        let turn = match shared.arrive(place) {
            Ok(turn) => turn,
            Err(error) => {
                encoder.recycle_unwritten(message);
                return Err(error);
            }
        };
        match turn {
            Turn::Now(drain) => {
                // What fails stays out, so whoever drains next stops in front of it.
                shared.append_prepared(encoder, batch, metadata, message, plan)?;
                self.place = None;
                drain.pass_front();
                shared.drain_on(Some(drain));
                Ok(())
            }
            Turn::Later => {
                let (message, plan) = shared.secure(encoder, batch, metadata, message, plan)?;
                let (message, basis) = (message.into_owned(), Arc::clone(plan.basis()));
                let deposit = Deposit { batch: batch.clone(), message, basis, plan: Some(plan) };
                let drain = shared.leave(place, deposit)?;
                self.place = None;
                shared.drain_on(drain);
                Ok(())
            }
        }
    }
}

impl<W: Write + Send, F: Format> Drop for Slot<W, F> {
    fn drop(&mut self) {
        let how = if panicking() { GivenUp::Unwinding } else { GivenUp::OnPurpose };
        self.leave(how);
    }
}

impl<W: Write + Send, F: Format> fmt::Debug for Slot<W, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").field("place", &self.place).finish_non_exhaustive()
    }
}

impl fmt::Debug for Deposit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deposit").field("rows", &self.batch.num_rows()).finish_non_exhaustive()
    }
}

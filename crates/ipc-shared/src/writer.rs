//! The writer as its users see it.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use ipc_core::{Durable, Format, Metadata, Receipt, Stats, Truncate};

use crate::error::{Result, StillShared};
use crate::producer::Producer;
use crate::shared::Shared;
use crate::shared::close::LostPlaces;
use crate::shared::stats::Summary;
use crate::slot::Slot;

/// Writes record batches from any number of threads to one Arrow IPC [`StreamFormat`] or [`FileFormat`].
///
/// A `SharedWriter` is a handle: clone it, or share a reference, and call it from wherever there is data. Each call
/// encodes and compresses on its own thread, outside the lock; the lock is held for one vectored write.
///
/// ```
/// use std::thread;
///
/// use arrow_array::record_batch;
/// use ipc_shared::SharedWriter;
///
/// let writer = SharedWriter::stream(Vec::new()).build()?;
/// thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| writer.write(&record_batch!(("a", Int32, [1, 2, 3])).unwrap()));
///     }
/// });
/// let summary = writer.close()?;
/// assert_eq!(summary.stats.rows, 12);
/// let bytes: Vec<u8> = writer.into_inner()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Contract
///
/// 1. The output has exactly one schema message, first. Every message is whole; none interleaves with another.
/// 2. A `write` that returned `Ok` is in the output exactly once, before the end. One that returned an error left no
///    byte, or poisoned the writer. A staged batch, and one left in a [`Slot`], is *accepted*: [`flush`](Self::flush)
///    and [`close`](Self::close) confirm it.
/// 3. After any `close` has returned `Ok`, no byte is ever appended. A `write` that lost the race gets
///    [`Error::Closed`](crate::Error::Closed), also one that was asleep.
/// 4. `close` before any schema is known gives [`Error::NoSchema`](crate::Error::NoSchema), writes nothing, and closes. A second `close` gives
///    [`Error::Closed`](crate::Error::Closed). Once a `close` has begun, every other call gets
///    `Error::Closed`, or what item 5 says; one that failed is only to be repeated.
/// 5. When the sink fails before it took a byte of a message, the writer goes on. After at least one byte it is
///    poisoned: every later call says so, with the first error and the last good offset, and neither end-of-stream
///    marker nor footer follows the torn bytes. On a sink that can take bytes back, [`rollback`](Self::rollback) does so,
///    and all goes on.
/// 6. A panic in the sink poisons, and wakes everybody. A panic while encoding happens outside the lock and harms
///    nobody else.
/// 7. A batch that does not fit is refused before any byte of it is written, with an error that names the column.
/// 8. An output that was given up never passes for a whole one. A file without a footer looks truncated. A stream that was
///    [aborted](Self::abort), or whose last handle is dropped without a `close` (producers and slots are handles, too), gets
///    an abort mark behind its last whole message, at which readers fail; see
///    [`Encoder`](ipc_core::Encoder#dropping) for what the mark is and when there is none. What is staged is dropped. A
///    slot that is dropped gives up its place, also if it is the last handle: batches that waited behind it are appended
///    first.
/// 9. A sink that calls back into its own writer gets [`Error::Reentrant`](crate::Error::Reentrant). So does any call on a
///    thread that is inside the sink: where the sink waits for jobs of a thread pool that steals work, as rayon's does, and
///    other jobs of that pool write, its thread may run one of those meanwhile. Such a batch is refused, though there is
///    nothing wrong with it; give the sink a pool of its own.
pub struct SharedWriter<W: Write + Send, F: Format> {
    shared: Arc<Shared<W, F>>,
}

impl<W: Write + Send, F: Format> SharedWriter<W, F> {
    pub(crate) fn new(shared: Shared<W, F>) -> Self {
        Self { shared: Arc::new(shared) }
    }
}

impl<W: Write + Send, F: Format> SharedWriter<W, F> {
    /// Writes a record batch, and before it the dictionaries that readers do not have yet.
    ///
    /// Its place in the output is the order in which calls take the lock. A thread that writes often has its own
    /// [`producer`](Self::producer); this call borrows an encoder from a pool.
    ///
    /// # Errors
    ///
    /// [`Error::Core`](crate::Error::Core) where the batch is refused or the sink failed without taking a byte of it; [`Error::Closed`](crate::Error::Closed),
    /// [`Error::Poisoned`](crate::Error::Poisoned) and [`Error::Reentrant`](crate::Error::Reentrant) as the contract says.
    pub fn write(&self, batch: &RecordBatch) -> Result<Receipt> {
        self.write_with_metadata(batch, &Metadata::new())
    }

    /// Writes a record batch whose message carries `metadata`.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_with_metadata(&self, batch: &RecordBatch, metadata: &Metadata) -> Result<Receipt> {
        self.shared.write_pooled(batch, metadata)
    }

    /// A handle for one thread that writes often: it owns the memory that its batches are encoded in.
    #[must_use]
    pub fn producer(&self) -> Producer<W, F> {
        Producer::new(Arc::clone(&self.shared))
    }

    /// Takes the next place in the output, to be written by whoever holds the [`Slot`], whenever it is ready.
    ///
    /// Slots come out in the order of their reservation. Waits while the window of reserved places is full, first come, first
    /// served. A thread that reserves more places than the window has, without writing to them, waits for itself. So does a
    /// single-threaded async runtime whose other tasks hold all slots: use [`try_reserve`](Self::try_reserve) there.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed), [`Error::Poisoned`](crate::Error::Poisoned) or
    /// [`Error::Reentrant`](crate::Error::Reentrant); and [`Error::Core`](crate::Error::Core) where the window is full of
    /// accepted batches that the sink refuses. They stay accepted.
    pub fn reserve(&self) -> Result<Slot<W, F>> {
        let place = self.shared.reserve()?;
        Ok(Slot::new(Arc::clone(&self.shared), place))
    }

    /// Takes the next place in the output, or `None` while the window is full. Overtakes nobody who waits in
    /// [`reserve`](Self::reserve).
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve).
    pub fn try_reserve(&self) -> Result<Option<Slot<W, F>>> {
        let place = self.shared.try_reserve()?;
        Ok(place.map(|place| Slot::new(Arc::clone(&self.shared), place)))
    }

    /// Appends what waits in slots as far as their order allows, writes what is staged, and flushes the sink.
    ///
    /// However busy other threads are with slots, at most a window's worth of their batches is appended meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Core`](crate::Error::Core) where the sink failed without tearing a message: it may be repeated. Else as
    /// [`write`](Self::write).
    pub fn flush(&self) -> Result<()> {
        self.shared.flush()
    }

    /// Writes the end: what waits in slots, what is staged, the end-of-stream marker and, in a file, the footer.
    ///
    /// Exactly one call succeeds. From the call on no place is given, not even to threads that wait for one; once what other
    /// threads append at the moment is in the output, places that are still out are given up.
    ///
    /// A slot that was dropped by a thread that was unwinding from a panic has lost its batch: `close` fails then, before
    /// any byte of the end. [`close_with_gaps`](Self::close_with_gaps) closes nevertheless.
    ///
    /// Where the sink failed without tearing a message, `close` may be repeated, as may one that was rolled back; it writes
    /// nothing twice. Nothing else may follow: once a `close` has begun, no batch is taken, also if it fails.
    ///
    /// # Errors
    ///
    /// [`Error::NoSchema`](crate::Error::NoSchema) where nothing told the schema; [`Error::Gaps`](crate::Error::Gaps) where
    /// slots were lost in panics; [`Error::Closed`](crate::Error::Closed) where another call closed the writer; else
    /// as [`flush`](Self::flush).
    #[doc(alias = "finish")]
    pub fn close(&self) -> Result<Summary> {
        self.shared.close(LostPlaces::Refuse)
    }

    /// As [`close`](Self::close), also where threads panicked while they held [slots](Slot): the output does without their
    /// batches. [`Summary`] counts them with the other places that were given up.
    ///
    /// # Errors
    ///
    /// As `close`, but [`Error::Gaps`](crate::Error::Gaps).
    pub fn close_with_gaps(&self) -> Result<Summary> {
        self.shared.close(LostPlaces::Accept)
    }

    /// Gives the output up, for all handles. Threads that sleep in a call are woken, and every call gets
    /// [`Error::Aborted`](crate::Error::Aborted) with this reason, also that of a thread which was on its way. Batches that
    /// wait in slots, or are staged, are dropped.
    ///
    /// In a stream, the [abort mark](ipc_core::format::ABORTED_KEY) follows the last whole message, with the reason, of which
    /// it has room for 4 KiB, and the sink is flushed: readers fail there, and do not take what they have read for all. A
    /// file gets nothing, since without a footer it looks truncated.
    ///
    /// Any thread may call it, at any time. It waits for the sink's call in hand, and for nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::Core`](crate::Error::Core) where the sink did not take the whole mark, so that readers may not notice: the
    /// writer is given up all the same. Where there is nothing to give up, the error says why, and nothing was written:
    /// [`Error::Closed`](crate::Error::Closed) where the end has been written; [`Error::Poisoned`](crate::Error::Poisoned),
    /// where everybody has been told already; [`Error::Aborted`](crate::Error::Aborted) with the first reason.
    /// [`Error::Reentrant`](crate::Error::Reentrant) where the sink calls it.
    pub fn abort(&self, reason: &str) -> Result<()> {
        self.shared.abort(reason)
    }

    /// Whether the writer takes no more batches: a `close` has begun, or it is poisoned, or given up. Takes no lock; a moment
    /// later it may be.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.has_ended()
    }

    /// What has been accepted so far. Takes no lock: each figure is right, but they may be of different moments.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// The schema of the output, once it is known. Takes no lock.
    #[must_use]
    pub fn schema(&self) -> Option<SchemaRef> {
        self.shared.schema()
    }

    /// Whether this very thread is inside the lock. Only a sink can see that it is.
    #[must_use]
    pub fn is_held_by_current_thread(&self) -> bool {
        self.shared.is_held_by_current_thread()
    }

    /// The sink, however the output stands. Without [`close`](Self::close) before, what is staged is dropped, and nothing is
    /// written: readers of such a stream take it for whole, unless it was [aborted](Self::abort).
    ///
    /// # Errors
    ///
    /// [`StillShared`], which gives this handle back, while others exist, producers and slots among them.
    pub fn into_inner(self) -> Result<W, StillShared<Self>> {
        match Arc::try_unwrap(self.shared) {
            Ok(shared) => Ok(shared.into_sink()),
            Err(shared) => Err(StillShared(Self { shared })),
        }
    }
}

impl<W: Truncate + Send, F: Format> SharedWriter<W, F> {
    /// Takes back the torn bytes of a poisoned writer, for all its handles: from then on it writes again.
    ///
    /// Nothing that was accepted is lost. What was staged is still staged, what waits in slots still waits for its turn,
    /// and a [`Slot`] that was held meanwhile is as good as before, also one whose write failed and
    /// [gave it back](ipc_core::Failed). A call that got [`Error::Poisoned`](crate::Error::Poisoned), or during which the sink
    /// panicked, has left nothing, and may be repeated.
    ///
    /// Any thread may call it, at any time. Where several do, one takes the bytes back and the others wait for that; a
    /// writer that is not poisoned stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Core`](crate::Error::Core) where the sink could not take them back: the writer is poisoned as before, and
    /// `rollback` may be repeated. [`Error::Poisoned`](crate::Error::Poisoned) after a failed [`sync`](Self::sync), and
    /// [`Error::Closed`](crate::Error::Closed) after a close that succeeded. After one that tore the output or panicked, only
    /// `close` goes on.
    ///
    /// # Example
    ///
    /// Any number of threads on a disk that may be full: one of them frees room, and the others wait for that and go on.
    ///
    /// ```no_run
    /// # use std::io::ErrorKind::StorageFull;
    /// # use std::sync::{Mutex, PoisonError};
    /// #
    /// # use arrow_array::RecordBatch;
    /// # use ipc_shared::{CoreError, Error, FileTail, SharedWriter, StreamFormat};
    /// # fn free_room() {}
    /// /// `freed` counts how often room was freed; all threads share it.
    /// fn write(
    ///     writer: &SharedWriter<FileTail, StreamFormat>,
    ///     batch: &RecordBatch,
    ///     freed: &Mutex<u64>,
    /// ) -> Result<(), Error> {
    ///     let freed = || freed.lock().unwrap_or_else(PoisonError::into_inner);
    ///     loop {
    ///         let seen = *freed();
    ///         let Err(error) = writer.write(batch) else { return Ok(()) };
    ///         match &error {
    ///             // Some bytes of a message were taken: this thread's, or another's.
    ///             Error::Poisoned { source, .. } if source.kind() == StorageFull => {}
    ///             // None were.
    ///             Error::Core(CoreError::Io(source)) if source.kind() == StorageFull => {}
    ///             _ => return Err(error),
    ///         }
    ///         let mut count = freed();
    ///         // Unless another thread has freed some since this one tried.
    ///         if *count == seen {
    ///             free_room();
    ///             // Changes nothing where nothing is torn.
    ///             writer.rollback()?;
    ///             *count += 1;
    ///         }
    ///     }
    /// }
    /// ```
    pub fn rollback(&self) -> Result<()> {
        self.shared.rollback()
    }
}

impl<W: Durable + Send, F: Format> SharedWriter<W, F> {
    /// As [`flush`](Self::flush), and returns once the storage device has all of it: the confirmed position, in bytes from
    /// the output's first (0 before any schema). Everything before it survives a loss of power. Note it outside the output,
    /// and hand it to `recover` if that is ever needed; in a file that held something before, [`FileTail::start`] comes on
    /// top. Other threads wait for the device if they have something to append.
    ///
    /// [`FileTail::start`]: crate::FileTail::start
    ///
    /// The end is written later. To have that on the device too, [`close`](Self::close), take the sink
    /// [out](Self::into_inner), and sync that.
    ///
    /// # Errors
    ///
    /// As `flush`. A sync that fails poisons the writer for good, since what is on the device is unknown then: no other is
    /// tried, and [`rollback`](Self::rollback) is refused. [`Error::Core`](crate::Error::Core) with `InvalidOptions`, and
    /// the writer goes on, where dictionaries come at the close: without them nothing that is on the device could be
    /// recovered.
    pub fn sync(&self) -> Result<u64> {
        self.shared.sync()
    }
}

impl<W: Write + Send, F: Format> Clone for SharedWriter<W, F> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<W: Write + Send, F: Format> fmt::Debug for SharedWriter<W, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedWriter").field("stats", &self.shared.stats()).finish_non_exhaustive()
    }
}

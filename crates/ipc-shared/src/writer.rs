//! The writer as its users see it: a handle that any number of threads share.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use ipc_core::{Durable, FileFormat, Format, Metadata, Receipt, Stats, StreamFormat, Truncate};

use crate::error::{Result, StillShared};
use crate::producer::Producer;
use crate::shared::Shared;
use crate::shared::close::LostPlaces;
use crate::shared::stats::Summary;
use crate::slot::Slot;

/// Writes record batches from any number of threads to one Arrow IPC stream or file.
///
/// A `SharedWriter` is a handle: clone it, or share a reference, and call it from any thread that has data. Each call
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
/// # Ok::<(), ipc_shared::Error>(())
/// ```
///
/// Its parameters are the sink and the format. A struct that holds one names an alias, [`SharedFileWriter`] or
/// [`SharedStreamWriter`]:
///
/// ```
/// use std::fs::File;
///
/// use ipc_shared::SharedFileWriter;
///
/// struct Export {
///     writer: SharedFileWriter<File>,
/// }
/// ```
///
/// # Contract
///
/// 1. The output has exactly one schema message, first. Every message is whole; none interleaves with another.
/// 2. A batch whose `write` returned `Ok` is in the output exactly once, before the end. After an error it has left no
///    byte, or the writer is poisoned. A staged batch, and one that waits in a [`Slot`], is *accepted*:
///    [`flush`](Self::flush) and [`close`](Self::close) confirm it.
/// 3. After any `close` has returned `Ok`, no byte is ever appended. A `write` that lost the race returns
///    [`Error::Closed`](crate::Error::Closed), even if it was waiting.
/// 4. A `close` before any schema is known returns [`Error::NoSchema`](crate::Error::NoSchema), writes nothing, and
///    closes. A second `close` returns `Error::Closed`. Once a `close` has begun, every other call returns
///    `Error::Closed`, or the error of item 5. A `close` that failed can only be repeated.
/// 5. If the sink fails before it took a byte of a message, the writer goes on. If it fails later, the writer is
///    poisoned: every later call returns [`Error::Poisoned`](crate::Error::Poisoned), with the first error and the last
///    good offset, and neither end-of-stream marker nor footer follows the torn bytes. On a sink that can take bytes
///    back, [`rollback`](Self::rollback) does so, and all calls work again.
/// 6. A panic in the sink poisons the writer, and wakes all threads that wait. A panic while encoding happens outside
///    the lock and affects no other thread.
/// 7. A batch that does not fit is refused before any byte of it is written, with an error that names the column.
/// 8. An output that was given up cannot be mistaken for a complete one. A file without a footer looks truncated. A
///    stream that was [aborted](Self::abort), or whose last handle was dropped without a `close` (producers and slots
///    are handles too), gets an abort mark after its last whole message, at which readers fail; see
///    [`Encoder`](ipc_core::Encoder#dropping) for the mark, and for when there is none. Staged batches are dropped. A
///    slot that is dropped gives up its place, even if it is the last handle: batches that waited behind it are
///    appended first.
/// 9. A sink that calls its own writer gets [`Error::Reentrant`](crate::Error::Reentrant). So does any other call on a
///    thread that is inside the sink. That happens if the sink waits for jobs of a thread pool that steals work, such
///    as rayon's, and other jobs of that pool write: the sink's thread may run one of those meanwhile. Such a batch is
///    refused although nothing is wrong with it; give the sink a pool of its own.
pub struct SharedWriter<W: Write + Send, F: Format> {
    shared: Arc<Shared<W, F>>,
}

/// A [`SharedWriter`] of a file.
pub type SharedFileWriter<W> = SharedWriter<W, FileFormat>;

/// A [`SharedWriter`] of a stream.
pub type SharedStreamWriter<W> = SharedWriter<W, StreamFormat>;

impl<W: Write + Send, F: Format> SharedWriter<W, F> {
    pub(crate) fn new(shared: Shared<W, F>) -> Self {
        Self { shared: Arc::new(shared) }
    }

    /// Writes a record batch, and before it the dictionaries that readers do not have yet.
    ///
    /// Batches are in the output in the order in which calls take the lock. This call borrows an encoder from a pool; a
    /// thread that writes often should have its own [`producer`](Self::producer).
    ///
    /// # Errors
    ///
    /// [`Error::Core`](crate::Error::Core) if the batch is refused, or the sink failed without taking a byte of it;
    /// [`Error::Closed`](crate::Error::Closed), [`Error::Aborted`](crate::Error::Aborted),
    /// [`Error::Poisoned`](crate::Error::Poisoned) and [`Error::Reentrant`](crate::Error::Reentrant) as the contract says.
    pub fn write(&self, batch: &RecordBatch) -> Result<Receipt> {
        self.write_with_metadata(batch, &Metadata::new())
    }

    /// Writes a record batch whose message carries `metadata`.
    ///
    /// ```
    /// # use arrow_array::record_batch;
    /// use ipc_shared::{Metadata, SharedWriter};
    ///
    /// let writer = SharedWriter::stream(Vec::new()).build()?;
    /// let batch = record_batch!(("a", Int32, [1, 2, 3])).unwrap();
    /// writer.write_with_metadata(&batch, &Metadata::from([("source", "sensor 7")]))?;
    /// writer.close()?;
    /// # Ok::<(), ipc_shared::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_with_metadata(&self, batch: &RecordBatch, metadata: &Metadata) -> Result<Receipt> {
        self.shared.write_pooled(batch, metadata)
    }

    /// Returns a handle for one thread that writes often. It owns the memory that its batches are encoded in.
    #[must_use]
    pub fn producer(&self) -> Producer<W, F> {
        Producer::new(Arc::clone(&self.shared))
    }

    /// Reserves the next place in the output. The owner of the [`Slot`] fills it whenever its batch is ready.
    ///
    /// Slots come out in the order of their reservation. So one thread that reads an input in order can reserve a slot
    /// for each piece, and hand both to a pool of threads:
    ///
    /// ```
    /// # use arrow_array::record_batch;
    /// use ipc_shared::{Error, SharedWriter};
    ///
    /// let writer = SharedWriter::stream(Vec::new()).build()?;
    /// std::thread::scope(|scope| {
    ///     for number in 0..10 {
    ///         let slot = writer.reserve()?; // in the order of the input
    ///         scope.spawn(move || slot.write(&record_batch!(("a", Int32, [number])).unwrap())); // in any order
    ///     }
    ///     Ok::<(), Error>(())
    /// })?;
    /// assert_eq!(writer.close()?.stats.rows, 10); // 0 to 9
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// Waits while the [window](crate::Builder::window) of reserved places is full; places are given first come, first
    /// served. A thread that holds all places of the window unwritten, and reserves another, waits for itself. So does
    /// a single-threaded async runtime whose other tasks hold all slots: use [`try_reserve`](Self::try_reserve) there.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed), [`Error::Aborted`](crate::Error::Aborted),
    /// [`Error::Poisoned`](crate::Error::Poisoned) or [`Error::Reentrant`](crate::Error::Reentrant); and
    /// [`Error::Core`](crate::Error::Core) if the window is full of accepted batches that the sink refuses. They stay
    /// accepted.
    pub fn reserve(&self) -> Result<Slot<W, F>> {
        let place = self.shared.reserve()?;
        Ok(Slot::new(Arc::clone(&self.shared), place))
    }

    /// Reserves the next place in the output, or returns `None` while the window is full. Does not overtake threads
    /// that wait in [`reserve`](Self::reserve).
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve).
    pub fn try_reserve(&self) -> Result<Option<Slot<W, F>>> {
        let place = self.shared.try_reserve()?;
        Ok(place.map(|place| Slot::new(Arc::clone(&self.shared), place)))
    }

    /// Appends the batches that wait in slots as far as their order allows, writes what is staged, and flushes the
    /// sink.
    ///
    /// However busy other threads are with slots, at most one window of their batches is appended meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Core`](crate::Error::Core) if the sink failed without tearing a message: the call may be repeated. Otherwise
    /// as [`write`](Self::write).
    pub fn flush(&self) -> Result<()> {
        self.shared.flush()
    }

    /// Drains accepted batches, cancels unfilled slots, rejects new calls, writes the end and closes the lock. The end
    /// is the end-of-stream marker and, in a file, the footer.
    ///
    /// Exactly one call succeeds. From the call on, no place is given, not even to threads that wait for one.
    ///
    /// If a slot was dropped by a thread that was unwinding from a panic, its batch is missing, and `close` fails
    /// before any byte of the end. [`close_with_gaps`](Self::close_with_gaps) closes all the same.
    ///
    /// A `close` may be repeated after the sink failed without tearing a message, and after a rollback. It writes
    /// nothing twice. No other call works any more: once a `close` has begun, no batch is taken, even if it fails.
    ///
    /// # Errors
    ///
    /// [`Error::NoSchema`](crate::Error::NoSchema) if no schema is known; [`Error::Gaps`](crate::Error::Gaps) if slots were
    /// lost in panics; [`Error::Closed`](crate::Error::Closed) if another call closed the writer; otherwise as
    /// [`flush`](Self::flush).
    #[doc(alias = "finish")]
    pub fn close(&self) -> Result<Summary> {
        self.shared.close(LostPlaces::Refuse)
    }

    /// As [`close`](Self::close), even if threads panicked while they held [slots](Slot): the output does without their
    /// batches. [`Summary`] counts them with the other places that were given up.
    ///
    /// # Errors
    ///
    /// As `close`, without [`Error::Gaps`](crate::Error::Gaps).
    pub fn close_with_gaps(&self) -> Result<Summary> {
        self.shared.close(LostPlaces::Accept)
    }

    /// Gives the output up, for all handles. Threads that wait in a call are woken, and every call returns
    /// [`Error::Aborted`](crate::Error::Aborted) with this reason. Batches that wait in slots, or are staged, are
    /// dropped.
    ///
    /// In a stream, the [abort mark](ipc_core::format::ABORTED_KEY) follows the last whole message, with up to 4 KiB of
    /// the reason, and the sink is flushed: readers fail there, and do not mistake the batches before it for all. A
    /// file gets nothing, since it looks truncated without a footer.
    ///
    /// Any thread may call it at any time. It waits only for the sink's call in hand.
    ///
    /// # Errors
    ///
    /// [`Error::Core`](crate::Error::Core) if the sink did not take the whole mark, so that readers may not notice; the writer
    /// is given up all the same. If there is nothing to give up, nothing is written, and the error says why:
    /// [`Error::Closed`](crate::Error::Closed) if the end has been written,
    /// [`Error::Poisoned`](crate::Error::Poisoned), or [`Error::Aborted`](crate::Error::Aborted) with the first reason.
    /// [`Error::Reentrant`](crate::Error::Reentrant) if the sink calls it.
    #[doc(alias = "cancel")]
    pub fn abort(&self, reason: &str) -> Result<()> {
        self.shared.abort(reason)
    }

    /// Returns whether the writer takes no more batches: a `close` has begun, or it is poisoned or aborted. Takes no
    /// lock; a moment later the answer may be another.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.has_ended()
    }

    /// Returns the figures of the batches accepted so far. Takes no lock: each figure is right, but they may be of
    /// different moments.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Returns the schema of the output, once it is known. Takes no lock.
    #[must_use]
    pub fn schema(&self) -> Option<SchemaRef> {
        self.shared.schema()
    }

    /// Returns whether this thread holds the lock. Only code that the sink calls can see `true`.
    #[must_use]
    pub fn is_held_by_current_thread(&self) -> bool {
        self.shared.is_held_by_current_thread()
    }

    /// Takes the sink out, in any state of the output. Writes nothing. Without a [`close`](Self::close) before, staged
    /// batches are dropped, and readers mistake a stream for a complete one, unless it was [aborted](Self::abort).
    ///
    /// # Errors
    ///
    /// [`StillShared`], which gives this handle back, while other handles exist. Producers and slots are handles too.
    pub fn into_inner(self) -> Result<W, StillShared<Self>> {
        match Arc::try_unwrap(self.shared) {
            Ok(shared) => Ok(shared.into_sink()),
            Err(shared) => Err(StillShared(Self { shared })),
        }
    }
}

impl<W: Write + Send> SharedFileWriter<W> {
    /// Puts a key-value pair into the footer, in place of one with the same key. May be called until the close begins,
    /// by any thread: for counts of rows, ranges of time, and whatever else is known only once the batches are.
    ///
    /// ```
    /// # use arrow_array::record_batch;
    /// use ipc_shared::SharedWriter;
    ///
    /// let writer = SharedWriter::file(Vec::new()).build()?;
    /// writer.write(&record_batch!(("a", Int32, [1, 2, 3])).unwrap())?;
    /// writer.write_metadata("rows", writer.stats().rows.to_string())?;
    /// writer.close()?;
    /// # Ok::<(), ipc_shared::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Core`](crate::Error::Core) with `TooLarge` if the footer has no room for the pair; nothing has changed then.
    /// Before the schema is known the room is not known either, and the first batch gets this error. Otherwise as
    /// [`write`](Self::write).
    pub fn write_metadata(&self, key: impl Into<String>, value: impl Into<String>) -> Result<()> {
        self.shared.write_metadata(key.into(), value.into())
    }
}

impl<W: Write + Send, F: Format> SharedWriter<W, F> {
    /// Takes back the torn bytes of a poisoned writer, for all its handles. All calls work again after that.
    ///
    /// No accepted batch is lost: staged batches are still staged, batches in slots still wait for their turn. A
    /// [`Slot`] that was held meanwhile can be written, also one whose write failed and [gave it
    /// back](ipc_core::Failed). A call that returned [`Error::Poisoned`](crate::Error::Poisoned), or during which the
    /// sink panicked, has left nothing in the output and may be repeated.
    ///
    /// Any thread may call it at any time. If several do, one takes the bytes back and the others wait for it. A writer
    /// that is not poisoned stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Core`](crate::Error::Core) if the sink could not take the bytes back: the writer is still poisoned, and
    /// `rollback` may be repeated. [`Error::Poisoned`](crate::Error::Poisoned) after a failed [`sync`](Self::sync), and
    /// [`Error::Closed`](crate::Error::Closed) after a close that succeeded. After a close that tore the output or
    /// panicked, only `close` goes on.
    ///
    /// # Example
    ///
    /// Any number of threads write to a disk that may be full. One of them frees room; the others wait for it and go
    /// on.
    ///
    /// ```no_run
    /// # use std::io::ErrorKind::StorageFull;
    /// # use std::sync::{Mutex, PoisonError};
    /// #
    /// # use arrow_array::RecordBatch;
    /// # use ipc_shared::{CoreError, Error, FileTail, SharedStreamWriter};
    /// # fn free_room() {}
    /// /// `freed` counts how often room was freed; all threads share it.
    /// fn write(
    ///     writer: &SharedStreamWriter<FileTail>,
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
    ///             // Changes nothing if nothing is torn.
    ///             writer.rollback()?;
    ///             *count += 1;
    ///         }
    ///     }
    /// }
    /// ```
    pub fn rollback(&self) -> Result<()>
    where
        W: Truncate,
    {
        self.shared.rollback()
    }
}

impl<W: Write + Send, F: Format> SharedWriter<W, F> {
    /// As [`flush`](Self::flush), and returns once the storage device has all of it. Returns the confirmed position, in
    /// bytes from the output's first (0 before any schema): everything before it survives a loss of power.
    ///
    /// Store the position outside the output, and pass it to `recover` if that is ever needed; in a file that held
    /// something before, add [`FileTail::start`]. Threads that have something to append wait for the device meanwhile.
    ///
    /// The end is written later. To have that on the device too, [`close`](Self::close), take the sink
    /// [out](Self::into_inner), and sync that.
    ///
    /// [`FileTail::start`]: crate::FileTail::start
    ///
    /// # Errors
    ///
    /// As `flush`. A sync that fails poisons the writer for good, since it is unknown then what the device holds: no
    /// other sync is tried, and [`rollback`](Self::rollback) is refused. [`Error::Core`](crate::Error::Core) with
    /// `InvalidOptions` if dictionaries come at the close: without them nothing on the device could be recovered. The
    /// writer goes on.
    pub fn sync(&self) -> Result<u64>
    where
        W: Durable,
    {
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

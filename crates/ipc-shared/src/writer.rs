//! The writer: one output, any number of threads.
//!
//! What a call does outside the lock and what inside is the whole point of the crate, so it stands together here:
//! [`Shared::plan`] and the batch encoder work outside, against the published [`View`]; [`Shared::try_append`] takes the
//! lock, checks by pointers alone that the view has not gone stale in what matters, appends, and publishes.

use std::fmt;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Metadata, SchemaRef};
use ipc_core::{BatchEncoder, Dictionaries, Failed, File, Format, Ledger, Message, Options, Receipt, Sending, Stats};
use ipc_core::{Stream, StreamSchema, Updates};

use crate::counters::Counters;
use crate::error::{Error, Result, StillShared};
use crate::lock::{Guard, Lock, Refused};
use crate::producer::Producer;
use crate::slot::{Deposit, Slot};
use crate::sync::{Mutex, Snapshot, cores};
use crate::window::{Drain, Window};

/// Writes record batches from any number of threads to one Arrow IPC [`Stream`] or [`File`].
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
///    [`Error::Closed`], also one that was asleep.
/// 4. `close` before any schema is known gives [`Error::NoSchema`], writes nothing, and closes. A second `close` gives
///    [`Error::Closed`].
/// 5. When the sink fails before it took a byte of a message, the writer goes on. After at least one byte it is
///    poisoned: every later call says so, with the first error and the last good offset, and neither end-of-stream
///    marker nor footer follows the torn bytes.
/// 6. A panic in the sink poisons, and wakes everybody. A panic while encoding happens outside the lock and harms
///    nobody else.
/// 7. A batch that does not fit is refused before any byte of it is written, with an error that names the column.
/// 8. A writer that is dropped without `close` writes nothing more: a truncated output looks truncated.
/// 9. A sink that calls back into its own writer gets [`Error::Reentrant`].
pub struct SharedWriter<W, F> {
    shared: Arc<Shared<W, F>>,
}

impl<W: Write + Send> SharedWriter<W, Stream> {
    /// A writer of a stream.
    pub fn stream(sink: W) -> Builder<W, Stream> {
        Builder::new(sink)
    }
}

impl<W: Write + Send> SharedWriter<W, File> {
    /// A writer of a file. The sink need not seek, and need not be buffered.
    pub fn file(sink: W) -> Builder<W, File> {
        Builder::new(sink)
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
    /// [`Error::Core`] where the batch is refused or the sink failed without taking a byte of it; [`Error::Closed`],
    /// [`Error::Poisoned`] and [`Error::Reentrant`] as the contract says.
    pub fn write(&self, batch: &RecordBatch) -> Result<Receipt> {
        self.write_with_metadata(batch, &Metadata::new())
    }

    /// Writes a record batch whose message carries `metadata`.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_with_metadata(&self, batch: &RecordBatch, metadata: &Metadata) -> Result<Receipt> {
        self.shared.with_encoder(|encoder| self.shared.write(encoder, batch, metadata))
    }

    /// A handle for one thread that writes often: it owns the memory that its batches are encoded in.
    #[must_use]
    pub fn producer(&self) -> Producer<W, F> {
        Producer::new(Arc::clone(&self.shared))
    }

    /// Takes the next place in the output, to be written by whoever holds the [`Slot`], whenever it is ready.
    ///
    /// Slots come out in the order of their reservation. Waits while the window of reserved places is full; a thread
    /// that reserves more places than the window has, without writing to them, waits for itself.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::Poisoned`] or [`Error::Reentrant`].
    pub fn reserve(&self) -> Result<Slot<W, F>> {
        self.shared.check()?;
        let place = self.shared.window.reserve().map_err(|_| self.shared.ended())?;
        Ok(Slot::new(Arc::clone(&self.shared), place))
    }

    /// Takes the next place in the output, or `None` while the window is full.
    ///
    /// # Errors
    ///
    /// As [`reserve`](Self::reserve).
    pub fn try_reserve(&self) -> Result<Option<Slot<W, F>>> {
        self.shared.check()?;
        let place = self.shared.window.try_reserve().map_err(|_| self.shared.ended())?;
        Ok(place.map(|place| Slot::new(Arc::clone(&self.shared), place)))
    }

    /// Appends what waits in slots as far as their order allows, writes what is staged, and flushes the sink.
    ///
    /// # Errors
    ///
    /// [`Error::Core`] where the sink failed without tearing a message: it may be repeated. Else as
    /// [`write`](Self::write).
    pub fn flush(&self) -> Result<()> {
        self.shared.check()?;
        self.shared.append_ready(self.shared.window.drain())?;
        self.shared.locked(|Desk { sink, ledger }| match ledger {
            Some(ledger) => ledger.flush(sink),
            None => Ok(sink.flush()?),
        })
    }

    /// Writes the end: what waits in slots, what is staged, the end-of-stream marker and, in a file, the footer.
    ///
    /// Exactly one call succeeds. Places that are still reserved are given up. Where the sink failed without tearing a
    /// message, `close` may be repeated, and writes nothing twice.
    ///
    /// # Errors
    ///
    /// [`Error::NoSchema`] where nothing told the schema; [`Error::Closed`] where another call closed the writer; else
    /// as [`flush`](Self::flush).
    pub fn close(&self) -> Result<Summary> {
        let shared = &self.shared;
        shared.check()?;
        let drain = shared.window.drain();
        drain.close();
        shared.append_ready(drain)?;
        let guard = shared.lock()?;
        if guard.ledger.is_none() {
            guard.close();
            return Err(Error::NoSchema);
        }
        let ended = shared.use_desk(guard, |Desk { sink, ledger }| {
            let ledger = ledger.as_mut().expect("a ledger stays once it is there");
            ledger.end(sink)?;
            Ok(Summary { stats: ledger.stats(), schema: Arc::clone(ledger.schema().schema()) })
        });
        let (guard, summary) = ended?;
        shared.counters.publish(&summary.stats);
        guard.close();
        Ok(summary)
    }

    /// Whether the writer takes no more batches, being closed or poisoned. Takes no lock; a moment later it may be.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.desk.ended().is_some()
    }

    /// What has been accepted so far. Takes no lock: each figure is right, but they may be of different moments.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.counters.read()
    }

    /// The schema of the output, once it is known. Takes no lock.
    #[must_use]
    pub fn schema(&self) -> Option<SchemaRef> {
        self.shared.view.load().schema.as_ref().map(|schema| Arc::clone(schema.schema()))
    }

    /// Whether this very thread is inside the lock. Only a sink, or an allocator, can see that it is.
    #[must_use]
    pub fn is_held_by_current_thread(&self) -> bool {
        self.shared.desk.is_held_by_current_thread()
    }

    /// The sink, however the output stands. Without [`close`](Self::close) before, what is staged is dropped.
    ///
    /// # Errors
    ///
    /// [`StillShared`], which gives this handle back, while others exist, producers and slots among them.
    pub fn into_inner(self) -> Result<W, StillShared<Self>> {
        match Arc::try_unwrap(self.shared) {
            Ok(shared) => Ok(shared.desk.into_inner().sink),
            Err(shared) => Err(StillShared(Self { shared })),
        }
    }
}

impl<W, F> Clone for SharedWriter<W, F> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<W, F> fmt::Debug for SharedWriter<W, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedWriter").field("stats", &self.shared.counters.read()).finish_non_exhaustive()
    }
}

/// What a closed writer has written.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Summary {
    /// The figures.
    pub stats: Stats,
    /// The schema of the output.
    pub schema: SchemaRef,
}

/// Settles how a [`SharedWriter`] writes.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct Builder<W, F> {
    sink: W,
    options: Options,
    schema: Option<SchemaRef>,
    window: usize,
    format: PhantomData<F>,
}

impl<W: Write + Send, F: Format> Builder<W, F> {
    fn new(sink: W) -> Self {
        Self { sink, options: Options::default(), schema: None, window: 4 * cores(), format: PhantomData }
    }

    /// Writes as `options` ask, instead of as the defaults do.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// The schema of the output. Without it, the first batch that gets the lock tells it.
    pub fn schema(mut self, schema: impl Into<SchemaRef>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// How many places may be reserved at a time, at least one; four for each core by default.
    pub fn window(mut self, places: usize) -> Self {
        self.window = places.max(1);
        self
    }

    /// The writer. A stream whose schema is given starts at once, since its readers wait for it.
    ///
    /// # Errors
    ///
    /// Where a given schema cannot be written; the sink comes back. Without a schema, never.
    pub fn build(self) -> Result<SharedWriter<W, F>, Failed<W>> {
        let Self { mut sink, options, schema, window, format } = self;
        let mut view = View::default();
        let mut ledger = None;
        if let Some(schema) = schema {
            let started = StreamSchema::try_new(schema, &options).map(Arc::new).and_then(|schema| {
                let mut started = Ledger::new::<F>(Arc::clone(&schema), &options)?;
                if !F::HAS_FOOTER {
                    started.flush(&mut sink)?;
                }
                view = View { schema: Some(schema), dictionaries: started.dictionaries().clone() };
                Ok(started)
            });
            match started {
                Ok(started) => ledger = Some(started),
                Err(error) => return Err(Failed::new(error, sink)),
            }
        }
        let counters = Counters::default();
        if let Some(ledger) = &ledger {
            counters.publish(&ledger.stats());
        }
        let shared = Shared {
            desk: Lock::new(Desk { sink, ledger }),
            view: Snapshot::new(view),
            window: Window::new(window),
            encoders: Mutex::new(Vec::new()),
            counters,
            fault: Mutex::new(None),
            options,
            format,
        };
        Ok(SharedWriter { shared: Arc::new(shared) })
    }
}

/// What all handles on a writer share.
pub(crate) struct Shared<W, F> {
    desk: Lock<Desk<W>>,
    view: Snapshot<View>,
    pub(crate) window: Window<Deposit>,
    encoders: Mutex<Vec<BatchEncoder>>,
    counters: Counters,
    /// The first error, of a writer that is poisoned.
    fault: Mutex<Option<Fault>>,
    options: Options,
    format: PhantomData<F>,
}

/// What only the holder of the lock may touch.
struct Desk<W> {
    sink: W,
    /// There once the schema is known.
    ledger: Option<Ledger>,
}

/// What is known of the output without the lock. It may be a moment old.
#[derive(Debug, Default)]
struct View {
    schema: Option<Arc<StreamSchema>>,
    dictionaries: Dictionaries,
}

/// What was decided for a batch outside the lock, and what it was decided on.
pub(crate) struct Plan {
    view: Arc<View>,
    schema: Arc<StreamSchema>,
    updates: Updates,
}

#[derive(Debug)]
struct Fault {
    offset: u64,
    lost: u64,
    source: Arc<io::Error>,
}

impl<W: Write + Send, F: Format> Shared<W, F> {
    pub(crate) fn encoder(&self) -> BatchEncoder {
        BatchEncoder::new(&self.options)
    }

    /// Runs `f` with an encoder of the pool.
    pub(crate) fn with_encoder<R>(&self, f: impl FnOnce(&mut BatchEncoder) -> R) -> R {
        let pooled = self.encoders.lock().pop();
        let mut encoder = pooled.unwrap_or_else(|| self.encoder());
        let result = f(&mut encoder);
        self.encoders.lock().push(encoder);
        result
    }

    pub(crate) fn write(
        &self,
        encoder: &mut BatchEncoder,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<Receipt> {
        self.check()?;
        let plan = self.plan(encoder, batch, Sending::Changes)?;
        let message = encoder.encode_with_metadata(batch, metadata)?;
        let receipt = self.append(encoder, batch, &message, plan);
        encoder.recycle(message);
        receipt
    }

    /// Refuses early what the lock would refuse, and what would wait for itself.
    pub(crate) fn check(&self) -> Result<()> {
        match self.desk.ended() {
            Some(refused) => Err(self.refusal(refused)),
            None if self.desk.is_held_by_current_thread() => Err(Error::Reentrant),
            None => Ok(()),
        }
    }

    /// Decides, outside the lock, what `batch` needs: the schema it has to have, the dictionaries it needs sent.
    pub(crate) fn plan(&self, encoder: &mut BatchEncoder, batch: &RecordBatch, sending: Sending) -> Result<Plan> {
        let view = Arc::clone(&*self.view.load());
        let schema = match &view.schema {
            Some(schema) => {
                schema.check(batch.schema_ref())?;
                Arc::clone(schema)
            }
            None => Arc::new(StreamSchema::try_new(batch.schema(), &self.options)?),
        };
        let updates = encoder.encode_dictionaries::<F>(&schema, batch, &view.dictionaries, sending)?;
        Ok(Plan { view, schema, updates })
    }

    /// Appends an encoded batch, planning anew, outside the lock, where others have overtaken the plan.
    pub(crate) fn append<B: AsRef<[u8]>>(
        &self,
        encoder: &mut BatchEncoder,
        batch: &RecordBatch,
        message: &Message<B>,
        mut plan: Plan,
    ) -> Result<Receipt> {
        // After the second time, everything is sent: that holds whatever others do, so nobody is overtaken for ever.
        let mut next = Sending::Changes;
        loop {
            if let Some(receipt) = self.try_append(plan, message)? {
                return Ok(receipt);
            }
            plan = self.plan(encoder, batch, next)?;
            next = Sending::Everything;
        }
    }

    /// Makes sure that `batch`, which will be appended later, cannot be refused then: settles the schema, and in a
    /// file, which allows no replacement, sends its dictionaries ahead.
    pub(crate) fn secure(&self, encoder: &mut BatchEncoder, batch: &RecordBatch, mut plan: Plan) -> Result<Plan> {
        loop {
            let is_secure = plan.view.schema.is_some() && (plan.updates.is_empty() || !F::HAS_FOOTER);
            if is_secure {
                return Ok(plan);
            }
            self.under_plan(plan, |sink, ledger, updates| match F::HAS_FOOTER {
                true => ledger.append_dictionaries(sink, updates),
                false => Ok(()),
            })?;
            plan = self.plan(encoder, batch, Sending::Changes)?;
        }
    }

    /// Appends what is ready at the front of the window. What fails stays there, to be tried again.
    pub(crate) fn append_ready(&self, drain: Drain<'_, Deposit>) -> Result<()> {
        let mut drain = Some(drain);
        while let Some((front, mut deposit)) = drain.take().and_then(Drain::next) {
            let appended = self.with_encoder(|encoder| {
                let plan = match deposit.plan.take() {
                    Some(plan) => plan,
                    None => self.plan(encoder, &deposit.batch, Sending::Changes)?,
                };
                self.append(encoder, &deposit.batch, &deposit.message, plan)
            });
            if let Err(error) = appended {
                front.put_back(deposit);
                return Err(error);
            }
            front.pass_front();
            drain = Some(front);
        }
        Ok(())
    }

    /// Takes the lock and appends, or returns `None` where the plan has gone stale.
    fn try_append<B: AsRef<[u8]>>(&self, plan: Plan, message: &Message<B>) -> Result<Option<Receipt>> {
        self.under_plan(plan, |sink, ledger, updates| ledger.append(sink, updates, message))
    }

    /// Takes the lock and does `work`, if the plan is still right; publishes what that changed.
    fn under_plan<R>(
        &self,
        plan: Plan,
        work: impl FnOnce(&mut W, &mut Ledger, Updates) -> ipc_core::Result<R>,
    ) -> Result<Option<R>> {
        let mut guard = self.lock()?;
        let mut opened = false;
        match &guard.ledger {
            Some(ledger) => {
                let same_schema = Arc::ptr_eq(ledger.schema(), &plan.schema);
                if !same_schema || !plan.updates.hold_for::<F>(&plan.view.dictionaries, ledger.dictionaries()) {
                    return Ok(None);
                }
            }
            None => {
                guard.ledger = Some(Ledger::new::<F>(plan.schema, &self.options)?);
                opened = true;
            }
        }
        let changes_dictionaries = !plan.updates.is_empty();
        let worked = self.use_desk(guard, |Desk { sink, ledger }| {
            let mut open = ledger.take().expect("a ledger was there, or has just been put there");
            let worked = work(sink, &mut open, plan.updates);
            // A schema counts only once something was written with it.
            if worked.is_ok() || !opened || open.check().is_err() {
                *ledger = Some(open);
            }
            worked
        });
        let (guard, result) = worked?;
        if let Some(ledger) = &guard.ledger {
            if opened || changes_dictionaries {
                let schema = Some(Arc::clone(ledger.schema()));
                self.view.store(View { schema, dictionaries: ledger.dictionaries().clone() });
            }
            self.counters.publish(&ledger.stats());
        }
        Ok(Some(result))
    }

    fn locked<R>(&self, work: impl FnOnce(&mut Desk<W>) -> ipc_core::Result<R>) -> Result<R> {
        let guard = self.lock()?;
        self.use_desk(guard, work).map(|(_, result)| result)
    }

    fn lock(&self) -> Result<Guard<'_, Desk<W>>> {
        self.desk.lock().map_err(|refused| self.refusal(refused))
    }

    /// Does `work` with the desk. If it tears the output, or panics, the writer is poisoned before the lock is given
    /// back, so that nobody finds it so without knowing why.
    fn use_desk<'l, R>(
        &'l self,
        mut guard: Guard<'l, Desk<W>>,
        work: impl FnOnce(&mut Desk<W>) -> ipc_core::Result<R>,
    ) -> Result<(Guard<'l, Desk<W>>, R)> {
        let (offset, lost) = guard.ledger.as_ref().map_or((0, 0), |l| (l.confirmed_bytes(), l.staged_batches()));
        let fuse = Fuse { shared: self, offset, lost };
        let result = work(&mut guard);
        std::mem::forget(fuse);
        match result {
            Ok(result) => Ok((guard, result)),
            Err(ipc_core::Error::Poisoned { offset, lost, source }) => {
                self.blow(Fault { offset, lost, source });
                guard.poison();
                Err(self.poisoned())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Records why the writer is poisoned, and wakes those who wait for a place.
    fn blow(&self, fault: Fault) {
        self.fault.lock().get_or_insert(fault);
        self.window.abort();
    }

    fn refusal(&self, refused: Refused) -> Error {
        match refused {
            Refused::Closed => Error::Closed,
            Refused::Reentrant => Error::Reentrant,
            Refused::Poisoned => self.poisoned(),
        }
    }

    /// Why the window takes no more: the writer is poisoned, or closed or about to be.
    pub(crate) fn ended(&self) -> Error {
        if self.fault.lock().is_some() { self.poisoned() } else { Error::Closed }
    }

    fn poisoned(&self) -> Error {
        let waiting = self.window.ready();
        match &*self.fault.lock() {
            Some(Fault { offset, lost, source }) => {
                Error::Poisoned { offset: *offset, lost: lost + waiting, source: Arc::clone(source) }
            }
            None => {
                let source = Arc::new(io::Error::other("a thread panicked while it held the lock"));
                Error::Poisoned { offset: 0, lost: waiting, source }
            }
        }
    }
}

/// Blows when a panic passes it.
struct Fuse<'l, W: Write + Send, F: Format> {
    shared: &'l Shared<W, F>,
    offset: u64,
    lost: u64,
}

impl<W: Write + Send, F: Format> Drop for Fuse<'_, W, F> {
    fn drop(&mut self) {
        let source = Arc::new(io::Error::other("the sink panicked"));
        self.shared.blow(Fault { offset: self.offset, lost: self.lost, source });
    }
}

//! The state that all handles on a writer share, how it is locked, and which calls are refused.
//!
//! A batch goes through `prepare`, outside the lock and inside; reserved places through `slots`; the end of an output
//! through `close`, and its repair through `rollback`.

pub(crate) mod close;
pub(crate) mod context;
mod locked;
pub(crate) mod output;
mod pending;
mod plan;
mod pool;
mod prepare;
mod reorder;
mod rollback;
mod slots;
pub(crate) mod stats;
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
pub(crate) mod thread_encoder;

use std::io::Write;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use crossbeam_utils::CachePadded;
use ipc_core::parts::BatchEncoder;
use ipc_core::{Format, Metadata, Options, Receipt, Stats};

use self::context::EncodingContext;
use self::locked::{Fault, GiveUpOnDrop, Locked, LockedGuard};
use self::output::{Output, View};
use self::pending::PendingBatch;
use self::pool::Pool;
use self::reorder::ReorderBuffer;
use self::stats::Counters;
use self::thread_encoder::ThreadEncoder;
use crate::error::{Error, Result};
use crate::lock::{Lock, Refused};
use crate::sync::{AtomicU8, Published, Relaxed, Settled};

/// What all handles on a writer share.
pub(crate) struct Shared<W, F> {
    lock: Lock<GiveUpOnDrop<W>>,
    view: Published<View>,
    /// Settled with the first view that has one.
    context: Settled<EncodingContext>,
    /// The reserved places. Aborted, with the first error, while the lock is poisoned.
    buffer: ReorderBuffer<PendingBatch, Fault>,
    /// Whether the writer takes batches.
    ///
    /// | value | means |
    /// |---|---|
    /// | `TAKING` | it does, unless the lock has ended |
    /// | `SHUT` | it does not: a `close` has begun, which gives up all places; if it fails, another one can go on |
    ///
    /// All accesses are relaxed: it guards nothing, and a thread that knows that a `close` has begun reads `SHUT`.
    intake: AtomicU8,
    encoders: Pool,
    /// Written with each append, so on a cache line of its own.
    counters: CachePadded<Counters>,
    options: Options,
    /// The footer metadata that the builder was given, for formats that have a footer.
    footer_metadata: Metadata,
    format: PhantomData<F>,
}

impl<W, F> Shared<W, F> {
    pub(crate) fn new(
        sink: W,
        output: Option<Output>,
        options: Options,
        footer_metadata: Metadata,
        places: usize,
    ) -> Self
    where
        W: Write,
    {
        let counters = CachePadded::new(Counters::default());
        let mut view = View::default();
        if let Some(output) = &output {
            counters.publish(&output.ledger.stats());
            view = View::of(output);
        }
        Self {
            lock: Lock::new(GiveUpOnDrop::new(Locked { sink, output, early_metadata: Metadata::new() })),
            context: Settled::new(view.context.clone()),
            view: Published::new(view),
            buffer: ReorderBuffer::new(places),
            intake: AtomicU8::new(TAKING),
            encoders: Pool::new(),
            counters,
            options,
            footer_metadata,
            format: PhantomData,
        }
    }

    /// Whether the writer takes no more batches.
    pub(crate) fn has_ended(&self) -> bool {
        self.is_shut() || self.lock.ended().is_some()
    }

    fn is_shut(&self) -> bool {
        self.intake.load(Relaxed) == SHUT
    }

    pub(crate) fn is_held_by_current_thread(&self) -> bool {
        self.lock.is_held_by_current_thread()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.counters.read()
    }

    pub(crate) fn schema(&self) -> Option<SchemaRef> {
        self.context.load().map(|context| Arc::clone(context.schema().schema()))
    }

    pub(crate) fn into_sink(self) -> W {
        self.lock.into_inner().into_sink()
    }
}

impl<W: Write + Send, F: Format> Shared<W, F> {
    pub(crate) fn encoder(&self) -> ThreadEncoder {
        ThreadEncoder::new(BatchEncoder::new(&self.options), &self.view)
    }

    /// Runs `f` with an encoder of the pool.
    fn with_encoder<R>(&self, f: impl FnOnce(&mut ThreadEncoder) -> R) -> R {
        let mut encoder = self.encoders.take().unwrap_or_else(|| self.encoder());
        let result = f(&mut encoder);
        self.encoders.give_back(encoder);
        result
    }

    /// Writes a batch with an encoder of the pool.
    pub(crate) fn write_pooled(&self, batch: &RecordBatch, metadata: &Metadata) -> Result<Receipt> {
        self.with_encoder(|encoder| self.write(encoder, batch, metadata))
    }

    pub(crate) fn write(
        &self,
        encoder: &mut ThreadEncoder,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<Receipt> {
        self.check()?;
        let prepared = self.prepare(encoder, batch, metadata)?;
        self.append_prepared(encoder, prepared)
    }

    /// Refuses a call early that would be refused later, or would wait for itself.
    fn check(&self) -> Result<()> {
        self.check_lock()?;
        if !self.is_shut() {
            return Ok(());
        }
        // A rollback may be under way, and fail: the lock is not poisoned then, but the buffer is still aborted.
        Err(self.buffer.aborted().map_or(Error::Closed, Error::from))
    }

    fn check_lock(&self) -> Result<()> {
        match self.lock.ended().and_then(|refused| self.error_of(refused)) {
            Some(error) => Err(error),
            None if self.lock.is_held_by_current_thread() => Err(Error::Reentrant),
            None => Ok(()),
        }
    }

    /// Takes the lock.
    fn lock(&self) -> Result<LockedGuard<'_, W>> {
        loop {
            match self.lock.lock() {
                Ok(guard) => return Ok(LockedGuard::new(guard, &self.buffer)),
                // No error means that a rollback has revived the lock meanwhile: try again.
                Err(refused) => self.error_of(refused).map_or(Ok(()), Err)?,
            }
        }
    }

    /// Does `work` with the locked state. If it tears the output, poisons the writer before the lock is given back: no
    /// thread finds the lock poisoned without a reason.
    fn with_locked<'l, R>(
        &'l self,
        mut guard: LockedGuard<'l, W>,
        work: impl FnOnce(&mut Locked<W>) -> ipc_core::Result<R>,
    ) -> Result<(LockedGuard<'l, W>, R)> {
        match work(&mut guard) {
            Ok(result) => Ok((guard, result)),
            Err(error @ ipc_core::Error::Poisoned { .. }) => {
                let error = self.abort_if_poisoned(error);
                guard.poison();
                Err(error)
            }
            Err(error) => {
                guard.unlock();
                Err(error.into())
            }
        }
    }

    /// Converts an error of the ledger. One that poisons the writer aborts the reorder buffer, and the caller poisons
    /// the lock then. All threads get the first such error.
    fn abort_if_poisoned(&self, error: ipc_core::Error) -> Error {
        match error {
            ipc_core::Error::Poisoned { offset, unconfirmed, source } => {
                self.buffer.abort(Fault::Poisoned { offset, unconfirmed, source }).into()
            }
            error => error.into(),
        }
    }

    /// The error for a refusal by the lock. `None` if a rollback has overtaken it: the caller tries again.
    fn error_of(&self, refused: Refused) -> Option<Error> {
        match refused {
            // An abort abandons the buffer before it closes the lock.
            Refused::Closed => Some(self.buffer.aborted().map_or(Error::Closed, Error::from)),
            Refused::Reentrant => Some(Error::Reentrant),
            // The buffer is aborted before the lock is poisoned, and reopened only after the lock has been revived.
            Refused::Poisoned => self.buffer.aborted().map(Error::from),
        }
    }
}

/// The writer takes batches.
const TAKING: u8 = 0;
/// The writer takes no more batches.
const SHUT: u8 = 1;

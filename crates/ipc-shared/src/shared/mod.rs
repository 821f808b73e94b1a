//! What all handles on a writer share: the lock, the window of reserved places, what is published, and the writer's end.
//!
//! What a batch goes through, outside the lock and inside, is in [`prepare`].

pub(crate) mod context;
mod locked;
pub(crate) mod pool;
mod prepare;
pub(crate) mod reorder;
mod rollback;
mod stats;
pub(crate) mod thread_encoder;

use std::io::Write;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use crossbeam_utils::CachePadded;
use ipc_core::{BatchEncoder, Dictionaries, Format, Ledger, Metadata, Options, Receipt, Sending, Stats, Updates};

use crate::error::{Error, Result};
use crate::lock::{Lock, Refused};
use crate::shared::context::Basis;
use crate::shared::pool::Pool;
use crate::shared::reorder::{Aborted, Gaps, GivenUp, Reserved, Window};
use crate::shared::stats::Counters;
use crate::shared::thread_encoder::ThreadEncoder;
use crate::slot::Deposit;
use crate::sync::{AtomicU8, Published, Relaxed, Settled, contain};
use crate::writer::Summary;

pub(crate) use self::locked::Fault;
use self::locked::{Desk, Held, Kept, Output};
pub(crate) use self::prepare::{Plan, open};

/// What all handles on a writer share.
pub(crate) struct Shared<W, F> {
    desk: Lock<Kept<W>>,
    view: Published<View>,
    /// Settled with the first view that has one.
    basis: Settled<Basis>,
    /// Aborted, with the first error, while the lock is poisoned.
    window: Window<Deposit, Fault>,
    /// Whether batches are taken.
    ///
    /// | value | means |
    /// |---|---|
    /// | `TAKING` | they are, unless the lock has ended |
    /// | `SHUT` | they are not: a `close` has begun, which gives up all places; if it fails, another one can go on |
    ///
    /// All accesses are relaxed: it guards nothing, and whoever knows that a `close` has begun knows this, too.
    intake: AtomicU8,
    encoders: Pool,
    /// Written with each append, so nothing that others read stands beside them.
    counters: CachePadded<Counters>,
    options: Options,
    /// What the footer will carry, in a format that has one.
    footer_metadata: Metadata,
    format: PhantomData<F>,
}

/// What is known of the output without the lock. It may be a moment old.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// There once the schema is known.
    basis: Option<Arc<Basis>>,
    dictionaries: Dictionaries,
}

impl View {
    fn of(output: &Output) -> Self {
        Self { basis: Some(Arc::clone(&output.basis)), dictionaries: output.ledger.dictionaries().clone() }
    }
}

/// What a close makes of places whose owners have panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LostPlaces {
    /// It fails.
    Refuse,
    /// The output does without their batches.
    Accept,
}

/// The right to append the batches that wait.
pub(crate) type Drain<'w> = reorder::Drain<'w, Deposit, Fault>;

/// Whether it is the turn of a place.
pub(crate) type Turn<'w> = reorder::Turn<'w, Deposit, Fault>;

impl<W, F> Shared<W, F> {
    pub(crate) fn new(
        sink: W,
        ledger: Option<Ledger>,
        options: Options,
        footer_metadata: Metadata,
        places: usize,
    ) -> Self
    where
        W: Write,
    {
        let counters = CachePadded::new(Counters::default());
        let mut view = View::default();
        let output = ledger.map(|ledger| {
            let basis = Arc::new(Basis::new(Arc::clone(ledger.schema())));
            Output { ledger, basis }
        });
        if let Some(output) = &output {
            counters.publish(&output.ledger.stats());
            view = View::of(output);
        }
        Self {
            desk: Lock::new(Kept::new(Desk { sink, output })),
            basis: Settled::new(view.basis.clone()),
            view: Published::new(view),
            window: Window::new(places),
            intake: AtomicU8::new(TAKING),
            encoders: Pool::new(),
            counters,
            options,
            footer_metadata,
            format: PhantomData,
        }
    }

    /// Whether batches are refused, whatever they are.
    pub(crate) fn has_ended(&self) -> bool {
        self.is_shut() || self.desk.ended().is_some()
    }

    fn is_shut(&self) -> bool {
        self.intake.load(Relaxed) == SHUT
    }

    pub(crate) fn is_held_by_current_thread(&self) -> bool {
        self.desk.is_held_by_current_thread()
    }

    pub(crate) fn stats(&self) -> Stats {
        self.counters.read()
    }

    pub(crate) fn schema(&self) -> Option<SchemaRef> {
        self.basis.load().map(|basis| Arc::clone(basis.schema().schema()))
    }

    pub(crate) fn into_sink(self) -> W {
        self.desk.into_inner().into_sink()
    }
}

impl<W: Write + Send, F: Format> Shared<W, F> {
    pub(crate) fn encoder(&self) -> ThreadEncoder {
        ThreadEncoder::new(BatchEncoder::new(&self.options), &self.view)
    }

    /// Runs `f` with an encoder of the pool.
    pub(crate) fn with_encoder<R>(&self, f: impl FnOnce(&mut ThreadEncoder) -> R) -> R {
        let mut encoder = self.encoders.take().unwrap_or_else(|| self.encoder());
        let result = f(&mut encoder);
        self.encoders.give_back(encoder);
        result
    }

    pub(crate) fn write(
        &self,
        encoder: &mut ThreadEncoder,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<Receipt> {
        self.check()?;
        let (message, plan) = self.prepare(encoder, batch, metadata)?;
        self.append_prepared(encoder, batch, metadata, message, plan)
    }

    pub(crate) fn reserve(&self) -> Result<u64> {
        self.check()?;
        let mut asking = self.window.reserve();
        loop {
            match asking.wait()? {
                Reserved::Place(place) => return Ok(place),
                Reserved::NotYet(drain) => {
                    if let Err(error) = self.append_ready(drain) {
                        // What failed is behind what made room, perhaps, and for others to report then.
                        return asking.granted().ok_or(error);
                    }
                }
            }
        }
    }

    pub(crate) fn try_reserve(&self) -> Result<Option<u64>> {
        self.check()?;
        loop {
            match self.window.try_reserve()? {
                None => return Ok(None),
                Some(Reserved::Place(place)) => return Ok(Some(place)),
                Some(Reserved::NotYet(drain)) => self.append_ready(drain)?,
            }
        }
    }

    /// Says whether it is the turn of a reserved place.
    pub(crate) fn arrive(&self, place: u64) -> Result<Turn<'_>> {
        Ok(self.window.arrive(place)?)
    }

    /// Leaves an encoded batch in a reserved place, which is out as before where that is refused. The caller is to
    /// [drain on](Self::drain_on).
    pub(crate) fn leave(&self, place: u64, deposit: Deposit) -> Result<Option<Drain<'_>>> {
        Ok(self.window.leave(place, deposit)?)
    }

    /// Gives up a reserved place.
    pub(crate) fn give_up(&self, place: u64, how: GivenUp) {
        self.drain_on(self.window.give_up(place, how));
    }

    /// Appends what is ready, where that has become this thread's job. What fails waits at the front for the next who
    /// tries; `flush` and `close` report it.
    ///
    /// A panic of the sink goes no further, either: the caller's own batch has been accepted, or there is none, so it must
    /// not look as if that had failed. The writer is poisoned by then.
    pub(crate) fn drain_on(&self, drain: Option<Drain<'_>>) {
        if let Some(drain) = drain {
            contain(|| _ = self.append_ready(drain));
        }
    }

    pub(crate) fn flush(&self) -> Result<()> {
        self.settle(|Desk { sink, output }| match output {
            Some(Output { ledger, .. }) => ledger.flush(sink),
            None => Ok(sink.flush()?),
        })
    }

    /// Appends what waits in the window, as far as its order allows, and then does `work`. This thread drains the window
    /// until that is done, so no batch of a slot that came later gets between.
    fn settle<T>(&self, work: impl FnOnce(&mut Desk<W>) -> ipc_core::Result<T>) -> Result<T> {
        self.check()?;
        let mut drain = self.window.settle();
        self.append_taken(&mut drain)?;
        let worked = self.lock().and_then(|guard| self.use_desk(guard, work)).map(|(guard, done)| {
            guard.unlock();
            done
        });
        self.drain_on(Some(drain.go_on()));
        worked
    }

    pub(crate) fn close(&self, gaps: LostPlaces) -> Result<Summary> {
        self.check_lock()?;
        let drain = self.window.close();
        self.intake.store(SHUT, Relaxed);
        self.append_ready(drain)?;
        let Gaps { all: given_up, lost } = self.window.gaps();
        if lost > 0 && gaps == LostPlaces::Refuse {
            // A panic in the sink loses the place that was written to, and says more.
            return Err(self.window.aborted().map_or(Error::Gaps { places: lost }, Error::from));
        }
        let (guard, updates) = self.lock_for_the_end()?;
        if guard.output.is_none() {
            guard.close();
            self.encoders.shut();
            return Err(Error::NoSchema);
        }
        let (guard, summary) = self.use_desk(guard, |Desk { sink, output }| {
            let Output { ledger, .. } = output.as_mut().expect("a schema stays known");
            match updates {
                None => ledger.end(sink)?,
                Some(closing) => ledger.end_with(sink, closing)?,
            }
            self.counters.publish(&ledger.stats());
            Ok(Summary { stats: ledger.stats(), schema: Arc::clone(ledger.schema().schema()), given_up })
        })?;
        guard.close();
        self.encoders.shut();
        Ok(summary)
    }

    /// Gives the output up: leaves the mark, lets go of what waits, and tells everybody.
    pub(crate) fn abort(&self, reason: &str) -> Result<()> {
        self.check_lock()?;
        let guard = self.lock()?;
        // The end may have been written, by a close whose flush failed.
        let check = |desk: &mut Desk<W>| desk.output.as_ref().map_or(Ok(()), |output| output.ledger.check());
        let (mut guard, ()) = self.use_desk(guard, check)?;
        // Before the sink is called, which may panic: whoever finds the lock ended asks the window why.
        let waiting = self.window.abandon(Fault::Aborted { reason: reason.into() });
        let pool = self.encoders.shut_when_dropped();
        let Desk { sink, output } = &mut *guard;
        let aborted = output.as_mut().map_or(Ok(()), |output| output.ledger.abort(sink, reason));
        guard.close();
        drop(pool);
        // What waits holds whole batches, so it goes outside the lock.
        drop(waiting);
        Ok(aborted?)
    }

    /// Takes the lock with the dictionaries at hand that belong behind all batches. They are encoded without it, and anew
    /// where batches that were on their way have brought values meanwhile; none come after those.
    fn lock_for_the_end(&self) -> Result<(Held<'_, W>, Option<Updates>)> {
        let mut encoded: Option<(Vec<usize>, Updates)> = None;
        loop {
            let guard = self.lock()?;
            let Some(Output { ledger, basis }) = guard.output.as_ref().filter(|output| output.basis.has_unified())
            else {
                return Ok((guard, None));
            };
            if let Some((_, updates)) = encoded.take_if(|(uses, _)| uses == ledger.uses()) {
                return Ok((guard, Some(updates)));
            }
            let (basis, sent) = (Arc::clone(basis), ledger.dictionaries().clone());
            let uses = ledger.uses().to_vec();
            guard.unlock();
            let updates = self.with_encoder(|encoder| basis.encode_closing_dictionaries(encoder, &uses, &sent))?;
            encoded = Some((uses, updates));
        }
    }

    /// Refuses early what would be refused later, and what would wait for itself.
    pub(crate) fn check(&self) -> Result<()> {
        self.check_lock()?;
        if !self.is_shut() {
            return Ok(());
        }
        // A rollback may be under way, and fail: the lock is not poisoned then, and the window is still aborted.
        Err(self.window.aborted().map_or(Error::Closed, Error::from))
    }

    fn check_lock(&self) -> Result<()> {
        match self.desk.ended().and_then(|refused| self.refusal(refused)) {
            Some(error) => Err(error),
            None if self.desk.is_held_by_current_thread() => Err(Error::Reentrant),
            None => Ok(()),
        }
    }

    /// Appends what is ready at the front of the window. What fails stays there, to be tried again.
    pub(crate) fn append_ready(&self, mut drain: Drain<'_>) -> Result<()> {
        self.append_taken(&mut drain)
    }

    fn append_taken(&self, drain: &mut Drain<'_>) -> Result<()> {
        while let Some(mut front) = drain.next() {
            let (deposit, place) = front.parts();
            self.with_encoder(|encoder| {
                let Deposit { batch, message, basis, plan } = deposit;
                let plan = match plan.take() {
                    Some(plan) => Some(plan),
                    None => self.plan(encoder, basis, batch, message.uses(), Sending::Changes)?,
                };
                let append = |plan| self.append(encoder, batch, message, plan, || place.front_is_appended());
                let appended = plan.map(append).transpose()?.flatten();
                appended.expect("what waits in a slot has settled the schema");
                Ok::<_, Error>(())
            })?;
            front.pass();
        }
        Ok(())
    }

    fn lock(&self) -> Result<Held<'_, W>> {
        loop {
            match self.desk.lock() {
                Ok(guard) => return Ok(Held::new(guard, &self.window)),
                Err(refused) => self.refusal(refused).map_or(Ok(()), Err)?,
            }
        }
    }

    /// Does `work` with the desk. If it tears the output, the writer is poisoned before the lock is given back, so that
    /// nobody finds it so without knowing why.
    fn use_desk<'l, R>(
        &'l self,
        mut guard: Held<'l, W>,
        work: impl FnOnce(&mut Desk<W>) -> ipc_core::Result<R>,
    ) -> Result<(Held<'l, W>, R)> {
        match work(&mut guard) {
            Ok(result) => Ok((guard, result)),
            Err(error @ ipc_core::Error::Poisoned { .. }) => {
                let error = self.told(error);
                guard.poison();
                Err(error)
            }
            Err(error) => {
                guard.unlock();
                Err(error.into())
            }
        }
    }

    /// What callers are told of an error of the ledger. One that poisons the writer aborts the window; the lock is still
    /// to be poisoned. The first such error is what everybody hears.
    fn told(&self, error: ipc_core::Error) -> Error {
        match error {
            ipc_core::Error::Poisoned { offset, unconfirmed, source } => {
                self.window.abort(Fault::Poisoned { offset, unconfirmed, source }).into()
            }
            error => error.into(),
        }
    }

    /// What callers are told of a refusal by the lock: nothing, where a rollback has overtaken it, and they are to ask
    /// again.
    fn refusal(&self, refused: Refused) -> Option<Error> {
        match refused {
            // Abandoned before the lock is closed, where the writer was given up.
            Refused::Closed => Some(self.window.aborted().map_or(Error::Closed, Error::from)),
            Refused::Reentrant => Some(Error::Reentrant),
            // Aborted before the lock is poisoned, and reopened only after it has been revived.
            Refused::Poisoned => self.window.aborted().map(Error::from),
        }
    }
}

impl From<Aborted<Fault>> for Error {
    fn from(Aborted { why, waiting }: Aborted<Fault>) -> Self {
        match why {
            Fault::Poisoned { offset, unconfirmed, source } => {
                Self::Poisoned { offset, unconfirmed: unconfirmed + waiting, source }
            }
            Fault::Aborted { reason } => Self::Aborted { reason },
        }
    }
}

impl From<reorder::Refused<Fault>> for Error {
    fn from(refused: reorder::Refused<Fault>) -> Self {
        match refused {
            reorder::Refused::Closed => Self::Closed,
            reorder::Refused::Aborted(aborted) => aborted.into(),
        }
    }
}

/// Batches are taken.
const TAKING: u8 = 0;
/// None will be.
const SHUT: u8 = 1;

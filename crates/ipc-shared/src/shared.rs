//! What all handles on a writer share, and what a call does outside the lock and what inside.
//!
//! That division is the whole point of the crate. [`Shared::prepare`] works outside, against the published [`View`];
//! [`Shared::under_plan`] takes the lock, checks by pointers alone that nothing that matters has changed since, appends,
//! and publishes. A plan that has gone stale is made anew, outside: nothing is guessed.

mod desk;
mod storage;

use std::io::Write;
use std::marker::PhantomData;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Metadata, SchemaRef};
use ipc_core::{BatchEncoder, Dictionaries, Format, Ledger, Message, Options, Receipt, Sending, Slice, Stats};
use ipc_core::{StreamSchema, Updates};

use crate::basis::Basis;
use crate::counters::Counters;
use crate::error::{Error, Result};
use crate::lock::{Lock, Refused};
use crate::slot::Deposit;
use crate::sync::{AtomicU8, Mutex, Relaxed, Snapshot, note_replan};
use crate::window::{self, Aborted, Reserved, Window};
use crate::writer::Summary;

pub(crate) use self::desk::Fault;
use self::desk::{Desk, Held, Output};

/// What all handles on a writer share.
pub(crate) struct Shared<W, F> {
    desk: Lock<Desk<W>>,
    view: Snapshot<View>,
    /// Aborted, with the first error, while the lock is poisoned.
    window: Window<Deposit, Fault>,
    /// Whether batches are taken.
    ///
    /// | value | means |
    /// |---|---|
    /// | `TAKING` | they are, unless the lock has ended |
    /// | `SHUT` | they are not: a `close` has returned, which gave up all places; if it failed, another one can go on |
    ///
    /// All accesses are relaxed: it guards nothing, and whoever knows that a `close` has returned knows this, too.
    intake: AtomicU8,
    encoders: Mutex<Vec<BatchEncoder>>,
    counters: Counters,
    options: Options,
    /// What the footer will carry, in a format that has one.
    footer_metadata: Metadata,
    format: PhantomData<F>,
}

/// What is known of the output without the lock. It may be a moment old.
#[derive(Debug, Default)]
struct View {
    /// There once the schema is known.
    basis: Option<Arc<Basis>>,
    dictionaries: Dictionaries,
}

impl View {
    fn of(output: &Output) -> Self {
        Self { basis: Some(Arc::clone(&output.basis)), dictionaries: output.ledger.dictionaries().clone() }
    }
}

/// The right to append the batches that wait.
pub(crate) type Drain<'w> = window::Drain<'w, Deposit, Fault>;

/// Whether it is the turn of a place.
pub(crate) type Turn<'w> = window::Turn<'w, Deposit, Fault>;

/// What was decided for a batch outside the lock, and what it was decided on.
pub(crate) struct Plan {
    view: Arc<View>,
    /// What the batch was encoded for.
    basis: Arc<Basis>,
    updates: Updates,
}

impl Plan {
    pub(crate) fn basis(&self) -> &Arc<Basis> {
        &self.basis
    }
}

impl<W, F> Shared<W, F> {
    pub(crate) fn new(
        sink: W,
        ledger: Option<Ledger>,
        options: Options,
        footer_metadata: Metadata,
        places: usize,
    ) -> Self {
        let counters = Counters::default();
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
            desk: Lock::new(Desk { sink, output }),
            view: Snapshot::new(view),
            window: Window::new(places),
            intake: AtomicU8::new(TAKING),
            encoders: Mutex::new(Vec::new()),
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
        self.view.load().basis.as_ref().map(|basis| Arc::clone(basis.schema().schema()))
    }

    pub(crate) fn into_sink(self) -> W {
        self.desk.into_inner().sink
    }
}

/// Opens the ledger of an output.
pub(crate) fn open<F: Format>(
    schema: Arc<StreamSchema>,
    options: &Options,
    footer_metadata: &Metadata,
) -> ipc_core::Result<Ledger> {
    let mut ledger = Ledger::new::<F>(schema, options)?;
    if let Some(metadata) = ledger.footer_metadata_mut() {
        metadata.clone_from(footer_metadata);
    }
    Ok(ledger)
}

/// Outside the lock.
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
        let (message, plan) = self.prepare(encoder, batch, metadata)?;
        self.append_prepared(encoder, batch, metadata, message, plan)
    }

    pub(crate) fn reserve(&self) -> Result<u64> {
        self.check()?;
        loop {
            match self.window.reserve()? {
                Reserved::Place(place) => return Ok(place),
                Reserved::NotYet(drain) => self.append_ready(drain)?,
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

    /// Leaves an encoded batch in a reserved place.
    pub(crate) fn leave(&self, place: u64, deposit: Deposit) -> Result<()> {
        let drain = self.window.leave(place, deposit)?;
        self.drain_on(drain);
        Ok(())
    }

    /// Gives up a reserved place.
    pub(crate) fn give_up(&self, place: u64) {
        self.drain_on(self.window.give_up(place));
    }

    /// Appends what is ready, where that has become this thread's job. What fails waits at the front for the next who
    /// tries; `flush` and `close` report it.
    pub(crate) fn drain_on(&self, drain: Option<Drain<'_>>) {
        if let Some(drain) = drain {
            let _ = self.append_ready(drain);
        }
    }

    pub(crate) fn flush(&self) -> Result<()> {
        self.settle(|Desk { sink, output }| match output {
            Some(Output { ledger, .. }) => ledger.flush(sink),
            None => Ok(sink.flush()?),
        })
    }

    /// Appends what waits in the window, as far as its order allows, and then does `work`.
    fn settle(&self, work: impl FnOnce(&mut Desk<W>) -> ipc_core::Result<()>) -> Result<()> {
        self.check()?;
        self.append_ready(self.window.drain())?;
        let guard = self.lock()?;
        self.use_desk(guard, work).map(drop)
    }

    pub(crate) fn close(&self) -> Result<Summary> {
        self.check_lock()?;
        let drain = self.window.drain();
        drain.close();
        let _shuts = Shutting { intake: &self.intake };
        self.append_ready(drain)?;
        let guard = self.lock()?;
        if guard.output.is_none() {
            guard.close();
            return Err(Error::NoSchema);
        }
        let (guard, summary) = self.use_desk(guard, |Desk { sink, output }| {
            let Output { ledger, basis } = output.as_mut().expect("a schema stays known");
            // The one thing that is encoded under the lock: it comes behind all batches, and whoever waits is too late anyway.
            if let Some(updates) = self.with_encoder(|encoder| basis.encode_closing_dictionaries(encoder, ledger))? {
                ledger.append_dictionaries(sink, updates)?;
            }
            ledger.end(sink)?;
            self.counters.publish(&ledger.stats());
            Ok(Summary { stats: ledger.stats(), schema: Arc::clone(ledger.schema().schema()) })
        })?;
        guard.close();
        Ok(summary)
    }

    /// Refuses early what would be refused later, and what would wait for itself.
    pub(crate) fn check(&self) -> Result<()> {
        self.check_lock()?;
        if self.is_shut() { Err(Error::Closed) } else { Ok(()) }
    }

    fn check_lock(&self) -> Result<()> {
        match self.desk.ended().and_then(|refused| self.refusal(refused)) {
            Some(error) => Err(error),
            None if self.desk.is_held_by_current_thread() => Err(Error::Reentrant),
            None => Ok(()),
        }
    }

    /// Encodes `batch`, outside the lock, and decides what it needs: the schema it has to have, the dictionaries it needs
    /// sent.
    pub(crate) fn prepare<'a>(
        &self,
        encoder: &mut BatchEncoder,
        batch: &'a RecordBatch,
        metadata: &Metadata,
    ) -> Result<(Message<Slice<'a>>, Plan)> {
        loop {
            let basis = match &self.view.load().basis {
                Some(basis) => {
                    basis.schema().check(batch.schema_ref())?;
                    Arc::clone(basis)
                }
                None => Arc::new(Basis::new(Arc::new(StreamSchema::try_new(batch.schema(), &self.options)?))),
            };
            if let Some(prepared) = self.prepare_for(&basis, encoder, batch, metadata)? {
                return Ok(prepared);
            }
        }
    }

    /// `None` if another basis has been settled meanwhile.
    fn prepare_for<'a>(
        &self,
        basis: &Arc<Basis>,
        encoder: &mut BatchEncoder,
        batch: &'a RecordBatch,
        metadata: &Metadata,
    ) -> Result<Option<(Message<Slice<'a>>, Plan)>> {
        if !basis.has_unified() {
            // First the plan: where it is refused, encoding would have been in vain.
            let Some(plan) = self.plan(encoder, basis, batch, &[], Sending::Changes)? else { return Ok(None) };
            return Ok(Some((basis.encode(encoder, batch, metadata)?, plan)));
        }
        let message = basis.encode(encoder, batch, metadata)?;
        match self.plan(encoder, basis, batch, message.uses(), Sending::Changes) {
            Ok(Some(plan)) => Ok(Some((message, plan))),
            Ok(None) => {
                encoder.recycle(message);
                Ok(None)
            }
            Err(error) => {
                encoder.recycle_unwritten(message);
                Err(error)
            }
        }
    }

    /// Decides, outside the lock, which dictionaries a batch needs sent that was encoded for `basis`. `None` if another
    /// basis has been settled since.
    fn plan(
        &self,
        encoder: &mut BatchEncoder,
        basis: &Arc<Basis>,
        batch: &RecordBatch,
        uses: &[usize],
        sending: Sending,
    ) -> Result<Option<Plan>> {
        let view = Arc::clone(&*self.view.load());
        if view.basis.as_ref().is_some_and(|settled| !Arc::ptr_eq(settled, basis)) {
            return Ok(None);
        }
        let updates = basis.encode_dictionaries::<F>(encoder, batch, uses, &view.dictionaries, sending)?;
        Ok(Some(Plan { view, basis: Arc::clone(basis), updates }))
    }

    /// Appends what has been prepared, and prepares it anew where that was done for a schema which another thread's has
    /// forestalled.
    pub(crate) fn append_prepared<'a>(
        &self,
        encoder: &mut BatchEncoder,
        batch: &'a RecordBatch,
        metadata: &Metadata,
        mut message: Message<Slice<'a>>,
        mut plan: Plan,
    ) -> Result<Receipt> {
        loop {
            let appended = self.append(encoder, batch, &message, plan);
            match appended {
                Err(_) => encoder.recycle_unwritten(message),
                Ok(_) => encoder.recycle(message),
            }
            if let Some(receipt) = appended? {
                return Ok(receipt);
            }
            (message, plan) = self.prepare(encoder, batch, metadata)?;
        }
    }

    /// Appends an encoded batch, planning anew, outside the lock, where others have overtaken the plan. `None` if another
    /// basis has been settled than it was encoded for.
    fn append<B: AsRef<[u8]>>(
        &self,
        encoder: &mut BatchEncoder,
        batch: &RecordBatch,
        message: &Message<B>,
        mut plan: Plan,
    ) -> Result<Option<Receipt>> {
        let basis = Arc::clone(&plan.basis);
        // After the second time, everything is sent. In a stream that holds whatever others do, so nobody is overtaken for
        // ever; in a file, whose dictionaries only grow, a writer is overtaken only by another's progress.
        let mut next = Sending::Changes;
        loop {
            if let Some(receipt) = self.try_append(plan, message)? {
                return Ok(Some(receipt));
            }
            note_replan();
            match self.plan(encoder, &basis, batch, message.uses(), next)? {
                Some(replanned) => plan = replanned,
                None => return Ok(None),
            }
            next = Sending::Everything;
        }
    }

    /// Makes sure that what has been prepared, and will be appended later, cannot be refused then: settles the schema, and
    /// in a file, which allows no replacement, sends its dictionaries ahead.
    pub(crate) fn secure<'a>(
        &self,
        encoder: &mut BatchEncoder,
        batch: &'a RecordBatch,
        metadata: &Metadata,
        mut message: Message<Slice<'a>>,
        mut plan: Plan,
    ) -> Result<(Message<Slice<'a>>, Plan)> {
        loop {
            let never_refused = !F::HAS_FOOTER || plan.updates.is_empty() || plan.basis.accepts_any_dictionary();
            if plan.view.basis.is_some() && never_refused {
                return Ok((message, plan));
            }
            let basis = Arc::clone(&plan.basis);
            let sent = self.under_plan(plan, |sink, ledger, updates| match F::HAS_FOOTER {
                true => ledger.append_dictionaries(sink, updates),
                false => Ok(()),
            });
            match sent.and_then(|_| self.plan(encoder, &basis, batch, message.uses(), Sending::Changes)) {
                Ok(Some(replanned)) => plan = replanned,
                Ok(None) => {
                    encoder.recycle(message);
                    (message, plan) = self.prepare(encoder, batch, metadata)?;
                }
                Err(error) => {
                    encoder.recycle_unwritten(message);
                    return Err(error);
                }
            }
        }
    }

    /// Appends what is ready at the front of the window. What fails stays there, to be tried again.
    pub(crate) fn append_ready(&self, drain: Drain<'_>) -> Result<()> {
        let mut drain = Some(drain);
        while let Some(mut front) = drain.take().and_then(Drain::next) {
            let deposit = front.content();
            self.with_encoder(|encoder| {
                let Deposit { batch, message, basis, plan } = deposit;
                let plan = match plan.take() {
                    Some(plan) => Some(plan),
                    None => self.plan(encoder, basis, batch, message.uses(), Sending::Changes)?,
                };
                let appended = plan.map(|plan| self.append(encoder, batch, message, plan)).transpose()?.flatten();
                appended.expect("what waits in a slot has settled the schema");
                Ok::<_, Error>(())
            })?;
            drain = Some(front.pass());
        }
        Ok(())
    }

    /// Appends, or returns `None` where the plan has gone stale.
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
        match &guard.output {
            Some(Output { ledger, basis }) => {
                if !Arc::ptr_eq(basis, &plan.basis)
                    || !plan.updates.hold_for::<F>(&plan.view.dictionaries, ledger.dictionaries())
                {
                    return Ok(None);
                }
            }
            None => {
                let basis = plan.basis;
                let ledger = open::<F>(Arc::clone(basis.schema()), &self.options, &self.footer_metadata)?;
                guard.output = Some(Output { ledger, basis });
                opened = true;
            }
        }
        let worked = self.use_desk(guard, |Desk { sink, output }| {
            let open = output.as_mut().expect("it was there, or has just been put there");
            let before = open.ledger.dictionaries().version();
            let worked = work(sink, &mut open.ledger, plan.updates);
            // A schema counts only once something was written with it.
            if opened && worked.is_err() && open.ledger.confirmed_bytes() == 0 && open.ledger.check().is_ok() {
                *output = None;
                return worked;
            }
            if opened || open.ledger.dictionaries().version() != before {
                self.view.store(View::of(open));
            }
            self.counters.publish(&open.ledger.stats());
            worked
        });
        let (_, result) = worked?;
        Ok(Some(result))
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
            Err(error) => Err(error.into()),
        }
    }

    /// What callers are told of an error of the ledger. One that poisons the writer aborts the window; the lock is still
    /// to be poisoned. The first such error is what everybody hears.
    fn told(&self, error: ipc_core::Error) -> Error {
        match error {
            ipc_core::Error::Poisoned { offset, lost, source } => {
                self.window.abort(Fault { offset, lost, source }).into()
            }
            error => error.into(),
        }
    }

    /// What callers are told of a refusal by the lock: nothing, where a rollback has overtaken it, and they are to ask
    /// again.
    fn refusal(&self, refused: Refused) -> Option<Error> {
        match refused {
            Refused::Closed => Some(Error::Closed),
            Refused::Reentrant => Some(Error::Reentrant),
            // Aborted before the lock is poisoned, and reopened only after it has been revived.
            Refused::Poisoned => self.window.aborted().map(Error::from),
        }
    }
}

impl From<Aborted<Fault>> for Error {
    fn from(Aborted { why: Fault { offset, lost, source }, waiting }: Aborted<Fault>) -> Self {
        Self::Poisoned { offset, lost: lost + waiting, source }
    }
}

impl From<window::Refused<Fault>> for Error {
    fn from(refused: window::Refused<Fault>) -> Self {
        match refused {
            window::Refused::Closed => Self::Closed,
            window::Refused::Aborted(aborted) => aborted.into(),
        }
    }
}

/// Shuts the intake when a `close` is over, however it went: a panic of the sink included.
struct Shutting<'s> {
    intake: &'s AtomicU8,
}

impl Drop for Shutting<'_> {
    fn drop(&mut self) {
        self.intake.store(SHUT, Relaxed);
    }
}

/// Batches are taken.
const TAKING: u8 = 0;
/// None will be.
const SHUT: u8 = 1;

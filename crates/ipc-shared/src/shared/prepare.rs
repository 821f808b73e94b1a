//! The two steps of a write: a batch is prepared outside the lock, and appended inside it.
//!
//! That division is the point of the crate. [`Shared::prepare`] works outside the lock, against the published [`View`]:
//! it encodes the batch, and makes a [`Plan`] of the dictionaries that it needs. [`Shared::under_plan`] takes the lock,
//! checks by pointers alone that the plan still holds, appends, and publishes. A stale plan is made again, outside the
//! lock.
//!
//! [`View`]: super::output::View

use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use ipc_core::parts::{Group, Ledger, Message, Sending, Slice, StreamSchema};
use ipc_core::{Format, Metadata, Receipt};

use super::Shared;
use super::context::EncodingContext;
use super::locked::Locked;
use super::output::{Output, View};
use super::pending::PendingBatch;
use super::plan::Plan;
use super::thread_encoder::ThreadEncoder;
use crate::error::Result;
use crate::sync::{note_plan, note_replan};

/// A batch that has been encoded outside the lock, and the plan to append it by.
pub(super) struct Prepared<'a> {
    batch: &'a RecordBatch,
    metadata: &'a Metadata,
    group: Group<Slice<'a>>,
    plan: Plan,
}

impl Prepared<'_> {
    /// Shares what has to outlive the call, so that the batch can wait in its slot.
    pub(super) fn into_pending(self) -> PendingBatch {
        let Self { batch, group, plan, .. } = self;
        let (group, context) = (group.into_owned(), Arc::clone(plan.context()));
        PendingBatch { batch: batch.clone(), group, context, plan: Some(plan) }
    }
}

/// For `ThreadEncoder::recycle` of a batch that is not written.
impl<'a> From<Prepared<'a>> for Message<Slice<'a>> {
    fn from(prepared: Prepared<'a>) -> Self {
        prepared.group.into()
    }
}

/// What came of a plan under the lock.
enum Planned<R> {
    Done(R),
    /// Nothing was done: other threads have changed what the plan was based on.
    Stale(Box<Plan>),
}

impl<W: Write + Send, F: Format> Shared<W, F> {
    /// Encodes `batch`, outside the lock, and plans what it needs: the schema, and the dictionaries sent before it.
    pub(super) fn prepare<'a>(
        &self,
        encoder: &mut ThreadEncoder,
        batch: &'a RecordBatch,
        metadata: &'a Metadata,
    ) -> Result<Prepared<'a>> {
        loop {
            let view = Arc::clone(encoder.view(&self.view));
            let own;
            let context = match &view.context {
                Some(context) => {
                    context.schema().check(batch.schema_ref())?;
                    context
                }
                // Perhaps the first batch: it brings the schema, if no other thread is faster.
                None => {
                    let schema = StreamSchema::try_new(batch.schema(), &self.options)?;
                    own = Arc::new(EncodingContext::new(Arc::new(schema)));
                    &own
                }
            };
            if let Some(prepared) = self.prepare_in(context, encoder, batch, metadata)? {
                return Ok(prepared);
            }
        }
    }

    /// Returns `None` if another context has been settled meanwhile.
    fn prepare_in<'a>(
        &self,
        context: &Arc<EncodingContext>,
        encoder: &mut ThreadEncoder,
        batch: &'a RecordBatch,
        metadata: &'a Metadata,
    ) -> Result<Option<Prepared<'a>>> {
        if context.unified().is_none() {
            // The dictionaries are decided first: if one is refused, encoding the batch would have been in vain.
            let Some(view) = self.view_of(encoder, context) else { return Ok(None) };
            let (batch_encoder, mut unified) = encoder.within(context);
            let group = batch_encoder.encode_group::<F>(batch, metadata, &mut unified, &view.sent, Sending::Changes)?;
            return match self.plan_on(view, context) {
                Ok(plan) => Ok(Some(Prepared { batch, metadata, group, plan })),
                Err(error) => {
                    encoder.recycle(group);
                    Err(error)
                }
            };
        }
        // Encoding tells which values the batch needs. Only then is the view looked at, which is newer by as much.
        let (batch_encoder, mut unified) = encoder.within(context);
        let mut group = batch_encoder.encode_with_store(batch, metadata, &mut unified)?;
        match self.plan(encoder, context, batch, &mut group, Sending::Changes) {
            Ok(Some(plan)) => Ok(Some(Prepared { batch, metadata, group, plan })),
            Ok(None) => {
                encoder.recycle(group);
                Ok(None)
            }
            Err(error) => {
                encoder.recycle(group);
                Err(error)
            }
        }
    }

    /// Decides, outside the lock, which dictionary batches a group needs that was encoded in `context`, and encodes
    /// them. Returns `None` if another context has been settled since.
    pub(super) fn plan<B>(
        &self,
        encoder: &mut ThreadEncoder,
        context: &Arc<EncodingContext>,
        batch: &RecordBatch,
        group: &mut Group<B>,
        sending: Sending,
    ) -> Result<Option<Plan>> {
        let Some(view) = self.view_of(encoder, context) else { return Ok(None) };
        let (batch_encoder, mut unified) = encoder.within(context);
        batch_encoder.reencode_dictionaries::<F, B>(group, batch, &mut unified, &view.sent, sending)?;
        self.plan_on(view, context).map(Some)
    }

    /// The view, unless another context has been settled.
    fn view_of(&self, encoder: &mut ThreadEncoder, context: &Arc<EncodingContext>) -> Option<Arc<View>> {
        let view = encoder.view(&self.view);
        let is_other = view.context.as_ref().is_some_and(|settled| !Arc::ptr_eq(settled, context));
        (!is_other).then(|| Arc::clone(view))
    }

    /// A plan that was made on this view.
    fn plan_on(&self, view: Arc<View>, context: &Arc<EncodingContext>) -> Result<Plan> {
        let opening = match view.context {
            Some(_) => None,
            None => Some(Output::open::<F>(Arc::clone(context), &self.options, &self.footer_metadata)?),
        };
        note_plan();
        Ok(Plan { view, opening })
    }

    /// Appends a prepared batch. Prepares it again if another thread's schema was settled first.
    pub(super) fn append_prepared(&self, encoder: &mut ThreadEncoder, mut prepared: Prepared<'_>) -> Result<Receipt> {
        loop {
            let Prepared { batch, metadata, mut group, plan } = prepared;
            let appended = self.append(encoder, batch, &mut group, plan, || ());
            encoder.recycle(group);
            if let Some(receipt) = appended? {
                return Ok(receipt);
            }
            prepared = self.prepare(encoder, batch, metadata)?;
        }
    }

    /// Appends a group, and calls `appended` before it gives the lock back. Plans again, outside the lock, as often as
    /// the plan has gone stale. Returns `None` if another context has been settled than the group was encoded in.
    pub(super) fn append<B: AsRef<[u8]>>(
        &self,
        encoder: &mut ThreadEncoder,
        batch: &RecordBatch,
        group: &mut Group<B>,
        mut plan: Plan,
        appended: impl Fn(),
    ) -> Result<Option<Receipt>> {
        // After the second failure all dictionaries are sent. In a stream, such a plan holds whatever other threads do,
        // so no thread is overtaken without end. In a file, whose dictionaries only grow, each stale plan means
        // progress.
        let mut next = Sending::Changes;
        loop {
            let append = |sink: &mut W, ledger: &mut Ledger, group: &mut Group<B>| {
                ledger.append(sink, group).inspect(|_| appended())
            };
            let stale = match self.under_plan(plan, group, append)? {
                Planned::Done(receipt) => return Ok(Some(receipt)),
                Planned::Stale(plan) => plan,
            };
            note_replan();
            match self.plan(encoder, stale.context(), batch, group, next)? {
                Some(replanned) => plan = replanned,
                None => return Ok(None),
            }
            next = Sending::Everything;
        }
    }

    /// Makes sure that a batch which will be appended later cannot be refused then: settles the schema, and in a file,
    /// which allows no replacement, sends its dictionaries ahead.
    pub(super) fn secure<'a>(&self, encoder: &mut ThreadEncoder, mut prepared: Prepared<'a>) -> Result<Prepared<'a>> {
        loop {
            let Prepared { batch, metadata, mut group, plan } = prepared;
            let never_refused =
                !F::HAS_FOOTER || group.dictionaries().is_empty() || plan.context().accepts_any_dictionary();
            if plan.view.context.is_some() && never_refused {
                return Ok(Prepared { batch, metadata, group, plan });
            }
            let context = Arc::clone(plan.context());
            let sent = self.under_plan(plan, &mut group, |sink, ledger, group| match F::HAS_FOOTER {
                true => ledger.append_ahead(sink, group),
                false => Ok(()),
            });
            // Done or stale, the view has changed: plan again, and look again.
            let planned = sent.and_then(|_| self.plan(encoder, &context, batch, &mut group, Sending::Changes));
            prepared = match planned {
                Ok(Some(plan)) => Prepared { batch, metadata, group, plan },
                Ok(None) => {
                    encoder.recycle(group);
                    self.prepare(encoder, batch, metadata)?
                }
                Err(error) => {
                    encoder.recycle(group);
                    return Err(error);
                }
            }
        }
    }

    /// Takes the lock, does `work` if the plan still holds, and publishes what that changed.
    fn under_plan<B, R>(
        &self,
        plan: Plan,
        group: &mut Group<B>,
        work: impl FnOnce(&mut W, &mut Ledger, &mut Group<B>) -> ipc_core::Result<R>,
    ) -> Result<Planned<R>> {
        let mut guard = self.lock()?;
        let mut opened = false;
        match &guard.output {
            Some(Output { ledger, context }) => {
                // Another thread has settled another schema, or has sent dictionaries that this plan did not know of.
                if !Arc::ptr_eq(context, plan.context()) || !ledger.accepts(group, &plan.view.sent) {
                    guard.unlock();
                    return Ok(Planned::Stale(Box::new(plan)));
                }
            }
            None => {
                let mut opening = plan.opening.expect("an output that a view knew of stays open");
                // The plan's output has only the builder's metadata.
                if let Err(error) = opening.insert_metadata(&guard.early_metadata) {
                    guard.unlock();
                    return Err(error.into());
                }
                guard.output = Some(opening);
                opened = true;
            }
        }
        let worked = self.with_locked(guard, |Locked { sink, output, .. }| {
            let open = output.as_mut().expect("it was there, or has just been put there");
            let before = open.ledger.sent().version();
            let worked = work(sink, &mut open.ledger, group);
            // The schema is settled only once something was written with it: another batch may bring another one.
            if opened && worked.is_err() && open.ledger.confirmed_bytes() == 0 && open.ledger.check().is_ok() {
                *output = None;
                return worked;
            }
            if opened || open.ledger.sent().version() != before {
                self.view.store(View::of(open));
            }
            if opened {
                self.context.settle(Arc::clone(&open.context));
            }
            self.counters.publish(&open.ledger.stats());
            worked
        });
        let (guard, result) = worked?;
        guard.unlock();
        Ok(Planned::Done(result))
    }
}

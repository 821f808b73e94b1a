//! What a batch goes through: what is done outside the lock, and what inside.
//!
//! That division is the whole point of the crate. [`Shared::prepare`] works outside, against the published [`View`]: it
//! encodes the batch, and makes a [`Plan`] of what has to go before it. [`Shared::under_plan`] takes the lock, checks by
//! pointers alone that nothing that matters has changed since, appends, and publishes. A plan that has gone stale is made
//! anew, outside: nothing is guessed.

use std::io::Write;
use std::sync::Arc;

use arrow_array::RecordBatch;
use ipc_core::{Format, Ledger, Message, Metadata, Options, Receipt, Sending, Slice, StreamSchema, Updates};

use super::locked::{Desk, Output};
use super::{Shared, View};
use crate::error::Result;
use crate::shared::context::Basis;
use crate::shared::thread_encoder::ThreadEncoder;
use crate::sync::{note_plan, note_replan};

/// What was decided for a batch outside the lock, and what it was decided on.
pub(crate) struct Plan {
    view: Arc<View>,
    updates: Updates,
    /// What opens the output, where the view knew of none.
    opening: Option<Output>,
}

impl Plan {
    /// What the batch was encoded for.
    pub(crate) fn basis(&self) -> &Arc<Basis> {
        let opening = self.opening.as_ref().map(|output| &output.basis);
        self.view.basis.as_ref().or(opening).expect("a plan has an opening where its view has no basis")
    }
}

/// What came of a plan.
enum Planned<R> {
    Done(R),
    /// Nothing: others have changed what it was made on.
    Stale(Box<Plan>),
}

/// Opens the ledger of an output.
pub(crate) fn open<F: Format>(
    schema: Arc<StreamSchema>,
    options: &Options,
    footer_metadata: &Metadata,
) -> ipc_core::Result<Ledger> {
    let mut ledger = Ledger::new::<F>(schema, options)?;
    footer_metadata.iter().try_for_each(|(key, value)| ledger.insert_footer_metadata(key, value))?;
    Ok(ledger)
}

impl<W: Write + Send, F: Format> Shared<W, F> {
    /// Encodes `batch`, outside the lock, and decides what it needs: the schema it has to have, the dictionaries it needs
    /// sent.
    pub(crate) fn prepare<'a>(
        &self,
        encoder: &mut ThreadEncoder,
        batch: &'a RecordBatch,
        metadata: &Metadata,
    ) -> Result<(Message<Slice<'a>>, Plan)> {
        loop {
            let view = Arc::clone(encoder.view(&self.view));
            let own;
            let basis = match &view.basis {
                Some(basis) => {
                    basis.schema().check(batch.schema_ref())?;
                    basis
                }
                None => {
                    own = Arc::new(Basis::new(Arc::new(StreamSchema::try_new(batch.schema(), &self.options)?)));
                    &own
                }
            };
            if let Some(prepared) = self.prepare_for(basis, encoder, batch, metadata)? {
                return Ok(prepared);
            }
        }
    }

    /// `None` if another basis has been settled meanwhile.
    fn prepare_for<'a>(
        &self,
        basis: &Arc<Basis>,
        encoder: &mut ThreadEncoder,
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
    pub(super) fn plan(
        &self,
        encoder: &mut ThreadEncoder,
        basis: &Arc<Basis>,
        batch: &RecordBatch,
        uses: &[usize],
        sending: Sending,
    ) -> Result<Option<Plan>> {
        let view = Arc::clone(encoder.view(&self.view));
        if view.basis.as_ref().is_some_and(|settled| !Arc::ptr_eq(settled, basis)) {
            return Ok(None);
        }
        let updates = basis.encode_dictionaries::<F>(encoder, batch, uses, &view.dictionaries, sending)?;
        let opening = match view.basis {
            Some(_) => None,
            None => {
                let ledger = open::<F>(Arc::clone(basis.schema()), &self.options, &self.footer_metadata)?;
                Some(Output { ledger, basis: Arc::clone(basis) })
            }
        };
        note_plan();
        Ok(Some(Plan { view, updates, opening }))
    }

    /// Appends what has been prepared, and prepares it anew where that was done for a schema which another thread's has
    /// forestalled.
    pub(crate) fn append_prepared<'a>(
        &self,
        encoder: &mut ThreadEncoder,
        batch: &'a RecordBatch,
        metadata: &Metadata,
        mut message: Message<Slice<'a>>,
        mut plan: Plan,
    ) -> Result<Receipt> {
        loop {
            let appended = self.append(encoder, batch, &mut message, plan, || ());
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

    /// Appends an encoded batch, planning anew, outside the lock, where others have overtaken the plan; calls `appended`
    /// before it gives the lock back. `None` if another basis has been settled than it was encoded for.
    pub(super) fn append<B: AsRef<[u8]>>(
        &self,
        encoder: &mut ThreadEncoder,
        batch: &RecordBatch,
        message: &mut Message<B>,
        mut plan: Plan,
        appended: impl Fn(),
    ) -> Result<Option<Receipt>> {
        // After the second time, everything is sent. In a stream that holds whatever others do, so nobody is overtaken for
        // ever; in a file, whose dictionaries only grow, a writer is overtaken only by another's progress.
        let mut next = Sending::Changes;
        loop {
            let stale = match self.try_append(plan, message, &appended)? {
                Planned::Done(receipt) => return Ok(Some(receipt)),
                Planned::Stale(plan) => plan,
            };
            note_replan();
            match self.plan(encoder, stale.basis(), batch, message.uses(), next)? {
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
        encoder: &mut ThreadEncoder,
        batch: &'a RecordBatch,
        metadata: &Metadata,
        mut message: Message<Slice<'a>>,
        mut plan: Plan,
    ) -> Result<(Message<Slice<'a>>, Plan)> {
        loop {
            let never_refused = !F::HAS_FOOTER || plan.updates.is_empty() || plan.basis().accepts_any_dictionary();
            if plan.view.basis.is_some() && never_refused {
                return Ok((message, plan));
            }
            let basis = Arc::clone(plan.basis());
            let sent = self.under_plan(plan, |sink, ledger, mut updates| match F::HAS_FOOTER {
                true => ledger.append_dictionaries(sink, &mut updates),
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

    /// Appends, unless the plan has gone stale.
    fn try_append<B: AsRef<[u8]>>(
        &self,
        plan: Plan,
        message: &mut Message<B>,
        appended: impl Fn(),
    ) -> Result<Planned<Receipt>> {
        self.under_plan(plan, |sink, ledger, mut updates| {
            ledger.append_parts(sink, &mut updates, message).inspect(|_| appended())
        })
    }

    /// Takes the lock and does `work`, if the plan is still right; publishes what that changed.
    fn under_plan<R>(
        &self,
        plan: Plan,
        work: impl FnOnce(&mut W, &mut Ledger, Updates) -> ipc_core::Result<R>,
    ) -> Result<Planned<R>> {
        let mut guard = self.lock()?;
        let mut opened = false;
        match &guard.output {
            Some(Output { ledger, basis }) => {
                if !Arc::ptr_eq(basis, plan.basis())
                    || !plan.updates.hold_for::<F>(&plan.view.dictionaries, ledger.dictionaries())
                {
                    guard.unlock();
                    return Ok(Planned::Stale(Box::new(plan)));
                }
            }
            None => {
                guard.output = Some(plan.opening.expect("an output that a view knew of stays open"));
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
            if opened {
                self.basis.settle(Arc::clone(&open.basis));
            }
            self.counters.publish(&open.ledger.stats());
            worked
        });
        let (guard, result) = worked?;
        guard.unlock();
        Ok(Planned::Done(result))
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use arrow_array::types::Int32Type;
    use arrow_array::{ArrayRef, DictionaryArray};
    use ipc_core::{DictionaryHandling, Unify};

    use super::*;
    use crate::sync::SETTLED;
    use crate::writer::SharedWriter;

    fn batch(word: usize) -> RecordBatch {
        let column: DictionaryArray<Int32Type> = [word.to_string().as_str()].into_iter().collect();
        RecordBatch::try_from_iter([("word", Arc::new(column) as ArrayRef)]).expect("one column")
    }

    #[test]
    fn dictionaries_are_published_at_a_cost_that_no_other_thread_adds_to() {
        for dictionaries in [DictionaryHandling::Resend, Unify::new().into()] {
            SETTLED.set(0);
            let options = Options::builder().dictionaries(dictionaries).build().unwrap();
            let writer = SharedWriter::stream(Vec::new()).options(options).build().unwrap();
            let mut producer = writer.producer();
            for word in 0..50 {
                producer.write(&batch(2 * word)).unwrap();
                writer.write(&batch(2 * word + 1)).unwrap();
            }
            assert_eq!(SETTLED.get(), 1, "{dictionaries:?}: the schema, and nothing of the dictionaries");
            assert_eq!(writer.close().unwrap().stats.dictionary_batches, 100);
        }
    }
}

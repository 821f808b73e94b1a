//! Reserved places: granting them, filling them in any order, and appending their batches in order.

use std::io::Write;

use arrow_array::RecordBatch;
use ipc_core::parts::Sending;
use ipc_core::{Format, Metadata};

use super::Shared;
use super::locked::{Fault, Locked};
use super::output::Output;
use super::pending::PendingBatch;
use super::reorder::{self, Arrival, GivenUp, Reserved};
use super::thread_encoder::ThreadEncoder;
use crate::error::{Error, Result};
use crate::sync::{catch_panic, panicking};

/// The right to append the batches that wait.
type Drain<'r> = reorder::Drain<'r, PendingBatch, Fault>;

impl<W: Write + Send, F: Format> Shared<W, F> {
    pub(crate) fn reserve(&self) -> Result<u64> {
        self.check()?;
        let mut reservation = self.buffer.reserve();
        loop {
            match reservation.wait()? {
                Reserved::Place(place) => return Ok(place),
                Reserved::DrainFirst(drain) => {
                    if let Err(error) = self.append_ready(drain) {
                        // The batch that failed may come after one that made room. Then other calls report its error.
                        return reservation.granted().ok_or(error);
                    }
                }
            }
        }
    }

    pub(crate) fn try_reserve(&self) -> Result<Option<u64>> {
        self.check()?;
        loop {
            match self.buffer.try_reserve()? {
                None => return Ok(None),
                Some(Reserved::Place(place)) => return Ok(Some(place)),
                Some(Reserved::DrainFirst(drain)) => self.append_ready(drain)?,
            }
        }
    }

    /// Fills a reserved place with an encoder of the pool. Takes `place` once the batch is accepted, so that a panic
    /// after that does not give it up; after an error it stays.
    pub(crate) fn fill_slot(&self, place: &mut Option<u64>, batch: &RecordBatch, metadata: &Metadata) -> Result<()> {
        self.check()?;
        self.with_encoder(|encoder| self.fill(encoder, place, batch, metadata))
    }

    fn fill(
        &self,
        encoder: &mut ThreadEncoder,
        slot: &mut Option<u64>,
        batch: &RecordBatch,
        metadata: &Metadata,
    ) -> Result<()> {
        let place = slot.expect("a slot is written once, which consumes it");
        let prepared = self.prepare(encoder, batch, metadata)?;
        let arrival = match self.buffer.claim(place) {
            Ok(arrival) => arrival,
            Err(rejected) => {
                encoder.recycle(prepared);
                return Err(rejected.into());
            }
        };
        match arrival {
            Arrival::Front(drain) => {
                // If this fails, the place stays unfilled, and the next drainer stops in front of it.
                self.append_prepared(encoder, prepared)?;
                *slot = None;
                drain.remove_front();
                self.drain_on(Some(drain));
            }
            Arrival::Behind => {
                let pending = self.secure(encoder, prepared)?.into_pending();
                let drain = self.buffer.park(place, pending)?;
                *slot = None;
                self.drain_on(drain);
            }
        }
        Ok(())
    }

    /// Gives up the place of a slot.
    pub(crate) fn give_up_slot(&self, place: &mut Option<u64>) {
        self.give_up(place, GivenUp::OnPurpose);
    }

    /// Gives up the place of a slot that is dropped, if it still has one.
    pub(crate) fn drop_slot(&self, place: &mut Option<u64>) {
        let how = if panicking() { GivenUp::Unwinding } else { GivenUp::OnPurpose };
        self.give_up(place, how);
    }

    fn give_up(&self, place: &mut Option<u64>, how: GivenUp) {
        if let Some(place) = place.take() {
            self.drain_on(self.buffer.give_up(place, how));
        }
    }

    pub(crate) fn flush(&self) -> Result<()> {
        self.drain_then(|Locked { sink, output, .. }| match output {
            Some(Output { ledger, .. }) => ledger.flush(sink),
            None => Ok(sink.flush()?),
        })
    }

    /// Appends what is ready, as far as the order allows, and then does `work` with the locked state. This thread stays
    /// the drainer until `work` is done, so no batch of a later slot gets in between.
    pub(super) fn drain_then<T>(&self, work: impl FnOnce(&mut Locked<W>) -> ipc_core::Result<T>) -> Result<T> {
        self.check()?;
        let mut drain = self.buffer.drain_reserved();
        self.append_taken(&mut drain)?;
        let worked = self.lock().and_then(|guard| self.with_locked(guard, work)).map(|(guard, done)| {
            guard.unlock();
            done
        });
        self.drain_on(Some(drain.go_on()));
        worked
    }

    /// Appends what is ready, if this thread has become the drainer. A batch that fails waits at the front for the next
    /// attempt; `flush` and `close` report it.
    ///
    /// Catches a panic of the sink: the caller's own batch has been accepted, or there is none, so its call must not
    /// look failed. The writer is poisoned by then.
    fn drain_on(&self, drain: Option<Drain<'_>>) {
        if let Some(drain) = drain {
            catch_panic(|| _ = self.append_ready(drain));
        }
    }

    /// Appends what is ready at the front of the buffer. A batch that fails stays there, for the next attempt.
    pub(super) fn append_ready(&self, mut drain: Drain<'_>) -> Result<()> {
        self.append_taken(&mut drain)
    }

    fn append_taken(&self, drain: &mut Drain<'_>) -> Result<()> {
        while let Some(mut front) = drain.next() {
            let (pending, drain) = front.parts();
            self.with_encoder(|encoder| {
                let PendingBatch { batch, group, context, plan } = pending;
                let plan = match plan.take() {
                    Some(plan) => Some(plan),
                    // An earlier attempt has used the plan, and failed.
                    None => self.plan(encoder, context, batch, group, Sending::Changes)?,
                };
                let append = |plan| self.append(encoder, batch, group, plan, || drain.mark_front_appended());
                let appended = plan.map(append).transpose()?.flatten();
                appended.expect("a batch that waits in a slot has settled the schema");
                Ok::<_, Error>(())
            })?;
            front.remove();
        }
        Ok(())
    }
}

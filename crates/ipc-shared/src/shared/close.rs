//! The ends of an output: `close`, which completes it, and `abort`, which gives it up. Also the key-value pairs of the
//! footer, which can be set until the close.

use std::io::Write;
use std::sync::Arc;

use ipc_core::Format;
use ipc_core::parts::DictionaryBatches;

use super::locked::{Fault, Locked, LockedGuard};
use super::output::Output;
use super::reorder::Gaps;
use super::stats::Summary;
use super::{SHUT, Shared};
use crate::error::{Error, Result};
use crate::sync::Relaxed;

/// What a close does about places whose owners have panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LostPlaces {
    /// It fails.
    Refuse,
    /// The output does without their batches.
    Accept,
}

impl<W: Write + Send, F: Format> Shared<W, F> {
    /// Puts a key-value pair into the footer. Before the schema is known, it waits for the output to be opened.
    pub(crate) fn write_metadata(&self, key: String, value: String) -> Result<()> {
        self.check()?;
        let guard = self.lock()?;
        let (guard, ()) = self.with_locked(guard, |Locked { output, early_metadata, .. }| match output {
            Some(Output { ledger, .. }) => ledger.insert_footer_metadata(key, value),
            None => {
                early_metadata.insert(key, value);
                Ok(())
            }
        })?;
        guard.unlock();
        Ok(())
    }

    /// Drains accepted batches, cancels unfilled slots, refuses new calls, writes the end and closes the lock.
    pub(crate) fn close(&self, gaps: LostPlaces) -> Result<Summary> {
        self.check_lock()?;
        let drain = self.buffer.close();
        self.intake.store(SHUT, Relaxed);
        self.append_ready(drain)?;
        let Gaps { all: given_up, lost } = self.buffer.gaps();
        if lost > 0 && gaps == LostPlaces::Refuse {
            // A panic in the sink loses the place that was being written, and its error says more.
            return Err(self.buffer.aborted().map_or(Error::Gaps { places: lost }, Error::from));
        }
        let (guard, closing) = self.lock_for_the_end()?;
        if guard.output.is_none() {
            guard.close();
            self.encoders.shut();
            return Err(Error::NoSchema);
        }
        let (guard, summary) = self.with_locked(guard, |Locked { sink, output, .. }| {
            let Output { ledger, .. } = output.as_mut().expect("a schema stays known");
            match closing {
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

    /// Takes the lock with the dictionaries encoded that a file has after all batches. They are encoded without the
    /// lock, and again if batches that were on their way have added values meanwhile; no more batches come after those.
    fn lock_for_the_end(&self) -> Result<(LockedGuard<'_, W>, Option<DictionaryBatches>)> {
        let mut encoded: Option<(Vec<usize>, DictionaryBatches)> = None;
        loop {
            let guard = self.lock()?;
            let Some(Output { ledger, context }) =
                guard.output.as_ref().filter(|output| output.context.unified().is_some())
            else {
                return Ok((guard, None));
            };
            if let Some((_, closing)) = encoded.take_if(|(required, _)| required == ledger.required()) {
                return Ok((guard, Some(closing)));
            }
            let (context, sent) = (Arc::clone(context), ledger.sent().clone());
            let required = ledger.required().to_vec();
            guard.unlock();
            let closing = self.with_encoder(|encoder| {
                let (encoder, mut unified) = encoder.within(&context);
                encoder.encode_closing(&mut unified, &required, &sent)
            })?;
            encoded = Some((required, closing));
        }
    }

    /// Gives the output up: writes the abort mark, drops what waits, and refuses every call from now on.
    pub(crate) fn abort(&self, reason: &str) -> Result<()> {
        self.check_lock()?;
        let guard = self.lock()?;
        // The end may have been written, by a close whose flush failed.
        let check = |locked: &mut Locked<W>| locked.output.as_ref().map_or(Ok(()), |output| output.ledger.check());
        let (mut guard, ()) = self.with_locked(guard, check)?;
        // Before the sink is called, which may panic: a thread that finds the lock ended asks the buffer for the
        // reason.
        let waiting = self.buffer.abandon(Fault::Aborted { reason: reason.into() });
        let pool = self.encoders.shut_when_dropped();
        let Locked { sink, output, .. } = &mut *guard;
        let aborted = output.as_mut().map_or(Ok(()), |output| output.ledger.abort(sink, reason));
        guard.close();
        drop(pool);
        // Outside the lock: these are whole batches.
        drop(waiting);
        Ok(aborted?)
    }
}

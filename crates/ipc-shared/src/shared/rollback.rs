//! Repairs and confirms an output, on sinks that can truncate or sync.
//!
//! A writer is poisoned in two steps: the reorder buffer is aborted, with the first error, and then the lock is
//! poisoned. [`Shared::rollback`] goes back: it takes the poisoned lock, which only one thread can, has the ledger cut
//! the output, reopens the buffer, and gives the lock back. If a step fails, or the sink panics, the lock is poisoned
//! again, and the buffer has been aborted all the time, still with the first error.
//!
//! So a thread that the lock refuses as poisoned, and that then finds the buffer open, knows that the writer has been
//! rolled back meanwhile, and tries again.

use std::sync::Arc;

use ipc_core::{Durable, Format, Truncate};

use super::Shared;
use super::locked::{Locked, LockedGuard};
use super::output::{Output, View};
use crate::error::Result;
use crate::lock::Refused;

impl<W: Truncate + Send, F: Format> Shared<W, F> {
    pub(crate) fn rollback(&self) -> Result<()> {
        loop {
            match self.lock.lock() {
                Ok(guard) => {
                    let guard = LockedGuard::new(guard, &self.buffer);
                    // It was whole, or another thread has rolled it back. Only the ledger knows.
                    if !guard.is_torn() {
                        guard.unlock();
                        return Ok(());
                    }
                    return self.cut_back(guard);
                }
                // The case this is for: revive the lock below.
                Err(Refused::Poisoned) => {}
                Err(refused) => self.error_of(refused).map_or(Ok(()), Err)?,
            }
            // `None` if another thread was faster: wait for its lock, and see what it has done.
            if let Some(guard) = self.lock.revive() {
                return self.cut_back(LockedGuard::new(guard, &self.buffer));
            }
        }
    }

    fn cut_back(&self, mut guard: LockedGuard<'_, W>) -> Result<()> {
        let Locked { sink, output, .. } = &mut *guard;
        if let Some(output) = output {
            match output.ledger.rollback(sink) {
                // `Closed`: the end has been written, and only the flush after it failed. `close` may be repeated.
                Ok(()) | Err(ipc_core::Error::Closed) => {}
                Err(error) => {
                    let error = self.abort_if_poisoned(error);
                    guard.poison();
                    return Err(error);
                }
            }
            // A panic may have come after the ledger's change and before these.
            self.context.settle(Arc::clone(&output.context));
            self.view.store(View::of(output));
            self.counters.publish(&output.ledger.stats());
        }
        self.buffer.reopen();
        guard.unlock();
        Ok(())
    }
}

impl<W: Durable + Send, F: Format> Shared<W, F> {
    pub(crate) fn sync(&self) -> Result<u64> {
        self.drain_then(|Locked { sink, output, .. }| match output {
            Some(Output { ledger, .. }) => ledger.sync(sink),
            // Without a schema, no batch was accepted, so none has to be confirmed.
            None => Ok(0),
        })
    }
}

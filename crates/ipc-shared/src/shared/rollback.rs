//! What a writer does with a sink that can do more than take bytes: go on after a tear, and last.
//!
//! A writer is poisoned in two places, in this order: the window is aborted, with the first error, and the lock is
//! poisoned. [`Shared::rollback`] goes the way back: it takes the poisoned lock, which only one thread can, has the ledger
//! cut the output, reopens the window, and gives the lock back. If anything fails in between, a panic of the sink
//! included, the lock is poisoned again, and the window has never been anything but aborted, still with the first error.
//!
//! So whoever is refused by the lock as poisoned, and then finds the window open, knows that the writer has been rolled
//! back meanwhile, and asks again.

use std::sync::Arc;

use ipc_core::{Durable, Format, Truncate};

use super::locked::{Desk, Held, Output};
use super::{Shared, View};
use crate::error::Result;
use crate::lock::Refused;

impl<W: Truncate + Send, F: Format> Shared<W, F> {
    pub(crate) fn rollback(&self) -> Result<()> {
        loop {
            match self.desk.lock() {
                Ok(guard) => {
                    let guard = Held::new(guard, &self.window);
                    // It was whole, or another thread has rolled it back. Only the ledger knows.
                    if !guard.is_torn() {
                        guard.unlock();
                        return Ok(());
                    }
                    return self.cut_back(guard);
                }
                Err(Refused::Poisoned) => {}
                Err(refused) => self.refusal(refused).map_or(Ok(()), Err)?,
            }
            if let Some(guard) = self.desk.revive() {
                return self.cut_back(Held::new(guard, &self.window));
            }
        }
    }

    fn cut_back(&self, mut guard: Held<'_, W>) -> Result<()> {
        let Desk { sink, output } = &mut *guard;
        if let Some(output) = output {
            match output.ledger.rollback(sink) {
                // The end has been written, and only the flush behind it has not returned: `close` may be repeated.
                Ok(()) | Err(ipc_core::Error::Closed) => {}
                Err(error) => {
                    let error = self.told(error);
                    guard.poison();
                    return Err(error);
                }
            }
            // A panic may have come between the ledger and what is known of it.
            self.basis.settle(Arc::clone(&output.basis));
            self.view.store(View::of(output));
            self.counters.publish(&output.ledger.stats());
        }
        self.window.reopen();
        guard.unlock();
        Ok(())
    }
}

impl<W: Durable + Send, F: Format> Shared<W, F> {
    pub(crate) fn sync(&self) -> Result<u64> {
        self.settle(|Desk { sink, output }| match output {
            Some(Output { ledger, .. }) => ledger.sync(sink),
            // Nothing was accepted, so nothing had to be confirmed.
            None => Ok(0),
        })
    }
}

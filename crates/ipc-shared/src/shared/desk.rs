//! What only the holder of the lock may touch, and what a holder leaves behind that panics.
//!
//! A panic poisons the lock: [`Held`] sees to that. It does not ask whether the thread is unwinding, since that may have
//! begun before it took the lock: whoever is done with the desk gives it back, so one that is dropped was left by a panic.
//! Whoever finds the lock poisoned asks the window why, so the window is told first. What it is told is what the ledger
//! knows at that moment, not before the call. So a sink that takes all bytes, and then panics in its `flush`, leaves them
//! counted.

use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use ipc_core::Ledger;

use crate::basis::Basis;
use crate::lock::Guard;
use crate::slot::Deposit;
use crate::window::Window;

/// What only the holder of the lock may touch.
pub(super) struct Desk<W> {
    pub(super) sink: W,
    /// There once the schema is known.
    pub(super) output: Option<Output>,
}

/// An output whose schema is known: its state, and what its batches are encoded for.
pub(super) struct Output {
    pub(super) ledger: Ledger,
    pub(super) basis: Arc<Basis>,
}

/// Why the writer is poisoned.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(super) offset: u64,
    pub(super) unconfirmed: u64,
    pub(super) source: Arc<io::Error>,
}

impl Fault {
    /// What is left of an output whose writer has panicked.
    fn of_panic(output: Option<&Output>) -> Self {
        let (mut offset, mut unconfirmed) = (0, 0);
        if let Some(Output { ledger, .. }) = output {
            if let Err(ipc_core::Error::Poisoned { offset, unconfirmed, source }) = ledger.check() {
                return Self { offset, unconfirmed, source };
            }
            (offset, unconfirmed) = (ledger.confirmed_bytes(), ledger.staged_batches());
        }
        Self {
            offset,
            unconfirmed,
            source: Arc::new(io::Error::other("the sink, or what prepared its bytes, panicked")),
        }
    }
}

/// The desk, for as long as its lock is held. Dropped instead of given back, as a panic does, it aborts the window, and
/// poisons the lock then.
#[must_use = "dropped, it poisons the lock"]
pub(super) struct Held<'l, W> {
    /// There until it is given back by what consumes this.
    guard: Option<Guard<'l, Desk<W>>>,
    window: &'l Window<Deposit, Fault>,
}

impl<'l, W> Held<'l, W> {
    pub(super) fn new(guard: Guard<'l, Desk<W>>, window: &'l Window<Deposit, Fault>) -> Self {
        Self { guard: Some(guard), window }
    }

    /// Gives the lock back.
    pub(super) fn unlock(mut self) {
        drop(self.guard.take());
    }

    /// Gives the lock back, for nobody to get again.
    pub(super) fn close(mut self) {
        self.guard.take().into_iter().for_each(Guard::close);
    }

    /// Gives the lock back for nobody to get by asking. The window has been aborted.
    pub(super) fn poison(mut self) {
        self.guard.take().into_iter().for_each(Guard::poison);
    }
}

impl<W> Held<'_, W> {
    /// Whether the output ends inside a message.
    pub(super) fn is_torn(&self) -> bool {
        let torn = |output: &Output| matches!(output.ledger.check(), Err(ipc_core::Error::Poisoned { .. }));
        self.output.as_ref().is_some_and(torn)
    }
}

impl<W> Deref for Held<'_, W> {
    type Target = Desk<W>;

    fn deref(&self) -> &Desk<W> {
        self.guard.as_ref().expect(THERE)
    }
}

impl<W> DerefMut for Held<'_, W> {
    fn deref_mut(&mut self) -> &mut Desk<W> {
        self.guard.as_mut().expect(THERE)
    }
}

impl<W> Drop for Held<'_, W> {
    fn drop(&mut self) {
        let Some(guard) = self.guard.take() else { return };
        self.window.abort(Fault::of_panic(guard.output.as_ref()));
        guard.poison();
    }
}

const THERE: &str = "it is there until it is given back, which consumes this";

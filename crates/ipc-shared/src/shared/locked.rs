//! What only the holder of the lock may touch, and what a holder leaves behind that panics.
//!
//! A panic poisons the lock: [`Held`] sees to that. It does not ask whether the thread is unwinding, since that may have
//! begun before it took the lock: whoever is done with the desk gives it back, so one that is dropped was left by a panic.
//! Whoever finds the lock poisoned asks the window why, so the window is told first. What it is told is what the ledger
//! knows at that moment, not before the call. So a sink that takes all bytes, and then panics in its `flush`, leaves them
//! counted.

use std::io::{self, Write};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use ipc_core::Ledger;

use crate::lock::Guard;
use crate::shared::context::Basis;
use crate::shared::reorder::Window;
use crate::slot::Deposit;

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

/// The desk as the lock has it. Dropped with the last handle, it leaves the mark of a stream that was given up.
pub(super) struct Kept<W> {
    /// There until the sink is taken out, which consumes this.
    desk: Option<Desk<W>>,
    /// [`Ledger::give_up`] for this sink, since a type's `Drop` may not ask for more than the type does.
    give_up: fn(&mut Ledger, &mut W),
}

impl<W> Kept<W> {
    pub(super) fn new(desk: Desk<W>) -> Self
    where
        W: Write,
    {
        Self { desk: Some(desk), give_up: Ledger::give_up::<W> }
    }

    pub(super) fn into_sink(mut self) -> W {
        self.desk.take().expect(THERE).sink
    }
}

impl<W> Drop for Kept<W> {
    fn drop(&mut self) {
        if let Some(Desk { sink, output: Some(output) }) = &mut self.desk {
            (self.give_up)(&mut output.ledger, sink);
        }
    }
}

/// Why nothing can be appended.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// The writer is poisoned.
    Poisoned {
        /// Up to where the output can be trusted.
        offset: u64,
        /// How many accepted batches are not in there.
        unconfirmed: u64,
        /// The first error.
        source: Arc<io::Error>,
    },
    /// The writer was given up.
    Aborted {
        /// Why.
        reason: Arc<str>,
    },
}

impl Fault {
    /// What is left of an output whose writer has panicked.
    fn of_panic(output: Option<&Output>) -> Self {
        let (mut offset, mut unconfirmed) = (0, 0);
        if let Some(Output { ledger, .. }) = output {
            if let Err(ipc_core::Error::Poisoned { offset, unconfirmed, source }) = ledger.check() {
                return Self::Poisoned { offset, unconfirmed, source };
            }
            (offset, unconfirmed) = (ledger.confirmed_bytes(), ledger.staged_batches());
        }
        Self::Poisoned {
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
    guard: Option<Guard<'l, Kept<W>>>,
    window: &'l Window<Deposit, Fault>,
}

impl<'l, W> Held<'l, W> {
    pub(super) fn new(guard: Guard<'l, Kept<W>>, window: &'l Window<Deposit, Fault>) -> Self {
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
        self.guard.as_ref().and_then(|kept| kept.desk.as_ref()).expect(THERE)
    }
}

impl<W> DerefMut for Held<'_, W> {
    fn deref_mut(&mut self) -> &mut Desk<W> {
        self.guard.as_mut().and_then(|kept| kept.desk.as_mut()).expect(THERE)
    }
}

impl<W> Drop for Held<'_, W> {
    fn drop(&mut self) {
        let Some(guard) = self.guard.take() else { return };
        let output = guard.desk.as_ref().and_then(|desk| desk.output.as_ref());
        self.window.abort(Fault::of_panic(output));
        guard.poison();
    }
}

const THERE: &str = "it is there until it is given back, which consumes this";

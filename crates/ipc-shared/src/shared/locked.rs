//! The state that only the holder of the lock may use, and its guard.
//!
//! A [`LockedGuard`] that is dropped instead of given back was dropped by a panic: it aborts the reorder buffer, with
//! what the ledger knows at that moment, and then poisons the lock. That order matters, since a thread that finds the
//! lock poisoned asks the buffer for the reason. The guard does not ask whether its thread is unwinding: that may have
//! begun before it took the lock.

use std::io::{self, Write};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use ipc_core::Metadata;
use ipc_core::parts::Ledger;

use super::output::Output;
use super::pending::PendingBatch;
use super::reorder::{Aborted, Rejected, ReorderBuffer};
use crate::error::Error;
use crate::lock::Guard;

/// The state that only the holder of the lock may use.
pub(super) struct Locked<W> {
    pub(super) sink: W,
    /// There once the schema is known.
    pub(super) output: Option<Output>,
    /// Footer metadata that was set before the schema was known: goes into the output when it is opened.
    pub(super) early_metadata: Metadata,
}

/// The state as the lock stores it. Dropped with the last handle, it leaves the mark of a stream that was given up.
pub(super) struct GiveUpOnDrop<W> {
    /// There until the sink is taken out, which consumes this.
    locked: Option<Locked<W>>,
    /// [`Ledger::give_up`] for this sink: a type's `Drop` cannot have bounds that the type has not.
    give_up: fn(&mut Ledger, &mut W),
}

impl<W> GiveUpOnDrop<W> {
    pub(super) fn new(locked: Locked<W>) -> Self
    where
        W: Write,
    {
        Self { locked: Some(locked), give_up: Ledger::give_up::<W> }
    }

    pub(super) fn into_sink(mut self) -> W {
        self.locked.take().expect(THERE).sink
    }
}

impl<W> Drop for GiveUpOnDrop<W> {
    fn drop(&mut self) {
        if let Some(Locked { sink, output: Some(output), .. }) = &mut self.locked {
            (self.give_up)(&mut output.ledger, sink);
        }
    }
}

/// Why nothing can be appended.
#[derive(Debug, Clone)]
pub(super) enum Fault {
    /// The writer is poisoned.
    Poisoned {
        /// The output can be trusted up to here.
        offset: u64,
        /// The number of accepted batches that are not before `offset`.
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
    /// The state of an output whose writer has panicked.
    fn of_panic(output: Option<&Output>) -> Self {
        let (mut offset, mut unconfirmed) = (0, 0);
        if let Some(Output { ledger, .. }) = output {
            // The panic came after a tear that the ledger has noted: the first error counts.
            if let Err(ipc_core::Error::Poisoned { offset, unconfirmed, source }) = ledger.check() {
                return Self::Poisoned { offset, unconfirmed, source };
            }
            // Asked now and not before the call: a sink may take all bytes, and panic in its `flush`.
            (offset, unconfirmed) = (ledger.confirmed_bytes(), ledger.staged_batches());
        }
        Self::Poisoned {
            offset,
            unconfirmed,
            source: Arc::new(io::Error::other("the sink, or what prepared its bytes, panicked")),
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

impl From<Rejected<Fault>> for Error {
    fn from(rejected: Rejected<Fault>) -> Self {
        match rejected {
            Rejected::Closed => Self::Closed,
            Rejected::Aborted(aborted) => aborted.into(),
        }
    }
}

/// The locked state, while its lock is held. Dropped instead of given back, as by a panic, it aborts the reorder buffer
/// and then poisons the lock.
#[must_use = "dropped, it poisons the lock"]
pub(super) struct LockedGuard<'l, W> {
    /// There until it is given back, which consumes this.
    guard: Option<Guard<'l, GiveUpOnDrop<W>>>,
    buffer: &'l ReorderBuffer<PendingBatch, Fault>,
}

impl<'l, W> LockedGuard<'l, W> {
    pub(super) fn new(guard: Guard<'l, GiveUpOnDrop<W>>, buffer: &'l ReorderBuffer<PendingBatch, Fault>) -> Self {
        Self { guard: Some(guard), buffer }
    }

    /// Gives the lock back.
    pub(super) fn unlock(mut self) {
        drop(self.guard.take());
    }

    /// Gives the lock back, closed for good.
    pub(super) fn close(mut self) {
        self.guard.take().into_iter().for_each(Guard::close);
    }

    /// Gives the lock back, poisoned. The reorder buffer has been aborted before.
    pub(super) fn poison(mut self) {
        self.guard.take().into_iter().for_each(Guard::poison);
    }
}

impl<W> LockedGuard<'_, W> {
    /// Whether the output ends inside a message.
    pub(super) fn is_torn(&self) -> bool {
        let torn = |output: &Output| matches!(output.ledger.check(), Err(ipc_core::Error::Poisoned { .. }));
        self.output.as_ref().is_some_and(torn)
    }
}

impl<W> Deref for LockedGuard<'_, W> {
    type Target = Locked<W>;

    fn deref(&self) -> &Locked<W> {
        self.guard.as_ref().and_then(|stored| stored.locked.as_ref()).expect(THERE)
    }
}

impl<W> DerefMut for LockedGuard<'_, W> {
    fn deref_mut(&mut self) -> &mut Locked<W> {
        self.guard.as_mut().and_then(|stored| stored.locked.as_mut()).expect(THERE)
    }
}

impl<W> Drop for LockedGuard<'_, W> {
    fn drop(&mut self) {
        let Some(guard) = self.guard.take() else { return };
        let output = guard.locked.as_ref().and_then(|locked| locked.output.as_ref());
        self.buffer.abort(Fault::of_panic(output));
        guard.poison();
    }
}

const THERE: &str = "it is there until it is given back, which consumes this";

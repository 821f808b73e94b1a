//! A sink that a test can hold, watch and make fail while others write to it.
//!
//! A writer owns its sink, so there are two ends: the sink [`Gated`], and the [`Gate`] that the test keeps. While the
//! gate is shut, a thread that writes waits inside the sink, and so inside the writer's lock.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Write};
use std::panic;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use ipc_shared::{Durable, Truncate};

/// What the sink does in one call of `write_vectored`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Takes all bytes.
    Take,
    /// Fails before any byte.
    Fail,
    /// Takes half of the bytes, and fails in the next call.
    Tear,
    /// Takes the first slice, and fails in the next call: staged bytes are taken, and the new message is not.
    Split,
    /// Panics before any byte.
    Panic,
    /// Takes half of the bytes, and panics.
    TearAndPanic,
}

/// The error of a sink that fails.
pub const KIND: ErrorKind = ErrorKind::StorageFull;

/// The writer's end.
#[derive(Debug)]
pub struct Gated {
    gate: Gate,
}

/// The test's end.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    taken: Vec<u8>,
    /// What to do in the next calls.
    acts: VecDeque<Act>,
    /// What to do in all calls after those.
    then: Option<Act>,
    /// What to do in the next calls of `flush`.
    flushes: VecDeque<Act>,
    /// What to do in the next calls of `truncate`.
    cuts: VecDeque<Act>,
    /// The number of calls of `truncate`.
    cut: usize,
    /// What to do in the next calls of `sync`.
    planned_syncs: VecDeque<Act>,
    /// The number of calls of `sync`.
    syncs: usize,
    is_shut: bool,
    /// Whether a thread waits inside.
    is_occupied: bool,
    hook: Hook,
}

#[derive(Clone, Default)]
struct Hook(Option<Arc<dyn Fn() + Send + Sync>>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hook").field(&self.0.is_some()).finish()
    }
}

/// Returns a sink and its gate, which is open.
#[must_use]
pub fn gate() -> (Gated, Gate) {
    let gate = Gate::default();
    (Gated { gate: gate.clone() }, gate)
}

impl Gate {
    /// Makes the next thread that writes wait inside, until the gate is opened.
    pub fn shut(&self) {
        self.inner().is_shut = true;
    }

    /// Opens the gate.
    pub fn open(&self) {
        self.inner().is_shut = false;
        self.state.changed.notify_all();
    }

    /// Waits until a thread waits inside.
    pub fn wait_until_occupied(&self) {
        let mut inner = self.inner();
        while !inner.is_occupied {
            inner = self.state.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Makes the sink do this in its next calls, after those already planned.
    pub fn plan(&self, acts: impl IntoIterator<Item = Act>) {
        self.inner().acts.extend(acts);
    }

    /// Makes the sink do this in every call without a plan of its own.
    pub fn from_now_on(&self, act: Act) {
        self.inner().then = Some(act);
    }

    /// Makes the sink do this in its next calls of `flush`: `Take`, `Fail` or `Panic`.
    pub fn plan_flushes(&self, acts: impl IntoIterator<Item = Act>) {
        self.inner().flushes.extend(acts);
    }

    /// Makes the sink do this in its next calls of `truncate`: `Take`, `Fail` or `Panic`.
    pub fn plan_cuts(&self, acts: impl IntoIterator<Item = Act>) {
        self.inner().cuts.extend(acts);
    }

    /// Returns the number of calls of `truncate`.
    #[must_use]
    pub fn cuts(&self) -> usize {
        self.inner().cut
    }

    /// Makes the sink do this in its next calls of `sync`: `Take`, `Fail` or `Panic`.
    pub fn plan_syncs(&self, acts: impl IntoIterator<Item = Act>) {
        self.inner().planned_syncs.extend(acts);
    }

    /// Returns the number of calls of `sync`.
    #[must_use]
    pub fn syncs(&self) -> usize {
        self.inner().syncs
    }

    /// Makes the sink call `hook` whenever it is written to or flushed. `None` removes the hook.
    pub fn call_back(&self, hook: Option<Arc<dyn Fn() + Send + Sync>>) {
        self.inner().hook = Hook(hook);
    }

    /// Returns the bytes that the sink has taken.
    #[must_use]
    pub fn taken(&self) -> Vec<u8> {
        self.inner().taken.clone()
    }

    /// Returns the number of bytes that the sink has taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner().taken.len()
    }

    /// Returns whether the sink has taken nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.state.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters the sink, and waits while the gate is shut.
    fn pass(&self) -> MutexGuard<'_, Inner> {
        let Hook(hook) = self.inner().hook.clone();
        if let Some(hook) = hook {
            hook();
        }
        let mut inner = self.inner();
        inner.is_occupied = true;
        self.state.changed.notify_all();
        while inner.is_shut {
            inner = self.state.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner.is_occupied = false;
        inner
    }
}

/// Does what is planned for a call that takes no bytes.
fn done(inner: MutexGuard<'_, Inner>, act: Option<Act>) -> io::Result<()> {
    match act.unwrap_or(Act::Take) {
        Act::Take => Ok(()),
        Act::Fail => Err(KIND.into()),
        _ => panics(inner),
    }
}

/// Panics, and leaves the gate usable for other threads.
fn panics(inner: MutexGuard<'_, Inner>) -> ! {
    drop(inner);
    panic::resume_unwind(Box::new("the sink panics, as it was asked to"))
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut inner = self.gate.pass();
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let half = bytes.len().div_ceil(2);
        let act = inner.acts.pop_front().or(inner.then).unwrap_or(Act::Take);
        match act {
            Act::Take => {
                inner.taken.extend_from_slice(&bytes);
                Ok(bytes.len())
            }
            Act::Fail => Err(KIND.into()),
            Act::Tear => {
                inner.taken.extend_from_slice(&bytes[..half]);
                inner.acts.push_front(Act::Fail);
                Ok(half)
            }
            Act::Split => {
                inner.taken.extend_from_slice(&slices[0]);
                inner.acts.push_front(Act::Fail);
                Ok(slices[0].len())
            }
            Act::Panic | Act::TearAndPanic => {
                if act == Act::TearAndPanic {
                    inner.taken.extend_from_slice(&bytes[..half]);
                }
                panics(inner)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut inner = self.gate.pass();
        let act = inner.flushes.pop_front();
        done(inner, act)
    }
}

impl Truncate for Gated {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let mut inner = self.gate.pass();
        match inner.cuts.pop_front().unwrap_or(Act::Take) {
            Act::Take => {
                let length = usize::try_from(length).expect("what is in memory fits it");
                assert!(length <= inner.taken.len(), "a cut behind the end");
                inner.taken.truncate(length);
                inner.cut += 1;
                Ok(())
            }
            Act::Fail => Err(KIND.into()),
            _ => panics(inner),
        }
    }
}

impl Durable for Gated {
    fn sync(&mut self) -> io::Result<()> {
        let mut inner = self.gate.pass();
        inner.syncs += 1;
        let act = inner.planned_syncs.pop_front();
        done(inner, act)
    }
}

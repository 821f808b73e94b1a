//! A sink with one fault.

use std::io::{self, IoSlice, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipc_shared::Truncate;
use ipc_shared::internals::model;

use crate::Shared;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It fails before it took a byte.
    Fail,
    /// It takes three bytes, and the next call fails.
    Tear,
    /// It takes three bytes and panics.
    Panic,
}

/// Takes each call whole, a group of messages or the end, but for one. It takes bytes back.
#[derive(Debug)]
pub struct Failing {
    sink: Shared,
    act: Act,
    /// The number of the call, from 1 on, that fails.
    at: usize,
    calls: usize,
    /// How often it has been asked to take bytes back, and how often it fails to.
    cuts: Arc<AtomicUsize>,
    failing_cuts: usize,
    panics_when_cut: bool,
}

impl Failing {
    /// Fails at this call.
    #[must_use]
    pub fn new(sink: &Shared, act: Act, at: usize) -> Self {
        Self { sink: sink.clone(), act, at, calls: 0, cuts: Arc::default(), failing_cuts: 0, panics_when_cut: false }
    }

    /// Also fails to take bytes back, so many times.
    #[must_use]
    pub fn and_to_cut(self, failing_cuts: usize) -> Self {
        Self { failing_cuts, ..self }
    }

    /// Also panics instead of taking bytes back.
    #[must_use]
    pub fn and_panic_when_cut(self) -> Self {
        Self { panics_when_cut: true, ..self }
    }

    /// How often it will have been asked to take bytes back.
    #[must_use]
    pub fn cuts(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.cuts)
    }
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.calls += 1;
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        match self.act {
            Act::Fail if self.calls == self.at => Err(io::Error::other("failed")),
            Act::Tear if self.calls == self.at => self.sink.write(&bytes[..3]),
            Act::Tear if self.calls == self.at + 1 => Err(io::Error::other("torn")),
            Act::Panic if self.calls == self.at => {
                self.sink.write(&bytes[..3])?;
                model::panic()
            }
            _ => self.sink.write(&bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Truncate for Failing {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        if self.cuts.fetch_add(1, Ordering::Relaxed) < self.failing_cuts {
            return Err(io::Error::other("not cut"));
        }
        if self.panics_when_cut {
            model::panic();
        }
        self.sink.truncate(length);
        Ok(())
    }
}

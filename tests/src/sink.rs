//! Sinks that count, and sinks that fail.

use std::io::{self, IoSlice, Write};
use std::panic;

/// Keeps nothing but counts.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counting {
    /// Calls of `write_vectored`.
    pub vectored: usize,
    /// Calls of `write`.
    pub plain: usize,
    /// Calls of `flush`.
    pub flushes: usize,
    /// Bytes taken.
    pub bytes: usize,
    /// The most slices that one call brought.
    pub slices_at_most: usize,
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.plain += 1;
        self.bytes += bytes.len();
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        self.vectored += 1;
        self.slices_at_most = self.slices_at_most.max(slices.len());
        self.bytes += length;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushes += 1;
        Ok(())
    }
}

/// What goes wrong with one call of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An error before any byte.
    Error,
    /// Half of the bytes are taken, and the next call is an error.
    HalfThenError,
    /// A signal, before any byte: to be tried again.
    Interrupted,
    /// A signal, after half of the bytes.
    HalfThenInterrupted,
    /// One byte is taken.
    OneByte,
    /// No byte is taken, and it is no error.
    Nothing,
    /// All bytes are taken, and one more is claimed.
    TooMany,
    /// A panic before any byte.
    Panic,
    /// A panic after half of the bytes.
    HalfThenPanic,
    /// An error of `flush`.
    Flush,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Error,
        Self::HalfThenError,
        Self::Interrupted,
        Self::HalfThenInterrupted,
        Self::OneByte,
        Self::Nothing,
        Self::TooMany,
        Self::Panic,
        Self::HalfThenPanic,
        Self::Flush,
    ];
}

/// Takes all bytes, but has one fault at one of its calls.
#[derive(Debug)]
pub struct Faulty {
    /// The bytes taken.
    pub taken: Vec<u8>,
    /// Whether the fault has happened. If it has not, the sink was never called so often.
    pub has_failed: bool,
    fault: Fault,
    /// Calls until the fault.
    calls_left: usize,
    /// The error that follows on half of the bytes.
    due: Option<io::ErrorKind>,
}

impl Faulty {
    /// Fails at the call after `calls` good ones, counting calls of `flush` for [`Fault::Flush`] and calls of
    /// `write_vectored` for all others.
    #[must_use]
    pub fn new(fault: Fault, calls: usize) -> Self {
        Self { taken: Vec::new(), has_failed: false, fault, calls_left: calls, due: None }
    }

    /// The fault it has, or will have.
    #[must_use]
    pub fn fault(&self) -> Fault {
        self.fault
    }

    fn is_due(&mut self) -> bool {
        let is_due = self.calls_left == 0 && !self.has_failed;
        self.calls_left = self.calls_left.saturating_sub(1);
        self.has_failed |= is_due;
        is_due
    }

    fn take(&mut self, slices: &[IoSlice<'_>], length: usize) -> usize {
        let bytes = slices.iter().flat_map(|slice| slice.iter().copied());
        self.taken.extend(bytes.take(length));
        length
    }
}

impl Write for Faulty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if let Some(kind) = self.due.take() {
            return Err(kind.into());
        }
        if self.fault == Fault::Flush || !self.is_due() {
            return Ok(self.take(slices, length));
        }
        match self.fault {
            Fault::Error => Err(io::ErrorKind::StorageFull.into()),
            Fault::HalfThenError => {
                self.due = Some(io::ErrorKind::StorageFull);
                Ok(self.take(slices, length.div_ceil(2)))
            }
            Fault::HalfThenInterrupted => {
                self.due = Some(io::ErrorKind::Interrupted);
                Ok(self.take(slices, length.div_ceil(2)))
            }
            Fault::Interrupted => Err(io::ErrorKind::Interrupted.into()),
            Fault::OneByte => Ok(self.take(slices, 1)),
            Fault::Nothing => Ok(0),
            Fault::TooMany => Ok(self.take(slices, length) + 1),
            Fault::Panic => panic::resume_unwind(Box::new("the sink panics, as it was asked to")),
            Fault::HalfThenPanic => {
                self.take(slices, length / 2);
                panic::resume_unwind(Box::new("the sink panics, as it was asked to"))
            }
            Fault::Flush => unreachable!("decided above"),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.fault == Fault::Flush && self.is_due() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

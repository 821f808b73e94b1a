//! Sinks that count, and sinks that fail.

use std::io::{self, IoSlice, Write};
use std::panic;

use ipc_core::{Durable, Truncate};

/// Keeps nothing but counts.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counting {
    /// Calls of `write_vectored`.
    pub vectored: usize,
    /// Calls of `write`.
    pub plain: usize,
    /// Calls of `flush`.
    pub flushes: usize,
    /// Calls of `sync`.
    pub syncs: usize,
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

impl Durable for Counting {
    fn sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        Ok(())
    }
}

/// The fault of one call of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An error before any byte.
    Error,
    /// Takes half of the bytes, and the next call is an error.
    HalfThenError,
    /// Takes half of the bytes. Then the disk is full, until the output is truncated or two calls have failed.
    Full,
    /// Interrupted before any byte: the call must be repeated.
    Interrupted,
    /// Takes half of the bytes, and the next call is interrupted.
    HalfThenInterrupted,
    /// Takes one byte.
    OneByte,
    /// Takes no byte, without an error.
    Nothing,
    /// Takes all bytes, and claims one more.
    TooMany,
    /// A panic before any byte.
    Panic,
    /// A panic after half of the bytes.
    HalfThenPanic,
    /// An error of `flush`.
    Flush,
    /// A panic in `flush`: all bytes before it are taken.
    PanicInFlush,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 12] = [
        Self::Error,
        Self::HalfThenError,
        Self::Full,
        Self::Interrupted,
        Self::HalfThenInterrupted,
        Self::OneByte,
        Self::Nothing,
        Self::TooMany,
        Self::Panic,
        Self::HalfThenPanic,
        Self::Flush,
        Self::PanicInFlush,
    ];

    /// Returns whether this is a fault of `flush`.
    fn is_of_flush(self) -> bool {
        matches!(self, Self::Flush | Self::PanicInFlush)
    }
}

/// Takes all bytes, with one fault in one of its calls.
#[derive(Debug)]
pub struct Faulty {
    /// The bytes taken.
    pub taken: Vec<u8>,
    /// Whether the fault has happened. If not, the sink was called too few times.
    pub has_failed: bool,
    /// The number of bytes taken up to and including the call with the fault.
    pub taken_at_fault: usize,
    fault: Fault,
    /// Calls until the fault.
    calls_left: usize,
    /// The errors that follow on half of the bytes.
    due: Vec<io::ErrorKind>,
}

impl Faulty {
    /// Fails at the call after `calls` good ones, counting calls of `flush` for faults of that and calls of
    /// `write_vectored` for all others.
    #[must_use]
    pub fn new(fault: Fault, calls: usize) -> Self {
        Self { taken: Vec::new(), has_failed: false, taken_at_fault: 0, fault, calls_left: calls, due: Vec::new() }
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
        let mut left = length;
        for slice in slices {
            let taken = slice.len().min(left);
            self.taken.extend_from_slice(&slice[..taken]);
            left -= taken;
        }
        length
    }
}

fn panics() -> ! {
    panic::resume_unwind(Box::new("the sink panics, as it was asked to"))
}

impl Write for Faulty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let length: usize = slices.iter().map(|slice| slice.len()).sum();
        if let Some(kind) = self.due.pop() {
            return Err(kind.into());
        }
        if self.fault.is_of_flush() || !self.is_due() {
            return Ok(self.take(slices, length));
        }
        let half = length.div_ceil(2);
        let (taken, answer) = match self.fault {
            Fault::Error => (0, Some(Err(io::Error::other("the device failed")))),
            Fault::Interrupted => (0, Some(Err(io::ErrorKind::Interrupted.into()))),
            Fault::Nothing | Fault::Flush | Fault::PanicInFlush => (0, Some(Ok(0))),
            Fault::OneByte => (1, Some(Ok(1))),
            Fault::HalfThenError | Fault::Full | Fault::HalfThenInterrupted => (half, Some(Ok(half))),
            Fault::TooMany => (length, Some(Ok(length + 1))),
            Fault::Panic => (0, None),
            Fault::HalfThenPanic => (half, None),
        };
        self.due = match self.fault {
            Fault::HalfThenError => vec![io::ErrorKind::Other],
            Fault::Full => vec![io::ErrorKind::StorageFull; 2],
            Fault::HalfThenInterrupted => vec![io::ErrorKind::Interrupted],
            _ => Vec::new(),
        };
        self.take(slices, taken);
        self.taken_at_fault = self.taken.len();
        answer.unwrap_or_else(|| panics())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.fault.is_of_flush() || !self.is_due() {
            return Ok(());
        }
        self.taken_at_fault = self.taken.len();
        if self.fault == Fault::Flush { Err(io::ErrorKind::StorageFull.into()) } else { panics() }
    }
}

impl Truncate for Faulty {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).expect("what is in memory fits it");
        assert!(length <= self.taken.len(), "a cut behind the end");
        self.taken.truncate(length);
        self.due.clear();
        Ok(())
    }
}

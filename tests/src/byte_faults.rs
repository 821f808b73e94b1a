//! A sink whose one fault is at a byte, or at a flush.

use std::io::{self, IoSlice, Write};
use std::panic;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipc_core::Truncate;

/// What goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// An error in front of this byte: of the call that begins with it, or after a call that was cut short there.
    Error(usize),
    /// The same, and no byte is taken without an error.
    Nothing(usize),
    /// The same, by a signal: to be tried again.
    Interrupted(usize),
    /// A panic, once the bytes in front of this one are taken.
    Panic(usize),
    /// The call that holds this byte takes all, and claims one more.
    TooMany(usize),
    /// An error of the flush after this many good ones.
    Flush(usize),
    /// A panic in that flush.
    PanicInFlush(usize),
}

impl Fault {
    /// All faults at this byte.
    #[must_use]
    pub fn all_at(byte: usize) -> [Self; 5] {
        [Self::Error(byte), Self::Nothing(byte), Self::Interrupted(byte), Self::Panic(byte), Self::TooMany(byte)]
    }
}

/// What a sink has seen.
#[derive(Debug, Default, Clone)]
pub struct Log {
    /// The bytes taken.
    pub taken: Vec<u8>,
    /// Calls of `write` and `write_vectored`.
    pub writes: usize,
    /// Calls of `flush`.
    pub flushes: usize,
    /// Whether the fault has happened.
    pub has_failed: bool,
}

/// The sink. What it has seen outlives it.
#[derive(Debug)]
pub struct Sink {
    fault: Fault,
    log: Watch,
}

/// A look at what a sink has seen.
#[derive(Debug, Default, Clone)]
pub struct Watch(Arc<Mutex<Log>>);

impl Watch {
    /// What it has seen by now.
    #[must_use]
    pub fn look(&self) -> Log {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A sink with this fault.
#[must_use]
pub fn sink(fault: Fault) -> (Sink, Watch) {
    let log = Watch::default();
    (Sink { fault, log: log.clone() }, log)
}

impl Sink {
    /// A look at what it has seen.
    #[must_use]
    pub fn watch(&self) -> &Watch {
        &self.log
    }
}

fn panics(log: MutexGuard<'_, Log>) -> ! {
    drop(log);
    panic::resume_unwind(Box::new("the sink panics, as it was asked to"))
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut log = self.log.lock();
        log.writes += 1;
        let offered: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let call = log.taken.len()..log.taken.len() + offered.len();
        let (at, fault) = match self.fault {
            Fault::Error(at) | Fault::Nothing(at) | Fault::Interrupted(at) | Fault::Panic(at) | Fault::TooMany(at)
                if !log.has_failed && call.contains(&at) =>
            {
                (at, self.fault)
            }
            _ => (call.end, Fault::None),
        };
        let taken = if matches!(fault, Fault::TooMany(_)) { offered.len() } else { at - call.start };
        log.taken.extend_from_slice(&offered[..taken]);
        let is_cut_short = taken > 0 && matches!(fault, Fault::Error(_) | Fault::Nothing(_) | Fault::Interrupted(_));
        if is_cut_short {
            return Ok(taken);
        }
        log.has_failed |= fault != Fault::None;
        match fault {
            Fault::Error(_) => Err(io::Error::other("the device failed")),
            Fault::Nothing(_) => Ok(0),
            Fault::Interrupted(_) => Err(io::ErrorKind::Interrupted.into()),
            Fault::Panic(_) => panics(log),
            Fault::TooMany(_) => Ok(taken + 1),
            Fault::None | Fault::Flush(_) | Fault::PanicInFlush(_) => Ok(taken),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut log = self.log.lock();
        log.flushes += 1;
        let nth = log.flushes - 1;
        match self.fault {
            Fault::Flush(at) if at == nth => {
                log.has_failed = true;
                Err(io::ErrorKind::StorageFull.into())
            }
            Fault::PanicInFlush(at) if at == nth => {
                log.has_failed = true;
                panics(log)
            }
            _ => Ok(()),
        }
    }
}

impl Truncate for Sink {
    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).expect("what is in memory fits it");
        let mut log = self.log.lock();
        assert!(length <= log.taken.len(), "a cut behind the end");
        log.taken.truncate(length);
        Ok(())
    }
}

//! Where batches are written to.
//!
//! [`Sink`] names the kinds in the tables of lines; the types behind it are what writers are given.

use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice, PipeWriter, Read, Seek, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

/// The memory that a tmpfs file is made of, where there is one.
pub const TMPFS: &str = "/dev/shm";

/// A kind of sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sink {
    /// Counts what it is given: what is measured is encoding.
    Counting,
    /// A file in the page cache, written over and over.
    File,
    /// The same, on a file system in memory.
    Tmpfs,
    /// A pipe that another thread drains.
    Pipe,
    /// A new, empty `Vec<u8>` for each batch.
    Vec,
    /// A new, empty `Vec<u8>` for every [`BATCHES_PER_VEC`] batches.
    GrowingVec,
    /// A new file for all batches of one call, from its header to its end.
    NewFile,
}

/// How many batches go to one [`Sink::GrowingVec`].
pub const BATCHES_PER_VEC: usize = 64;

impl Sink {
    /// Whether this system has it.
    #[must_use]
    pub fn is_here(self) -> bool {
        self != Self::Tmpfs || Path::new(TMPFS).is_dir()
    }
}

impl fmt::Display for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counting => "no I/O",
            Self::File => "file",
            Self::Tmpfs => "tmpfs",
            Self::Pipe => "pipe",
            Self::Vec => "new Vec",
            Self::GrowingVec => "growing Vec",
            Self::NewFile => "new file",
        })
    }
}

/// Counts calls and bytes, and takes all bytes without looking.
#[derive(Debug, Default, Clone, Copy)]
pub struct Counting {
    /// Calls of `write` and `write_vectored`.
    pub calls: u64,
    /// Pieces that those calls brought.
    pub pieces: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        self.calls += 1;
        self.pieces += slices.len() as u64;
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts for whoever holds a clone.
#[derive(Debug, Default, Clone)]
pub struct Tally(Arc<Mutex<Counting>>);

impl Tally {
    /// What has been counted.
    ///
    /// # Panics
    ///
    /// Never: counting does not panic.
    #[must_use]
    pub fn counted(&self) -> Counting {
        *self.0.lock().expect("counting does not panic")
    }
}

impl Write for Tally {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("counting does not panic").write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.lock().expect("counting does not panic").write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file in the page cache, written over and over: what is measured is writing, not finding free pages or a disk.
#[derive(Debug)]
pub struct Rewinding {
    file: File,
    position: usize,
}

impl Rewinding {
    /// From here on, the next message goes to the start.
    const LENGTH: usize = 4 << 20;

    /// A file without a name, in `folder`.
    ///
    /// # Panics
    ///
    /// Where it cannot be written.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        let mut file = tempfile::tempfile_in(folder).expect("the folder can be written to");
        // With room for the last message. Zeros could be memory that nobody has touched yet: the system would copy that page by
        // page, and whoever writes to a file of single pages takes a fifth longer than to one of large folios.
        file.write_all(&vec![1; 2 * Self::LENGTH]).and_then(|()| file.rewind()).expect("the disk has room");
        Self { file, position: 0 }
    }

    fn advance(&mut self, written: usize) -> io::Result<usize> {
        self.position += written;
        if self.position > Self::LENGTH {
            self.file.rewind()?;
            self.position = 0;
        }
        Ok(written)
    }
}

impl Write for Rewinding {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.advance(written)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.file.write_vectored(slices)?;
        self.advance(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A pipe to a thread that reads 64 KiB at a time and forgets them. The thread ends with the pipe.
///
/// # Panics
///
/// Where the system gives none.
#[must_use]
pub fn drained_pipe() -> PipeWriter {
    let (mut reader, writer) = io::pipe().expect("the system has a pipe left");
    thread::spawn(move || {
        let mut bytes = vec![0; 64 << 10];
        while reader.read(&mut bytes).is_ok_and(|read| read > 0) {}
    });
    writer
}

/// Keeps what it is given, for whoever holds a clone.
#[derive(Debug, Default, Clone)]
pub struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    /// What it was given.
    ///
    /// # Panics
    ///
    /// Where a writer panicked while it held the bytes.
    #[must_use]
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().expect("no writer panics"))
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

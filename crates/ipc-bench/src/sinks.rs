//! Where batches are written to.

use std::fs::File;
use std::io::{self, IoSlice, Seek, Write};

/// Counts bytes, and takes them without looking.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    pub(crate) bytes: usize,
}

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len();
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        self.bytes += length;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file in the page cache, written over and over: what is measured is writing, not finding free pages or a disk.
#[derive(Debug)]
pub(crate) struct Rewinding {
    file: File,
    position: usize,
}

impl Rewinding {
    const LENGTH: usize = 4 << 20;

    pub(crate) fn new() -> Self {
        let mut file = tempfile::tempfile_in(".").expect("the current directory can be written to");
        file.write_all(&vec![0; Self::LENGTH]).and_then(|()| file.rewind()).expect("the disk has room");
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

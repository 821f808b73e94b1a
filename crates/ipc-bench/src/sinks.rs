//! Where batches are written to.

use std::io::{self, IoSlice, Write};

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

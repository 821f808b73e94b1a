//! Where bytes come from: a regular file, in which we can seek, or anything else, which can only be read on.
//!
//! Every length that an input tells us is checked against what is really there before memory is taken for it: in a file
//! by its size, elsewhere by letting the memory grow with what arrives.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use arrow_buffer::{Buffer, MutableBuffer};

use crate::error::{Error, Result};

/// An input's bytes, and how far we have come.
pub(crate) struct Source {
    bytes: Bytes,
    position: u64,
}

enum Bytes {
    Seekable { file: BufReader<File>, length: u64 },
    Sequential(Box<dyn Read + Send>),
}

impl Source {
    /// Opens a path, or `-`, the standard input.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if is_standard(path) {
            return Ok(Self::sequential(io::stdin()));
        }
        let opened = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) = opened.map_err(|error| Error::input(&display_name(path), error))?;
        if metadata.is_dir() {
            return Err(Error::input(&display_name(path), "is a directory"));
        }
        Ok(if metadata.is_file() { Self::seekable(file, metadata.len()) } else { Self::sequential(file) })
    }

    /// How many bytes the input has; `None` where only its end will tell.
    pub(crate) fn length(&self) -> Option<u64> {
        match &self.bytes {
            Bytes::Seekable { length, .. } => Some(*length),
            Bytes::Sequential(_) => None,
        }
    }

    /// The offset of the next byte.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Whether fewer than `length` bytes are left. Where only the end will tell, this is never known.
    pub(crate) fn lacks(&self, length: u64) -> bool {
        self.length().is_some_and(|total| total.saturating_sub(self.position) < length)
    }

    /// Reads up to the end of `target`, and returns how many bytes there were.
    pub(crate) fn read_up_to(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < target.len() {
            match self.reader().read(&mut target[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }

    /// Reads `length` bytes, or `None` where there are fewer.
    pub(crate) fn read(&mut self, length: u64) -> io::Result<Option<Buffer>> {
        if self.lacks(length) {
            return Ok(None);
        }
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        let at_once = if self.length().is_some() { length } else { length.min(UNSEEN_AT_MOST) };
        let mut buffer = MutableBuffer::from_len_zeroed(at_once);
        let mut filled = 0;
        loop {
            let arrived = self.read_up_to(&mut buffer.as_slice_mut()[filled..])?;
            filled += arrived;
            if filled < buffer.len() {
                return Ok(None);
            }
            if filled == length {
                return Ok(Some(buffer.into()));
            }
            buffer.resize(length.min(filled.saturating_mul(2)), 0);
        }
    }

    /// Passes over `length` bytes. Returns whether there were as many.
    pub(crate) fn skip(&mut self, length: u64) -> io::Result<bool> {
        if self.lacks(length) {
            return Ok(false);
        }
        let passed = match &mut self.bytes {
            Bytes::Seekable { file, .. } => {
                let step = i64::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
                file.seek_relative(step)?;
                length
            }
            Bytes::Sequential(reader) => io::copy(&mut reader.take(length), &mut io::sink())?,
        };
        self.position += passed;
        Ok(passed == length)
    }

    /// Goes to an offset of a file.
    pub(crate) fn seek(&mut self, offset: u64) -> io::Result<()> {
        match &mut self.bytes {
            Bytes::Seekable { file, .. } => {
                // Within what is buffered, a relative seek keeps it.
                match (i64::try_from(offset), i64::try_from(self.position)) {
                    (Ok(to), Ok(from)) => file.seek_relative(to - from)?,
                    _ => drop(file.seek(SeekFrom::Start(offset))?),
                }
                self.position = offset;
                Ok(())
            }
            Bytes::Sequential(_) => Err(io::ErrorKind::NotSeekable.into()),
        }
    }

    /// The first bytes, up to `N`, which stay to be read.
    pub(crate) fn peek<const N: usize>(&mut self) -> io::Result<Vec<u8>> {
        let start = self.position;
        let mut first = vec![0; N];
        let length = self.read_up_to(&mut first)?;
        first.truncate(length);
        match &mut self.bytes {
            Bytes::Seekable { .. } => self.seek(start)?,
            Bytes::Sequential(reader) => {
                let rest = std::mem::replace(reader, Box::new(io::empty()));
                *reader = Box::new(Cursor::new(first.clone()).chain(rest));
                self.position = start;
            }
        }
        Ok(first)
    }

    /// The same bytes in a temporary file without a name, if they could only be read on until now.
    pub(crate) fn into_seekable(self) -> io::Result<Self> {
        let Bytes::Sequential(mut reader) = self.bytes else { return Ok(self) };
        let mut file = tempfile::tempfile()?;
        let length = io::copy(&mut reader, &mut file)?;
        file.rewind()?;
        Ok(Self::seekable(file, length))
    }

    fn seekable(file: File, length: u64) -> Self {
        let file = BufReader::with_capacity(BUFFERED, file);
        Self { bytes: Bytes::Seekable { file, length }, position: 0 }
    }

    fn sequential(reader: impl Read + Send + 'static) -> Self {
        let reader = BufReader::with_capacity(BUFFERED, reader);
        Self { bytes: Bytes::Sequential(Box::new(reader)), position: 0 }
    }

    fn reader(&mut self) -> &mut dyn Read {
        match &mut self.bytes {
            Bytes::Seekable { file, .. } => file,
            Bytes::Sequential(reader) => reader,
        }
    }
}

/// Whether a path stands for the standard input, or the standard output.
pub(crate) fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The name that errors call an input by.
pub(crate) fn display_name(path: &Path) -> String {
    if is_standard(path) { "standard input".to_owned() } else { path.display().to_string() }
}

/// How many bytes are read ahead: many small messages, and little beside a large one.
const BUFFERED: usize = 64 * 1024;

/// How much memory is taken on an input's mere word, where its size is not known.
const UNSEEN_AT_MOST: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_is_not_there_takes_no_memory() {
        let mut source = Source::sequential(Cursor::new(vec![7; 10]));
        assert!(source.read(u64::MAX / 2).unwrap().is_none());
        assert!(source.position() <= 10);
    }

    #[test]
    fn what_was_peeked_is_still_to_be_read() {
        let mut source = Source::sequential(Cursor::new(b"abcdef".to_vec()));
        assert_eq!(source.peek::<4>().unwrap(), b"abcd");
        assert_eq!(source.read(6).unwrap().unwrap().as_slice(), b"abcdef");
        assert!(source.read(1).unwrap().is_none());
    }

    #[test]
    fn spooled_bytes_are_the_same() {
        let mut source = Source::sequential(Cursor::new(vec![1, 2, 3])).into_seekable().unwrap();
        assert_eq!(source.length(), Some(3));
        assert!(source.skip(2).unwrap() && source.lacks(2));
        assert_eq!(source.read(1).unwrap().unwrap().as_slice(), [3]);
    }
}

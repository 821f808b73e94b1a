//! The bytes of an input, which can seek or can only be read in sequence.
//!
//! Every length in an input is checked against the bytes that are there, before memory is allocated for it: against the
//! input's size if the source can seek; otherwise memory grows with the bytes that arrive.

use std::fmt;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};

use arrow_buffer::{Buffer, MutableBuffer};

/// An input's bytes, and the current position.
pub struct Source<'a> {
    bytes: Bytes<'a>,
    position: u64,
}

enum Bytes<'a> {
    Seekable {
        reader: BufReader<Box<dyn ReadSeek + 'a>>,
        length: u64,
    },
    /// `again` are bytes that were read and are to be read again first.
    Sequential {
        again: Vec<u8>,
        reader: Box<dyn Read + Send + 'a>,
    },
}

impl<'a> Source<'a> {
    /// Returns a source of known size that can seek. It is read from byte 0, whatever the reader's position.
    ///
    /// The size is determined now. Bytes that are appended later are ignored. If the input has shrunk, reading fails
    /// with [`io::ErrorKind::UnexpectedEof`].
    ///
    /// # Errors
    ///
    /// If the input cannot seek.
    pub fn seekable(mut reader: impl Read + Seek + Send + 'a) -> io::Result<Self> {
        let length = reader.seek(SeekFrom::End(0))?;
        reader.rewind()?;
        Ok(Self::of_length(reader, length))
    }

    /// Returns a source that can only be read in sequence.
    pub fn sequential(reader: impl Read + Send + 'a) -> Self {
        let reader = BufReader::with_capacity(BUFFERED, reader);
        Self { bytes: Bytes::Sequential { again: Vec::new(), reader: Box::new(reader) }, position: 0 }
    }

    fn of_length(reader: impl Read + Seek + Send + 'a, length: u64) -> Self {
        let reader: Box<dyn ReadSeek + 'a> = Box::new(reader);
        let reader = BufReader::with_capacity(BUFFERED, reader);
        Self { bytes: Bytes::Seekable { reader, length }, position: 0 }
    }

    /// Returns the number of bytes in the input; `None` if the source is sequential.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match &self.bytes {
            Bytes::Seekable { length, .. } => Some(*length),
            Bytes::Sequential { .. } => None,
        }
    }

    /// Makes an input that can seek end at this offset, at or before its real end.
    pub(crate) fn end_at(&mut self, end: u64) {
        if let Bytes::Seekable { length, .. } = &mut self.bytes {
            *length = end;
        }
    }

    /// Returns the offset of the next byte.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Returns whether fewer than `length` bytes are known to be left. Always `false` for a sequential source.
    #[must_use]
    pub fn lacks(&self, length: u64) -> bool {
        self.length().is_some_and(|total| total.saturating_sub(self.position) < length)
    }

    /// Reads until `target` is full or the input ends. Returns the number of bytes read.
    ///
    /// # Errors
    ///
    /// The input's.
    pub fn read_up_to(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < target.len() {
            match self.read(&mut target[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    /// Reads `length` bytes. Returns `None` if fewer are left.
    ///
    /// # Errors
    ///
    /// The input's, and [`io::ErrorKind::OutOfMemory`] if that much memory cannot be allocated.
    pub fn read_whole(&mut self, length: u64) -> io::Result<Option<Buffer>> {
        if self.lacks(length) {
            return Ok(None);
        }
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        let at_once = if self.length().is_some() { length } else { length.min(UNSEEN_AT_MOST) };
        // A sparse file can claim to be longer than any disk.
        Vec::<u8>::new().try_reserve_exact(at_once).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let mut buffer = MutableBuffer::from_len_zeroed(at_once);
        let mut filled = 0;
        loop {
            filled += self.read_up_to(&mut buffer.as_slice_mut()[filled..])?;
            if filled < buffer.len() {
                return Ok(None);
            }
            if filled == length {
                return Ok(Some(buffer.into()));
            }
            buffer.resize(length.min(filled.saturating_mul(2)), 0);
        }
    }

    /// Skips `length` bytes. Returns whether that many were left.
    ///
    /// # Errors
    ///
    /// The input's.
    pub fn skip(&mut self, length: u64) -> io::Result<bool> {
        if self.lacks(length) {
            return Ok(false);
        }
        let Bytes::Seekable { reader, .. } = &mut self.bytes else {
            return Ok(io::copy(&mut self.take(length), &mut io::sink())? == length);
        };
        let step = i64::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        reader.seek_relative(step)?;
        self.position += length;
        Ok(true)
    }

    /// Goes to an offset.
    ///
    /// # Errors
    ///
    /// The input's, and [`io::ErrorKind::NotSeekable`] for a sequential source.
    pub fn seek(&mut self, offset: u64) -> io::Result<()> {
        match &mut self.bytes {
            Bytes::Seekable { reader, .. } => {
                // A relative seek within the buffer keeps the buffer.
                match (i64::try_from(offset), i64::try_from(self.position)) {
                    (Ok(to), Ok(from)) => reader.seek_relative(to - from)?,
                    _ => drop(reader.seek(SeekFrom::Start(offset))?),
                }
                self.position = offset;
                Ok(())
            }
            Bytes::Sequential { .. } => Err(io::ErrorKind::NotSeekable.into()),
        }
    }

    /// Returns the next bytes, up to `N`, which remain to be read.
    ///
    /// # Errors
    ///
    /// The input's.
    pub fn peek<const N: usize>(&mut self) -> io::Result<Vec<u8>> {
        let start = self.position;
        let mut first = vec![0; N];
        let length = self.read_up_to(&mut first)?;
        first.truncate(length);
        match &mut self.bytes {
            Bytes::Seekable { .. } => self.seek(start)?,
            Bytes::Sequential { again, .. } => {
                again.splice(..0, first.iter().copied());
                self.position = start;
            }
        }
        Ok(first)
    }
}

/// A source of bytes in memory.
impl<'a> From<&'a [u8]> for Source<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::of_length(Cursor::new(bytes), bytes.len() as u64)
    }
}

impl Read for Source<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.bytes {
            Bytes::Seekable { reader, length } => {
                let left = usize::try_from(length.saturating_sub(self.position)).unwrap_or(usize::MAX);
                let most = left.min(target.len());
                let target = &mut target[..most];
                match reader.read(target) {
                    Ok(0) if !target.is_empty() => Err(cut_short(self.position)),
                    read => read,
                }
            }
            Bytes::Sequential { again, reader } if again.is_empty() => reader.read(target),
            Bytes::Sequential { again, .. } => {
                let length = again.len().min(target.len());
                target[..length].copy_from_slice(&again[..length]);
                again.drain(..length);
                Ok(length)
            }
        }?;
        self.position += read as u64;
        Ok(read)
    }
}

fn cut_short(at: u64) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("it was cut off at byte {at} while it was read"))
}

impl fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("length", &self.length())
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

/// The bounds of a seekable reader, as one trait for a trait object.
trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// The number of bytes that are read ahead: many small messages, and little compared with a large one.
const BUFFERED: usize = 64 * 1024;

/// How much memory is allocated at once for an unchecked length, if the input's size is not known.
const UNSEEN_AT_MOST: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_that_is_not_there_takes_no_memory() {
        let mut source = Source::sequential(Cursor::new(vec![7; 10]));
        assert!(source.read_whole(u64::MAX / 2).unwrap().is_none());
        assert!(source.position() <= 10);
    }

    #[test]
    fn what_was_peeked_is_still_to_be_read() {
        let bytes = b"abcdef";
        for mut source in [Source::sequential(&bytes[..]), Source::from(&bytes[..])] {
            assert_eq!(source.peek::<4>().unwrap(), b"abcd");
            assert_eq!(source.read_whole(6).unwrap().unwrap().as_slice(), b"abcdef");
            assert!(source.read_whole(1).unwrap().is_none());
        }
    }

    #[test]
    fn one_may_peek_as_often_and_as_far_as_one_likes() {
        let bytes = b"abcdef";
        for mut source in [Source::sequential(&bytes[..]), Source::from(&bytes[..])] {
            (0..100_000).for_each(|_| assert_eq!(source.peek::<2>().unwrap(), b"ab"));
            assert_eq!(source.peek::<9>().unwrap(), b"abcdef");
            assert!(source.skip(1).unwrap());
            assert_eq!(source.peek::<2>().unwrap(), b"bc");
            assert_eq!((source.position(), source.skip(4).unwrap()), (1, true));
            assert_eq!(source.read_whole(1).unwrap().unwrap().as_slice(), b"f");
            assert!(!source.skip(1).unwrap());
        }
    }

    #[test]
    fn what_is_longer_than_any_memory_is_an_error() {
        struct Endless;
        impl Read for Endless {
            fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
                Ok(target.len())
            }
        }
        impl Seek for Endless {
            fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
                Ok(if matches!(to, SeekFrom::End(_)) { u64::MAX } else { 0 })
            }
        }
        for length in [1 << 60, i64::MAX.unsigned_abs(), u64::MAX] {
            let error = Source::seekable(Endless).unwrap().read_whole(length).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::OutOfMemory, "{length}");
        }
    }

    /// A reader whose end is elsewhere than it said when it was asked.
    struct Changing(Cursor<Vec<u8>>, u64);

    impl Read for Changing {
        fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
            self.0.read(target)
        }
    }

    impl Seek for Changing {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            if matches!(to, SeekFrom::End(_)) { Ok(self.1) } else { self.0.seek(to) }
        }
    }

    #[test]
    fn an_input_keeps_the_size_that_it_had() {
        let source = |length| Source::seekable(Changing(Cursor::new(vec![1, 2, 3, 4]), length)).unwrap();
        let mut grown = source(3);
        assert_eq!(grown.read_up_to(&mut [0; 9]).unwrap(), 3);
        assert_eq!((grown.position(), grown.read(&mut [0]).unwrap()), (3, 0));
        let mut shrunk = source(5);
        let error = shrunk.read_up_to(&mut [0; 9]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert!(error.to_string().contains("at byte 4"), "{error}");
        assert!(source(5).read_whole(5).is_err());
    }

    #[test]
    fn a_size_is_known_where_we_can_seek() {
        let mut source = Source::seekable(Cursor::new([1, 2, 3])).unwrap();
        assert_eq!(source.length(), Some(3));
        assert!(source.skip(2).unwrap() && source.lacks(2));
        assert_eq!(source.read_whole(1).unwrap().unwrap().as_slice(), [3]);
        source.seek(1).unwrap();
        assert_eq!(source.read_whole(2).unwrap().unwrap().as_slice(), [2, 3]);
    }
}

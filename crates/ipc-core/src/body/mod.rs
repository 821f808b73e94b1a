//! The body of a message in the making: takes field nodes and buffers in order, and keeps segments.
//!
//! A buffer is borrowed if the array holds it as the format wants it, built in the arena if not, compressed if the
//! options say so, and padded. [`Body`] also writes the node and buffer lists of the message's metadata. It lives as
//! long as one message, over memory that [`BatchEncoder`](crate::parts::BatchEncoder) keeps.
//!
//! The cost of a batch with few rows and many columns is what happens here for each buffer. So the short way, for an
//! array's buffer that is borrowed, is inlined into the walk.

pub(crate) mod compact_views;
pub(crate) mod compress;
#[cfg(feature = "lz4")]
pub(crate) mod lz4;
pub(crate) mod rewrite;
pub(crate) mod validity;

use std::ops::Range;

use arrow_buffer::{ArrowNativeType, Buffer, ScalarBuffer, ToByteSlice};

use crate::body::compress::Codec;
use crate::error::{Error, Result};
use crate::message::metadata::{Draft, Remaining};
use crate::message::segment::{Arena, Segment, Slice};
use crate::options::Options;
use crate::options::compression::RawBuffers;

/// The length prefix of a buffer in a compressed body: its length before compression, or -1 if it is stored raw.
const LENGTH_PREFIX: usize = 8;
const STORED_RAW: i64 = -1;

/// Array buffers shorter than this are copied to the arena, where they merge with their neighbours: one more piece in a
/// vectored write costs the kernel more than so short a copy.
const COPY_BELOW: usize = 128;

/// The body of a message in the making.
pub(crate) struct Body<'s, 'a> {
    pub(crate) options: &'s Options,
    draft: Draft<'s>,
    segments: &'s mut Vec<Segment<Slice<'a>>>,
    arena: &'s mut Arena,
    /// Memory in which a buffer is built before it is compressed.
    scratch: &'s mut Vec<u8>,
    codec: Option<&'s mut Codec>,
    /// Array buffers of at least this length are borrowed; with a codec, none is.
    borrowed_from: usize,
    /// The number of bytes so far, always aligned between buffers. Offsets never exceed it, so whether they fit the
    /// format's signed numbers is checked once, for the whole body.
    length: u64,
    /// The number of bytes that compression has saved.
    saved: i64,
    /// The number of arrays with nulls that their fields deny, some of which nulls of their parents may hide.
    suspects: usize,
}

impl<'s, 'a> Body<'s, 'a> {
    /// Returns an empty body, over the memory of a message and of a batch encoder.
    #[inline(always)]
    pub(crate) fn new(
        options: &'s Options,
        draft: Draft<'s>,
        segments: &'s mut Vec<Segment<Slice<'a>>>,
        arena: &'s mut Arena,
        scratch: &'s mut Vec<u8>,
        codec: Option<&'s mut Codec>,
    ) -> Self {
        segments.clear();
        arena.clear();
        let borrowed_from = if codec.is_some() { usize::MAX } else { COPY_BELOW };
        Self { options, draft, segments, arena, scratch, codec, borrowed_from, length: 0, saved: 0, suspects: 0 }
    }

    /// Returns the body's length, and what it would be without compression.
    #[inline(always)]
    pub(crate) fn lengths(&self) -> (u64, u64) {
        (self.length, self.length.saturating_add_signed(self.saved))
    }

    /// Returns the number of places in the draft's lists that are not filled yet.
    #[inline(always)]
    pub(crate) fn remaining(&self) -> Remaining {
        self.draft.remaining()
    }

    /// Stops compressing, since the body will not be used.
    pub(crate) fn forget_codec(&mut self) {
        self.codec = None;
    }

    /// Whether there are nulls that a field denies. The caller checks whether they are visible.
    #[inline(always)]
    pub(crate) fn has_suspects(&self) -> bool {
        self.suspects > 0
    }

    /// Appends the field node of an array: its length, its null count, which is no greater, and whether its field
    /// allows nulls.
    #[inline(always)]
    pub(crate) fn node(&mut self, length: usize, null_count: usize, nullable: bool) -> Result<(), Box<Error>> {
        if i64::try_from(length).is_err() {
            return Err(too_many_rows(length));
        }
        if null_count > 0 && !nullable {
            self.suspects += 1;
        }
        self.draft.node(length as u64, null_count as u64);
        Ok(())
    }

    /// Appends the number of data buffers that follow the views of a view array.
    pub(crate) fn variadic(&mut self, count: usize) {
        self.draft.variadic_count(count as u64);
    }

    /// Appends a buffer without bytes, which has no length prefix in a compressed body.
    #[inline(always)]
    pub(crate) fn empty(&mut self) {
        self.draft.buffer(self.length, 0);
    }

    /// Appends the bytes from `start` to `start + length` of an array's buffer.
    #[inline(always)]
    pub(crate) fn array(&mut self, buffer: &'a Buffer, start: usize, length: usize) -> Result<(), Box<Error>> {
        match buffer.as_slice().get(start..).and_then(|bytes| bytes.get(..length)) {
            Some(bytes) => self.slice(bytes, buffer),
            None => Err(too_short(buffer.len(), start.saturating_add(length))),
        }
    }

    /// Appends the elements `rows` of an array's buffer.
    #[inline(always)]
    pub(crate) fn values<T: ArrowNativeType>(
        &mut self,
        values: &'a ScalarBuffer<T>,
        rows: &Range<usize>,
    ) -> Result<(), Box<Error>> {
        match values.get(rows.clone()) {
            Some(elements) => self.slice(elements.to_byte_slice(), values.inner()),
            None => Err(too_short(values.inner().len(), rows.end.saturating_mul(size_of::<T>()))),
        }
    }

    /// Appends `bytes`, which are a range of an array's `buffer`.
    #[inline(always)]
    fn slice(&mut self, bytes: &'a [u8], buffer: &'a Buffer) -> Result<(), Box<Error>> {
        if bytes.len() < self.borrowed_from {
            return self.copied_or_compressed(bytes, buffer);
        }
        self.segments.push(Segment::Array(Slice::new(bytes, buffer)));
        let padding = self.describe(bytes.len());
        if padding != 0 {
            self.segments.push(Segment::padding(padding));
        }
        Ok(())
    }

    /// The same for bytes that are copied or compressed.
    #[inline(never)]
    fn copied_or_compressed(&mut self, bytes: &'a [u8], buffer: &'a Buffer) -> Result<(), Box<Error>> {
        if bytes.is_empty() {
            self.empty();
        } else if self.codec.is_none() {
            self.push_copy(bytes);
            let padding = self.describe(bytes.len());
            self.pad(padding);
        } else if !self.compress(bytes)? {
            self.push_copy(&STORED_RAW.to_le_bytes());
            if bytes.len() < COPY_BELOW {
                self.push_copy(bytes);
            } else {
                self.segments.push(Segment::Array(Slice::new(bytes, buffer)));
            }
            self.describe_instead_of(LENGTH_PREFIX + bytes.len(), bytes.len());
        }
        Ok(())
    }

    fn push_copy(&mut self, bytes: &[u8]) {
        let copy = self.arena.extend(bytes);
        self.push_arena(copy);
    }

    /// Appends a buffer of `length` bytes, all of which `write` fills.
    pub(crate) fn build_buffer(&mut self, length: usize, write: impl FnOnce(&mut [u8])) -> Result<(), Box<Error>> {
        if length == 0 {
            self.empty();
            return Ok(());
        }
        let mut stored = length;
        if self.codec.is_none() {
            write(self.arena.reserve(length));
        } else {
            let mut scratch = std::mem::take(self.scratch);
            if scratch.len() < length {
                scratch.resize(length, 0);
            }
            write(&mut scratch[..length]);
            let compressed = self.compress(&scratch[..length]);
            if matches!(compressed, Ok(false)) {
                self.push_copy(&STORED_RAW.to_le_bytes());
                self.arena.reserve(length).copy_from_slice(&scratch[..length]);
                stored += LENGTH_PREFIX;
            }
            *self.scratch = scratch;
            if compressed? {
                return Ok(());
            }
        }
        let made = self.arena.advance(length);
        self.push_arena(made);
        self.describe_instead_of(stored, length);
        Ok(())
    }

    /// Appends `bytes` compressed, and returns `true`, if there is a codec and it saves enough. Otherwise appends
    /// nothing.
    fn compress(&mut self, bytes: &[u8]) -> Result<bool, Box<Error>> {
        let Some(codec) = self.codec.as_deref_mut() else {
            return Ok(false);
        };
        if self.options.raw_buffers != RawBuffers::Never && codec.is_hopeless(bytes.len()) {
            return Ok(false);
        }
        let frame = codec.compress(bytes, self.arena, LENGTH_PREFIX)?;
        if !saves_enough(frame, bytes.len(), self.options.raw_buffers) {
            return Ok(false);
        }
        let prefix = signed("buffer length", bytes.len())?.to_le_bytes();
        self.arena.reserve(LENGTH_PREFIX).copy_from_slice(&prefix);
        let stored = self.arena.advance(LENGTH_PREFIX + frame);
        self.push_arena(stored);
        self.describe_instead_of(LENGTH_PREFIX + frame, bytes.len());
        Ok(true)
    }

    /// Appends a buffer of `length` bytes to the draft's list. Returns the number of bytes of padding that must follow.
    #[inline(always)]
    fn describe(&mut self, length: usize) -> usize {
        self.draft.buffer(self.length, length as u64);
        let padding = self.options.alignment.padding(length);
        self.length += (length + padding) as u64;
        padding
    }

    /// The same for a buffer of `stored` bytes in place of one of `raw` bytes. Appends the padding.
    fn describe_instead_of(&mut self, stored: usize, raw: usize) {
        let padded = |length: usize| (length + self.options.alignment.padding(length)) as u64;
        self.saved += padded(raw).cast_signed() - padded(stored).cast_signed();
        let padding = self.describe(stored);
        self.pad(padding);
    }

    fn pad(&mut self, padding: usize) {
        if padding == 0 {
            return;
        }
        if let Some(Segment::Arena(last)) = self.segments.last_mut() {
            self.arena.reserve(padding).fill(0);
            last.end = self.arena.advance(padding).end;
        } else {
            self.segments.push(Segment::padding(padding));
        }
    }

    /// Appends bytes of the arena. Extends the last segment if they follow it in the arena.
    fn push_arena(&mut self, range: Range<usize>) {
        match self.segments.last_mut() {
            Some(Segment::Arena(last)) if last.end == range.start => last.end = range.end,
            _ => self.segments.push(Segment::Arena(range)),
        }
    }
}

/// Whether a frame is so much shorter than the bytes it holds that it is stored instead of them.
#[expect(clippy::cast_precision_loss, reason = "a share need not be exact beyond 2^52 bytes")]
fn saves_enough(frame: usize, raw: usize, raw_buffers: RawBuffers) -> bool {
    match raw_buffers {
        RawBuffers::Never => true,
        RawBuffers::Incompressible => frame < raw,
        RawBuffers::SavingLessThan(share) => frame < raw && frame as f64 <= raw as f64 * (1.0 - share),
    }
}

/// Returns a length as the format's signed 64-bit field.
#[inline(always)]
pub(crate) fn signed(what: &'static str, length: usize) -> Result<i64, Box<Error>> {
    match i64::try_from(length) {
        Ok(length) => Ok(length),
        Err(_) => Err(too_large(what, length as u64)),
    }
}

#[cold]
fn too_short(found: usize, expected: usize) -> Box<Error> {
    Error::invalid(format!("a buffer of at least {expected} bytes"), format!("{found} bytes"))
}

#[cold]
fn too_many_rows(found: usize) -> Box<Error> {
    Error::invalid(format!("at most {} rows", i64::MAX), found.to_string())
}

#[cold]
pub(crate) fn too_large(what: &'static str, length: u64) -> Box<Error> {
    Box::new(Error::TooLarge { what, length, limit: i64::MAX.unsigned_abs() })
}

#[cfg(test)]
mod tests {
    use super::{RawBuffers, saves_enough};

    #[test]
    fn a_frame_must_be_shorter_and_save_its_share() {
        assert!(saves_enough(99, 100, RawBuffers::Incompressible));
        assert!(!saves_enough(100, 100, RawBuffers::Incompressible));
        assert!(saves_enough(90, 100, RawBuffers::SavingLessThan(0.1)));
        assert!(!saves_enough(91, 100, RawBuffers::SavingLessThan(0.1)));
        assert!(!saves_enough(100, 100, RawBuffers::SavingLessThan(0.0)));
        assert!(saves_enough(101, 100, RawBuffers::Never));
    }
}

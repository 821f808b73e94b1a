//! What a walk over arrays writes to: the field nodes, and the buffers of a body in order.
//!
//! A buffer is borrowed where the array holds it as the format wants it, made in the arena where not, compressed where
//! the options say so, and padded. [`Body`] keeps the lists that the message's metadata is built from; it lives as
//! long as one message, over memory that [`BatchEncoder`](crate::BatchEncoder) keeps.
//!
//! Batches of few rows and many columns cost what happens here for each buffer, so the short way, an array's buffer that
//! is borrowed as it is, is inlined into the walk.

use arrow_buffer::Buffer;

use crate::compress::Codec;
use crate::error::{Error, Step};
use crate::message::Message;
use crate::metadata::Layout;
use crate::options::Options;
use crate::segment::{Arena, Segment, Slice};

/// Length prefix of a compressed buffer, or -1 where the buffer is stored raw.
const LENGTH_PREFIX: usize = 8;
const STORED_RAW: i64 = -1;

/// Array buffers shorter than this are copied to the arena, where they merge with their neighbours: handing a piece to
/// the kernel costs more than copying so few bytes.
const COPY_BELOW: usize = 128;

/// A body in the making.
pub(crate) struct Body<'s, 'a> {
    pub(crate) options: &'s Options,
    pub(crate) layout: &'s mut Layout,
    /// The message that the body is part of. Its length is always aligned between buffers. Offsets never exceed it, so
    /// that it fits the format's signed numbers need be checked only once, for the whole body.
    pub(crate) message: &'s mut Message<Slice<'a>>,
    /// Where a buffer is made before it is compressed; unused without a codec.
    pub(crate) scratch: &'s mut Arena,
    pub(crate) codec: Option<&'s mut Codec>,
    /// How many bytes compression has saved.
    pub(crate) saved: i64,
}

impl<'a> Body<'_, 'a> {
    /// Describes an array of the walk: its length and its null count, which is no greater.
    #[inline(always)]
    pub(crate) fn node(&mut self, length: usize, null_count: usize) -> Step {
        signed("field node length", length)?;
        self.layout.nodes.push([length as u64, null_count as u64]);
        Ok(())
    }

    /// Says how many data buffers follow the views of a view array.
    pub(crate) fn variadic(&mut self, count: usize) {
        self.layout.variadic_counts.push(count as u64);
    }

    /// A buffer without bytes; it stays without a length prefix when compressed.
    #[inline(always)]
    pub(crate) fn empty(&mut self) {
        self.layout.buffers.push([self.message.body_length, 0]);
    }

    /// The bytes from `start` to `start + length` of an array's buffer, as they are.
    #[inline(always)]
    pub(crate) fn array(&mut self, buffer: &'a Buffer, start: usize, length: usize) -> Step {
        if start.checked_add(length).is_none_or(|end| end > buffer.len()) {
            return Err(too_short(buffer.len(), start.saturating_add(length)));
        }
        if length == 0 {
            self.empty();
        } else if self.codec.is_some() {
            return self.compressed_array(buffer, start, length);
        } else {
            self.push_array(buffer, start, length);
            self.describe(length);
        }
        Ok(())
    }

    /// As [`array`](Self::array), with a codec.
    fn compressed_array(&mut self, buffer: &'a Buffer, start: usize, length: usize) -> Step {
        if self.compress(Slice::new(buffer, start, length).bytes())? {
            return Ok(());
        }
        let prefix = self.message.arena.extend(&STORED_RAW.to_le_bytes());
        self.push_arena(prefix);
        self.push_array(buffer, start, length);
        self.describe_instead_of(LENGTH_PREFIX + length, length);
        Ok(())
    }

    #[inline(always)]
    fn push_array(&mut self, buffer: &'a Buffer, start: usize, length: usize) {
        if length < COPY_BELOW {
            self.push_copy(Slice::new(buffer, start, length).bytes());
        } else {
            self.message.segments.push(Segment::Array(Slice::new(buffer, start, length)));
        }
    }

    fn push_copy(&mut self, bytes: &[u8]) {
        let copy = self.message.arena.extend(bytes);
        self.push_arena(copy);
    }

    /// `length` bytes that `write` fills, all of them.
    pub(crate) fn made(&mut self, length: usize, write: impl FnOnce(&mut [u8])) -> Step {
        if length == 0 {
            self.empty();
            return Ok(());
        }
        let mut stored = length;
        if self.codec.is_none() {
            write(self.message.arena.reserve(length));
        } else {
            self.scratch.clear();
            write(self.scratch.reserve(length));
            self.scratch.advance(length);
            let scratch = std::mem::take(self.scratch);
            let compressed = self.compress(scratch.as_slice());
            *self.scratch = scratch;
            if compressed? {
                return Ok(());
            }
            let prefix = self.message.arena.extend(&STORED_RAW.to_le_bytes());
            self.push_arena(prefix);
            self.message.arena.reserve(length).copy_from_slice(self.scratch.as_slice());
            stored += LENGTH_PREFIX;
        }
        let made = self.message.arena.advance(length);
        self.push_arena(made);
        self.describe_instead_of(stored, length);
        Ok(())
    }

    /// Appends `bytes` compressed, if there is a codec and it saves enough; else does nothing.
    fn compress(&mut self, bytes: &[u8]) -> Step<bool> {
        let Some(codec) = self.codec.as_deref_mut() else {
            return Ok(false);
        };
        if self.options.raw_buffers && codec.is_hopeless(bytes.len()) {
            return Ok(false);
        }
        let frame = codec.compress(bytes, &mut self.message.arena, LENGTH_PREFIX)?;
        if self.options.raw_buffers && !saves_enough(frame, bytes.len(), self.options.min_space_saving) {
            return Ok(false);
        }
        let prefix = signed("buffer length", bytes.len())?.to_le_bytes();
        self.message.arena.reserve(LENGTH_PREFIX).copy_from_slice(&prefix);
        let stored = self.message.arena.advance(LENGTH_PREFIX + frame);
        self.push_arena(stored);
        self.describe_instead_of(LENGTH_PREFIX + frame, bytes.len());
        Ok(true)
    }

    /// Adds a buffer of so many bytes to the layout, and pads the body behind it.
    #[inline(always)]
    fn describe(&mut self, length: usize) {
        self.layout.buffers.push([self.message.body_length, length as u64]);
        let padding = self.options.alignment.padding(length);
        self.message.body_length += (length + padding) as u64;
        if padding != 0 {
            self.pad(padding);
        }
    }

    /// As [`describe`](Self::describe), for a buffer of `stored` bytes that stands for one of `raw`.
    fn describe_instead_of(&mut self, stored: usize, raw: usize) {
        let padded = |length: usize| (length + self.options.alignment.padding(length)) as u64;
        self.saved += padded(raw).cast_signed() - padded(stored).cast_signed();
        self.describe(stored);
    }

    fn pad(&mut self, padding: usize) {
        if let Some(Segment::Arena(last)) = self.message.segments.last_mut() {
            self.message.arena.reserve(padding).fill(0);
            last.end = self.message.arena.advance(padding).end;
        } else {
            self.message.segments.push(Segment::Padding(padding));
        }
    }

    /// Appends bytes of the arena, as part of the segment before where they adjoin it.
    fn push_arena(&mut self, range: std::ops::Range<usize>) {
        match self.message.segments.last_mut() {
            Some(Segment::Arena(last)) if last.end == range.start => last.end = range.end,
            _ => self.message.segments.push(Segment::Arena(range)),
        }
    }
}

/// Whether a frame is enough shorter than the bytes it holds.
#[expect(clippy::cast_precision_loss, reason = "a share need not be exact beyond 2^52 bytes")]
fn saves_enough(frame: usize, raw: usize, min_space_saving: f64) -> bool {
    frame < raw && (min_space_saving <= 0.0 || frame as f64 <= raw as f64 * (1.0 - min_space_saving))
}

/// A length as the format's signed 64-bit field.
#[inline(always)]
pub(crate) fn signed(what: &'static str, length: usize) -> Step<i64> {
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
fn too_large(what: &'static str, length: u64) -> Box<Error> {
    Box::new(Error::TooLarge { what, length, limit: i64::MAX.unsigned_abs() })
}

#[cfg(test)]
mod tests {
    use super::saves_enough;

    #[test]
    fn a_frame_must_be_shorter_and_save_its_share() {
        assert!(saves_enough(99, 100, 0.0));
        assert!(!saves_enough(100, 100, 0.0));
        assert!(saves_enough(90, 100, 0.1));
        assert!(!saves_enough(91, 100, 0.1));
    }
}

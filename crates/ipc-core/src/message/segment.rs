//! The pieces that a message's body is made of, and the memory behind those that had to be made.
//!
//! A body is an ordered list of [`Segment`]s. Most borrow the bytes of an array as they are; only what had to be
//! rewritten (shifted bitmaps, rebased offsets, compressed buffers) lies in the [`Arena`]. Nothing here knows what the
//! bytes mean.

use std::ops::Range;

use arrow_buffer::Buffer;

use crate::format::Checksum;

/// Bytes borrowed from an array: a range of one of its buffers.
///
/// It keeps the buffer at hand, beside its bytes, so that an owned message can share the memory.
#[derive(Debug, Clone, Copy)]
pub struct Slice<'a> {
    bytes: &'a [u8],
    /// The buffer that `bytes` are a range of.
    buffer: &'a Buffer,
}

impl<'a> Slice<'a> {
    /// `bytes`, which are a range of `buffer`.
    #[inline(always)]
    pub(crate) fn new(bytes: &'a [u8], buffer: &'a Buffer) -> Self {
        Self { bytes, buffer }
    }

    /// The same bytes, sharing the memory.
    pub(crate) fn to_buffer(self) -> Buffer {
        let start = self.bytes.as_ptr().addr() - self.buffer.as_ptr().addr();
        self.buffer.slice_with_length(start, self.bytes.len())
    }
}

impl AsRef<[u8]> for Slice<'_> {
    fn as_ref(&self) -> &[u8] {
        self.bytes
    }
}

/// One piece of a body. `B` is how bytes of arrays are held: [`Slice`] while they are borrowed, [`Buffer`] once owned.
#[derive(Debug)]
pub(crate) enum Segment<B> {
    /// Bytes of an array.
    Array(B),
    /// Bytes of the arena.
    Arena(Range<usize>),
}

impl<B> Segment<B> {
    /// So many zero bytes, at most 64.
    #[inline(always)]
    pub(crate) fn padding(length: usize) -> Self {
        debug_assert!(length <= ZEROS, "no padding is longer");
        Self::Arena(0..length)
    }
}

impl<B: AsRef<[u8]>> Segment<B> {
    pub(crate) fn bytes<'s>(&'s self, arena: &'s Arena) -> &'s [u8] {
        match self {
            Self::Array(bytes) => bytes.as_ref(),
            Self::Arena(range) => &arena.bytes[range.clone()],
        }
    }
}

/// Computes the checksum of the body that these segments are.
pub(crate) fn checksum<B: AsRef<[u8]>>(segments: &[Segment<B>], arena: &Arena) -> Checksum {
    let mut checksum = Checksum::default();
    segments.iter().for_each(|segment| checksum.update(segment.bytes(arena)));
    checksum
}

/// Memory for bytes that had to be made, kept from message to message. It begins with zeros, which serve as padding.
///
/// Memory that was used before is not cleared before it is used again: whoever takes a piece writes all of it.
#[derive(Debug)]
pub(crate) struct Arena {
    /// All of it is initialised; `used` says how much the current message has, the zeros included.
    bytes: Vec<u8>,
    used: usize,
}

/// How many zeros an arena begins with: as many as the longest padding.
const ZEROS: usize = 64;

impl Default for Arena {
    fn default() -> Self {
        Self { bytes: vec![0; ZEROS], used: ZEROS }
    }
}

impl Arena {
    pub(crate) fn clear(&mut self) {
        self.used = ZEROS;
    }

    /// Makes room for `length` more bytes and returns it, with whatever it held before.
    /// What of it is really used, [`Arena::advance`] says.
    pub(crate) fn reserve(&mut self, length: usize) -> &mut [u8] {
        let end = self.used + length;
        if self.bytes.len() < end {
            self.bytes.resize(end.max(2 * self.bytes.len()), 0);
        }
        &mut self.bytes[self.used..end]
    }

    /// Counts the next `length` bytes, which the caller has written, as used.
    pub(crate) fn advance(&mut self, length: usize) -> Range<usize> {
        let range = self.used..self.used + length;
        debug_assert!(range.end <= self.bytes.len(), "only reserved bytes can be used");
        self.used = range.end;
        range
    }

    /// Appends a copy of `bytes`.
    pub(crate) fn extend(&mut self, bytes: &[u8]) -> Range<usize> {
        self.reserve(bytes.len()).copy_from_slice(bytes);
        self.advance(bytes.len())
    }

    /// How much memory it has.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Gives memory back beyond `length` bytes, with what the last message had there.
    pub(crate) fn shrink(&mut self, length: usize) {
        self.bytes.truncate(length.max(ZEROS));
        self.bytes.shrink_to_fit();
        self.clear();
    }

    /// The used bytes, as memory that can be shared.
    pub(crate) fn into_buffer(mut self) -> Buffer {
        self.bytes.truncate(self.used);
        Buffer::from_vec(self.bytes)
    }
}

/// An empty vector with the memory of `vec`, for elements that borrow from something else.
///
/// `Vec::from_iter` reuses the memory of a vector whose elements have the same layout, as `T` and `U`, which differ in
/// a lifetime only, do. Were it not to, a batch would cost an allocation and a test would say so.
pub(crate) fn recycle<T, U>(mut vec: Vec<T>) -> Vec<U> {
    vec.clear();
    vec.into_iter().map(|_| unreachable!("the vector was cleared")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recycling_keeps_the_memory() {
        let bytes = vec![1u8, 2, 3];
        let borrowed: Vec<&[u8]> = vec![&bytes; 7];
        let (address, capacity) = (borrowed.as_ptr().addr(), borrowed.capacity());
        let recycled: Vec<&'static [u8]> = recycle(borrowed);
        assert_eq!((recycled.as_ptr().addr(), recycled.capacity()), (address, capacity));
    }
}

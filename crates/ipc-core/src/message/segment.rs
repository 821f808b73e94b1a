//! The segments of a message's body, and the memory of those that had to be rewritten.
//!
//! Most segments borrow the bytes of an array. Shifted bitmaps, rebased offsets and compressed buffers are in the
//! [`Arena`].

use std::ops::Range;

use arrow_buffer::Buffer;

use crate::format::Checksum;

/// Bytes borrowed from an array: a range of one of its buffers.
///
/// It keeps the buffer beside the bytes, so that an owned message can share the memory.
#[derive(Debug, Clone, Copy)]
pub struct Slice<'a> {
    bytes: &'a [u8],
    /// The buffer that `bytes` are a range of.
    buffer: &'a Buffer,
}

impl<'a> Slice<'a> {
    /// Returns a slice of `bytes`, which are a range of `buffer`.
    #[inline(always)]
    pub(crate) fn new(bytes: &'a [u8], buffer: &'a Buffer) -> Self {
        Self { bytes, buffer }
    }

    /// Returns the same bytes, sharing the memory.
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

/// One piece of a body. `B` holds bytes of arrays: [`Slice`] borrows them, [`Buffer`] shares them.
#[derive(Debug)]
pub(crate) enum Segment<B> {
    /// Bytes of an array.
    Array(B),
    /// Bytes of the arena.
    Arena(Range<usize>),
}

impl<B> Segment<B> {
    /// Returns `length` zero bytes, at most 64.
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

/// Memory for rewritten bytes, kept from message to message. It begins with zeros, which serve as padding.
///
/// Reused memory is not cleared. A caller that reserves bytes writes all of those it then counts as used.
#[derive(Debug)]
pub(crate) struct Arena {
    /// Initialised in full; the current message has the first `used` bytes, the zeros included.
    bytes: Vec<u8>,
    used: usize,
}

/// The number of zeros at the start of an arena: the longest padding.
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

    /// Returns `length` free bytes, with stale contents. [`Arena::advance`] counts those that were written as used.
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

    /// Returns the size of the memory in bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Frees the memory beyond `length` bytes, and forgets the last message.
    pub(crate) fn shrink(&mut self, length: usize) {
        self.bytes.truncate(length.max(ZEROS));
        self.bytes.shrink_to_fit();
        self.clear();
    }

    /// Returns the used bytes as memory that can be shared.
    pub(crate) fn into_buffer(mut self) -> Buffer {
        self.bytes.truncate(self.used);
        Buffer::from_vec(self.bytes)
    }
}

/// Returns an empty vector with the memory of `vec`, for elements with another lifetime.
///
/// `Vec::from_iter` reuses the memory of a vector whose elements have the same layout. If it ever stopped, a batch
/// would cost an allocation, which a test counts.
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

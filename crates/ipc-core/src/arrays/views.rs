//! Decodes string and binary views.
//!
//! A view holds up to 12 bytes itself; a longer one names a data buffer, an offset in it and a length. This is the only
//! place that knows where in a view these stand.

use std::ops::Range;

use arrow_buffer::{ArrowNativeType, Buffer, ToByteSlice};

use crate::arrays::visible::RowMask;
use crate::error::{Error, Result};

/// A view longer than this names bytes in a data buffer; others hold their bytes.
const INLINE: usize = 12;

/// Where a view holds its bytes, or the first of those that it names: behind the length.
const BYTES: usize = 4;

/// The bytes of a data buffer that a view names.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BufferRange {
    pub(crate) buffer: usize,
    pub(crate) start: usize,
    pub(crate) length: usize,
}

impl BufferRange {
    /// Returns what a view names; `None` where it holds its bytes itself.
    pub(crate) fn of(view: u128) -> Option<Self> {
        let length = field(view, 0);
        (length > INLINE).then(|| Self { buffer: field(view, 64), start: field(view, 96), length })
    }

    /// Returns the named bytes.
    pub(crate) fn bytes(self, buffers: &[Buffer]) -> Result<&[u8], Box<Error>> {
        let Self { buffer, start, length } = self;
        let bytes = buffers.get(buffer).and_then(|buffer| buffer.as_slice().get(start..start.checked_add(length)?));
        bytes.ok_or_else(|| {
            Error::invalid(
                "views into the data buffers",
                format!("{length} bytes at {start} of buffer {buffer}, of {}", buffers.len()),
            )
        })
    }
}

/// Returns the bytes of a view, in itself or in the buffer that it names.
pub(crate) fn bytes<'a>(view: &'a u128, buffers: &'a [Buffer]) -> Result<&'a [u8], Box<Error>> {
    match BufferRange::of(*view) {
        Some(range) => range.bytes(buffers),
        None => Ok(&view.to_byte_slice()[BYTES..BYTES + field(*view, 0)]),
    }
}

/// Whether a view repeats the first `bytes` of those that it names, or has zeros behind its own.
pub(crate) fn has_prefix_of(view: &u128, bytes: &[u8]) -> bool {
    let rest = &view.to_byte_slice()[BYTES..];
    match bytes.get(..BYTES).filter(|_| bytes.len() > INLINE) {
        Some(prefix) => rest[..BYTES] == *prefix,
        None => rest[bytes.len()..].iter().all(|byte| *byte == 0),
    }
}

/// Returns the same view of bytes that are at `start` of the first data buffer.
pub(crate) fn moved(view: u128, start: u32) -> u128 {
    // Length and prefix stay, the buffer's index becomes 0.
    view & u128::from(u64::MAX) | u128::from(start) << 96
}

/// Returns the views of the rows `rows`.
pub(crate) fn window<'a>(views: &'a [u128], rows: &Range<usize>) -> Result<&'a [u128], Box<Error>> {
    views
        .get(rows.clone())
        .ok_or_else(|| Error::invalid(format!("{} views", rows.end), format!("{} views", views.len())))
}

/// Returns what the visible ones of `views` name in data buffers, in order.
pub(crate) fn named(views: &[u128], visible: &RowMask) -> impl Iterator<Item = BufferRange> {
    views.iter().enumerate().filter(|(row, _)| visible.sees(*row)).filter_map(|(_, &view)| BufferRange::of(view))
}

/// Returns the field of 32 bits that begins at bit `at` of a view.
fn field(view: u128, at: u32) -> usize {
    u32::from_le_bytes([0, 8, 16, 24].map(|bit| (view >> (at + bit)).to_le_bytes()[0])).as_usize()
}

//! String and binary views: what they name in the data buffers, and an array of them with no other bytes than those.
//!
//! A view holds up to 12 bytes itself, or names a data buffer, an offset and a length. Arrays share data buffers freely,
//! so a batch of few rows may hold on to many bytes that none of its views use. Those bytes are written, since cutting
//! them off takes a pass over the views, unless the options ask for it.

use std::ops::Range;

use arrow_buffer::{ArrowNativeType, Buffer};

use crate::arrays::visible::Visible;
use crate::body::Body;
use crate::body::rewrite::fill;
use crate::error::{Error, Result};

/// A view longer than this holds a buffer's index and an offset; others hold their bytes.
const INLINE: usize = 12;

/// Where a view's bytes stand in the data buffers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) buffer: usize,
    pub(crate) start: usize,
    pub(crate) length: usize,
}

impl Place {
    /// What a view names, or `None` where it holds its bytes itself.
    pub(crate) fn of(view: u128) -> Option<Self> {
        let field = |shift: u32| u32::from_le_bytes([0, 8, 16, 24].map(|bit| (view >> (shift + bit)).to_le_bytes()[0]));
        let length = field(0).as_usize();
        (length > INLINE).then(|| Self { buffer: field(64).as_usize(), start: field(96).as_usize(), length })
    }

    /// The bytes there.
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

/// The views of `rows`.
pub(crate) fn window<'a>(views: &'a [u128], rows: &Range<usize>) -> Result<&'a [u128], Box<Error>> {
    views
        .get(rows.clone())
        .ok_or_else(|| Error::invalid(format!("{} views", rows.end), format!("{} views", views.len())))
}

/// How many bytes the visible ones of `views` use of their data buffers, if that is less than these hold and one
/// buffer can hold it.
pub(crate) fn worth_compacting(
    views: &[u128],
    visible: &Visible,
    buffers: &[Buffer],
) -> Result<Option<usize>, Box<Error>> {
    let mut used = 0;
    for place in places(views, visible) {
        used += place.bytes(buffers)?.len();
    }
    let held: usize = buffers.iter().map(Buffer::len).sum();
    Ok((used < held && i32::try_from(used).is_ok()).then_some(used))
}

/// Writes `views`, and one data buffer with the `used` bytes that the visible ones use. The others become empty.
pub(crate) fn compact(
    body: &mut Body<'_, '_>,
    views: &[u128],
    visible: &Visible,
    buffers: &[Buffer],
    used: usize,
) -> Result<(), Box<Error>> {
    body.variadic(usize::from(used > 0));
    body.made(size_of_val(views), |out| {
        let mut offset = 0u32;
        let moved = views.iter().enumerate().map(|(row, &view)| match Place::of(view) {
            _ if !visible.sees(row) => 0,
            None => view,
            Some(Place { length, .. }) => {
                // Length and prefix stay, the buffer's index becomes 0.
                let moved = view & u128::from(u64::MAX) | u128::from(offset) << 96;
                offset += u32::try_from(length).expect("one buffer holds all bytes in use");
                moved
            }
        });
        fill(out, moved);
    })?;
    if used == 0 {
        return Ok(());
    }
    let mut found = Ok(());
    body.made(used, |out| {
        let mut end = 0;
        found = places(views, visible).try_for_each(|place| {
            let bytes = place.bytes(buffers)?;
            out[end..end + bytes.len()].copy_from_slice(bytes);
            end += bytes.len();
            Ok(())
        });
    })?;
    found
}

/// What the visible ones of `views` name, in order.
pub(crate) fn places(views: &[u128], visible: &Visible) -> impl Iterator<Item = Place> {
    views.iter().enumerate().filter(|(row, _)| visible.sees(*row)).filter_map(|(_, &view)| Place::of(view))
}

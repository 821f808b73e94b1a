//! Writes string and binary views with one data buffer that holds just the bytes in use.
//!
//! Arrays share data buffers freely, so a batch of few rows may hold on to many bytes that none of its views use.
//! Finding them takes a pass over the views, so it happens only where the options ask for it.

use arrow_buffer::Buffer;

use crate::arrays::views::{self, BufferRange};
use crate::arrays::visible::RowMask;
use crate::body::Body;
use crate::body::rewrite::fill;
use crate::error::{Error, Result};

/// Returns how many bytes of their data buffers the visible ones of `views` use, if that is less than these hold and
/// one buffer can hold it.
pub(crate) fn worth_compacting(
    views: &[u128],
    visible: &RowMask,
    buffers: &[Buffer],
) -> Result<Option<usize>, Box<Error>> {
    let mut used = 0;
    for range in views::named(views, visible) {
        used += range.bytes(buffers)?.len();
    }
    let held: usize = buffers.iter().map(Buffer::len).sum();
    Ok((used < held && i32::try_from(used).is_ok()).then_some(used))
}

/// Appends `views`, and one data buffer with the `used` bytes that the visible ones use. The others become empty.
pub(crate) fn compact(
    body: &mut Body<'_, '_>,
    views: &[u128],
    visible: &RowMask,
    buffers: &[Buffer],
    used: usize,
) -> Result<(), Box<Error>> {
    body.variadic(usize::from(used > 0));
    body.build_buffer(size_of_val(views), |out| {
        let mut offset = 0u32;
        let moved = views.iter().enumerate().map(|(row, &view)| match BufferRange::of(view) {
            _ if !visible.sees(row) => 0,
            None => view,
            Some(BufferRange { length, .. }) => {
                let moved = views::moved(view, offset);
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
    body.build_buffer(used, |out| {
        let mut end = 0;
        found = views::named(views, visible).try_for_each(|range| {
            let bytes = range.bytes(buffers)?;
            out[end..end + bytes.len()].copy_from_slice(bytes);
            end += bytes.len();
            Ok(())
        });
    })?;
    found
}

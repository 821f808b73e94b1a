//! The frame of a message: a prefix with its length before the flatbuffer, padding after it.
//!
//! See [Encapsulated message format](https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format).

use crate::error::{Error, Result};
use crate::format::{Alignment, CONTINUATION, MetadataVersion, prefix_length};

/// The bytes to leave free before a flatbuffer for the prefix: continuation marker and length.
pub(crate) const PREFIX: usize = 8;

/// Frames the flatbuffer that follows [`PREFIX`] bytes in `metadata`: fills the prefix in, and pads so that metadata
/// that starts at `position` of the output ends at a multiple of the alignment.
pub(crate) fn frame(
    metadata: &mut Vec<u8>,
    position: usize,
    version: MetadataVersion,
    alignment: Alignment,
) -> Result<()> {
    if version.is_legacy_framing() {
        metadata.drain(..CONTINUATION.len());
    } else {
        metadata[..CONTINUATION.len()].copy_from_slice(&CONTINUATION);
    }
    let prefix = prefix_length(version);
    metadata.resize(metadata.len() + alignment.padding(position + metadata.len()), 0);
    let length = metadata.len() - prefix;
    let length_field = i32::try_from(length).map_err(|_| Error::TooLarge {
        what: "message metadata",
        length: length as u64,
        limit: i32::MAX.unsigned_abs().into(),
    })?;
    metadata[prefix - size_of::<i32>()..prefix].copy_from_slice(&length_field.to_le_bytes());
    Ok(())
}

//! Rewrites the prefix and the metadata of a message, for an output with another framing or metadata version.
//!
//! Consecutive streams may differ in both. Bodies are unchanged: only unions have other buffers in another version, and
//! streams with unions are not joined.

use arrow_ipc::{Message, MetadataVersion};
use ipc_core::format::CONTINUATION;

use crate::error::Error;
use crate::format::{ALIGNED, Framing};
use crate::message::Head;

/// Returns the prefix and the metadata of a message in this framing and version. Its buffers must be the same in both
/// versions.
pub(crate) fn reframe(head: &Head, framing: Framing, version: MetadataVersion) -> Result<Vec<u8>, Error> {
    let mut flatbuffer = head.flatbuffer().to_vec();
    let table = head.message()._tab;
    let field = usize::from(table.vtable().get(Message::VT_VERSION));
    // An omitted version field means the first version, which no reframed message has.
    if let Some(stored) = flatbuffer.get_mut(table.loc() + field..).filter(|_| field > 0)
        && let Some(stored) = stored.first_chunk_mut()
    {
        *stored = version.0.to_le_bytes();
    }
    let total = reframed_length(flatbuffer.len() as u64, framing);
    let too_large = Error::TooLarge { what: "metadata of a message" };
    let (total, length) = match (usize::try_from(total), i32::try_from(total - framing.length())) {
        (Ok(total), Ok(length)) => (total, length),
        _ => return Err(too_large),
    };
    let mut bytes = match framing {
        Framing::Marked => CONTINUATION.to_vec(),
        Framing::Legacy => Vec::new(),
    };
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&flatbuffer);
    bytes.resize(total, 0);
    Ok(bytes)
}

/// Returns the padded length of the prefix and a flatbuffer of `length` bytes in this framing.
pub(crate) fn reframed_length(length: u64, framing: Framing) -> u64 {
    (framing.length() + length).next_multiple_of(ALIGNED)
}

//! The two formats: a stream of messages, and a file that is such a stream between a magic and a footer.
//!
//! The bytes of a file from 8 to its end-of-stream marker are a valid stream. The magic is padded to 8 bytes, and the
//! schema message is padded so that the next message starts at an aligned *file* offset.
//!
//! See [Encapsulated message format](https://arrow.apache.org/docs/format/Columnar.html#ipc-streaming-format) and
//! [IPC file format](https://arrow.apache.org/docs/format/Columnar.html#ipc-file-format).
//!
//! The bytes that frame an output are public, for programs that read or repair outputs.

pub(crate) mod checksum;

use arrow_ipc::{Message, MessageHeader, RecordBatch};

use crate::error::{Error, Result};
pub use crate::format::checksum::Checksum;

/// A format that an encoder writes: [`StreamFormat`] or [`FileFormat`]. Sealed.
pub trait Format: sealed::Sealed + Send + Sync + 'static {
    /// The bytes before the first message.
    #[doc(hidden)]
    const MAGIC: &'static [u8];

    /// Whether a footer lists the messages. Such a format is read at random, so it allows no dictionary replacement. It
    /// cannot be read before it is closed, so small messages may be staged.
    #[doc(hidden)]
    const HAS_FOOTER: bool;
}

/// Messages one after another, read from the front: schema, dictionaries, record batches, end-of-stream marker.
#[derive(Debug, Clone, Copy)]
pub enum StreamFormat {}

/// A stream between a magic and a footer, read at random.
#[derive(Debug, Clone, Copy)]
pub enum FileFormat {}

impl sealed::Sealed for StreamFormat {}

impl sealed::Sealed for FileFormat {}

impl Format for StreamFormat {
    const MAGIC: &'static [u8] = b"";
    const HAS_FOOTER: bool = false;
}

impl Format for FileFormat {
    const MAGIC: &'static [u8] = b"ARROW1\0\0";
    const HAS_FOOTER: bool = true;
}

/// The boundary, in bytes, to which messages and the buffers inside their bodies are padded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Alignment {
    /// 8 bytes: the least that the format allows.
    A8 = 8,
    /// 16 bytes.
    A16 = 16,
    /// 32 bytes.
    A32 = 32,
    /// 64 bytes: what the format recommends, and the default.
    #[default]
    A64 = 64,
}

impl Alignment {
    /// The boundary in bytes.
    #[must_use]
    pub const fn bytes(self) -> usize {
        self as usize
    }

    /// How many bytes are missing from `length` to the next boundary.
    pub(crate) const fn padding(self, length: usize) -> usize {
        length.wrapping_neg() & (self.bytes() - 1)
    }
}

impl TryFrom<usize> for Alignment {
    type Error = Error;

    fn try_from(bytes: usize) -> Result<Self> {
        match bytes {
            8 => Ok(Self::A8),
            16 => Ok(Self::A16),
            32 => Ok(Self::A32),
            64 => Ok(Self::A64),
            other => Err(Error::InvalidOptions(format!("alignment must be 8, 16, 32 or 64 bytes, not {other}"))),
        }
    }
}

/// The version of the metadata, and how a message is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetadataVersion {
    /// Version 5, with a continuation marker before each message; since Arrow 1.0.
    #[default]
    V5,
    /// Version 4, with a continuation marker; Arrow 0.15 to 0.17.
    V4,
    /// Version 4 without a continuation marker; before Arrow 0.15.
    V4Legacy,
}

impl MetadataVersion {
    pub(crate) const fn is_legacy_framing(self) -> bool {
        matches!(self, Self::V4Legacy)
    }

    /// Whether a union carries a validity buffer; version 5 dropped it.
    pub(crate) const fn unions_have_validity(self) -> bool {
        !matches!(self, Self::V5)
    }

    pub(crate) const fn to_flatbuffer(self) -> arrow_ipc::MetadataVersion {
        match self {
            Self::V5 => arrow_ipc::MetadataVersion::V5,
            Self::V4 | Self::V4Legacy => arrow_ipc::MetadataVersion::V4,
        }
    }
}

/// The last bytes of a file, and padded with zeros, its first.
pub const FOOTER_MAGIC: &[u8] = b"ARROW1";

/// The first bytes of a message, before its length. Messages framed as before Arrow 0.15 lack them.
pub const CONTINUATION: [u8; 4] = [0xff; 4];

/// Returns the number of bytes before a message's flatbuffer.
pub(crate) const fn prefix_length(version: MetadataVersion) -> usize {
    if version.is_legacy_framing() { 4 } else { 8 }
}

/// Returns the end-of-stream marker: a message of length 0.
#[must_use]
pub const fn end_of_stream(version: MetadataVersion) -> &'static [u8] {
    if version.is_legacy_framing() { &[0; 4] } else { &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0] }
}

/// The key of a body's [`Checksum`] in the custom metadata of a record batch or dictionary batch message.
pub const CHECKSUM_KEY: &str = "ipc.crc32c";

/// The key in the custom metadata of the schema *message* that announces a checksum in every batch. Its value is
/// [`CHECKSUMS`].
pub const CHECKSUMS_KEY: &str = "ipc.checksums";

/// The only kind of checksum.
pub const CHECKSUMS: &str = "crc32c";

/// The key of the reason for which a stream was aborted, in the custom metadata of its *abort mark*.
///
/// The abort mark follows the last whole message of a stream that was aborted or dropped. It is the metadata of a
/// record batch of one row whose body of 8 bytes never comes, so that readers fail instead of taking the stream for a
/// complete one. If the schema has no buffers, the mark is a [bare](bare_abort_mark) prefix, without a reason.
pub const ABORTED_KEY: &str = "ipc.aborted";

/// The body length that an abort mark names. The body itself never comes.
pub(crate) const ABORT_MARK_BODY: i64 = 8;

/// The number of rows that an abort mark claims to have.
pub(crate) const ABORT_MARK_ROWS: i64 = 1;

/// The offset and length of the buffers of an abort mark, except those of unions.
pub(crate) const ABORT_MARK_BUFFER: (u64, u64) = (1, 1);

/// The offset and the length of each buffer of a union in an abort mark.
pub(crate) const ABORT_MARK_UNION_BUFFER: (u64, u64) = (0, 8);

/// The keys that a batch's own metadata may not have, because the writer uses them.
pub const RESERVED_KEYS: [&str; 2] = [CHECKSUM_KEY, ABORTED_KEY];

/// Returns the abort mark of a schema without buffers, whose batches could be read without a body: the prefix of a
/// message with 8 bytes of metadata, which never come. No message is that short.
#[must_use]
pub const fn bare_abort_mark(version: MetadataVersion) -> &'static [u8] {
    if version.is_legacy_framing() { &[8, 0, 0, 0] } else { &[0xff, 0xff, 0xff, 0xff, 8, 0, 0, 0] }
}

/// Returns why the stream was aborted, if `message` is an abort mark.
///
/// A batch of another writer may have the key and the lengths of a mark. Its buffers differ: those of a mark start
/// where no buffer may.
#[must_use]
pub fn abort_reason<'m>(message: &Message<'m>) -> Option<&'m str> {
    let batch = message.header_as_record_batch().filter(|_| message.header_type() == MessageHeader::RecordBatch)?;
    if message.bodyLength() != ABORT_MARK_BODY || batch.length() != ABORT_MARK_ROWS || !has_only_mark_buffers(&batch) {
        return None;
    }
    let pair = message.custom_metadata()?.iter().find(|pair| pair.key() == Some(ABORTED_KEY))?;
    Some(pair.value().unwrap_or_default())
}

/// Whether all buffers of a batch are those of an abort mark. A buffer that holds a row starts on a multiple of 8.
fn has_only_mark_buffers(batch: &RecordBatch<'_>) -> bool {
    let is = |found: i64, expected: u64| u64::try_from(found).is_ok_and(|found| found == expected);
    batch.buffers().into_iter().flatten().all(|buffer| {
        [ABORT_MARK_BUFFER, ABORT_MARK_UNION_BUFFER]
            .iter()
            .any(|(start, length)| is(buffer.offset(), *start) && is(buffer.length(), *length))
    })
}

mod sealed {
    pub trait Sealed {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_fills_up_to_the_boundary() {
        for (length, expected) in [(0, 0), (1, 63), (63, 1), (64, 0), (65, 63)] {
            assert_eq!(Alignment::A64.padding(length), expected, "{length}");
        }
    }

    #[test]
    fn an_alignment_is_made_of_its_bytes() {
        for alignment in [Alignment::A8, Alignment::A16, Alignment::A32, Alignment::A64] {
            assert_eq!(Alignment::try_from(alignment.bytes()).unwrap(), alignment);
        }
        assert!(matches!(Alignment::try_from(24), Err(Error::InvalidOptions(_))));
    }
}

//! A message without its body: the verified flatbuffer, and its contents.
//!
//! Verification takes time and memory in proportion to the flatbuffer's length, even if its tables refer to each other
//! so that walking them would take practically forever.

use arrow_buffer::Buffer;
use arrow_ipc::convert::MessageBuffer;
use arrow_ipc::{CompressionType, Message, MessageHeader, MetadataVersion, RecordBatch, root_as_message_with_opts};
use flatbuffers::VerifierOptions;

use crate::error::{Damage, Fault, MessagePart};
use crate::format::{Framing, MessageKind, Place};
use crate::source::Source;

/// A message without its body.
#[derive(Debug, Clone)]
pub struct Head {
    place: Place,
    framing: Framing,
    version: MetadataVersion,
    header_type: MessageHeader,
    message: Verified,
}

/// A verified flatbuffer.
#[derive(Debug, Clone)]
enum Verified {
    /// Within the default limits of the flatbuffers crate as well.
    Usual(MessageBuffer),
    /// Beyond those limits: a schema of more than half a million columns. It is rare, and is verified again at each
    /// access.
    Large(Buffer),
}

/// A summary of a message, for listing.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    /// The kind of the message.
    pub kind: MessageKind,
    /// The rows of a record batch, or the values of a dictionary batch.
    pub rows: Option<i64>,
    /// The id in a dictionary batch.
    pub dictionary_id: Option<i64>,
    /// Whether a dictionary batch extends the earlier dictionary instead of replacing it.
    pub is_delta: bool,
    /// The name of the body's codec; `none` without compression.
    pub codec: &'static str,
}

impl Head {
    /// Returns the message with this flatbuffer, which was verified within our [`limits`].
    pub(crate) fn new(
        place: Place,
        framing: Framing,
        version: MetadataVersion,
        header_type: MessageHeader,
        flatbuffer: Buffer,
    ) -> Self {
        Self { place, framing, version, header_type, message: Verified::new(flatbuffer) }
    }

    /// Returns the position of the message.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// Returns the framing of the message.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// Returns the verified flatbuffer.
    #[must_use]
    pub fn message(&self) -> Message<'_> {
        self.message.root()
    }

    /// Reads the body, which is at the source's position.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`] if the body is incomplete.
    pub fn read_body(&self, source: &mut Source<'_>) -> Result<Buffer, Damage> {
        let body = source.read_whole(self.place.body_length).map_err(Damage::unreadable(self.place.offset))?;
        body.ok_or_else(|| self.truncated())
    }

    /// Skips the body, which is at the source's position.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`] if the body is incomplete.
    pub fn skip_body(&self, source: &mut Source<'_>) -> Result<(), Damage> {
        let is_there = source.skip(self.place.body_length).map_err(Damage::unreadable(self.place.offset))?;
        if is_there { Ok(()) } else { Err(self.truncated()) }
    }

    /// Returns the kind of the message.
    ///
    /// # Errors
    ///
    /// [`Fault::UnknownKind`].
    pub fn kind(&self) -> Result<MessageKind, Damage> {
        match self.header_type {
            MessageHeader::Schema => Ok(MessageKind::Schema),
            MessageHeader::DictionaryBatch => Ok(MessageKind::DictionaryBatch),
            MessageHeader::RecordBatch => Ok(MessageKind::RecordBatch),
            MessageHeader::Tensor => Ok(MessageKind::Tensor),
            MessageHeader::SparseTensor => Ok(MessageKind::SparseTensor),
            _ => Err(self.unknown()),
        }
    }

    /// Returns a summary of the message, as it describes itself.
    ///
    /// # Errors
    ///
    /// [`Fault::UnknownKind`] if the header is not of the kind that the message says.
    pub fn content(&self) -> Result<Content, Damage> {
        let kind = self.kind()?;
        let about = Content { kind, rows: None, dictionary_id: None, is_delta: false, codec: "none" };
        match kind {
            MessageKind::Schema | MessageKind::Tensor | MessageKind::SparseTensor => Ok(about),
            MessageKind::RecordBatch => {
                let batch = self.message().header_as_record_batch().ok_or_else(|| self.unknown())?;
                Ok(Content { rows: Some(batch.length()), codec: codec(&batch), ..about })
            }
            MessageKind::DictionaryBatch => {
                let dictionary = self.message().header_as_dictionary_batch().ok_or_else(|| self.unknown())?;
                let batch = dictionary.data();
                Ok(Content {
                    rows: batch.as_ref().map(RecordBatch::length),
                    dictionary_id: Some(dictionary.id()),
                    is_delta: dictionary.isDelta(),
                    codec: batch.as_ref().map_or("none", codec),
                    ..about
                })
            }
        }
    }

    /// Returns the metadata version.
    pub(crate) fn version(&self) -> MetadataVersion {
        self.version
    }

    /// Returns whether this is a dictionary batch.
    #[must_use]
    pub fn is_dictionary(&self) -> bool {
        self.header_type == MessageHeader::DictionaryBatch
    }

    /// Returns whether the metadata of another message is the same, byte for byte.
    pub(crate) fn is_same_metadata(&self, other: &Self) -> bool {
        (self.framing, self.flatbuffer()) == (other.framing, other.flatbuffer())
    }

    /// Returns the bytes of the verified flatbuffer.
    pub(crate) fn flatbuffer(&self) -> &[u8] {
        self.message.bytes()
    }

    pub(crate) fn unknown(&self) -> Damage {
        Damage::new(self.place.offset, Fault::UnknownKind)
    }

    pub(crate) fn truncated(&self) -> Damage {
        let fault = Fault::Truncated { part: MessagePart::Body, length: Some(self.place.body_length) };
        Damage::new(self.place.offset, fault)
    }
}

impl Verified {
    /// Wraps a flatbuffer that was verified within our limits. If it is also within the default limits, it need not be
    /// verified again.
    fn new(flatbuffer: Buffer) -> Self {
        MessageBuffer::try_new(flatbuffer.clone()).map_or(Self::Large(flatbuffer), Self::Usual)
    }

    fn root(&self) -> Message<'_> {
        match self {
            Self::Usual(message) => message.as_ref(),
            Self::Large(bytes) => {
                root_as_message_with_opts(&limits(bytes.len()), bytes).expect("it was verified within these limits")
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Usual(message) => message.as_ref()._tab.buf(),
            Self::Large(bytes) => bytes,
        }
    }
}

/// Returns the limits for the verification of a flatbuffer of `length` bytes.
///
/// Tables may share parts, so a few bytes may expand to an endless tree. Real writers share next to nothing: a column
/// takes at least two tables and 20 bytes. So the limits are proportional to the length, and do not limit the number of
/// columns.
pub(crate) fn limits(length: usize) -> VerifierOptions {
    VerifierOptions {
        max_tables: length / TABLE_AT_LEAST,
        max_apparent_size: length.saturating_mul(EXPANDED_AT_MOST),
        ..VerifierOptions::default()
    }
}

fn codec(batch: &RecordBatch<'_>) -> &'static str {
    match batch.compression().map(|compression| compression.codec()) {
        None => "none",
        Some(CompressionType::LZ4_FRAME) => "lz4",
        Some(CompressionType::ZSTD) => "zstd",
        Some(_) => "unknown",
    }
}

/// A lower bound on the bytes for each table of a flatbuffer, which has a reference to it and one to its vtable.
const TABLE_AT_LEAST: usize = 4;

/// How much longer than its bytes a flatbuffer may look when it is walked. Tables share vtables, which makes twice; the
/// rest is for writers that also share names.
const EXPANDED_AT_MOST: usize = 16;

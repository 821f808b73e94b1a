//! A message without its body: the verified flatbuffer, and what it says.
//!
//! Verifying takes time and memory in proportion to the flatbuffer's length, also for one whose tables point to each
//! other so that walking through them would never end.

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
    /// Within the limits that others have, too.
    Usual(MessageBuffer),
    /// Beyond them: the schema of more than half a million columns. There are few of them, and each look verifies.
    Large(Buffer),
}

/// What a message is about, for those who list messages.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    /// Its kind.
    pub kind: MessageKind,
    /// The rows of a record batch, or the values of a dictionary batch.
    pub rows: Option<i64>,
    /// Which dictionary a dictionary batch is of.
    pub dictionary_id: Option<i64>,
    /// Whether a dictionary batch extends the one before instead of replacing it.
    pub is_delta: bool,
    /// How the body is compressed, as it is called; `none` if it is not.
    pub codec: &'static str,
}

impl Head {
    /// The message whose flatbuffer this is, which has been verified within our [`limits`].
    pub(crate) fn new(
        place: Place,
        framing: Framing,
        version: MetadataVersion,
        header_type: MessageHeader,
        flatbuffer: Buffer,
    ) -> Self {
        Self { place, framing, version, header_type, message: Verified::new(flatbuffer) }
    }

    /// Where the message stands.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// What stands before its flatbuffer.
    #[must_use]
    pub fn framing(&self) -> Framing {
        self.framing
    }

    /// The verified flatbuffer.
    #[must_use]
    pub fn message(&self) -> Message<'_> {
        self.message.root()
    }

    /// Reads the body, in front of which the source stands.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`] if it is not all there.
    pub fn read_body(&self, source: &mut Source<'_>) -> Result<Buffer, Damage> {
        let body = source.read_whole(self.place.body_length).map_err(Damage::unreadable(self.place.offset))?;
        body.ok_or_else(|| self.truncated())
    }

    /// Passes over the body, in front of which the source stands.
    ///
    /// # Errors
    ///
    /// [`Fault::Truncated`] if it is not all there.
    pub fn skip_body(&self, source: &mut Source<'_>) -> Result<(), Damage> {
        let is_there = source.skip(self.place.body_length).map_err(Damage::unreadable(self.place.offset))?;
        if is_there { Ok(()) } else { Err(self.truncated()) }
    }

    /// Which kind of message this is.
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

    /// What the message says it is about.
    ///
    /// # Errors
    ///
    /// [`Fault::UnknownKind`] where it says it is of a kind that it does not hold.
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

    /// The version of the metadata.
    pub(crate) fn version(&self) -> MetadataVersion {
        self.version
    }

    /// Whether this is a dictionary batch.
    #[must_use]
    pub fn is_dictionary(&self) -> bool {
        self.header_type == MessageHeader::DictionaryBatch
    }

    /// Whether the metadata of another message is the same, byte for byte.
    pub(crate) fn is_same_metadata(&self, other: &Self) -> bool {
        (self.framing, self.flatbuffer()) == (other.framing, other.flatbuffer())
    }

    /// The verified flatbuffer's bytes.
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
    /// A flatbuffer that has been verified within our limits. Once more within those of others, it can be kept.
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

/// The limits within which a flatbuffer of `length` bytes is verified.
///
/// Tables may share parts, so that a few bytes expand to a tree without end. Writers share next to nothing: a column
/// takes two tables and 20 bytes at least. What a schema may have of them, however many, is not limited.
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

/// How many bytes a flatbuffer has for each of its tables: one refers to it, and one tells what it holds.
const TABLE_AT_LEAST: usize = 4;

/// How many times as long as it is a flatbuffer may look while it is walked through. Tables share what describes them,
/// which makes twice; the rest is for writers that also share names.
const EXPANDED_AT_MOST: usize = 16;

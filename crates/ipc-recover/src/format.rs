//! The format's terms: files and streams, kinds of messages, the framing of a message, and its position.

/// The two formats, recognised by content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Consecutive messages.
    Stream,
    /// Messages between a magic and a footer.
    File,
}

/// The position and the length of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The offset of the message in its input.
    pub offset: u64,
    /// The length of the metadata, with prefix and padding.
    pub metadata_length: u64,
    /// The length of the body, as the metadata claims.
    pub body_length: u64,
}

/// The prefix of a message, before its flatbuffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// The continuation marker and the length.
    Marked,
    /// The length alone, as before Arrow 0.15.
    Legacy,
}

/// The kind of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// The schema.
    Schema,
    /// Values of a dictionary, which keys in record batches refer to.
    DictionaryBatch,
    /// Rows.
    RecordBatch,
    /// A tensor. Streams of record batches contain none.
    Tensor,
    /// A sparse tensor. Streams of record batches contain none.
    SparseTensor,
}

impl Place {
    /// Returns the offset of the body.
    #[must_use]
    pub fn body(&self) -> u64 {
        self.offset.saturating_add(self.metadata_length)
    }

    /// Returns the end of the message.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.body().saturating_add(self.body_length)
    }

    /// Returns the length of the whole message.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.metadata_length.saturating_add(self.body_length)
    }
}

impl Framing {
    /// Returns the length of the prefix.
    pub(crate) fn length(self) -> u64 {
        match self {
            Self::Marked => 8,
            Self::Legacy => 4,
        }
    }
}

impl Kind {
    /// Returns the name of the format.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::File => "file",
        }
    }
}

impl MessageKind {
    /// Returns the name of the kind, in the format's terms.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::DictionaryBatch => "dictionary_batch",
            Self::RecordBatch => "record_batch",
            Self::Tensor => "tensor",
            Self::SparseTensor => "sparse_tensor",
        }
    }
}

/// The least length of the magic at the start of a file, with the zeros that pad it.
pub(crate) const LEADING_MAGIC: u64 = 8;

/// The alignment of buffers, and of the lengths of bodies.
pub(crate) const ALIGNED: u64 = 8;

/// No writer pads a buffer to more than this.
pub(crate) const PADDED_AT_MOST: u64 = 64;

//! The format's own terms: files and streams, kinds of message, how a message is framed, and where it is.

/// The two formats, as content tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Messages one after another.
    Stream,
    /// Messages between a magic and a footer.
    File,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Where it starts in its input.
    pub offset: u64,
    /// The length of the metadata, with prefix and padding.
    pub metadata_length: u64,
    /// The length of the body, as the metadata claims.
    pub body_length: u64,
}

/// What stands before a message's flatbuffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// The continuation marker and the length.
    Marked,
    /// The length alone, as before Arrow 0.15.
    Legacy,
}

/// The kinds of message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageKind {
    /// The schema.
    Schema,
    /// Values that record batches refer to.
    DictionaryBatch,
    /// Rows.
    RecordBatch,
    /// A tensor, which is of no stream of record batches.
    Tensor,
    /// A sparse tensor, likewise.
    SparseTensor,
}

impl Place {
    /// Where the body starts.
    #[must_use]
    pub fn body(&self) -> u64 {
        self.offset.saturating_add(self.metadata_length)
    }

    /// Where the message ends.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.body().saturating_add(self.body_length)
    }

    /// The length of the whole message.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.metadata_length.saturating_add(self.body_length)
    }
}

impl Framing {
    /// The length of the prefix.
    pub(crate) fn length(self) -> u64 {
        match self {
            Self::Marked => 8,
            Self::Legacy => 4,
        }
    }
}

impl Kind {
    /// The format's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::File => "file",
        }
    }
}

impl MessageKind {
    /// The kind's name, as the format has it.
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

/// How long the magic at the start of a file is at least, with the zeros that pad it.
pub(crate) const LEADING_MAGIC: u64 = 8;

/// What buffers, and the lengths of bodies, are multiples of.
pub(crate) const ALIGNED: u64 = 8;

/// No writer pads a buffer further than this.
pub(crate) const PADDED_AT_MOST: u64 = 64;

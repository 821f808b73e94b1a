//! Finds the messages in a source, one after another or at a given offset, without trusting a word of it.
//!
//! A message is a prefix (continuation marker and length, or before Arrow 0.15 the length alone), a flatbuffer, and a
//! body. [`next`] reads the first two and stands before the body then, which the caller reads or skips. A flatbuffer that
//! has been verified here needs no other check of its structure; what it *says* is still only a claim.
//!
//! See [Encapsulated message format](https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format).

use std::io;

use arrow_buffer::Buffer;
use arrow_ipc::convert::MessageBuffer;
use arrow_ipc::{CompressionType, MessageHeader};

use crate::source::Source;

/// What stands at the source's position.
pub(crate) enum Next {
    /// A message; the source stands before its body.
    Message(Head),
    /// The end-of-stream marker.
    EndOfStream,
    /// Nothing: the input ends here.
    EndOfInput,
}

/// A message without its body.
#[derive(Debug, Clone)]
pub(crate) struct Head {
    /// Where the message starts in its input.
    pub(crate) offset: u64,
    /// The length of the metadata, with prefix and padding.
    pub(crate) metadata_length: u64,
    /// The length of the body, as the metadata claims.
    pub(crate) body_length: u64,
    /// The verified flatbuffer.
    pub(crate) message: MessageBuffer,
}

/// Where an input stops making sense, and why.
#[derive(Debug, thiserror::Error)]
#[error("{reason} (at byte {offset})")]
pub(crate) struct Damage {
    pub(crate) offset: u64,
    pub(crate) reason: String,
}

/// What a message is about, for those who list messages.
pub(crate) struct Content {
    pub(crate) kind: &'static str,
    pub(crate) rows: Option<i64>,
    pub(crate) dictionary_id: Option<i64>,
    pub(crate) is_delta: bool,
    pub(crate) codec: &'static str,
}

/// Reads the prefix and the metadata of the next message.
pub(crate) fn next(source: &mut Source) -> Result<Next, Damage> {
    let offset = source.position();
    let Some(prefix) = read_prefix(source, offset)? else { return Ok(Next::EndOfInput) };
    if prefix.flatbuffer_length == 0 {
        return Ok(Next::EndOfStream);
    }
    let Some(flatbuffer) = source.read(prefix.flatbuffer_length).map_err(|e| Damage::unreadable(offset, &e))? else {
        return Err(Damage::truncated(offset, "metadata", prefix.flatbuffer_length));
    };
    let message = MessageBuffer::try_new(flatbuffer)
        .map_err(|_| Damage::new(offset, "damaged: the metadata is no valid message"))?;
    let body_length = u64::try_from(message.as_ref().bodyLength())
        .map_err(|_| Damage::new(offset, "damaged: the body has a negative length"))?;
    let metadata_length = prefix.length + prefix.flatbuffer_length;
    Ok(Next::Message(Head { offset, metadata_length, body_length, message }))
}

impl Head {
    /// Reads the body, in front of which the source stands.
    pub(crate) fn read_body(&self, source: &mut Source) -> Result<Buffer, Damage> {
        let body = source.read(self.body_length).map_err(|e| Damage::unreadable(self.offset, &e))?;
        body.ok_or_else(|| Damage::truncated(self.offset, "body", self.body_length))
    }

    /// Passes over the body, in front of which the source stands.
    pub(crate) fn skip_body(&self, source: &mut Source) -> Result<(), Damage> {
        match source.skip(self.body_length) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Damage::truncated(self.offset, "body", self.body_length)),
            Err(error) => Err(Damage::unreadable(self.offset, &error)),
        }
    }

    /// Which kind of message this is.
    pub(crate) fn header_type(&self) -> MessageHeader {
        self.message.as_ref().header_type()
    }

    /// What the message is about, or `None` where it says it is of a kind that it does not hold.
    pub(crate) fn content(&self) -> Result<Content, Damage> {
        let message = self.message.as_ref();
        let unknown = || Damage::new(self.offset, "damaged: a message of no known kind");
        let about = |kind| Content { kind, rows: None, dictionary_id: None, is_delta: false, codec: "none" };
        match message.header_type() {
            MessageHeader::Schema => Ok(about("schema")),
            MessageHeader::Tensor => Ok(about("tensor")),
            MessageHeader::SparseTensor => Ok(about("sparse_tensor")),
            MessageHeader::RecordBatch => {
                let batch = message.header_as_record_batch().ok_or_else(unknown)?;
                Ok(Content { rows: Some(batch.length()), codec: codec(&batch), ..about("record_batch") })
            }
            MessageHeader::DictionaryBatch => {
                let dictionary = message.header_as_dictionary_batch().ok_or_else(unknown)?;
                let batch = dictionary.data();
                Ok(Content {
                    rows: batch.as_ref().map(arrow_ipc::RecordBatch::length),
                    dictionary_id: Some(dictionary.id()),
                    is_delta: dictionary.isDelta(),
                    codec: batch.as_ref().map_or("none", codec),
                    ..about("dictionary_batch")
                })
            }
            _ => Err(unknown()),
        }
    }
}

impl Damage {
    pub(crate) fn new(offset: u64, reason: impl Into<String>) -> Self {
        Self { offset, reason: reason.into() }
    }

    pub(crate) fn unreadable(offset: u64, error: &io::Error) -> Self {
        Self::new(offset, format!("cannot be read: {error}"))
    }

    fn truncated(offset: u64, part: &str, length: u64) -> Self {
        Self::new(offset, format!("truncated: the input ends inside the {part} of a message, {length} bytes long"))
    }
}

/// What stands before a flatbuffer.
struct Prefix {
    length: u64,
    flatbuffer_length: u64,
}

/// Reads a prefix, or `None` at the end of the input.
fn read_prefix(source: &mut Source, offset: u64) -> Result<Option<Prefix>, Damage> {
    let mut word = [0; 4];
    let mut length = 0;
    loop {
        match source.read_up_to(&mut word).map_err(|e| Damage::unreadable(offset, &e))? {
            0 if length == 0 => return Ok(None),
            4 => length += 4,
            _ => return Err(Damage::new(offset, "truncated: the input ends inside the prefix of a message")),
        }
        if word != CONTINUATION || length == 8 {
            let flatbuffer_length = u64::try_from(i32::from_le_bytes(word))
                .map_err(|_| Damage::new(offset, "damaged: a message whose metadata has a negative length"))?;
            return Ok(Some(Prefix { length, flatbuffer_length }));
        }
    }
}

fn codec(batch: &arrow_ipc::RecordBatch<'_>) -> &'static str {
    match batch.compression().map(|compression| compression.codec()) {
        None => "none",
        Some(CompressionType::LZ4_FRAME) => "lz4",
        Some(CompressionType::ZSTD) => "zstd",
        Some(_) => "unknown",
    }
}

/// What a message starts with, since Arrow 0.15.
pub(crate) const CONTINUATION: [u8; 4] = [0xff; 4];

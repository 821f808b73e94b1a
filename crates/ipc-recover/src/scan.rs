//! Finds the messages in a source, one after another or at a given offset, without trusting a word of it.
//!
//! A message is a prefix (continuation marker and length, or before Arrow 0.15 the length alone), a flatbuffer, and a
//! body. [`next`] reads the first two and stands before the body then, which the caller reads or skips. A flatbuffer
//! that has been verified here needs no other check of its structure; what it *says* is still only a claim, which
//! [`Head::content`] repeats and [`recover`](crate::recover()) checks.
//!
//! Verifying takes time and memory in proportion to the flatbuffer's length, also for one whose tables point to each
//! other so that walking through them would never end.
//!
//! See [Encapsulated message format](https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format).

use arrow_buffer::Buffer;
use arrow_ipc::convert::MessageBuffer;
use arrow_ipc::{CompressionType, Message, MessageHeader, MetadataVersion, RecordBatch, root_as_message_with_opts};
use flatbuffers::VerifierOptions;
use ipc_core::format::{CONTINUATION, FOOTER_MAGIC, abort_reason};

use crate::check::ALIGNED;
use crate::error::{Damage, Fault, Part};
use crate::named;
use crate::source::Source;

/// The two formats, as content tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Messages one after another.
    Stream,
    /// Messages between a magic and a footer.
    File,
}

/// What stands at a source's position.
#[derive(Debug)]
pub enum Next {
    /// A message; the source stands before its body.
    Message(Head),
    /// The end-of-stream marker, framed like this; the source stands behind it. A [`Framing::Legacy`] one is four zeros,
    /// which readers take for the end of any stream.
    EndOfStream(Framing),
    /// The abort mark of a stream that was given up; the source stands behind it.
    Aborted(Abort),
    /// Nothing: the input ends here.
    EndOfInput,
}

/// The mark of a stream that was given up, which is no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abort {
    /// Where it starts.
    pub offset: u64,
    /// How long it is: the metadata of a message without its body.
    pub length: u64,
    /// Why the stream was given up, as far as anybody said.
    pub reason: String,
}

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

/// Tells a file from a stream by its first bytes, which stay to be read.
///
/// # Errors
///
/// [`Fault::Empty`], [`Fault::Other`] and [`Fault::NotArrow`], if it is neither.
pub fn recognize(source: &mut Source<'_>) -> Result<Kind, Damage> {
    let first = source.peek::<PEEKED>().map_err(Damage::unreadable(0))?;
    if first.is_empty() {
        return Err(Damage::new(0, Fault::Empty));
    }
    if first.starts_with(FOOTER_MAGIC) {
        return Ok(Kind::File);
    }
    if first.starts_with(&CONTINUATION) {
        return Ok(Kind::Stream);
    }
    if let Some(other) = named::other(&first) {
        return Err(Damage::new(0, other));
    }
    // Before Arrow 0.15, a stream started with a length; no schema is as long as most texts would make it. A flatbuffer
    // follows, which starts with where its root is.
    let word = |at: usize| first.get(at..)?.first_chunk().map(|word| i32::from_le_bytes(*word));
    let length = word(0).filter(|length| (1..LEGACY_SCHEMA_AT_MOST).contains(length));
    let has_root = |length: i32| word(4).is_none_or(|root| root >= 4 && root < length && root % 4 == 0);
    if length.is_some_and(has_root) { Ok(Kind::Stream) } else { Err(Damage::new(0, Fault::NotArrow)) }
}

/// Goes to the first message of a file that starts with the magic: the zeros that pad it are passed over.
///
/// # Errors
///
/// [`Fault::Unreadable`], also where the source cannot seek.
pub fn seek_first_message(source: &mut Source<'_>) -> Result<(), Damage> {
    let mut at = LEADING_MAGIC;
    loop {
        let mut word = [0; 8];
        let read = source.seek(at).and_then(|()| source.read_up_to(&mut word)).map_err(Damage::unreadable(at))?;
        if read < word.len() || word != [0; 8] || at >= PADDED_AT_MOST {
            return source.seek(at).map_err(Damage::unreadable(at));
        }
        at += 8;
    }
}

/// Reads the prefix and the metadata of the next message.
///
/// # Errors
///
/// What is wrong with it. The source then stands somewhere behind the message's offset.
pub fn next(source: &mut Source<'_>) -> Result<Next, Damage> {
    let offset = source.position();
    let Some(prefix) = Prefix::read(source, offset)? else { return Ok(Next::EndOfInput) };
    if prefix.flatbuffer_length == 0 {
        return Ok(Next::EndOfStream(prefix.framing));
    }
    let metadata_length = prefix.framing.length() + prefix.flatbuffer_length;
    if prefix.flatbuffer_length == BARE_MARK {
        return Ok(Next::Aborted(Abort { offset, length: prefix.framing.length(), reason: String::new() }));
    }
    let truncated = Fault::Truncated { part: Part::Metadata, length: Some(prefix.flatbuffer_length) };
    let flatbuffer = source
        .read_whole(prefix.flatbuffer_length)
        .map_err(Damage::unreadable(offset))?
        .ok_or_else(|| Damage::new(offset, prefix.fault(truncated)))?;
    let message = root_as_message_with_opts(&limits(flatbuffer.len()), &flatbuffer).map_err(|error| {
        let fault = Fault::of_flatbuffer(&error, Fault::InvalidMetadata);
        Damage::new(offset, prefix.fault(fault))
    })?;
    if let Some(reason) = abort_reason(&message) {
        return Ok(Next::Aborted(Abort { offset, length: metadata_length, reason: reason.to_owned() }));
    }
    let (version, header_type) = (message.version(), message.header_type());
    let body_length =
        u64::try_from(message.bodyLength()).map_err(|_| Damage::new(offset, Fault::NegativeLength(Part::Body)))?;
    if !body_length.is_multiple_of(ALIGNED) {
        return Err(Damage::new(offset, Fault::UnpaddedBody { length: body_length }));
    }
    let place = Place { offset, metadata_length, body_length };
    let message = Verified::new(flatbuffer);
    Ok(Next::Message(Head { place, framing: prefix.framing, version, header_type, message }))
}

impl Head {
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
        let fault = Fault::Truncated { part: Part::Body, length: Some(self.place.body_length) };
        Damage::new(self.place.offset, fault)
    }
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

/// What stands before a flatbuffer.
struct Prefix {
    framing: Framing,
    flatbuffer_length: u64,
    /// The first bytes, where they do not start with the continuation marker.
    first: Vec<u8>,
}

impl Prefix {
    /// Reads a prefix, or `None` at the end of the input.
    fn read(source: &mut Source<'_>, offset: u64) -> Result<Option<Self>, Damage> {
        let unreadable = Damage::unreadable(offset);
        let cut = || Damage::new(offset, Fault::Truncated { part: Part::Prefix, length: None });
        let mut word = [0; 4];
        let first = match source.read_up_to(&mut word).map_err(&unreadable)? {
            0 => return Ok(None),
            4 if word == CONTINUATION => match source.read_up_to(&mut word).map_err(&unreadable)? {
                4 => Vec::new(),
                _ => return Err(cut()),
            },
            4 if word == [0; 4] => word.to_vec(),
            4 => [&word[..], &source.peek::<FIRST_WORDS>().map_err(&unreadable)?].concat(),
            length => {
                return Err(Damage::new(
                    offset,
                    words(&word[..length]).map_or_else(|| cut().fault, |words| Fault::Words { words }),
                ));
            }
        };
        let framing = if first.is_empty() { Framing::Marked } else { Framing::Legacy };
        match u64::try_from(i32::from_le_bytes(word)) {
            Ok(flatbuffer_length) => Ok(Some(Self { framing, flatbuffer_length, first })),
            Err(_) if framing == Framing::Marked => Err(Damage::new(offset, Fault::NegativeLength(Part::Metadata))),
            Err(_) => Err(Damage::new(offset, words(&first).map_or(Fault::NoMessage, |words| Fault::Words { words }))),
        }
    }

    /// What is wrong where no message follows: `fault`, if this is likely to be the start of one.
    fn fault(&self, fault: Fault) -> Fault {
        match words(&self.first) {
            Some(words) => Fault::Words { words },
            None if self.framing == Framing::Legacy && self.flatbuffer_length >= LEGACY_METADATA_AT_MOST => {
                Fault::NoMessage
            }
            None => fault,
        }
    }
}

/// The text that `bytes` start with, if they are text rather than a message: what a server says that fails.
pub(crate) fn words(bytes: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        // A character that is cut is none to complain about.
        Err(error) if error.error_len().is_none() => std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?,
        Err(_) => return None,
    };
    let is_text = |char: char| !char.is_control() || char.is_ascii_whitespace();
    let is_said = text.chars().filter(|char| char.is_alphanumeric()).count() >= 2;
    (is_said && text.chars().all(is_text)).then(|| text.split_whitespace().collect::<Vec<_>>().join(" "))
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

fn codec(batch: &RecordBatch<'_>) -> &'static str {
    match batch.compression().map(|compression| compression.codec()) {
        None => "none",
        Some(CompressionType::LZ4_FRAME) => "lz4",
        Some(CompressionType::ZSTD) => "zstd",
        Some(_) => "unknown",
    }
}

/// How long the magic at the start of a file is at least, with the zeros that pad it.
pub(crate) const LEADING_MAGIC: u64 = 8;

/// No writer pads the magic further than this.
const PADDED_AT_MOST: u64 = 64;

/// One byte more than the longest schema message that a stream without continuation markers is believed to start with.
const LEGACY_SCHEMA_AT_MOST: i32 = 16 * 1024 * 1024;

/// How many bytes a flatbuffer has for each of its tables: one refers to it, and one tells what it holds.
const TABLE_AT_LEAST: usize = 4;

/// From this length on, what stands without a continuation marker is taken for no message rather than for a long one.
const LEGACY_METADATA_AT_MOST: u64 = 256 * 1024 * 1024;

/// How many bytes are looked at to tell what they are.
const PEEKED: usize = 64;

/// How many bytes behind the first four are looked at for words.
const FIRST_WORDS: usize = PEEKED - 4;

/// How long an abort mark says that its metadata is where it has none. No message is so short.
const BARE_MARK: u64 = 8;

/// How many times as long as it is a flatbuffer may look while it is walked through. Tables share what describes them,
/// which makes twice; the rest is for writers that also share names.
const EXPANDED_AT_MOST: usize = 16;

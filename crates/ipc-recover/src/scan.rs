//! Finds the messages in a source, one after another or at a given offset, without trusting the input.
//!
//! A message is a prefix (continuation marker and length, or before Arrow 0.15 the length alone), a flatbuffer, and a
//! body. [`next`] reads the first two and leaves the source before the body, which the caller reads or skips. The
//! structure of the flatbuffer is verified here. Its values are still unchecked claims: [`Head::content`] returns them,
//! and [`recover`](crate::recover()) checks them.
//!
//! See [Encapsulated message format](https://arrow.apache.org/docs/format/Columnar.html#encapsulated-message-format).

use arrow_ipc::root_as_message_with_opts;
use ipc_core::format::{CONTINUATION, FOOTER_MAGIC, abort_reason};

use crate::error::{Damage, Fault, MessagePart};
use crate::format::{ALIGNED, LEADING_MAGIC, PADDED_AT_MOST};
pub use crate::format::{Framing, Kind, MessageKind, Place};
use crate::message::limits;
pub use crate::message::{Content, Head};
use crate::named;
use crate::source::Source;
use crate::words::words;

/// What is at the source's position.
#[derive(Debug)]
pub enum Next {
    /// A message. The source is before its body.
    Message(Head),
    /// An end-of-stream marker with this framing. The source is after it. A [`Framing::Legacy`] marker is four zeros,
    /// which readers take for the end of any stream.
    EndOfStream(Framing),
    /// The abort mark of a stream that was given up. The source is after it.
    Aborted(Abort),
    /// The end of the input.
    EndOfInput,
}

/// The abort mark of a stream. It is not a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abort {
    /// The offset of the mark.
    pub offset: u64,
    /// The length of the mark: the metadata of a message without its body.
    pub length: u64,
    /// The reason in the mark; may be empty.
    pub reason: String,
}

/// Distinguishes a file from a stream by its first bytes, which remain to be read.
///
/// # Errors
///
/// [`Fault::Empty`], [`Fault::Other`] or [`Fault::NotArrow`] if it is neither.
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
    // Before Arrow 0.15, a stream started with a length, followed by a flatbuffer, which starts with the offset of its
    // root. The first bytes of most texts would be the length of a schema longer than any.
    let word = |at: usize| first.get(at..)?.first_chunk().map(|word| i32::from_le_bytes(*word));
    let length = word(0).filter(|length| (1..LEGACY_SCHEMA_AT_MOST).contains(length));
    let has_root = |length: i32| word(4).is_none_or(|root| root >= 4 && root < length && root % 4 == 0);
    if length.is_some_and(has_root) { Ok(Kind::Stream) } else { Err(Damage::new(0, Fault::NotArrow)) }
}

/// Goes to the first message of a file that starts with the magic. Skips the zeros that pad the magic.
///
/// # Errors
///
/// [`Fault::Unreadable`], also if the source cannot seek.
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
/// What is wrong with it. The source is then somewhere after the message's offset.
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
    let truncated = Fault::Truncated { part: MessagePart::Metadata, length: Some(prefix.flatbuffer_length) };
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
    let body_length = u64::try_from(message.bodyLength())
        .map_err(|_| Damage::new(offset, Fault::NegativeLength(MessagePart::Body)))?;
    if !body_length.is_multiple_of(ALIGNED) {
        return Err(Damage::new(offset, Fault::UnpaddedBody { length: body_length }));
    }
    let place = Place { offset, metadata_length, body_length };
    let (version, header_type) = (message.version(), message.header_type());
    Ok(Next::Message(Head::new(place, prefix.framing, version, header_type, flatbuffer)))
}

/// Returns the length of the metadata if a message could start with `start`, with `left` bytes left in the input.
pub(crate) fn metadata_claim(start: &[u8], framing: Framing, left: u64) -> Option<u64> {
    let start = match framing {
        Framing::Marked => start.strip_prefix(&CONTINUATION)?,
        Framing::Legacy => start,
    };
    let (length, start) = start.split_first_chunk()?;
    let length = u64::try_from(i32::from_le_bytes(*length)).ok().filter(|length| *length > 0 && *length < left)?;
    // A flatbuffer starts with the offset of its root.
    let root = u32::from_le_bytes(*start.first_chunk()?);
    (root >= 4 && root.is_multiple_of(4) && u64::from(root) < length && length.is_multiple_of(4)).then_some(length)
}

/// The prefix of a message.
struct Prefix {
    framing: Framing,
    flatbuffer_length: u64,
    /// The first bytes, if they are not the continuation marker.
    first: Vec<u8>,
}

impl Prefix {
    /// Reads a prefix. Returns `None` at the end of the input.
    fn read(source: &mut Source<'_>, offset: u64) -> Result<Option<Self>, Damage> {
        let unreadable = Damage::unreadable(offset);
        let cut = || Damage::new(offset, Fault::Truncated { part: MessagePart::Prefix, length: None });
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
            Err(_) if framing == Framing::Marked => {
                Err(Damage::new(offset, Fault::NegativeLength(MessagePart::Metadata)))
            }
            Err(_) => Err(Damage::new(offset, words(&first).map_or(Fault::NoMessage, |words| Fault::Words { words }))),
        }
    }

    /// Returns the fault of bytes that are not a message: `fault`, if they are likely to be the start of one.
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

/// One byte more than the longest schema message that a stream without continuation markers may start with.
const LEGACY_SCHEMA_AT_MOST: i32 = 16 * 1024 * 1024;

/// From this length on, bytes without a continuation marker are not taken for a message.
const LEGACY_METADATA_AT_MOST: u64 = 256 * 1024 * 1024;

/// The number of bytes that are read to recognise the format.
const PEEKED: usize = 64;

/// The number of bytes after the first four that are searched for text.
const FIRST_WORDS: usize = PEEKED - 4;

/// The metadata length in an abort mark that has no metadata. No message is so short.
const BARE_MARK: u64 = 8;

/// The number of bytes that are looked at first: the prefix, and the offset of the flatbuffer's root.
pub(crate) const START: usize = 12;

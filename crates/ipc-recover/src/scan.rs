//! Finds the messages in a source, one after another or at a given offset, without trusting a word of it.
//!
//! A message is a prefix (continuation marker and length, or before Arrow 0.15 the length alone), a flatbuffer, and a
//! body. [`next`] reads the first two and stands before the body then, which the caller reads or skips. A flatbuffer
//! that has been verified here needs no other check of its structure; what it *says* is still only a claim, which
//! [`Head::content`] repeats and [`recover`](crate::recover()) checks.
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

/// How long the metadata would be, if a message started with `start` and `left` bytes were left.
pub(crate) fn metadata_claim(start: &[u8], framing: Framing, left: u64) -> Option<u64> {
    let start = match framing {
        Framing::Marked => start.strip_prefix(&CONTINUATION)?,
        Framing::Legacy => start,
    };
    let (length, start) = start.split_first_chunk()?;
    let length = u64::try_from(i32::from_le_bytes(*length)).ok().filter(|length| *length > 0 && *length < left)?;
    // A flatbuffer starts with where its root is.
    let root = u32::from_le_bytes(*start.first_chunk()?);
    (root >= 4 && root.is_multiple_of(4) && u64::from(root) < length && length.is_multiple_of(4)).then_some(length)
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

/// One byte more than the longest schema message that a stream without continuation markers is believed to start with.
const LEGACY_SCHEMA_AT_MOST: i32 = 16 * 1024 * 1024;

/// From this length on, what stands without a continuation marker is taken for no message rather than for a long one.
const LEGACY_METADATA_AT_MOST: u64 = 256 * 1024 * 1024;

/// How many bytes are looked at to tell what they are.
const PEEKED: usize = 64;

/// How many bytes behind the first four are looked at for words.
const FIRST_WORDS: usize = PEEKED - 4;

/// How long an abort mark says that its metadata is where it has none. No message is so short.
const BARE_MARK: u64 = 8;

/// How many bytes of a message are looked at first: the prefix, and where the flatbuffer's root is.
pub(crate) const START: usize = 12;

//! What is wrong with an input, at which offset, and why it cannot be recovered.

use std::fmt;
use std::io;

use flatbuffers::InvalidFlatbuffer;

use crate::format::MessageKind;

/// Where an input stops making sense, and why.
#[derive(Debug, thiserror::Error)]
#[error("{fault} (at byte {offset})")]
pub struct Damage {
    /// The start of the message, or of the footer, that is invalid.
    pub offset: u64,
    /// What is wrong with it.
    #[source]
    pub fault: Fault,
}

/// What can be wrong with an input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The system cannot read it.
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),

    /// The input has no bytes.
    #[error("is empty")]
    Empty,

    /// The input starts like neither a file nor a stream.
    #[error("is neither an Arrow IPC file nor a stream")]
    NotArrow,

    /// The input is of another known format.
    #[error("is {what}, neither an Arrow IPC file nor a stream{advice}")]
    Other {
        /// The format.
        what: &'static str,
        /// What to do with it; ends the sentence.
        advice: &'static str,
    },

    /// The input ends inside a message, or inside the footer.
    #[error("truncated: the input ends inside the {part} of a message{}", Length(.length))]
    Truncated {
        /// The part of the message that is incomplete.
        part: MessagePart,
        /// The length that this part should have, in bytes, if it is known.
        length: Option<u64>,
    },

    /// A stream ends inside a message, and another stream starts there.
    #[error("torn: the stream ends inside the {part} of a message{}, and another stream starts there", Length(.length))]
    TornBeforeAnother {
        /// The part of the message that is incomplete.
        part: MessagePart,
        /// The length that this part should have, in bytes, if it is known.
        length: Option<u64>,
    },

    /// A stream ends between two messages, without an end-of-stream marker.
    #[error("has no end-of-stream marker, and ends between two messages")]
    NoMarker,

    /// A file has no footer: it was cut or never closed.
    #[error("truncated: the file has no footer at its end, so it was cut or never closed")]
    NoFooter,

    /// Zeros in place of a message, as in space that a file system allocated and never wrote.
    #[error("truncated: zeros to the end of the input, where a message should be")]
    Zeros,

    /// A body that may not have been written in full.
    #[error("truncated: the body ends in zeros, and only zeros follow")]
    Unwritten,

    /// Bytes that no sync confirmed, if only confirmed bytes are to be kept.
    #[error("no sync has confirmed it")]
    Unconfirmed,

    /// Bytes after the end-of-stream marker that are not a stream.
    #[error("the bytes after the end-of-stream marker are not another stream{}", Words(.words))]
    BehindTheEnd {
        /// The text that they start with, if they are text.
        words: Option<String>,
    },

    /// Only zeros follow the end of the last stream or of the file, as in space that a file system allocated.
    #[error("only zeros follow the end")]
    ZerosBehindTheEnd,

    /// Bytes after the magic that ends a file.
    #[error("bytes follow the magic that ends the file{}", Words(.words))]
    BehindTheFooter {
        /// The text that they start with, if they are text.
        words: Option<String>,
    },

    /// Text in place of a message, such as the error message of a server that failed.
    #[error("expected a message, found text: \"{words}\"")]
    Words {
        /// The start of the text.
        words: String,
    },

    /// Bytes in place of a message that start with neither a continuation marker nor a plausible length.
    #[error("damaged: expected a message, found other bytes")]
    NoMessage,

    /// The writer gave the stream up, and left an abort mark.
    #[error("the writer aborted the stream{}", Reason(.reason))]
    Aborted {
        /// The reason in the mark; may be empty.
        reason: String,
    },

    /// A stream starts before the previous one has ended.
    #[error("another stream starts here, but the previous one has no end-of-stream marker")]
    Unterminated,

    /// The schema message is repeated.
    #[error("the schema message is repeated, as when two writers share an output without a lock")]
    SchemaRepeated,

    /// The streams of one input have different schemas.
    #[error("the stream that starts here differs in its schema from the first: {difference}")]
    OtherSchema {
        /// The first difference.
        difference: String,
    },

    /// The footer lists a delta before the dictionary that it extends.
    #[error("damaged: the footer lists a delta of dictionary {id} of column `{path}` before the dictionary")]
    DeltaListedFirst {
        /// The column's path.
        path: String,
        /// The dictionary's id.
        id: i64,
    },

    /// A file has two different dictionaries for one field.
    #[error(
        "damaged: column `{path}` has a second dictionary (id {id}) that differs from the one at byte {first}; a file allows one"
    )]
    SecondDictionary {
        /// The column's path.
        path: String,
        /// The dictionary's id.
        id: i64,
        /// The offset of the first one.
        first: u64,
    },

    /// A length is negative.
    #[error("damaged: the {0} of a message has a negative length")]
    NegativeLength(MessagePart),

    /// The length of a body is not a multiple of 8, so messages after it are not aligned.
    #[error("damaged: the body of a message is {length} bytes long, which is not a multiple of 8")]
    UnpaddedBody {
        /// The length in the metadata.
        length: u64,
    },

    /// A body starts with the header of another message, as written by two writers without a lock.
    #[error(
        "damaged: the body of a message starts with the header of another, as when two writers share an output without a lock"
    )]
    Interleaved,

    /// The metadata of a message is not a valid flatbuffer.
    #[error("damaged: the metadata is not a valid message")]
    InvalidMetadata,

    /// The header of a message is of an unknown kind, or not of the kind that the message says.
    #[error("damaged: a message of no known kind")]
    UnknownKind,

    /// A message of a kind that is not allowed here.
    #[error("damaged: expected {expected}, found a message of kind {}", found.name())]
    Misplaced {
        /// The kinds that are allowed.
        expected: &'static str,
        /// The kind of the message.
        found: MessageKind,
    },

    /// The footer is not a valid flatbuffer.
    #[error("damaged: the footer is not valid")]
    InvalidFooter,

    /// The footer has no schema.
    #[error("damaged: the footer has no schema")]
    FooterWithoutSchema,

    /// The footer lists a message at a position outside the file.
    #[error("damaged: the footer names a message beyond the end of the file")]
    PlaceBeyondFile,

    /// The footer lists one message twice.
    #[error("damaged: the footer names this message twice")]
    PlaceRepeated,

    /// The footer lists messages that overlap.
    #[error("damaged: the footer names messages that overlap")]
    PlacesOverlap,

    /// The footer lists a message at a position where there is none, or another one.
    #[error("damaged: there is no message where the footer says")]
    PlaceWithoutMessage,

    /// The file has whole messages that the footer does not list.
    #[error("damaged: the footer does not list every whole message")]
    FooterLeavesOut,

    /// The schema is invalid.
    #[error("damaged: the schema is not valid at column `{path}`: {reason}")]
    InvalidSchema {
        /// The column's path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// A batch contradicts the schema or its own body at one column.
    #[error("damaged: at column `{path}`, expected {expected}, found {found}")]
    Contradiction {
        /// The column's path.
        path: String,
        /// What the schema requires.
        expected: String,
        /// What the batch has.
        found: String,
    },

    /// A batch contradicts the schema as a whole.
    #[error("damaged: expected {expected}, found {found}")]
    Mismatch {
        /// What the schema requires.
        expected: String,
        /// What the message has.
        found: String,
    },

    /// The values have the other byte order than this machine.
    #[error("has a different byte order than this machine, which is not supported")]
    OtherByteOrder,

    /// A feature that the format, or a later version of it, may allow, and that is not supported.
    #[error("not supported: {what}")]
    Unsupported {
        /// The feature.
        what: String,
    },

    /// A reader that decodes values found damage, which the checks of this crate do not cover.
    #[error("damaged {what}: {reason}")]
    Undecodable {
        /// What could not be decoded.
        what: &'static str,
        /// The reader's reason.
        reason: String,
    },

    /// The checksum of a body is wrong.
    #[error("damaged: the checksum of the body is {found}, expected {expected}")]
    Checksum {
        /// The checksum in the message.
        expected: String,
        /// The checksum of the body.
        found: String,
    },

    /// A batch has no checksum, although the schema message announces checksums.
    #[error("damaged: the batch has no checksum, but the schema message announces checksums")]
    ChecksumMissing,

    /// A dictionary that the batch needs is missing, or may be the wrong one after a loss.
    #[error("its dictionary {id} is missing")]
    DictionaryMissing {
        /// The dictionary's id.
        id: i64,
    },

    /// A dictionary batch in a file replaces another one.
    #[error("damaged: dictionary {id} is replaced, which a file does not allow")]
    DictionaryReplaced {
        /// The dictionary's id.
        id: i64,
    },

    /// No kept batch needs this dictionary.
    #[error("no record batch that is kept uses this dictionary")]
    DictionaryUnused,
}

impl Fault {
    /// Returns why a flatbuffer cannot be read: text that is not UTF-8, which some writers put into metadata, or
    /// `invalid`.
    pub(crate) fn of_flatbuffer(error: &InvalidFlatbuffer, invalid: Self) -> Self {
        match error {
            InvalidFlatbuffer::Utf8Error { .. } => {
                Self::Unsupported { what: "names or metadata that are not UTF-8".to_owned() }
            }
            _ => invalid,
        }
    }
}

/// A part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MessagePart {
    /// The continuation marker and the length.
    Prefix,
    /// The flatbuffer.
    Metadata,
    /// The buffers.
    Body,
}

/// Why an input was not recovered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input has no readable schema, so there is nothing to recover.
    #[error("nothing can be recovered: {0}")]
    Hopeless(#[source] Damage),

    /// A whole message or the footer follows the damage. Cutting at the damage would lose it.
    #[error("{damage}; whole data follows from byte {behind} on, so the input is damaged, not torn at its end")]
    DamagedBeforeTail {
        /// The first damage.
        #[source]
        damage: Damage,
        /// The offset of the first whole message after it, or of the footer.
        behind: u64,
    },

    /// The confirmed part is not whole, so a power loss is not what damaged it.
    #[error("{damage}, within the first {confirmed} bytes, which a sync confirmed: damaged, not torn")]
    ConfirmedDamaged {
        /// The first damage.
        #[source]
        damage: Damage,
        /// The confirmed position.
        confirmed: u64,
    },

    /// The input is shorter than its confirmed part.
    #[error("has {length} bytes, but {confirmed} were confirmed")]
    ConfirmedMissing {
        /// The confirmed position.
        confirmed: u64,
        /// The length of the input.
        length: u64,
    },

    /// The given position is inside a message, where no sync ends.
    #[error("byte {confirmed} is inside the message at byte {offset}, so no sync confirmed it")]
    NoConfirmedPosition {
        /// The given position.
        confirmed: u64,
        /// The offset of the message.
        offset: u64,
    },
    /// The input has another stream whose batches cannot be in one output with those of the first.
    #[error("{0}; an output has one schema")]
    OtherStream(#[source] Damage),

    /// The format of the output does not allow something that the input has.
    #[error("cannot be written as a file: {0}")]
    NoFile(#[source] Damage),

    /// The system cannot read the input.
    #[error("cannot be read: {0}")]
    Read(#[source] io::Error),

    /// The output cannot be written.
    #[error("cannot be written: {0}")]
    Write(#[source] io::Error),

    /// The output would not fit the format.
    #[error("the {what} would be longer than the format allows")]
    TooLarge {
        /// The part that would be too long.
        what: &'static str,
    },
}

impl Damage {
    /// Returns damage with this fault at this offset.
    #[must_use]
    pub fn new(offset: u64, fault: Fault) -> Self {
        Self { offset, fault }
    }

    /// For `map_err`: the system failed to read at `offset`.
    pub(crate) fn unreadable(offset: u64) -> impl Fn(io::Error) -> Self {
        move |error| Self::new(offset, Fault::Unreadable(error))
    }

    /// Returns whether the system failed, rather than the input being damaged.
    pub(crate) fn is_of_system(&self) -> bool {
        matches!(self.fault, Fault::Unreadable(_))
    }

    /// Returns this damage. If the system failed, returns an error instead, since what it failed to read may not be
    /// damaged.
    pub(crate) fn of_input(self) -> Result<Self, Error> {
        match self.fault {
            Fault::Unreadable(error) => Err(Error::Read(error)),
            fault => Ok(Self { offset: self.offset, fault }),
        }
    }
}

/// For `map_err`: the schema cannot be read.
pub(crate) fn hopeless(damage: Damage) -> Error {
    damage.of_input().map_or_else(|error| error, Error::Hopeless)
}

impl fmt::Display for MessagePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prefix => "prefix",
            Self::Metadata => "metadata",
            Self::Body => "body",
        })
    }
}

/// Formats a length, if it is known, as a part of a sentence.
struct Length<'l>(&'l Option<u64>);

impl fmt::Display for Length<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |length| write!(f, ", {length} bytes long"))
    }
}

/// Formats a text, if there is one, as the end of a sentence.
struct Words<'w>(&'w Option<String>);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |words| write!(f, ": \"{words}\""))
    }
}

/// Formats a reason, if there is one, as the end of a sentence.
struct Reason<'r>(&'r str);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

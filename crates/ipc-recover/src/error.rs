//! What is wrong with an input, where, and what that means for its recovery.

use std::fmt;
use std::io;

use flatbuffers::InvalidFlatbuffer;

use crate::format::MessageKind;

/// Where an input stops making sense, and why.
#[derive(Debug, thiserror::Error)]
#[error("{fault} (at byte {offset})")]
pub struct Damage {
    /// Where the message, or the footer, starts that makes none.
    pub offset: u64,
    /// Why it makes none.
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

    /// There is nothing.
    #[error("is empty")]
    Empty,

    /// It starts like neither a file nor a stream.
    #[error("is neither an Arrow IPC file nor a stream")]
    NotArrow,

    /// It is something else that is known.
    #[error("is {what}, neither an Arrow IPC file nor a stream{advice}")]
    Other {
        /// What it is.
        what: &'static str,
        /// What to do with it, as the rest of the sentence.
        advice: &'static str,
    },

    /// A message, or the footer, is only begun.
    #[error("truncated: the input ends inside the {part} of a message{}", Length(.length))]
    Truncated {
        /// In which part of the message it ends.
        part: MessagePart,
        /// How long that part is said to be, in bytes.
        length: Option<u64>,
    },

    /// A message of a stream is only begun, and another stream starts where it ends.
    #[error("torn: the stream ends inside the {part} of a message{}, and another one starts there", Length(.length))]
    TornBeforeAnother {
        /// In which part of the message it ends.
        part: MessagePart,
        /// How long that part is said to be, in bytes.
        length: Option<u64>,
    },

    /// Nothing says that this is the end.
    #[error("ends between two messages, without an end-of-stream marker")]
    NoMarker,

    /// A file that was cut or never closed.
    #[error("truncated: the file has no footer at its end, so it was cut or never closed")]
    NoFooter,

    /// Zeros stand where a message should, as they do where a file system made room that was never written to.
    #[error("truncated: zeros stand where a message should, to the end of the input")]
    Zeros,

    /// A body that may not have been written to its end.
    #[error("truncated: the body ends in zeros, which go on to the end of the input")]
    Unwritten,

    /// What no sync has confirmed, where nothing else is to be kept.
    #[error("no sync has confirmed it")]
    Unconfirmed,

    /// More bytes follow after the end, and are no stream.
    #[error("bytes that are no stream stand behind the end-of-stream marker{}", Words(.words))]
    BehindTheEnd {
        /// The text that they start with.
        words: Option<String>,
    },

    /// Nothing but zeros follows after the end of the last stream or of the file, as where a file system made room.
    #[error("only zeros follow the end")]
    ZerosBehindTheEnd,

    /// Bytes follow behind the magic at the end of a file.
    #[error("bytes stand behind the magic that ends the file{}", Words(.words))]
    BehindTheFooter {
        /// The text that they start with.
        words: Option<String>,
    },

    /// Text stands where a message should: what a server says that fails.
    #[error("no message stands here but text: \"{words}\"")]
    Words {
        /// How the text starts.
        words: String,
    },

    /// What stands where a message should has neither a message's marker nor a length that one could have.
    #[error("damaged: what stands here is no message")]
    NoMessage,

    /// The stream was given up by its writer, which left a mark.
    #[error("the stream was given up by its writer{}", Reason(.reason))]
    Aborted {
        /// Why, as far as anybody said.
        reason: String,
    },

    /// A stream starts where the one before has not ended.
    #[error("another stream starts here, and the one before has no end-of-stream marker")]
    Unterminated,

    /// The schema message stands twice.
    #[error("the schema message is repeated here, as where two writers share an output without a lock")]
    SchemaRepeated,

    /// The streams of one input have different columns.
    #[error("the stream that starts here has another schema than the first: {difference}")]
    OtherSchema {
        /// The first difference.
        difference: String,
    },

    /// The footer lists a delta before the dictionary that it extends.
    #[error("damaged: the footer lists a delta of the dictionary {id} of column `{path}` before what it extends")]
    DeltaListedFirst {
        /// The column's path.
        path: String,
        /// The dictionary's id.
        id: i64,
    },

    /// A file has one dictionary for each field, and this has two.
    #[error(
        "damaged: column `{path}` has a second dictionary (id {id}), which is not the one at byte {first}; a file allows one"
    )]
    SecondDictionary {
        /// The column's path.
        path: String,
        /// The dictionary's id.
        id: i64,
        /// Where the first one starts.
        first: u64,
    },

    /// A length below 0.
    #[error("damaged: the {0} of a message has a negative length")]
    NegativeLength(MessagePart),

    /// A body that is not padded: what stands behind it is not where it should be.
    #[error("damaged: the body of a message is {length} bytes long, which is no multiple of 8")]
    UnpaddedBody {
        /// The length, as the metadata claims.
        length: u64,
    },

    /// Writers that knew nothing of each other wrote at once.
    #[error("damaged: the body of a message starts with the header of another, as unlocked writers leave them")]
    Interleaved,

    /// The flatbuffer is none.
    #[error("damaged: the metadata is no valid message")]
    InvalidMetadata,

    /// A message whose header is not what it says, or none that we know.
    #[error("damaged: a message of no known kind")]
    UnknownKind,

    /// A message of a kind that has no place here.
    #[error("damaged: expected {expected}, found a message of kind {}", found.name())]
    Misplaced {
        /// What has its place here.
        expected: &'static str,
        /// What stands here.
        found: MessageKind,
    },

    /// The footer is none.
    #[error("damaged: the footer is not valid")]
    InvalidFooter,

    /// A footer without a schema.
    #[error("damaged: the footer has no schema")]
    FooterWithoutSchema,

    /// The footer names a place that is none.
    #[error("damaged: the footer names a message beyond the file")]
    PlaceBeyondFile,

    /// The footer names one message twice.
    #[error("damaged: the footer names this message twice")]
    PlaceRepeated,

    /// The footer names two places that are not apart.
    #[error("damaged: the footer names messages that overlap")]
    PlacesOverlap,

    /// The footer names a place at which something else stands.
    #[error("damaged: no message stands where the footer says")]
    PlaceWithoutMessage,

    /// The file has more whole messages than the footer names.
    #[error("damaged: the footer leaves out messages that are whole")]
    FooterLeavesOut,

    /// A schema that no reader takes.
    #[error("damaged: the schema is not valid at column `{path}`: {reason}")]
    InvalidSchema {
        /// The column's path.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// A batch that is not of the schema, or does not fit its own body.
    #[error("damaged: at column `{path}`, expected {expected}, found {found}")]
    Contradiction {
        /// The column's path.
        path: String,
        /// What the schema asks for.
        expected: String,
        /// What the batch says.
        found: String,
    },

    /// A batch that is not of the schema as a whole.
    #[error("damaged: expected {expected}, found {found}")]
    Mismatch {
        /// What the schema asks for.
        expected: String,
        /// What the message says.
        found: String,
    },

    /// A schema of values that this machine cannot read.
    #[error("is of the other byte order than this machine, which is not supported")]
    OtherByteOrder,

    /// Something that the format, or a later version of it, may allow and that is not read here.
    #[error("not supported: {what}")]
    Unsupported {
        /// What it is.
        what: String,
    },

    /// What a reader of values found, which is more than is looked at here.
    #[error("damaged {what}: {reason}")]
    Undecodable {
        /// What could not be decoded.
        what: &'static str,
        /// What the reader said.
        reason: String,
    },

    /// A body that is not what was written.
    #[error("damaged: the checksum of the body is {found}, and should be {expected}")]
    Checksum {
        /// What the message says.
        expected: String,
        /// What the body has.
        found: String,
    },

    /// A batch without checksum, after a schema message that announces them.
    #[error("damaged: a batch without checksum, though the schema message announces them")]
    ChecksumMissing,

    /// Its dictionary is nowhere, or nobody can tell whether it is the right one.
    #[error("the dictionary {id} that it needs is missing")]
    DictionaryMissing {
        /// The dictionary's id.
        id: i64,
    },

    /// A file has one dictionary for each field.
    #[error("damaged: the dictionary {id} replaces another, which a file does not allow")]
    DictionaryReplaced {
        /// The dictionary's id.
        id: i64,
    },

    /// No batch that was kept needs it.
    #[error("no batch that is kept needs this dictionary")]
    DictionaryUnused,
}

impl Fault {
    /// Why a flatbuffer cannot be read: text that is not UTF-8, which some writers put into metadata, or `invalid`.
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
    /// The marker and the length before the metadata.
    Prefix,
    /// The flatbuffer.
    Metadata,
    /// The buffers.
    Body,
}

/// Why nothing was recovered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Not even a schema is there, so there is nothing to recover.
    #[error("nothing can be recovered: {0}")]
    Hopeless(#[source] Damage),

    /// Something whole stands behind the damage: a message, or the footer. Cutting there would lose it.
    #[error("{damage}; what stands behind, from byte {behind} on, is whole: damaged before its tail, not torn at it")]
    DamagedBeforeTail {
        /// The damage that comes first.
        #[source]
        damage: Damage,
        /// Where the first whole message behind it starts, or the footer.
        behind: u64,
    },

    /// What a sync has confirmed is not whole, so it is no loss of power that damaged it.
    #[error("{damage}, among the first {confirmed} bytes, which were confirmed: damaged, not torn")]
    ConfirmedDamaged {
        /// The damage that comes first.
        #[source]
        damage: Damage,
        /// The confirmed position.
        confirmed: u64,
    },

    /// The input is shorter than what a sync has confirmed of it.
    #[error("has {length} bytes, where {confirmed} were confirmed")]
    ConfirmedMissing {
        /// The confirmed position.
        confirmed: u64,
        /// How long the input is.
        length: u64,
    },

    /// No sync confirms a part of a message.
    #[error("byte {confirmed} is inside the message at byte {offset}, where no sync ends")]
    NoConfirmedPosition {
        /// What was given for the confirmed position.
        confirmed: u64,
        /// Where the message starts.
        offset: u64,
    },
    /// The input has another stream, whose batches cannot stand in one output with those of the first.
    #[error("{0}; one output has one schema")]
    OtherStream(#[source] Damage),

    /// The input has what the format of the output does not allow.
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
        /// What would be too long.
        what: &'static str,
    },
}

impl Damage {
    /// This fault at this offset.
    #[must_use]
    pub fn new(offset: u64, fault: Fault) -> Self {
        Self { offset, fault }
    }

    /// For `map_err`: the system cannot read what stands at `offset`.
    pub(crate) fn unreadable(offset: u64) -> impl Fn(io::Error) -> Self {
        move |error| Self::new(offset, Fault::Unreadable(error))
    }

    /// Whether it is the system that fails, not the input.
    pub(crate) fn is_of_system(&self) -> bool {
        matches!(self.fault, Fault::Unreadable(_))
    }

    /// This damage, unless it is the system's: then there is no telling what is damaged and what is not.
    pub(crate) fn of_input(self) -> Result<Self, Error> {
        match self.fault {
            Fault::Unreadable(error) => Err(Error::Read(error)),
            fault => Ok(Self { offset: self.offset, fault }),
        }
    }
}

/// For `map_err`: not even the schema can be read.
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

/// A length, if it is known, as part of a sentence.
struct Length<'l>(&'l Option<u64>);

impl fmt::Display for Length<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |length| write!(f, ", {length} bytes long"))
    }
}

/// Words, if there are any, as the end of a sentence.
struct Words<'w>(&'w Option<String>);

impl fmt::Display for Words<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |words| write!(f, ": \"{words}\""))
    }
}

/// A reason, if there is one, as the end of a sentence.
struct Reason<'r>(&'r str);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

//! What can go wrong, and what a failed step hands back.
//!
//! One enum for the crate. Every refusal of a batch names the column by its path (`orders.item.price`), what the
//! stream expects and what came. Errors about the sink say whether the stream is still whole: [`Error::Io`] left no
//! byte of the message behind and may be retried, [`Error::Poisoned`] is the end of the stream, unless its sink can take
//! bytes back.

use std::fmt;
use std::io;
use std::sync::Arc;

/// The result of this crate's fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a step was refused or failed.
///
/// A refused batch leaves no byte in the output, and the writer goes on. The user's guide (`docs/guide/src/errors.md`)
/// says what to do about each error, and lists the faults of a batch with the error that each gets. Faults that can be
/// found without looking at every row are always found; the others need [`Validation::Full`](crate::Validation::Full).
///
/// Neither setting panics or reads outside an array's buffers, whatever the array contains. The one exception is a union
/// that lacks a child array altogether: `arrow-array` itself panics when it is asked for the child.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A batch does not have the schema of the stream. Nothing was written; other batches still can be.
    #[error("schema mismatch{}", difference(path, expected, found))]
    SchemaMismatch {
        /// The first column that differs, as a path from the top-level field.
        path: String,
        /// What the stream's schema has there; `nothing` if the column is not in it.
        expected: String,
        /// What the batch has there; `nothing` if the column is missing.
        found: String,
    },

    /// A batch has another dictionary than the one already sent, and the format allows no replacement.
    #[error(
        "dictionary of column `{path}` differs from the one already written: expected {expected}, found {found}; \
         a file holds one dictionary per field, which only deltas may extend: {remedy}"
    )]
    DictionaryReplacement {
        /// The dictionary-encoded column.
        path: String,
        /// The dictionary written before.
        expected: String,
        /// The dictionary of this batch.
        found: String,
        /// What would let it change so.
        remedy: Remedy,
    },

    /// A unified dictionary would outgrow its keys' type. Nothing was added; batches without new values still can be
    /// written.
    #[error("the dictionary of column `{path}` would have {count} values; its keys are of a type for {limit}")]
    DictionaryOverflow {
        /// The dictionary-encoded column.
        path: String,
        /// How many values there would be.
        count: u64,
        /// How many values the keys can tell apart.
        limit: u64,
    },

    /// A unified dictionary would outgrow its values' type: readers have all of it in one array, whose strings, lists or
    /// runs end at numbers of 32 or 16 bits. Nothing was added; batches without new values still can be written.
    #[error("the dictionary of column `{path}` would have {count} {what}; one array of its type holds {limit}")]
    DictionaryTooLarge {
        /// The dictionary-encoded column.
        path: String,
        /// What is counted, such as the bytes of all strings.
        what: &'static str,
        /// How many there would be.
        count: u64,
        /// How many fit.
        limit: u64,
    },

    /// An array contradicts itself, or the field it stands for: offsets, lengths or buffers that do not fit together, a
    /// null where none may be.
    #[error("invalid array in column `{path}`: expected {expected}, found {found}")]
    InvalidArray {
        /// The column.
        path: String,
        /// What the layout asks for.
        expected: String,
        /// What the array has.
        found: String,
    },

    /// A column's type cannot be expressed in the format, or not with these options.
    #[error("column `{path}` cannot be written: {reason}")]
    Unsupported {
        /// The column.
        path: String,
        /// Why not.
        reason: &'static str,
    },

    /// Types nest deeper than the options allow; many readers stop at 64 levels.
    #[error("column `{path}` nests deeper than {limit} levels")]
    NestingTooDeep {
        /// The first column beyond the limit.
        path: String,
        /// [`Options::max_nesting`](crate::Options::max_nesting).
        limit: usize,
    },

    /// A length does not fit the field that the format gives it.
    #[error("{what} of {length} does not fit the format's limit of {limit}")]
    TooLarge {
        /// Which length.
        what: &'static str,
        /// Its value.
        length: u64,
        /// The largest value that fits.
        limit: u64,
    },

    /// Metadata for a batch's message has a key that the writer gives a meaning of its own.
    #[error("the metadata key `{key}` is reserved")]
    ReservedKey {
        /// The key.
        key: &'static str,
    },

    /// Options that contradict each other, or a codec that this build leaves out.
    #[error("invalid options: {0}")]
    InvalidOptions(String),

    /// A codec refused a buffer.
    #[error("compression of column `{path}` with {codec} failed")]
    Compression {
        /// The column.
        path: String,
        /// The codec's name.
        codec: &'static str,
        /// What the codec said.
        source: io::Error,
    },

    /// The sink failed before it took any byte of this message, or in its `flush`. Nothing is torn: the call may be
    /// repeated.
    #[error("the sink failed between messages; nothing is torn")]
    Io(#[from] io::Error),

    /// The sink failed inside a message: nothing may follow torn bytes, so the stream takes no more until they have been
    /// [taken back](crate::Encoder::rollback). Or a [sync](crate::Encoder::sync) failed, and it takes no more at all.
    #[error("the output can be trusted up to byte {offset} only; accepted record batches not in it: {unconfirmed}")]
    Poisoned {
        /// Where the last whole message ends, and what stands behind it is torn; after a failed sync, what the sync before
        /// it has made durable.
        offset: u64,
        /// How many accepted record batches are not in those bytes. A rollback loses none of them.
        unconfirmed: u64,
        /// The first error.
        source: Arc<io::Error>,
    },

    /// The sink could not take the torn bytes back. The output is as it was, and the rollback may be repeated.
    #[error("the output could not be cut back to its last whole message")]
    Rollback(#[source] io::Error),

    /// The end of the stream has been written; no message may follow it.
    #[error("the stream has been closed")]
    Closed,

    /// The output has been [given up](crate::Ledger::abort); no message may follow.
    #[error("the stream has been given up{}", told(reason))]
    Aborted {
        /// The reason that was given; may be empty.
        reason: Arc<str>,
    },
}

/// What would let a field's dictionaries differ as they do, with every other dictionary of the schema as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Remedy {
    /// [`Unify`](crate::Unify).
    Unify,
    /// The same with [`at_close`](crate::Unify::at_close): the schema has a dictionary inside another one's values, which
    /// cannot grow by deltas.
    UnifyAtClose,
    /// A stream, where a dictionary may be sent again: no file can hold these dictionaries.
    Stream,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unify => "`Unify` writes one dictionary for all batches",
            Self::UnifyAtClose => "`Unify` with `at_close` writes one dictionary for all batches",
            Self::Stream => "only a stream can send this dictionary again",
        })
    }
}

/// Stands for a column that one of two schemas does not have, in [`Error::SchemaMismatch`].
pub(crate) const NOTHING: &str = "nothing";

/// Words a difference of two schemas.
fn difference(path: &str, expected: &str, found: &str) -> String {
    match (expected, found) {
        (_, NOTHING) => format!(": column `{path}` is missing"),
        (NOTHING, _) => format!(": column `{path}` is not in the schema"),
        _ => format!(" at column `{path}`: expected {expected}, found {found}"),
    }
}

/// A reason as it follows a sentence, if there is one.
fn told(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

impl Error {
    /// Puts a step of the column path before the path so far; walks call it on their way out of a child.
    #[must_use]
    #[cold]
    pub(crate) fn within(mut self: Box<Self>, name: &str) -> Box<Self> {
        match self.path_mut() {
            Some(path) if path.is_empty() => name.clone_into(path),
            Some(path) => {
                path.insert(0, '.');
                path.insert_str(0, name);
            }
            None => {}
        }
        self
    }

    /// Gives the whole path, unless it has been given.
    #[must_use]
    #[cold]
    pub(crate) fn at(mut self: Box<Self>, whole: &str) -> Box<Self> {
        if let Some(path) = self.path_mut().filter(|path| path.is_empty()) {
            whole.clone_into(path);
        }
        self
    }

    fn path_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::SchemaMismatch { path, .. }
            | Self::DictionaryReplacement { path, .. }
            | Self::DictionaryOverflow { path, .. }
            | Self::DictionaryTooLarge { path, .. }
            | Self::InvalidArray { path, .. }
            | Self::Unsupported { path, .. }
            | Self::NestingTooDeep { path, .. }
            | Self::Compression { path, .. } => Some(path),
            _ => None,
        }
    }

    /// An [`Error::InvalidArray`] whose path is still to be told by the callers.
    #[cold]
    pub(crate) fn invalid(expected: impl Into<String>, found: impl Into<String>) -> Box<Self> {
        Box::new(Self::InvalidArray { path: String::new(), expected: expected.into(), found: found.into() })
    }
}

impl From<Box<Error>> for Error {
    fn from(error: Box<Self>) -> Self {
        *error
    }
}

impl From<Error> for arrow_schema::ArrowError {
    fn from(error: Error) -> Self {
        match error {
            Error::SchemaMismatch { .. } => Self::SchemaError(error.to_string()),
            Error::DictionaryReplacement { .. }
            | Error::DictionaryOverflow { .. }
            | Error::DictionaryTooLarge { .. }
            | Error::InvalidArray { .. }
            | Error::Unsupported { .. } => Self::InvalidArgumentError(error.to_string()),
            Error::Io(source) => Self::IoError(source.to_string(), source),
            error => Self::ExternalError(Box::new(error)),
        }
    }
}

/// A step that consumes the encoder failed; what it consumed comes back with the reason.
///
/// `?` keeps the reason and drops what came back:
///
/// ```
/// # use ipc_core::{Encoder, Error};
/// # use arrow_schema::Schema;
/// fn begin(sink: Vec<u8>) -> Result<(), Error> {
///     let encoder = Encoder::stream(sink).start(Schema::empty())?;
///     encoder.close()?;
///     Ok(())
/// }
/// # begin(Vec::new()).unwrap();
/// ```
pub struct Failed<T, E = Error> {
    inner: Box<(E, T)>,
}

impl<T, E> Failed<T, E> {
    /// A failure of a step that consumed `subject`.
    pub fn new(error: E, subject: T) -> Self {
        Self { inner: Box::new((error, subject)) }
    }

    /// Why the step failed.
    #[must_use]
    pub fn error(&self) -> &E {
        &self.inner.0
    }

    /// What the step had consumed.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.inner.1
    }

    /// The reason and what the step had consumed.
    #[must_use]
    pub fn into_parts(self) -> (E, T) {
        *self.inner
    }
}

impl<T, E: fmt::Debug> fmt::Debug for Failed<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Failed").field(&self.inner.0).finish()
    }
}

impl<T, E: fmt::Display> fmt::Display for Failed<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.0.fmt(f)
    }
}

impl<T, E: std::error::Error> std::error::Error for Failed<T, E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.0.source()
    }
}

impl<T> From<Failed<T>> for Error {
    fn from(failed: Failed<T>) -> Self {
        failed.inner.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_grows_from_the_leaf_to_the_root() {
        let error = Error::invalid("a", "b").within("price").within("item").within("orders");
        assert_eq!(error.to_string(), "invalid array in column `orders.item.price`: expected a, found b");
    }

    #[test]
    fn arrow_is_told_the_kind_of_error_and_all_of_its_text() {
        use arrow_schema::ArrowError;

        let (path, expected, found) = ("c".to_owned(), "a".to_owned(), "b".to_owned());
        let mismatch = Error::SchemaMismatch { path, expected, found };
        let text = mismatch.to_string();
        assert!(matches!(ArrowError::from(mismatch), ArrowError::SchemaError(told) if told == text));
        let invalid = Error::from(Error::invalid("a", "b"));
        assert!(
            matches!(ArrowError::from(invalid), ArrowError::InvalidArgumentError(told) if told.contains("found b"))
        );
        let io = Error::Io(io::ErrorKind::StorageFull.into());
        assert!(
            matches!(ArrowError::from(io), ArrowError::IoError(_, source) if source.kind() == io::ErrorKind::StorageFull)
        );
        assert!(matches!(ArrowError::from(Error::Closed), ArrowError::ExternalError(_)));
    }

    #[test]
    fn a_codec_that_fails_is_told_with_the_column() {
        let source = io::Error::other("no");
        let failed = Box::new(Error::Compression { path: String::new(), codec: "LZ4", source });
        let told = failed.within("b").within("a").to_string();
        assert_eq!(told, "compression of column `a.b` with LZ4 failed");
    }

    #[test]
    fn a_failed_step_gives_back_what_it_consumed_and_says_why() {
        let source = Arc::new(io::Error::from(io::ErrorKind::StorageFull));
        let failed = Failed::new(Error::Poisoned { offset: 8, unconfirmed: 0, source }, 7);
        assert_eq!(failed.to_string(), failed.error().to_string());
        assert!(std::error::Error::source(&failed).is_some() && format!("{failed:?}").contains("Poisoned"));
        assert_eq!(failed.into_inner(), 7);
    }
}

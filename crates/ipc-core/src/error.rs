//! What can go wrong, and what a failed step returns.
//!
//! One enum for the crate, at the bottom of its imports. Errors of the sink say whether the output is still whole:
//! after [`Error::Io`] it is, and the call may be repeated; after [`Error::Poisoned`] it is not.

use std::fmt;
use std::io;
use std::sync::Arc;

use arrow_schema::ArrowError;

/// The result of this crate's fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call was refused or failed.
///
/// A refused batch leaves no byte in the output, and the writer goes on. Which fault of a batch gets which error, and
/// whether it is found always or only with [`Validation::Full`](crate::Validation::Full), is listed in the guide (page
/// *Errors*). No fault of a batch panics or is followed out of a buffer, with one exception: `arrow-array` itself
/// panics if a union lacks one of its children.
///
/// It converts to [`ArrowError`] and to [`io::Error`], and so does [`Failed`](crate::Failed):
///
/// ```
/// use std::io;
///
/// use ipc_core::Encoder;
/// use ipc_core::arrow_schema::{ArrowError, Schema};
///
/// fn for_arrow(schema: Schema) -> Result<Vec<u8>, ArrowError> {
///     Ok(Encoder::stream(Vec::new()).start(schema)?.close()?.into_inner())
/// }
///
/// fn for_io(schema: Schema) -> io::Result<Vec<u8>> {
///     Ok(Encoder::stream(Vec::new()).start(schema)?.close()?.into_inner())
/// }
/// # for_arrow(Schema::empty()).unwrap();
/// # for_io(Schema::empty()).unwrap();
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The batch does not have the schema of the stream.
    #[error("schema mismatch{}", difference(path, expected, found))]
    SchemaMismatch {
        /// The first column that differs, as a path from the top-level field.
        path: String,
        /// What the stream's schema has there; `nothing` if the column is not in it.
        expected: String,
        /// What the batch has there; `nothing` if the column is missing.
        found: String,
    },

    /// The batch has another dictionary than the one already sent, and the format allows no replacement.
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
        /// What would let it change.
        remedy: Remedy,
    },

    /// A unified dictionary would have more values than its key type allows. Nothing was added; batches without new
    /// values can still be written.
    #[error("the dictionary of column `{path}` would have {count} values; the key type allows {limit}")]
    DictionaryOverflow {
        /// The dictionary-encoded column.
        path: String,
        /// The number of values there would be.
        count: u64,
        /// The number of values that the key type allows.
        limit: u64,
    },

    /// A unified dictionary would have more values than one array of its type can hold. Readers keep a dictionary in
    /// one array, whose offsets or run ends have 32 or 16 bits. Nothing was added; batches without new values can still
    /// be written.
    #[error("the dictionary of column `{path}` would have {count} {what}; one array of its type holds {limit}")]
    DictionaryTooLarge {
        /// The dictionary-encoded column.
        path: String,
        /// What is counted, such as the bytes of all strings.
        what: &'static str,
        /// The number there would be.
        count: u64,
        /// The number that fits.
        limit: u64,
    },

    /// An array contradicts itself or its field: offsets, lengths or buffers that do not fit together, a null in a
    /// field that is not nullable.
    #[error("invalid array in column `{path}`: expected {expected}, found {found}")]
    InvalidArray {
        /// The column.
        path: String,
        /// What the layout requires.
        expected: String,
        /// What the array has.
        found: String,
    },

    /// The column's type cannot be expressed in the format, or not with these options.
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
        /// What the length is of.
        what: &'static str,
        /// Its value.
        length: u64,
        /// The largest value that fits.
        limit: u64,
    },

    /// The metadata of a batch has a key to which the writer gives a meaning of its own.
    #[error("the metadata key `{key}` is reserved")]
    ReservedKey {
        /// The key.
        key: &'static str,
    },

    /// Options contradict each other, or ask for a codec that this build leaves out.
    #[error("invalid options: {0}")]
    InvalidOptions(String),

    /// A codec failed on a buffer.
    #[error("compression of column `{path}` with {codec} failed")]
    Compression {
        /// The column.
        path: String,
        /// The codec's name.
        codec: &'static str,
        /// What the codec said.
        source: io::Error,
    },

    /// The sink failed before it took any byte of this message, or in its `flush`. The output is whole, and the call
    /// may be repeated.
    #[error("the sink failed between messages; the output is whole")]
    Io(#[from] io::Error),

    /// The sink failed inside a message. The output accepts no more batches until a
    /// [rollback](crate::Encoder::rollback) has cut the torn bytes off. Or a [sync](crate::Encoder::sync) failed, and
    /// it accepts no more at all.
    #[error("the output is valid up to byte {offset}; accepted record batches not in the output: {unconfirmed}")]
    Poisoned {
        /// The end of the last whole message. After a failed sync, the position that the sync before it confirmed.
        offset: u64,
        /// The number of accepted record batches that are not in the output before this offset. A rollback keeps them.
        unconfirmed: u64,
        /// The first error.
        source: Arc<io::Error>,
    },

    /// The sink could not cut the torn bytes off. The output is as it was, and the rollback may be repeated.
    #[error("the output could not be cut back to its last whole message")]
    Rollback(#[source] io::Error),

    /// The end of the stream has been written, so nothing may follow.
    #[error("the stream has been closed")]
    Closed,

    /// The output has been [aborted](crate::Encoder::abort), so nothing may follow.
    #[error("the output was aborted{}", after_colon(reason))]
    Aborted {
        /// The reason; may be empty.
        reason: Arc<str>,
    },
}

/// What would let a field's dictionaries differ as they do, with every other dictionary of the schema as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Remedy {
    /// [`Unify`](crate::Unify).
    Unify,
    /// The same with [`at_close`](crate::Unify::at_close): the schema has a dictionary inside another one's values,
    /// which cannot grow by deltas.
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

/// Puts a reason after a sentence, if there is one.
fn after_colon(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

impl Error {
    /// Whether repeating the same call may succeed, with nothing else done before.
    ///
    /// True for [`Io`](Self::Io) and [`Rollback`](Self::Rollback), which leave the output as it was. A
    /// [`Poisoned`](Self::Poisoned) output needs a rollback first, and a refused batch another batch.
    ///
    /// ```
    /// # use arrow_array::record_batch;
    /// # use ipc_core::Encoder;
    /// # let batch = record_batch!(("height", Int32, [154, 23])).unwrap();
    /// # let mut encoder = Encoder::stream(Vec::new()).start(batch.schema())?;
    /// # let pause = || {};
    /// while let Err(error) = encoder.write(&batch) {
    ///     if !error.is_retryable() {
    ///         return Err(error);
    ///     }
    ///     pause();
    /// }
    /// # Ok::<(), ipc_core::Error>(())
    /// ```
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Rollback(_))
    }

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

    /// Sets the whole path, unless it has been set.
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

    /// Returns an [`Error::InvalidArray`] whose path the callers fill in.
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

/// The kind is that of the sink's error, `InvalidInput` where a batch, a schema or options were refused, and `Other`
/// for the rest. The inner error is this one, except for [`Error::Io`], which becomes the sink's error itself.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        if let Error::Io(source) = error {
            return source;
        }
        let kind = match &error {
            Error::Rollback(source) | Error::Compression { source, .. } => source.kind(),
            Error::Poisoned { source, .. } => source.kind(),
            Error::Closed | Error::Aborted { .. } => io::ErrorKind::Other,
            _ => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

impl From<Error> for ArrowError {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_grows_from_the_leaf_to_the_root() {
        let error = Error::invalid("a", "b").within("price").within("item").within("orders");
        assert_eq!(error.to_string(), "invalid array in column `orders.item.price`: expected a, found b");
    }

    #[test]
    fn an_arrow_error_has_the_kind_and_all_of_the_text() {
        let (path, expected, found) = ("c".to_owned(), "a".to_owned(), "b".to_owned());
        let mismatch = Error::SchemaMismatch { path, expected, found };
        let text = mismatch.to_string();
        assert!(matches!(ArrowError::from(mismatch), ArrowError::SchemaError(found) if found == text));
        let invalid = Error::from(Error::invalid("a", "b"));
        assert!(
            matches!(ArrowError::from(invalid), ArrowError::InvalidArgumentError(found) if found.contains("found b"))
        );
        let io = Error::Io(io::ErrorKind::StorageFull.into());
        assert!(
            matches!(ArrowError::from(io), ArrowError::IoError(_, source) if source.kind() == io::ErrorKind::StorageFull)
        );
        assert!(matches!(ArrowError::from(Error::Closed), ArrowError::ExternalError(_)));
    }

    #[test]
    fn an_io_error_keeps_the_kind_and_the_error() {
        use io::ErrorKind::{InvalidInput, Other, StorageFull};

        let full = || io::Error::from(StorageFull);
        assert_eq!(io::Error::from(Error::Io(full())).kind(), StorageFull);
        assert!(io::Error::from(Error::Io(full())).get_ref().is_none(), "the sink's own error, not one around it");
        let poisoned = Error::Poisoned { offset: 8, unconfirmed: 0, source: Arc::new(full()) };
        for (error, kind) in [
            (poisoned, StorageFull),
            (Error::Rollback(full()), StorageFull),
            (Error::Compression { path: String::new(), codec: "LZ4", source: full() }, StorageFull),
            (Error::Closed, Other),
            (Error::InvalidOptions(String::new()), InvalidInput),
            (Error::ReservedKey { key: "key" }, InvalidInput),
        ] {
            let text = error.to_string();
            let error = io::Error::from(error);
            assert_eq!((error.kind(), error.to_string()), (kind, text));
            assert!(error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Error>), "{error:?}");
        }
    }

    #[test]
    fn a_call_is_retryable_if_the_output_is_as_it_was() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        assert!(Error::Io(full()).is_retryable() && Error::Rollback(full()).is_retryable());
        let poisoned = Error::Poisoned { offset: 8, unconfirmed: 0, source: Arc::new(full()) };
        for error in [poisoned, Error::Closed, Error::ReservedKey { key: "key" }] {
            assert!(!error.is_retryable(), "{error}");
        }
    }

    #[test]
    fn a_replaced_dictionary_names_unify_and_a_poisoned_output_what_is_not_in_it() {
        let (path, expected, found) = ("c".to_owned(), "a".to_owned(), "b".to_owned());
        let replaced = Error::DictionaryReplacement { path, expected, found, remedy: Remedy::Unify };
        assert!(replaced.to_string().contains("`Unify` writes one dictionary for all batches"), "{replaced}");
        let source = Arc::new(io::Error::from(io::ErrorKind::StorageFull));
        let poisoned = Error::Poisoned { offset: 8, unconfirmed: 3, source };
        let text = "the output is valid up to byte 8; accepted record batches not in the output: 3";
        assert_eq!(poisoned.to_string(), text);
    }

    #[test]
    fn a_codec_that_fails_is_named_with_the_column() {
        let source = io::Error::other("no");
        let failed = Box::new(Error::Compression { path: String::new(), codec: "LZ4", source });
        let text = failed.within("b").within("a").to_string();
        assert_eq!(text, "compression of column `a.b` with LZ4 failed");
    }
}

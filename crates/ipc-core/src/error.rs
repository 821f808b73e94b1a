//! What can go wrong, and what a failed step hands back.
//!
//! One enum for the crate. Every refusal of a batch names the column by its path (`orders.item.price`), what the
//! stream expects and what came. Errors about the sink say whether the stream is still whole: [`Error::Io`] left no
//! byte of the message behind and may be retried, [`Error::Poisoned`] is the end of the stream.

use std::fmt;
use std::io;
use std::sync::Arc;

/// The result of this crate's fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The result of the many small steps of a walk: no larger than a pointer, so that it stays in a register.
pub(crate) type Step<T = ()> = std::result::Result<T, Box<Error>>;

/// Why a step was refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A batch does not have the schema of the stream. Nothing was written; other batches still can be.
    #[error("schema mismatch at column `{path}`: expected {expected}, found {found}")]
    SchemaMismatch {
        /// The first column that differs, as a path from the top-level field.
        path: String,
        /// What the stream's schema says.
        expected: String,
        /// What the batch has.
        found: String,
    },

    /// A batch has another dictionary than the one already sent, and the format allows no replacement.
    #[error(
        "dictionary of column `{path}` differs from the one already written: expected {expected}, found {found}; \
         a file holds one dictionary per field, which only deltas may extend"
    )]
    DictionaryReplacement {
        /// The dictionary-encoded column.
        path: String,
        /// The dictionary written before.
        expected: String,
        /// The dictionary of this batch.
        found: String,
    },

    /// An array contradicts itself: offsets, lengths or buffers that do not fit together.
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

    /// Options that contradict each other, or a codec that this build leaves out.
    #[error("invalid options: {0}")]
    InvalidOptions(String),

    /// A codec refused a buffer.
    #[error("compression with {codec} failed")]
    Compression {
        /// The codec's name.
        codec: &'static str,
        /// What the codec said.
        source: io::Error,
    },

    /// The sink failed before it took any byte of this message, or in its `flush`. Nothing is torn: the call may be
    /// repeated.
    #[error("the sink failed between messages; nothing is torn")]
    Io(#[from] io::Error),

    /// The sink failed inside a message. Nothing may follow torn bytes, so the stream takes no more.
    #[error("the output is torn after byte {offset}")]
    Poisoned {
        /// The offset of the last byte that belongs to a whole message; what stands behind it is torn.
        offset: u64,
        /// How many accepted (staged) record batches did not reach the sink whole.
        lost: u64,
        /// The first error.
        source: Arc<io::Error>,
    },

    /// The end of the stream has been written; no message may follow it.
    #[error("the stream has been closed")]
    Closed,
}

impl Error {
    /// Puts a step of the column path before the path so far; walks call it on their way out of a child.
    #[must_use]
    #[cold]
    pub(crate) fn within(mut self: Box<Self>, name: &str) -> Box<Self> {
        if let Self::SchemaMismatch { path, .. }
        | Self::DictionaryReplacement { path, .. }
        | Self::InvalidArray { path, .. }
        | Self::Unsupported { path, .. }
        | Self::NestingTooDeep { path, .. } = &mut *self
        {
            if path.is_empty() {
                name.clone_into(path);
            } else {
                path.insert(0, '.');
                path.insert_str(0, name);
            }
        }
        self
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
            Error::DictionaryReplacement { .. } | Error::InvalidArray { .. } | Error::Unsupported { .. } => {
                Self::InvalidArgumentError(error.to_string())
            }
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
pub struct Failed<T> {
    inner: Box<(Error, T)>,
}

impl<T> Failed<T> {
    /// A failure of a step that consumed `subject`.
    pub fn new(error: Error, subject: T) -> Self {
        Self { inner: Box::new((error, subject)) }
    }

    /// Why the step failed.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.inner.0
    }

    /// What the step had consumed.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.inner.1
    }

    /// The reason and what the step had consumed.
    #[must_use]
    pub fn into_parts(self) -> (Error, T) {
        *self.inner
    }
}

impl<T> fmt::Debug for Failed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Failed").field(&self.inner.0).finish()
    }
}

impl<T> fmt::Display for Failed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.0.fmt(f)
    }
}

impl<T> std::error::Error for Failed<T> {
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
}

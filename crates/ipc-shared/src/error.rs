//! The error of this crate, and its conversions: from the errors of ipc-core, to arrow's and the standard library's.

use std::fmt;
use std::io;
use std::sync::Arc;

use arrow_schema::ArrowError;
use ipc_core::Failed;

/// The result of this crate's fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call was refused or failed.
///
/// Every error of this crate, and [`ipc_core::Error`](crate::CoreError), converts to it by `?`. It converts to
/// [`ArrowError`] and to [`io::Error`].
///
/// ```
/// use ipc_shared::arrow_array::RecordBatch;
/// use ipc_shared::arrow_schema::ArrowError;
/// use ipc_shared::{Error, SharedWriter};
///
/// fn own(batch: &RecordBatch) -> Result<Vec<u8>, Error> {
///     let writer = SharedWriter::stream(Vec::new()).schema(batch.schema()).build()?;
///     writer.reserve()?.write(batch)?;
///     writer.close()?;
///     Ok(writer.into_inner()?)
/// }
///
/// fn for_arrow(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
///     let writer = SharedWriter::stream(Vec::new()).schema(batch.schema()).build()?;
///     writer.reserve()?.write(batch)?;
///     writer.close()?;
///     Ok(writer.into_inner()?)
/// }
///
/// fn for_io(batch: &RecordBatch) -> std::io::Result<Vec<u8>> {
///     let writer = SharedWriter::stream(Vec::new()).schema(batch.schema()).build()?;
///     writer.reserve()?.write(batch)?;
///     writer.close()?;
///     Ok(writer.into_inner()?)
/// }
/// # let batch = RecordBatch::new_empty(ipc_shared::arrow_schema::Schema::empty().into());
/// # assert_eq!(own(&batch).unwrap(), for_arrow(&batch).unwrap());
/// # for_io(&batch).unwrap();
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The batch was refused, or the sink failed before it took a byte of it: nothing was written, and the writer goes
    /// on. Or a rollback failed, and the writer is still poisoned.
    #[error(transparent)]
    Core(ipc_core::Error),

    /// The writer has been closed, by this thread or another.
    #[error("the writer has been closed")]
    Closed,

    /// The writer has been [aborted](crate::SharedWriter::abort), by this thread or another. Nothing can be written.
    #[error("the writer has been given up{}", if reason.is_empty() { String::new() } else { format!(": {reason}") })]
    Aborted {
        /// The reason that was given. May be empty.
        reason: Arc<str>,
    },

    /// The writer was closed before its schema was known. Nothing was written.
    #[error("the writer was closed before any schema was known; nothing was written")]
    NoSchema,

    /// The output is torn, or a thread panicked while it wrote: nothing can be written until the torn bytes are [taken
    /// back](crate::SharedWriter::rollback). Or a [sync](crate::SharedWriter::sync) failed: nothing can be written.
    #[error("the output is valid up to byte {offset}; accepted batches not in the output: {unconfirmed}")]
    Poisoned {
        /// The end of the last whole message, in bytes. After a failed sync, the position that the sync before it
        /// returned.
        offset: u64,
        /// The number of accepted batches that are not before `offset`: staged, waiting in a slot, or not durable. A
        /// rollback loses none of them.
        unconfirmed: u64,
        /// The first error.
        source: Arc<io::Error>,
    },

    /// Threads panicked while they held reserved [slots](crate::Slot), so their batches are missing. The close has
    /// begun: accepted batches are appended, but no byte of the end is written.
    /// [`close_with_gaps`](crate::SharedWriter::close_with_gaps) writes the end all the same.
    #[error(
        "threads that panicked gave up reserved places, whose batches are missing: {places}; the end is not written"
    )]
    Gaps {
        /// The number of places.
        places: u64,
    },

    /// The sink called the writer that is calling it.
    #[error("the sink called back into its own writer")]
    Reentrant,

    /// The sink cannot be taken out of the writer while other handles on it exist: see
    /// [`StillShared`](struct@StillShared).
    #[error("other handles on the writer still exist")]
    StillShared,
}

impl Error {
    /// Returns whether the same call may succeed if it is repeated as it is: the output has not changed.
    ///
    /// A [`Poisoned`](Self::Poisoned) writer needs a [rollback](crate::SharedWriter::rollback) first. A refused batch
    /// is refused again.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Core(error) if error.is_retryable())
    }
}

impl From<Error> for ArrowError {
    fn from(error: Error) -> Self {
        match error {
            Error::Core(error) => error.into(),
            error => Self::ExternalError(Box::new(error)),
        }
    }
}

/// The error of a sink keeps its kind, as in the conversion of [`ipc_core::Error`](crate::CoreError).
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Poisoned { source, .. } => source.kind(),
            _ => io::ErrorKind::Other,
        };
        match error {
            Error::Core(error) => error.into(),
            error => Self::new(kind, error),
        }
    }
}

impl From<ipc_core::Error> for Error {
    fn from(error: ipc_core::Error) -> Self {
        match error {
            ipc_core::Error::Closed => Self::Closed,
            ipc_core::Error::Aborted { reason } => Self::Aborted { reason },
            ipc_core::Error::Poisoned { offset, unconfirmed, source } => Self::Poisoned { offset, unconfirmed, source },
            error => Self::Core(error),
        }
    }
}

impl<T> From<Failed<T, Self>> for Error {
    fn from(failed: Failed<T, Self>) -> Self {
        failed.into_parts().0
    }
}

impl<T> From<Failed<T>> for Error {
    fn from(failed: Failed<T>) -> Self {
        failed.into_parts().0.into()
    }
}

impl<T> From<StillShared<T>> for Error {
    fn from(_: StillShared<T>) -> Self {
        Self::StillShared
    }
}

impl<T> From<StillShared<T>> for ArrowError {
    fn from(still: StillShared<T>) -> Self {
        Error::from(still).into()
    }
}

impl<T> From<StillShared<T>> for io::Error {
    fn from(still: StillShared<T>) -> Self {
        Error::from(still).into()
    }
}

/// The sink cannot be taken out while other handles on the writer exist. Gives the handle back.
#[derive(thiserror::Error)]
#[error("other handles on the writer still exist")]
pub struct StillShared<T>(pub(crate) T);

impl<T> StillShared<T> {
    /// Returns the handle.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for StillShared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StillShared")
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    fn full() -> io::Error {
        io::ErrorKind::StorageFull.into()
    }

    #[test]
    fn an_io_error_keeps_the_kind_of_the_sinks_and_the_error() {
        let core = Error::Core(ipc_core::Error::Io(full()));
        assert_eq!(io::Error::from(core).kind(), io::ErrorKind::StorageFull);
        let poisoned = Error::Poisoned { offset: 8, unconfirmed: 3, source: Arc::new(full()) };
        let text = "the output is valid up to byte 8; accepted batches not in the output: 3";
        let error = io::Error::from(poisoned);
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::StorageFull, text));
        assert!(error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).is_some());
        assert_eq!(io::Error::from(Failed::new(Error::NoSchema, ())).kind(), io::ErrorKind::Other);
        assert!(matches!(ArrowError::from(Failed::new(Error::NoSchema, ())), ArrowError::ExternalError(_)));
        let io = ArrowError::from(Error::Core(ipc_core::Error::Io(full())));
        assert!(matches!(io, ArrowError::IoError(..)), "{io:?}");
    }

    #[test]
    fn a_call_is_retryable_if_the_output_is_as_it_was() {
        assert!(Error::Core(ipc_core::Error::Io(full())).is_retryable());
        let poisoned = Error::Poisoned { offset: 8, unconfirmed: 0, source: Arc::new(full()) };
        for error in [poisoned, Error::Closed, Error::StillShared, Error::Core(ipc_core::Error::Closed)] {
            assert!(!error.is_retryable(), "{error}");
        }
    }
}

//! What can go wrong when many threads write.

use std::fmt;
use std::io;
use std::sync::Arc;

use ipc_core::Failed;

/// The result of this crate's fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call was refused or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The batch was refused, or the sink failed before it took a byte of it: nothing was written and the writer goes on.
    /// Or a rollback failed, and the writer is poisoned as before.
    #[error(transparent)]
    Core(ipc_core::Error),

    /// The writer has been closed, by this thread or another.
    #[error("the writer has been closed")]
    Closed,

    /// The writer has been given up, by this thread or another: nothing may follow.
    #[error("the writer has been given up{}", if reason.is_empty() { String::new() } else { format!(": {reason}") })]
    Aborted {
        /// The reason that was given; may be empty.
        reason: Arc<str>,
    },

    /// The writer was closed before anything told its schema: there is nothing to write.
    #[error("the writer was closed before any schema was known; nothing was written")]
    NoSchema,

    /// The output is torn, or a thread panicked while it wrote: nothing may follow, unless the torn bytes are
    /// [taken back](crate::SharedWriter::rollback). Or a [sync](crate::SharedWriter::sync) failed: nothing may follow.
    #[error("the output can be trusted up to byte {offset} only; accepted batches not in it: {unconfirmed}")]
    Poisoned {
        /// Where the last whole message ends; after a failed sync, what the sync before it has made durable.
        offset: u64,
        /// How many accepted batches are not in those bytes: staged, waiting in a slot, or not durable. A rollback loses
        /// none of them.
        unconfirmed: u64,
        /// The first error.
        source: Arc<io::Error>,
    },

    /// Threads panicked while they held reserved [slots](crate::Slot), whose batches are missing. The close has begun, what
    /// was accepted is appended, and no byte of the end is written.
    /// [`close_with_gaps`](crate::SharedWriter::close_with_gaps) writes it nevertheless.
    #[error(
        "threads that panicked gave up reserved places, whose batches are missing: {places}; the end is not written"
    )]
    Gaps {
        /// How many.
        places: u64,
    },

    /// The sink called back into the writer that is calling it.
    #[error("the sink called back into its own writer")]
    Reentrant,
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

/// The sink cannot be taken out of a writer while other handles on it exist. Gives the handle back.
#[derive(thiserror::Error)]
#[error("other handles on the writer still exist")]
pub struct StillShared<T>(pub(crate) T);

impl<T> StillShared<T> {
    /// The handle.
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

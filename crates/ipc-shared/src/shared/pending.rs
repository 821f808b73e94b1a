//! A batch that is encoded and waits in its slot for its turn.

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use ipc_core::Message;

use super::context::EncodingContext;
use super::plan::Plan;

/// An encoded batch that waits for the places before it.
pub(super) struct PendingBatch {
    /// Kept for its dictionaries: the plan may have to be made again.
    pub(super) batch: RecordBatch,
    pub(super) message: Message<Buffer>,
    /// The context that the message was encoded in.
    pub(super) context: Arc<EncodingContext>,
    /// Used by the first attempt to append it.
    pub(super) plan: Option<Plan>,
}

impl fmt::Debug for PendingBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingBatch").field("rows", &self.batch.num_rows()).finish_non_exhaustive()
    }
}

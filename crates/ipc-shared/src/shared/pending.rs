//! A batch that is encoded and waits in its slot for its turn.

use std::fmt;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use ipc_core::parts::Group;

use super::context::EncodingContext;
use super::plan::Plan;

/// An encoded batch that waits for the places before it.
pub(super) struct PendingBatch {
    /// Kept for its dictionaries, which may have to be encoded again.
    pub(super) batch: RecordBatch,
    pub(super) group: Group<Buffer>,
    /// The context that the group was encoded in.
    pub(super) context: Arc<EncodingContext>,
    /// Used by the first attempt to append it.
    pub(super) plan: Option<Plan>,
}

impl fmt::Debug for PendingBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingBatch").field("rows", &self.batch.num_rows()).finish_non_exhaustive()
    }
}

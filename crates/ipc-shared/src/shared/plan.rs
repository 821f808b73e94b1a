//! The view of the output that a batch was encoded against, outside the lock.
//!
//! The holder of the lock compares it with the output as it is by then. A plan that has gone stale is made again.

use std::sync::Arc;

use super::context::EncodingContext;
use super::output::{Output, View};

/// What the dictionary batches of a group were decided on.
pub(super) struct Plan {
    pub(super) view: Arc<View>,
    /// The output to open with this batch, if the view knew of none.
    pub(super) opening: Option<Output>,
}

impl Plan {
    /// The context that the batch was encoded in.
    pub(super) fn context(&self) -> &Arc<EncodingContext> {
        let opening = self.opening.as_ref().map(|output| &output.context);
        self.view.context.as_ref().or(opening).expect("a plan has an opening if its view has no context")
    }
}

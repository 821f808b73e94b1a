//! A decision about a batch that was made outside the lock, with what it was based on.
//!
//! The holder of the lock compares that with the output as it is by then. A plan that has gone stale is made again.

use std::sync::Arc;

use ipc_core::Updates;

use super::context::EncodingContext;
use super::output::{Output, View};

/// The dictionaries that a batch needs sent before it, and the view that says so.
pub(super) struct Plan {
    pub(super) view: Arc<View>,
    pub(super) updates: Updates,
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

//! A batch encoder with the published snapshots that its owner has seen last.
//!
//! Snapshots of the output and of the unified dictionaries are published by the thread that changes them. An encoding
//! thread keeps its last ones: while nothing changes, it looks at one word of each and shares nothing with other
//! threads.
//!
//! A snapshot may be old. That costs a plan which has to be made again, and keeps replaced dictionaries in memory until
//! the owner writes again; nothing else depends on it.

use std::sync::Arc;

use ipc_core::parts::{
    AddedValues, BatchEncoder, Message, NewValues, Slice, StreamSchema, UnifiedSnapshot, UnifiedStore,
};

use super::context::EncodingContext;
use super::output::View;
use crate::sync::{Published, Seen};

/// A batch encoder with the snapshots that its owner has seen last.
#[derive(Debug)]
pub(crate) struct ThreadEncoder {
    encoder: BatchEncoder,
    view: Seen<View>,
    /// Of the context that was used last.
    unified: SeenUnified,
}

/// The snapshot of unified dictionaries that was seen last, and the context that they belong to.
type SeenUnified = Option<(Arc<EncodingContext>, Seen<UnifiedSnapshot>)>;

impl ThreadEncoder {
    pub(crate) fn new(encoder: BatchEncoder, view: &Published<View>) -> Self {
        Self { encoder, view: view.see(), unified: None }
    }

    /// The view of the output: the newest, or one that was the newest a moment ago.
    pub(super) fn view(&mut self, published: &Published<View>) -> &Arc<View> {
        published.look(&mut self.view)
    }

    /// The batch encoder, and the unified dictionaries of `context` for it.
    pub(super) fn within<'t>(&'t mut self, context: &'t Arc<EncodingContext>) -> (&'t mut BatchEncoder, Store<'t>) {
        (&mut self.encoder, Store { context, seen: &mut self.unified })
    }

    /// Takes back the memory of a group, written or not.
    pub(super) fn recycle<'a>(&mut self, group: impl Into<Message<Slice<'a>>>) {
        self.encoder.recycle(group);
    }
}

/// The unified dictionaries of a context, read through the snapshot that one thread has seen last.
pub(super) struct Store<'t> {
    context: &'t Arc<EncodingContext>,
    seen: &'t mut SeenUnified,
}

impl UnifiedStore for Store<'_> {
    fn schema(&self) -> &StreamSchema {
        self.context.schema()
    }

    fn snapshot(&mut self) -> &UnifiedSnapshot {
        let context = self.context;
        let published = context.unified().expect(ASKED_FOR).published();
        let (_, seen) = match self.seen.take() {
            Some(kept) if Arc::ptr_eq(&kept.0, context) => self.seen.insert(kept),
            _ => self.seen.insert((Arc::clone(context), published.see())),
        };
        published.look(seen)
    }

    fn grow(&mut self, new: NewValues) -> ipc_core::Result<AddedValues> {
        self.context.unified().expect(ASKED_FOR).grow(new)
    }
}

const ASKED_FOR: &str = "a store without unified dictionaries is asked for its schema only";

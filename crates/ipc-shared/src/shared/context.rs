//! The context that batches are encoded in: the schema of the output, and its unified dictionaries.
//!
//! A context is made from the schema that the builder was given, or from the first batch of any thread. Threads that
//! race to be first each make one; the context of the first batch in the output becomes the writer's, and batches
//! encoded in another are encoded again.
//!
//! Unified dictionaries are read without the writer's lock, through a published snapshot. New values are added under a
//! mutex of their own: there they are looked up again, since another thread may have added them meanwhile, and those
//! that are still missing are added and published.

use std::sync::Arc;

use ipc_core::parts::{AddedValues, NewValues, StreamSchema, UnifiedDictionaries, UnifiedSnapshot};

use crate::sync::{Mutex, Published};

/// The schema that batches are encoded for, with its unified dictionaries.
#[derive(Debug)]
pub(crate) struct EncodingContext {
    schema: Arc<StreamSchema>,
    /// There if a field has a unified dictionary.
    unified: Option<Unified>,
}

impl EncodingContext {
    pub(crate) fn new(schema: Arc<StreamSchema>) -> Self {
        let unified = schema.has_unified_dictionaries().then(|| Unified::new(Arc::clone(&schema)));
        Self { schema, unified }
    }

    pub(crate) fn schema(&self) -> &Arc<StreamSchema> {
        &self.schema
    }

    /// The unified dictionaries, if any. What a batch needs of them is known only once it is encoded.
    pub(super) fn unified(&self) -> Option<&Unified> {
        self.unified.as_ref()
    }

    /// Whether no batch ever needs a dictionary that an output may refuse.
    pub(super) fn accepts_any_dictionary(&self) -> bool {
        self.schema.has_only_unified_dictionaries()
    }
}

/// Unified dictionaries that any thread may read, and one at a time may add to.
#[derive(Debug)]
pub(super) struct Unified {
    newest: Mutex<UnifiedDictionaries>,
    published: Published<UnifiedSnapshot>,
}

impl Unified {
    fn new(schema: Arc<StreamSchema>) -> Self {
        let empty = UnifiedDictionaries::new(schema);
        Self { published: Published::new(empty.snapshot().clone()), newest: Mutex::new(empty) }
    }

    /// The snapshot that readers keep until there is a newer one.
    pub(super) fn published(&self) -> &Published<UnifiedSnapshot> {
        &self.published
    }

    /// Adds the values of `new` that are not there yet.
    pub(super) fn grow(&self, new: NewValues) -> ipc_core::Result<AddedValues> {
        let mut newest = self.newest.lock();
        let added = newest.grow(new)?;
        // Under the same mutex, so that no older snapshot is published after a newer one.
        self.published.store(newest.snapshot().clone());
        Ok(added)
    }
}

//! An encoder, and what its owner knows of the output without asking anybody.
//!
//! Snapshots of what readers have, and of the unified dictionaries, are published by whoever changes them. A thread that
//! encodes keeps the last ones that it has seen beside its encoder: while nothing changes, it looks at one word of each,
//! and shares nothing with other threads.
//!
//! What is kept may be old, which costs a plan that is made anew under the lock's eyes, and nothing else. It keeps the
//! values of dictionaries in memory that others have replaced meanwhile, until its owner writes again.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use ipc_core::{BatchEncoder, UnifiedSnapshot};

use crate::shared::View;
use crate::shared::context::{Basis, Unified};
use crate::sync::{Published, Seen};

/// A batch encoder with the snapshots that its owner has seen last.
#[derive(Debug)]
pub(crate) struct ThreadEncoder {
    encoder: BatchEncoder,
    view: Seen<View>,
    /// Of the basis that was encoded for last.
    unified: Option<(Arc<Basis>, Seen<UnifiedSnapshot>)>,
}

impl ThreadEncoder {
    pub(crate) fn new(encoder: BatchEncoder, view: &Published<View>) -> Self {
        Self { encoder, view: view.see(), unified: None }
    }

    /// What is known of the output, in its newest version or in one that was the newest a moment ago.
    pub(crate) fn view(&mut self, published: &Published<View>) -> &Arc<View> {
        published.look(&mut self.view)
    }

    /// The encoder, with the unified dictionaries of `basis` as of now, or as of a moment ago.
    pub(crate) fn with_unified(
        &mut self,
        basis: &Arc<Basis>,
        unified: &Unified,
    ) -> (&mut BatchEncoder, &UnifiedSnapshot) {
        let (_, seen) = match self.unified.take() {
            Some(kept) if Arc::ptr_eq(&kept.0, basis) => self.unified.insert(kept),
            _ => self.unified.insert((Arc::clone(basis), unified.published().see())),
        };
        (&mut self.encoder, unified.published().look(seen))
    }
}

impl Deref for ThreadEncoder {
    type Target = BatchEncoder;

    fn deref(&self) -> &BatchEncoder {
        &self.encoder
    }
}

impl DerefMut for ThreadEncoder {
    fn deref_mut(&mut self) -> &mut BatchEncoder {
        &mut self.encoder
    }
}

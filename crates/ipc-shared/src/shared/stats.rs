//! The writer's figures, readable without the lock.

use ipc_core::Stats;

use crate::sync::{Figure, Relaxed};

/// One counter for each figure. Written under the lock, read by anybody; each stands for itself, so all are relaxed.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    messages: Figure,
    record_batches: Figure,
    rows: Figure,
    dictionary_batches: Figure,
    deltas: Figure,
    replacements: Figure,
    unused_values: Figure,
    raw_bytes: Figure,
    written_bytes: Figure,
}

impl Counters {
    pub(crate) fn publish(&self, stats: &Stats) {
        self.messages.store(stats.messages, Relaxed);
        self.record_batches.store(stats.record_batches, Relaxed);
        self.rows.store(stats.rows, Relaxed);
        self.dictionary_batches.store(stats.dictionary_batches, Relaxed);
        self.deltas.store(stats.deltas, Relaxed);
        self.replacements.store(stats.replacements, Relaxed);
        self.unused_values.store(stats.unused_values, Relaxed);
        self.raw_bytes.store(stats.raw_bytes, Relaxed);
        self.written_bytes.store(stats.written_bytes, Relaxed);
    }

    pub(crate) fn read(&self) -> Stats {
        let mut stats = Stats::default();
        stats.messages = self.messages.load(Relaxed);
        stats.record_batches = self.record_batches.load(Relaxed);
        stats.rows = self.rows.load(Relaxed);
        stats.dictionary_batches = self.dictionary_batches.load(Relaxed);
        stats.deltas = self.deltas.load(Relaxed);
        stats.replacements = self.replacements.load(Relaxed);
        stats.unused_values = self.unused_values.load(Relaxed);
        stats.raw_bytes = self.raw_bytes.load(Relaxed);
        stats.written_bytes = self.written_bytes.load(Relaxed);
        stats
    }
}

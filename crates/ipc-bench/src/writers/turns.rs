//! Batches in turn, and work in shares.

use std::thread;

use arrow_array::RecordBatch;

/// Batches that come over and over.
#[derive(Debug, Clone)]
pub(crate) struct Turns<'b> {
    batches: &'b [RecordBatch],
    next: usize,
}

impl<'b> Turns<'b> {
    /// From the first batch on.
    pub(crate) fn new(batches: &'b [RecordBatch]) -> Self {
        Self { batches, next: 0 }
    }

    /// One for each of so many threads, spread evenly over the batches.
    pub(crate) fn spread(batches: &'b [RecordBatch], threads: usize) -> impl Iterator<Item = Self> {
        (0..threads).map(move |thread| Self { batches, next: thread * batches.len() / threads })
    }

    /// Those whose turn it is.
    pub(crate) fn take(&mut self, count: usize) -> impl Iterator<Item = &'b RecordBatch> {
        (0..count).map(|_| {
            let batch = &self.batches[self.next];
            self.next = if self.next + 1 == self.batches.len() { 0 } else { self.next + 1 };
            batch
        })
    }
}

/// Runs `work` on a thread for each of `states`, with an even share of so many batches to each; on this one if it is one.
pub(crate) fn share<S: Send>(states: &mut [S], batches: usize, work: impl Fn(&mut S, usize) + Sync) {
    if let [state] = states {
        return work(state, batches);
    }
    let threads = states.len();
    thread::scope(|scope| {
        for (index, state) in states.iter_mut().enumerate() {
            let (work, share) = (&work, batches / threads + usize::from(index < batches % threads));
            scope.spawn(move || work(state, share));
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use arrow_array::record_batch;

    use super::*;

    #[test]
    fn every_batch_has_its_turn() {
        let batches = [1, 2, 3].map(|i| record_batch!(("a", Int32, [i])).unwrap());
        let mut turns = Turns::new(&batches);
        let first: Vec<_> = turns.take(4).collect();
        assert_eq!(first, [&batches[0], &batches[1], &batches[2], &batches[0]]);
        assert_eq!(turns.take(1).next(), Some(&batches[1]), "the next call goes on");
        let starts: Vec<_> = Turns::spread(&batches, 2).map(|mut turns| turns.take(1).next()).collect();
        assert_eq!(starts, [Some(&batches[0]), Some(&batches[1])]);
    }

    #[test]
    fn shares_add_up() {
        let done = AtomicUsize::new(0);
        share(&mut [(), (), ()], 17, |(), share| _ = done.fetch_add(share, Ordering::Relaxed));
        assert_eq!(done.into_inner(), 17);
    }
}

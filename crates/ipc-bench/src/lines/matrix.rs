//! The combinations to look at: each sweep goes through one or two dimensions from a common centre.

use crate::batches::Shape;
use crate::codec::Codec;
use crate::lines::{Case, targets};
use crate::sinks::Sink;
use crate::writers::Way;

const THREADS: [usize; 4] = [1, 2, 4, 16];

/// All combinations that are not among the lines with targets already.
#[must_use]
pub fn matrix() -> Vec<Case> {
    let targets = targets();
    let is_new = |case: &Case| !targets.iter().any(|target| target.setup == case.setup && target.peer == case.peer);
    let mut cases: Vec<Case> = Vec::new();
    for case in shapes().chain(sinks()).chain(peers()).chain(pyarrow()).filter(is_new) {
        if !cases.contains(&case) {
            cases.push(case);
        }
    }
    cases
}

/// Every shape with every codec, to a file, from one thread and from two, against the honest peer.
fn shapes() -> impl Iterator<Item = Case> {
    let made = [64, 1024, 8192, 65_536].map(Shape::Mixed).into_iter().chain([
        Shape::Wide(200),
        Shape::Nested,
        Shape::Strings,
        Shape::Embeddings,
    ]);
    made.chain(Shape::DATA).flat_map(|shape| {
        Codec::ALL
            .into_iter()
            .flat_map(move |codec| [1, 2].map(|threads| honest(Case::of(shape).codec(codec), threads)))
    })
}

/// Every sink, raw and compressed, at every number of threads.
fn sinks() -> impl Iterator<Item = Case> {
    [Sink::Counting, Sink::File, Sink::Tmpfs, Sink::Pipe, Sink::GrowingVec].into_iter().flat_map(|sink| {
        [1024, 65_536].into_iter().flat_map(move |rows| {
            [Codec::Raw, Codec::Lz4].into_iter().flat_map(move |codec| {
                THREADS.map(|threads| honest(Case::of(Shape::Mixed(rows)).codec(codec).sink(sink), threads))
            })
        })
    })
}

/// Every peer that threads can share, at every number of threads.
fn peers() -> impl Iterator<Item = Case> {
    let peers = [Way::MUTEX, Way::MUTEX_BUFFERED, Way::PARKING_LOT, Way::CHANNEL, Way::StreamEncoders, Way::OursOn(1)];
    THREADS.into_iter().skip(1).flat_map(move |threads| {
        Codec::ALL.into_iter().flat_map(move |codec| {
            peers.map(|peer| Case::of(Shape::Mixed(1024)).codec(codec).threads(threads).against(peer))
        })
    })
}

/// Whole new files, against pyarrow.
fn pyarrow() -> impl Iterator<Item = Case> {
    [1024, 65_536].into_iter().flat_map(|rows| {
        [Codec::Raw, Codec::Lz4, Codec::Zstd(1)].into_iter().flat_map(move |codec| {
            let case = Case::of(Shape::Mixed(rows)).codec(codec).sink(Sink::NewFile).against(Way::Pyarrow);
            [1, 2, 16].map(|threads| case.threads(threads))
        })
    })
}

/// The honest peer of so many threads.
fn honest(case: Case, threads: usize) -> Case {
    case.threads(threads).against(if threads == 1 { Way::BUFFERED } else { Way::MUTEX_BUFFERED })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_combination_comes_twice() {
        let names: std::collections::BTreeSet<String> = matrix().iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), matrix().len());
        assert!(names.len() > 150, "{}", names.len());
    }
}

//! The lines that have to come out in a certain way, by what they are about.

use std::thread;

use crate::batches::Shape;
use crate::codec::Codec;
use crate::lines::Case;
use crate::sinks::Sink;
use crate::writers::Way;

const TINY: Shape = Shape::Mixed(64);
const SMALL: Shape = Shape::Mixed(1024);
const MIDDLE: Shape = Shape::Mixed(8192);
const LARGE: Shape = Shape::Mixed(65_536);
const WIDE: Shape = Shape::Wide(200);

const LZ4: Codec = Codec::Lz4;
const ZSTD: Codec = Codec::Zstd(1);

/// The lines about time, and with them at least one line of every peer.
#[must_use]
pub fn targets() -> Vec<Case> {
    [encoding(), files(), vectors(), codecs(), threads(), others()].concat()
}

/// Encoding alone. The sink looks at nothing, so the bytes should not be gathered for it either.
fn encoding() -> Vec<Case> {
    let case = |shape| Case::of(shape).sink(Sink::Counting).unstaged().against(Way::WRITER);
    [(SMALL, 10.0), (WIDE, 10.0), (Shape::Nested, 10.0)].map(|(shape, target)| case(shape).at_least(target)).into()
}

/// One file, one thread: the floor, and the peer with a buffer and without.
fn files() -> Vec<Case> {
    let floor = [(SMALL, 0.93), (MIDDLE, 0.97), (LARGE, 0.98)];
    let floor = floor.map(|(shape, target)| Case::of(shape).against(Way::Writev).at_least(target));
    let buffered = [(TINY, 3.5), (SMALL, 1.1), (MIDDLE, 1.4), (LARGE, 1.1), (WIDE, 1.4)];
    let buffered = buffered.map(|(shape, target)| Case::of(shape).at_least(target));
    let raw = [Case::of(SMALL).against(Way::WRITER).at_least(3.0)];
    [floor.as_slice(), &buffered, &raw].concat()
}

/// Memory that nobody reserved. A new vector for each batch shows, above all, what the start of a stream costs. The floor
/// is a vector that grows by the same bytes.
fn vectors() -> Vec<Case> {
    let case = |shape, sink| Case::of(shape).stream().sink(sink);
    let lines = |(shape, target)| {
        let growing = case(shape, Sink::GrowingVec);
        let each = case(shape, Sink::Vec).against(Way::WRITER);
        [growing.against(Way::WRITER).at_least(target), growing.against(Way::Writev), each]
    };
    [(SMALL, 3.0), (LARGE, 1.8)].into_iter().flat_map(lines).collect()
}

/// One thread, compressing.
fn codecs() -> Vec<Case> {
    let case = |shape, codec| Case::of(shape).codec(codec).sink(Sink::Counting).against(Way::WRITER);
    let lz4 = [(TINY, 2.4), (SMALL, 1.08), (LARGE, 1.12), (WIDE, 1.18)];
    let lz4 = lz4.map(|(shape, target)| case(shape, LZ4).at_least(target));
    let zstd = [TINY, SMALL, LARGE, WIDE]
        .into_iter()
        .flat_map(|shape| [Codec::Zstd(1), Codec::Zstd(3)].map(|codec| case(shape, codec).at_least(1.0)));
    lz4.into_iter().chain(zstd).collect()
}

/// The lines about the size of what is written: what is faster must not be so by compressing less.
#[must_use]
pub fn sizes() -> Vec<Case> {
    let shapes = [TINY, SMALL, LARGE, WIDE, Shape::Nested, Shape::Strings, Shape::Embeddings];
    shapes.map(|shape| Case::of(shape).codec(LZ4).against(Way::WRITER).at_least(0.995)).into()
}

/// Many threads, one output.
fn threads() -> Vec<Case> {
    let two = |codec| Case::of(SMALL).codec(codec).threads(2);
    let all = |way, targets: [f64; 3]| {
        let cases = [Codec::Raw, LZ4, ZSTD].into_iter().zip(targets);
        cases.map(move |(codec, target)| two(codec).against(way).at_least(target))
    };
    let peers = all(Way::MUTEX, [5.0, 3.8, 2.6])
        .chain(all(Way::MUTEX_BUFFERED, [1.15, 2.1, 2.0]))
        .chain(all(Way::StreamEncoders, [1.25, 1.2, 1.05]))
        .chain([Case::of(LARGE).codec(LZ4).threads(2).against(Way::StreamEncoders).at_least(1.6)]);
    // What the machine has to give for these: nothing but writing, or nothing but compressing, on both threads.
    let floors = [
        two(Codec::Raw).against(Way::Writev),
        two(LZ4).against(Way::Codec),
        two(ZSTD).against(Way::Codec),
        Case::of(LARGE).codec(LZ4).threads(2).against(Way::Codec),
    ];
    let own = [
        two(LZ4).sink(Sink::Counting).against(Way::OursOn(1)).at_least(1.7),
        Case::of(SMALL).codec(LZ4).threads(16).against(Way::OursOn(2)).at_least(0.9),
    ];
    peers.chain(floors).chain(own).chain(floor()).collect()
}

/// The peers that no target is about.
fn others() -> Vec<Case> {
    let two = |codec| Case::of(SMALL).codec(codec).threads(2);
    let shared = [Codec::Raw, LZ4, ZSTD].into_iter();
    let shared = shared.flat_map(|codec| [Way::PARKING_LOT, Way::CHANNEL].map(|peer| two(codec).against(peer)));
    let whole = [Codec::Raw, LZ4].map(|codec| two(codec).sink(Sink::NewFile).against(Way::Pyarrow));
    shared.chain(whole).collect()
}

/// Compressing on every number of threads up to the cores, against the codec alone: times the number of threads, and on
/// as many threads. And these two against each other, which shows what the machine has to give: cores that share
/// something are no multiple of one.
fn floor() -> impl Iterator<Item = Case> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let widths = (1..=cores).filter(move |&width| width.is_power_of_two() || width == cores);
    widths.flat_map(|width| {
        [(SMALL, LZ4), (LARGE, LZ4), (SMALL, ZSTD), (LARGE, ZSTD)].into_iter().flat_map(move |(shape, codec)| {
            let case = Case::of(shape).codec(codec).threads(width).sink(Sink::Counting);
            // On one thread, the two floors are the same.
            let side_by_side = [case.against(Way::Codec), case.by(Way::Codec).against(Way::CodecTimes)];
            let side_by_side = side_by_side.into_iter().filter(move |_| width > 1);
            [case.against(Way::CodecTimes).at_least(0.9)].into_iter().chain(side_by_side)
        })
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_lines_have_the_same_name() {
        let names: Vec<String> = targets().iter().map(ToString::to_string).collect();
        let different: BTreeSet<&String> = names.iter().collect();
        assert_eq!(different.len(), names.len());
    }
}

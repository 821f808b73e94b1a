//! What is compared does the same work: every way to write, ours, the peers' and the floor's, is read back.
//!
//! A run of the bench does this for each line that it measures; here it is done for each way, with small batches.

#![allow(clippy::unwrap_used, reason = "a test may unwrap")]

use arrow_array::RecordBatch;
use ipc_bench::batches::Shape;
use ipc_bench::codec::Codec;
use ipc_bench::read_back::check;
use ipc_bench::sinks::Sink;
use ipc_bench::writers::{Output, Setup, Way, open};

const ALONE: [Way; 3] = [Way::Ours, Way::WRITER, Way::BUFFERED];
const SHARED: [Way; 6] =
    [Way::Ours, Way::MUTEX, Way::MUTEX_BUFFERED, Way::PARKING_LOT, Way::CHANNEL, Way::StreamEncoders];

#[test]
fn one_thread() {
    in_every_format(&ALONE, 1);
}

#[test]
fn three_threads() {
    in_every_format(&SHARED, 3);
}

fn in_every_format(ways: &[Way], threads: usize) {
    let folder = tempfile::tempdir().unwrap();
    for shape in [Shape::Mixed(64), Shape::Nested, Shape::Dictionary(10)] {
        let batches = slices(shape);
        for output in [Output::File, Output::Stream] {
            for codec in [Codec::Raw, Codec::Lz4, Codec::Zstd(1)] {
                let setup = Setup { output, codec, threads, ..Setup::new(shape) };
                ways.iter().for_each(|&way| check(way, &setup, &batches, folder.path()));
            }
        }
    }
}

/// Different batches, so that one that is lost and one that comes twice do not cancel out.
fn slices(shape: Shape) -> Vec<RecordBatch> {
    let batches = shape.batches().unwrap();
    (0..5).map(|i| batches[0].slice(i, 50)).collect()
}

#[test]
fn the_floor() {
    let folder = tempfile::tempdir().unwrap();
    for shape in [Shape::Mixed(64), Shape::Wide(1200), Shape::Embeddings] {
        check(Way::Writev, &Setup::new(shape), &slices(shape), folder.path());
    }
}

/// Needs a Python with pyarrow, and says so where there is none.
#[test]
fn pyarrow() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::Dictionary(10);
    for (codec, threads) in [(Codec::Raw, 1), (Codec::Lz4, 3), (Codec::Zstd(1), 3)] {
        let setup = Setup { codec, threads, ..Setup::new(shape) };
        check(Way::Pyarrow, &setup, &slices(shape), folder.path());
    }
}

#[test]
fn every_sink_takes_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let shape = Shape::Mixed(64);
    let batches = shape.batches().unwrap();
    for sink in [Sink::Counting, Sink::File, Sink::Tmpfs, Sink::Pipe, Sink::Vec, Sink::GrowingVec, Sink::NewFile] {
        for (threads, way) in [(1, Way::Ours), (1, Way::Writev), (2, Way::Ours), (2, Way::MUTEX_BUFFERED)] {
            let setup = Setup { sink, threads, ..Setup::new(shape) };
            let Some(mut contender) = open(way, &setup, &batches, folder.path()) else { continue };
            contender.write(1);
            contender.write(40);
            contender.close();
        }
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "no file stays behind");
}

//! How the cost rises as the work grows: time per batch against columns, rows, depth, threads, the size of a
//! dictionary, and the number of batches.
//!
//! Each series is a chart with two curves, ours and a peer's, and a line of the report: the exponent of its upper half,
//! the slope in a chart whose axes are both logarithmic. 1 is in proportion, 0 is no growth.

use std::fmt;

use arrow_array::RecordBatch;
use arrow_ipc::writer::FileWriter;
use ipc_core::Encoder;

use crate::batches::Shape;
use crate::codec::{Codec, Staging};
use crate::figure::{Line, Metric};
use crate::measure::{Bench, Effort};
use crate::sinks::{Counting, Sink};
use crate::writers::{Setup, Way, open};

/// One chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// What grows.
    pub against: Against,
    /// Whose curve is beside ours.
    pub peer: String,
    /// What was measured.
    pub points: Vec<Point>,
}

/// Seconds per batch at one size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// How much of what grows.
    pub size: f64,
    /// Ours.
    pub ours: f64,
    /// The peer's.
    pub peer: f64,
}

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// Columns of 1,024 numbers; encoding alone.
    Columns,
    /// Rows of five columns; to a file.
    Rows,
    /// Structs around a number; encoding alone.
    Depth,
    /// Threads; LZ4, 1,024 rows, to a file.
    Threads,
    /// Values of a dictionary that does not change; encoding alone.
    Dictionary,
    /// Batches of a file, with its end; encoding alone.
    Batches,
}

/// An exponent that is in proportion, with room for what caches and noise do to a slope.
const LINEAR: f64 = 0.9;

impl Against {
    const ALL: [Self; 6] = [Self::Columns, Self::Rows, Self::Depth, Self::Threads, Self::Dictionary, Self::Batches];

    fn sizes(self) -> &'static [usize] {
        match self {
            Self::Columns => &[1, 5, 20, 50, 100, 200, 500, 1000, 2000],
            Self::Rows => &[64, 256, 1024, 4096, 16_384, 65_536, 262_144],
            Self::Depth => &[1, 2, 5, 10, 20, 30, 40, 50],
            Self::Threads => &[1, 2, 4, 8, 16, 32, 64],
            Self::Dictionary => &[10, 100, 1000, 10_000, 100_000, 1_000_000],
            Self::Batches => &[1000, 10_000, 100_000, 1_000_000],
        }
    }

    /// What is written at a size, and by whom else; nothing where the size is none of the batch.
    fn setup(self, size: usize) -> (Setup, Way) {
        let small = |size| i32::try_from(size).expect("sizes are small");
        let encoding = |shape| {
            let setup = Setup { sink: Sink::Counting, staging: Staging::Off, ..Setup::new(shape) };
            (setup, Way::WRITER)
        };
        match self {
            Self::Columns => encoding(Shape::Wide(small(size))),
            Self::Rows => (Setup::new(Shape::Mixed(small(size))), Way::BUFFERED),
            Self::Depth => encoding(Shape::Deep(size)),
            Self::Threads => {
                let setup = Setup { codec: Codec::Lz4, threads: size, ..Setup::new(Shape::Mixed(1024)) };
                (setup, Way::MUTEX_BUFFERED)
            }
            Self::Dictionary => encoding(Shape::Dictionary(small(size))),
            Self::Batches => encoding(Shape::Wide(1)),
        }
    }
}

/// Something that writes so many batches, or files.
type Work<'b> = Box<dyn FnMut(usize) + 'b>;

/// Measures the series that are asked for: round by round, all sizes in turn, so that a change in the machine's speed meets
/// them all.
#[must_use]
pub fn run(bench: &mut Bench) -> Vec<Series> {
    let mut all = Vec::new();
    for against in Against::ALL {
        let line = Line::new(format!("growth with {against}"), Metric::Growth, "in proportion").at_least(LINEAR);
        if !bench.wants(&line) {
            continue;
        }
        let sizes = match bench.effort() {
            Effort::Smoke => &against.sizes()[..3],
            _ => against.sizes(),
        };
        let rounds = rounds(bench, against, sizes);
        bench.note(line, median(rounds.iter().map(|round| exponent(round))).max(0.0), 1.0);
        let (setup, peer) = against.setup(sizes[0]);
        all.push(Series { against, peer: peer.name(&setup), points: medians(&rounds) });
    }
    all
}

/// The points of each round.
fn rounds(bench: &Bench, against: Against, sizes: &[usize]) -> Vec<Vec<Point>> {
    let setups: Vec<(Setup, Way)> = sizes.iter().map(|size| against.setup(*size)).collect();
    let made = |(setup, _): &(Setup, Way)| setup.shape.batches().expect("they are made here");
    let batches: Vec<Vec<RecordBatch>> = setups.iter().map(made).collect();
    let works = |ours: bool| {
        sizes.iter().zip(&setups).zip(&batches).map(move |((size, (setup, peer)), batches)| match against {
            Against::Batches if ours => our_files(batches[0].slice(0, 1), *size),
            Against::Batches => peers_files(batches[0].slice(0, 1), *size),
            _ => {
                let way = if ours { Way::Ours } else { *peer };
                let mut contender = open(way, setup, batches, bench.folder()).expect("it runs everywhere");
                Box::new(move |times| contender.write(times))
            }
        })
    };
    let mut works: Vec<Work<'_>> = works(true).chain(works(false)).collect();
    let parts = |size| if against == Against::Batches { size } else { 1.0 };
    let points = |seconds: Vec<f64>| {
        let (ours, peers) = seconds.split_at(sizes.len());
        let point = |((&size, ours), peer): ((&usize, &f64), &f64)| {
            let size = number(size);
            Point { size, ours: ours / parts(size), peer: peer / parts(size) }
        };
        sizes.iter().zip(ours).zip(peers).map(point).collect()
    };
    bench.in_turn(&mut works).into_iter().map(points).collect()
}

/// Whole files of so many batches, to their end.
fn our_files<'b>(batch: RecordBatch, size: usize) -> Work<'b> {
    Box::new(move |times| {
        for _ in 0..times {
            let mut encoder = Encoder::file(Counting::default()).start(batch.schema()).expect("counting never fails");
            (0..size).for_each(|_| _ = encoder.write(&batch).expect("counting never fails"));
            let _ = encoder.close().expect("counting never fails");
        }
    })
}

/// The peer's.
fn peers_files<'b>(batch: RecordBatch, size: usize) -> Work<'b> {
    Box::new(move |times| {
        for _ in 0..times {
            let writer = FileWriter::try_new(Counting::default(), &batch.schema());
            let mut writer = writer.expect("counting never fails");
            (0..size).for_each(|_| writer.write(&batch).expect("counting never fails"));
            writer.finish().expect("counting never fails");
        }
    })
}

/// The median of each point over all rounds.
fn medians(rounds: &[Vec<Point>]) -> Vec<Point> {
    let point = |at: usize| Point {
        size: rounds[0][at].size,
        ours: median(rounds.iter().map(|round| round[at].ours)),
        peer: median(rounds.iter().map(|round| round[at].peer)),
    };
    (0..rounds[0].len()).map(point).collect()
}

fn median(of: impl Iterator<Item = f64>) -> f64 {
    let mut all: Vec<f64> = of.collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// The slope of the upper half of ours, by least squares, both axes logarithmic.
fn exponent(points: &[Point]) -> f64 {
    let upper = &points[points.len() / 2..];
    let upper = if upper.len() < 2 { points } else { upper };
    let logs: Vec<(f64, f64)> = upper.iter().map(|point| (point.size.ln(), point.ours.ln())).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / number(logs.len());
    let (x, y) = (mean(|log| log.0), mean(|log| log.1));
    let covariance: f64 = logs.iter().map(|log| (log.0 - x) * (log.1 - y)).sum();
    covariance / logs.iter().map(|log| (log.0 - x).powi(2)).sum::<f64>()
}

#[expect(clippy::cast_precision_loss, reason = "sizes are small")]
fn number(size: usize) -> f64 {
    size as f64
}

impl fmt::Display for Against {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Columns => "columns",
            Self::Rows => "rows",
            Self::Depth => "depth",
            Self::Threads => "threads",
            Self::Dictionary => "dictionary values",
            Self::Batches => "batches in the file",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponent_is_that_of_the_upper_half() {
        let points = |cost: fn(f64) -> f64| {
            [1.0, 2.0, 10.0, 100.0, 1000.0].map(|size| Point { size, ours: cost(size), peer: 1.0 })
        };
        assert!((exponent(&points(|x| 3.0 * x)) - 1.0).abs() < 1e-9);
        assert!((exponent(&points(|x| x * x)) - 2.0).abs() < 1e-9);
        assert!(exponent(&points(|_| 7.0)).abs() < 1e-9);
        assert!((exponent(&points(|x| if x < 10.0 { 5.0 } else { x })) - 1.0).abs() < 1e-9, "small sizes do not count");
    }
}

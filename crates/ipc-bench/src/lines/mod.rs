//! The lines of the report that compare two ways to write the same batches.
//!
//! They are data: a [`Case`] is a [`Setup`] and a peer, and perhaps a target. [`targets()`] and [`sizes`] have the lines
//! that have to come out in a certain way, [`matrix()`] all the combinations to look at. [`run`] reads back what both
//! ways write, then compares their times; [`run_sizes`] compares the bytes.

mod matrix;
mod targets;

pub use matrix::matrix;
pub use targets::{sizes, targets};

use std::fmt;
use std::hint::black_box;

use arrow_array::RecordBatch;

use crate::batches::Shape;
use crate::codec::{Codec, Staging};
use crate::figure::{Line, Metric};
use crate::measure::{Bench, Measured};
use crate::read_back;
use crate::sinks::Sink;
use crate::writers::{Output, Setup, Way, open, written};

/// Ours in a setup, against a peer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Case {
    /// What is written, how, and where to.
    pub setup: Setup,
    /// By whom: ours, or a floor, to show what the machine gives to whoever is in the same place.
    pub by: Way,
    /// By whom else.
    pub peer: Way,
    /// The least ratio that is asked for.
    pub target: Option<f64>,
}

impl Case {
    /// Ours against arrow-rs's writer over a buffer, one thread, no compression, a file in the page cache.
    fn of(shape: Shape) -> Self {
        Self { setup: Setup::new(shape), by: Way::Ours, peer: Way::BUFFERED, target: None }
    }

    fn codec(mut self, codec: Codec) -> Self {
        self.setup.codec = codec;
        self
    }

    fn sink(mut self, sink: Sink) -> Self {
        self.setup.sink = sink;
        self
    }

    fn stream(mut self) -> Self {
        self.setup.output = Output::Stream;
        self
    }

    fn unstaged(mut self) -> Self {
        self.setup.staging = Staging::Off;
        self
    }

    fn threads(mut self, threads: usize) -> Self {
        self.setup.threads = threads;
        self
    }

    fn by(mut self, way: Way) -> Self {
        self.by = way;
        self
    }

    fn against(mut self, peer: Way) -> Self {
        self.peer = peer;
        self
    }

    fn at_least(mut self, target: f64) -> Self {
        self.target = Some(target);
        self
    }

    fn line(&self, metric: Metric) -> Line {
        let case = match self.by {
            Way::Ours => self.setup.to_string(),
            other => format!("{}, {}", self.setup, other.name(&self.setup)),
        };
        Line::new(case, metric, self.peer.name(&self.setup)).at_least_if(self.target)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line(Metric::Time).fmt(f)
    }
}

/// Measures the cases that are asked for.
pub fn run(bench: &mut Bench, cases: &[Case]) {
    let mut checked = Vec::new();
    for case in cases {
        let line = case.line(Metric::Time);
        if !bench.wants(&line) {
            continue;
        }
        let (folder, setup) = (bench.folder().to_owned(), &case.setup);
        let Some(batches) = setup.shape.batches() else { continue };
        for way in [case.by, case.peer] {
            // What is written does not depend on the kind of sink.
            let written = (way, Setup { sink: Sink::NewFile, ..*setup });
            if !checked.contains(&written) {
                read_back::check(way, &written.1, &batches, &folder);
                checked.push(written);
            }
        }
        let all = batches.len();
        let places = if setup.is_bare() { bench.effort().places() } else { 1 };
        let mut placed = vec![Placed::at(0, batches)];
        placed.extend((1..places).map(|place| Placed::at(place, setup.shape.batches().expect("it was made before"))));
        let measured = placed.iter().enumerate().filter_map(|(place, Placed { batches, .. })| {
            let ours = open(case.by, setup, batches, &folder);
            let peer = open(case.peer, setup, batches, &folder);
            let (mut ours, mut peer) = ours.zip(peer)?;
            let mut measured = None;
            deeper(place, &mut || {
                measured = Some(bench.time(|times| ours.write(times * all), |times| peer.write(times * all)));
            });
            ours.close();
            peer.close();
            measured
        });
        if let Some(measured) = measured.reduce(Measured::and) {
            bench.conclude(line.of_batches(all), measured);
        }
    }
}

/// Batches at a place of their own in memory: others of the same kind lie differently towards the bounds of pages and cache
/// lines.
///
/// What takes 100 ns takes a fifth more or less by where arrays, writer and stack happen to lie towards each other, and there
/// they stay for as long as they are measured.
struct Placed {
    batches: Vec<RecordBatch>,
    /// What pushes away those that are made next, for as long as all are needed.
    _filler: Vec<u8>,
}

impl Placed {
    fn at(place: usize, batches: Vec<RecordBatch>) -> Self {
        Self { batches, _filler: vec![0; FILLER * (1 + place)] }
    }
}

/// Does `work` with so many more fillers on the stack.
#[inline(never)]
fn deeper(depth: usize, work: &mut dyn FnMut()) {
    let filler = black_box([0_u8; FILLER]);
    if depth == 0 {
        work();
    } else {
        deeper(depth - 1, work);
    }
    black_box(filler);
}

/// By how many bytes more each place is pushed away: not a part of a page that would come again soon.
const FILLER: usize = 336;

/// Compares how many bytes a batch's body takes in the outputs of both ways, which are files.
#[expect(clippy::cast_precision_loss, reason = "batches are small")]
pub fn run_sizes(bench: &mut Bench, cases: &[Case]) {
    for case in cases {
        let line = case.line(Metric::Bytes);
        if !bench.wants(&line) {
            continue;
        }
        let (folder, setup) = (bench.folder().to_owned(), &case.setup);
        let Some(batches) = setup.shape.batches() else { continue };
        let bodies = |way| Some(read_back::bodies(&written(way, setup, &batches, &folder, batches.len())?));
        if let (Some(ours), Some(peer)) = (bodies(case.by), bodies(case.peer)) {
            bench.note(line.of_batches(batches.len()), ours as f64, peer as f64);
        }
    }
}

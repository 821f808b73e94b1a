//! What can be counted: allocations, calls into the sink, and instructions.
//!
//! Counts are the same on a busy machine and on a quiet one. That is why a change is judged by them, and never by time:
//! [`check`] compares them with the stored [`baseline`], in both directions, so that a gain is kept too.
//!
//! - Allocations and calls are counted over [`BATCHES`] batches behind [`WARM_UP`] others, by a program of its own
//!   ([`tally`]): an allocator that counts would be in the way of everybody who is timed.
//! - Instructions are counted by callgrind, where it is installed ([`callgrind`]).

pub mod baseline;
pub mod callgrind;
pub mod tally;

use std::fmt;
use std::path::Path;

use crate::batches::Shape;
use crate::codec::{Codec, Staging};
use crate::counts::baseline::{Baseline, Counts};
use crate::counts::tally::Tallied;
use crate::figure::{Line, Metric};
use crate::measure::Bench;
use crate::sinks::Sink;
use crate::writers::{Output, Setup, Way};

/// Batches that are counted.
pub const BATCHES: usize = 1024;
/// Batches before those: every list has reached its length.
pub const WARM_UP: usize = 256;

/// What is counted: streams for their allocations and calls, files for their instructions and calls. A file allocates
/// now and then, since its list of batches grows; a stream never.
#[must_use]
pub fn setups() -> Vec<Setup> {
    let counted = |shape| Setup { sink: Sink::Counting, ..Setup::new(shape) };
    let streams = SHAPES.into_iter().chain([Shape::Embeddings]).flat_map(|shape| {
        [Codec::Raw, Codec::Lz4, Codec::Zstd(1)].map(|codec| Setup { output: Output::Stream, codec, ..counted(shape) })
    });
    let many_pieces = Setup { output: Output::Stream, ..counted(Shape::Wide(2000)) };
    // Twice as deep as another: what depth costs is in proportion.
    let files = SHAPES.into_iter().chain([Shape::Deep(40)]);
    let files = files.map(|shape| Setup { staging: Staging::Off, ..counted(shape) });
    let staged = [Codec::Raw, Codec::Lz4].map(|codec| Setup { codec, ..counted(Shape::Mixed(64)) });
    streams.chain([many_pieces]).chain(files).chain(staged).collect()
}

const SHAPES: [Shape; 7] = [
    Shape::Mixed(64),
    Shape::Mixed(1024),
    Shape::Wide(200),
    Shape::Nested,
    Shape::Strings,
    Shape::Deep(20),
    Shape::Dictionary(1000),
];

/// Whether instructions are counted too.
#[must_use]
pub fn has_instructions(setup: &Setup) -> bool {
    setup.output == Output::File
}

/// Notes the lines about counts.
pub fn run(bench: &mut Bench) {
    let setups = setups();
    allocations(bench, &setups);
    calls(bench, &setups);
    if callgrind::is_here() {
        instructions(bench, &setups);
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far from 2^53")]
fn allocations(bench: &mut Bench, setups: &[Setup]) {
    for setup in setups.iter().filter(|setup| setup.output == Output::Stream) {
        let line = Line::new(setup.to_string(), Metric::Allocations, Way::WRITER.name(setup)).nothing();
        if bench.wants(&line) {
            let [ours, peer] = [Who::Ours, Who::Peer].map(|who| tally::ask(who, setup).allocations as f64);
            bench.note(line.of_batches(BATCHES), ours, peer);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far from 2^53")]
fn calls(bench: &mut Bench, setups: &[Setup]) {
    for setup in setups.iter().filter(|setup| setup.codec == Codec::Raw) {
        let is_staged = setup.output == Output::File && setup.staging == Staging::Default;
        let bound = if is_staged { "1 per 64 KiB" } else { "1 per 1,024 segments" };
        let line = Line::new(setup.to_string(), Metric::Calls, bound).at_least(1.0);
        if bench.wants(&line) {
            let Tallied { calls, pieces, bytes, .. } = tally::ask(Who::Ours, setup);
            let allowed = match is_staged {
                true => bytes.div_ceil(64 << 10),
                false => (pieces / BATCHES as u64).div_ceil(1024) * BATCHES as u64,
            };
            bench.note(line.of_batches(BATCHES), calls as f64, allowed as f64);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far from 2^53")]
fn instructions(bench: &mut Bench, setups: &[Setup]) {
    for setup in setups.iter().filter(|setup| has_instructions(setup)) {
        let target = match setup.shape {
            Shape::Mixed(1024) => Some(10.0),
            Shape::Wide(200) => Some(6.0),
            _ => None,
        };
        let line = Line::new(setup.to_string(), Metric::Instructions, Way::WRITER.name(setup)).at_least_if(target);
        if bench.wants(&line) {
            let [ours, peer] = [Who::Ours, Who::Peer].map(|who| callgrind::instructions(who, setup) as f64);
            bench.note(line, ours, peer);
        }
    }
}

/// Counts ours, and compares with the stored baseline.
///
/// # Errors
///
/// Every count that differs, one on a line.
pub fn check(path: &Path) -> Result<(), Differences> {
    let baseline = Baseline::read(path).map_err(Differences)?;
    let counted = count();
    let differences = baseline.differences(&counted);
    println!("{counted}");
    if differences.is_empty() { Ok(()) } else { Err(Differences(differences.join("\n"))) }
}

/// Counts ours, and stores that as the baseline.
///
/// # Errors
///
/// Where there is no callgrind, or the file cannot be written.
pub fn renew(path: &Path) -> Result<(), Differences> {
    if !callgrind::is_here() {
        return Err(Differences("a baseline needs valgrind, which is not here".to_owned()));
    }
    let counted = count();
    println!("{counted}");
    counted.write(path).map_err(Differences)
}

/// What is wrong with the counts, or with their baseline.
#[derive(Debug)]
pub struct Differences(String);

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Differences {}

fn count() -> Baseline {
    let has_callgrind = callgrind::is_here();
    let counts = setups().into_iter().map(|setup| {
        let Tallied { allocations, calls, .. } = tally::ask(Who::Ours, &setup);
        let instructions = has_callgrind && has_instructions(&setup);
        let instructions = instructions.then(|| callgrind::instructions(Who::Ours, &setup));
        Counts { case: setup.to_string(), allocations, calls, instructions }
    });
    Baseline::of_here(counts.collect())
}

/// The ways that are counted, as the programs that count call them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Who {
    /// Ours.
    Ours,
    /// arrow-rs's writer.
    Peer,
}

impl Who {
    /// The way.
    #[must_use]
    pub fn way(self) -> Way {
        match self {
            Self::Ours => Way::Ours,
            Self::Peer => Way::WRITER,
        }
    }

    /// The name as it is typed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Peer => "peer",
        }
    }
}

/// The setup of that name.
#[must_use]
pub fn setup_named(name: &str) -> Option<Setup> {
    setups().into_iter().find(|setup| setup.to_string() == name)
}

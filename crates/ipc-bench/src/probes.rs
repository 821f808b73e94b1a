//! What is measured in a process of its own: memory, which has to start from little.
//!
//! [`Probe::run`] runs in the child and prints its figures; [`run`] starts this program as that child and reads them.
//! Memory is what the system says the process has (`/proc/self/status`); elsewhere than on Linux the probes say
//! that they were skipped.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use arrow_array::RecordBatch;
use arrow_ipc::writer::FileWriter;
use ipc_core::Encoder;
use ipc_shared::SharedWriter;

use crate::batches::Shape;
use crate::codec::{Codec, Staging};
use crate::figure::{Line, Metric};
use crate::measure::{Bench, Effort};
use crate::sinks::Counting;

/// Something to measure in a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Probe {
    /// Sixteen threads, batches of 2.8 MB, LZ4: the peak of memory, and the length of a compressed body.
    Threads,
    /// A file of many small batches: memory kept, the peak of memory at the end, and the time the end takes.
    Footer,
    /// The same with arrow-rs's writer.
    PeerFooter,
}

const THREADS: usize = 16;

/// Asks all probes.
pub fn run(bench: &mut Bench) {
    threads(bench);
    footer(bench);
}

#[expect(clippy::cast_precision_loss, reason = "lengths are far from 2^53")]
fn threads(bench: &mut Bench) {
    let case = format!("{}, lz4, no I/O, {THREADS} threads", Shape::Mixed(65_536));
    let peer = format!("{THREADS} x 1.2 compressed bodies + 64 MiB");
    let line = Line::new(case, Metric::Memory, peer).at_least(1.0);
    if bench.wants(&line)
        && let Some([peak, body]) = Probe::Threads.ask(batches(bench.effort(), 10))
    {
        bench.note(line, peak, THREADS as f64 * 1.2 * body + (64 << 20) as f64);
    }
}

fn footer(bench: &mut Bench) {
    let count = batches(bench.effort(), 1_000_000);
    let case = format!("a file of {count} batches");
    let line = |metric| Line::new(case.clone(), metric, "FileWriter");
    if [Metric::Footer, Metric::Memory, Metric::Close].into_iter().any(|metric| bench.wants(&line(metric)))
        && let Some([kept, peak, close]) = Probe::Footer.ask(count)
        && let Some([peer_kept, peer_peak, peer_close]) = Probe::PeerFooter.ask(count)
    {
        bench.note(line(Metric::Footer), kept, peer_kept);
        bench.note(line(Metric::Memory), peak, peer_peak);
        bench.note(line(Metric::Close), close, peer_close);
    }
}

fn batches(effort: Effort, count: usize) -> usize {
    if effort == Effort::Smoke { count.div_ceil(100) } else { count }
}

impl Probe {
    /// Measures here, with so many batches, and prints the figures on a line.
    ///
    /// # Panics
    ///
    /// Where the system does not tell how much memory there is.
    pub fn run(self, batches: usize) {
        let figures = match self {
            Self::Threads => sixteen_threads(batches).to_vec(),
            Self::Footer => {
                let batch = one_row();
                let mut encoder =
                    Encoder::file(Counting::default()).start(batch.schema()).expect("counting never fails");
                let write = || encoder.write(&batch).map(drop).expect("counting never fails");
                let [start, kept] = kept(batches, write);
                let close = || _ = encoder.close().expect("counting never fails");
                ended(batches, start, kept, close)
            }
            Self::PeerFooter => {
                let batch = one_row();
                let writer = FileWriter::try_new(Counting::default(), &batch.schema());
                let mut writer = writer.expect("counting never fails");
                let [start, kept] = kept(batches, || writer.write(&batch).expect("counting never fails"));
                ended(batches, start, kept, || writer.finish().expect("counting never fails"))
            }
        };
        let figures: Vec<String> = figures.iter().map(ToString::to_string).collect();
        writeln!(io::stdout(), "{}", figures.join(" ")).expect("who asks listens");
    }

    /// Has a child measure.
    fn ask<const N: usize>(self, batches: usize) -> Option<[f64; N]> {
        if !Path::new(STATUS).exists() {
            eprintln!("skipped: {self:?}: this system has no {STATUS}");
            return None;
        }
        let program = env::current_exe().expect("this program knows where it is");
        let name = clap::ValueEnum::to_possible_value(&self).expect("no probe is hidden");
        let output = Command::new(program)
            .args(["probe", name.get_name(), &batches.to_string()])
            .stderr(Stdio::inherit())
            .output()
            .expect("this program has started before");
        let text = String::from_utf8(output.stdout).expect("a probe prints numbers");
        let figures: Vec<f64> = text.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        Some(figures.try_into().expect("a probe prints as many numbers as it has"))
    }
}

/// The peak of memory beyond what was before, and the length of a body.
#[expect(clippy::cast_precision_loss, reason = "lengths are far from 2^53")]
fn sixteen_threads(batches: usize) -> [f64; 2] {
    let batch = Shape::Mixed(65_536).batches().expect("it is made here").remove(0);
    let writer = SharedWriter::file(Counting::default()).options(Codec::Lz4.options(Staging::Default)).build();
    let writer = writer.map_err(|failed| failed.error().to_string()).expect("nothing is written yet");
    forget_peak();
    let before = status(RESIDENT);
    let bodies: Vec<u64> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let (mut producer, batch) = (writer.producer(), &batch);
                let mut write = move || producer.write(batch).expect("counting never fails").body_length;
                scope.spawn(move || (0..batches).map(|_| write()).max())
            })
            .collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("no writer panics")).collect()
    });
    [status(PEAK) - before, bodies.into_iter().max().unwrap_or(0) as f64]
}

fn one_row() -> RecordBatch {
    Shape::Wide(1).batches().expect("it is made here").remove(0).slice(0, 1)
}

/// Memory before and after so many calls.
fn kept(batches: usize, write: impl FnMut()) -> [f64; 2] {
    let mut write = write;
    (0..1000).for_each(|_| write());
    let before = status(RESIDENT);
    (0..batches).for_each(|_| write());
    forget_peak();
    [before, status(RESIDENT)]
}

/// Memory kept for each batch, the peak of memory at the end, and the time the end takes.
#[expect(clippy::cast_precision_loss, reason = "batches are far from 2^53")]
fn ended(batches: usize, before: f64, after: f64, close: impl FnOnce()) -> Vec<f64> {
    let start = Instant::now();
    close();
    let took = start.elapsed().as_secs_f64();
    vec![(after - before) / batches as f64, status(PEAK) - before, took]
}

/// What the system says of this process, in bytes.
fn status(what: &str) -> f64 {
    let status = fs::read_to_string(STATUS).expect("whoever asked has looked for it");
    let line = status.lines().find_map(|line| line.strip_prefix(what)).expect("Linux tells memory");
    let kilobytes = line.trim_start_matches(':').trim_end_matches("kB").trim();
    kilobytes.parse::<f64>().expect("Linux tells memory in kB") * 1024.0
}

/// Starts the peak anew where the system allows it; else the peak is that of the whole process, which is no less.
fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

const STATUS: &str = "/proc/self/status";
const RESIDENT: &str = "VmRSS";
const PEAK: &str = "VmHWM";

//! Comparing ours with a peer, fairly.
//!
//! A [`Line`] says what is compared, [`Bench::compare`] does it: the two run in turn, round by round, so that a change
//! in the machine's speed meets both, and a third contender, ours once more, is the control. The figure is the median
//! of the rounds' ratios; with it go the middle half of them and the median of the control, which would be 1 on a
//! quiet machine: how far it is from 1 is how far to trust the line.
//!
//! Whatever is measured, less is better, and a ratio above 1 means that ours is better.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::figure::{Figure, Line};

/// How long and how often things are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Just so that everything has run once. The figures mean nothing.
    Smoke,
    /// The lines that have a target, in under five minutes.
    Quick,
    /// Everything.
    Full,
}

impl Effort {
    /// How often each contender runs.
    #[must_use]
    pub fn rounds(self) -> usize {
        match self {
            Self::Smoke => 1,
            Self::Quick => 5,
            Self::Full => 21,
        }
    }

    /// At how many places in memory work is measured that is so short that it matters where it happens to lie.
    #[must_use]
    pub fn places(self) -> usize {
        match self {
            Self::Smoke => 1,
            Self::Quick | Self::Full => 9,
        }
    }

    /// How long one contender runs in one round.
    fn slice(self) -> Duration {
        match self {
            Self::Smoke => Duration::from_millis(1),
            Self::Quick | Self::Full => Duration::from_millis(40),
        }
    }
}

/// A run: what is asked for, and the figures so far.
#[derive(Debug)]
pub struct Bench {
    effort: Effort,
    filters: Vec<String>,
    folder: PathBuf,
    figures: Vec<Figure>,
}

impl Bench {
    /// A run of the lines whose names contain one of `filters`, or of all, with files in `folder`.
    #[must_use]
    pub fn new(effort: Effort, filters: Vec<String>, folder: &Path) -> Self {
        Self { effort, filters, folder: folder.to_owned(), figures: Vec::new() }
    }

    /// How much is asked for.
    #[must_use]
    pub fn effort(&self) -> Effort {
        self.effort
    }

    /// Where files may be written.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether a line, by its name, is asked for. For those who want to know before they prepare it.
    #[must_use]
    pub fn wants(&self, name: &impl fmt::Display) -> bool {
        let name = name.to_string();
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter))
    }

    /// Compares the time that `ours` and `peer` take; each does its work so many times. Does nothing where the line is
    /// not asked for.
    pub fn compare(&mut self, line: Line, ours: impl FnMut(usize), peer: impl FnMut(usize)) {
        if self.wants(&line) {
            let measured = self.time(ours, peer);
            self.conclude(line, measured);
        }
    }

    /// Reports what was measured of a line.
    pub fn conclude(&mut self, line: Line, measured: Measured) {
        let measured = measured.divided(line.batches());
        self.push(measured.into_figure(line));
    }

    /// Compares figures that `ours` and `peer` make each time they are called.
    pub fn compare_samples(&mut self, line: Line, mut ours: impl FnMut() -> f64, mut peer: impl FnMut() -> f64) {
        if self.wants(&line) {
            let measured = self.sample(|contender| match contender {
                Contender::Ours => ours(),
                Contender::Peer => peer(),
            });
            self.push(measured.into_figure(line));
        }
    }

    /// Notes figures that need no repetition, such as counts.
    pub fn note(&mut self, line: Line, ours: f64, peer: f64) {
        if self.wants(&line) {
            let [ours, peer] = [ours, peer].map(|figure| figure / line.batches());
            let ratio = ratio(ours, peer);
            self.push(Figure { line, ours, peer, ratio, spread: [ratio; 2], control: None });
        }
    }

    /// Measures the time that one piece of work takes each, in seconds.
    pub fn time(&self, mut ours: impl FnMut(usize), mut peer: impl FnMut(usize)) -> Measured {
        let slice = self.effort.slice();
        let (our_times, peer_times) = (repetitions(&mut ours, slice), repetitions(&mut peer, slice));
        self.sample(|contender| match contender {
            Contender::Ours => seconds(&mut ours, our_times),
            Contender::Peer => seconds(&mut peer, peer_times),
        })
    }

    /// Measures the time that one piece of each work takes, in seconds: round by round, one after the other.
    pub fn in_turn<W: FnMut(usize)>(&self, works: &mut [W]) -> Vec<Vec<f64>> {
        let times: Vec<usize> = works.iter_mut().map(|work| repetitions(work, self.effort.slice())).collect();
        let mut round = || works.iter_mut().zip(&times).map(|(work, times)| seconds(work, *times)).collect();
        (0..self.effort.rounds()).map(|_| round()).collect()
    }

    /// The figures so far.
    #[must_use]
    pub fn figures(&self) -> &[Figure] {
        &self.figures
    }

    /// Takes samples of ours, the peer and the control in turn.
    fn sample(&self, mut sample: impl FnMut(Contender) -> f64) -> Measured {
        let rounds = (0..self.effort.rounds()).map(|round| {
            let mut samples = [0.0; 3];
            // The order turns, so that nobody always comes after the same neighbour.
            for index in [0, 1, 2].map(|i| (i + round) % 3) {
                samples[index] = sample(if index == 1 { Contender::Peer } else { Contender::Ours });
            }
            samples
        });
        Measured { rounds: rounds.collect() }
    }

    fn push(&mut self, figure: Figure) {
        eprintln!("{figure}");
        self.figures.push(figure);
    }
}

enum Contender {
    Ours,
    Peer,
}

/// What was measured: in each round ours, the peer, and ours once more.
#[derive(Debug)]
pub struct Measured {
    rounds: Vec<[f64; 3]>,
}

impl Measured {
    /// Ours.
    #[must_use]
    pub fn ours(&self) -> f64 {
        self.quartiles(|&[ours, ..]| ours)[1]
    }

    /// The peer.
    #[must_use]
    pub fn peer(&self) -> f64 {
        self.quartiles(|&[_, peer, _]| peer)[1]
    }

    /// The rounds of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.rounds.extend(other.rounds);
        self
    }

    /// The same for one of so many parts.
    #[must_use]
    pub fn divided(self, parts: f64) -> Self {
        Self { rounds: self.rounds.into_iter().map(|round| round.map(|sample| sample / parts)).collect() }
    }

    fn into_figure(self, line: Line) -> Figure {
        let [low, median, high] = self.quartiles(|&[ours, peer, _]| ratio(ours, peer));
        Figure {
            ours: self.ours(),
            peer: self.peer(),
            ratio: median,
            spread: [low, high],
            control: Some(self.quartiles(|&[ours, _, again]| ratio(ours, again))[1]),
            line,
        }
    }

    fn quartiles(&self, of: impl Fn(&[f64; 3]) -> f64) -> [f64; 3] {
        let mut all: Vec<f64> = self.rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        [all[all.len() / 4], all[all.len() / 2], all[all.len() * 3 / 4]]
    }
}

/// How many times as much the peer needs. Nothing is infinitely better than something, and as good as nothing.
fn ratio(ours: f64, peer: f64) -> f64 {
    if ours == peer { 1.0 } else { peer / ours }
}

/// How often a contender's work fits a slice of time; warms it up on the way.
fn repetitions(work: &mut impl FnMut(usize), slice: Duration) -> usize {
    work(1);
    let mut times = 1;
    loop {
        let start = Instant::now();
        work(times);
        if start.elapsed() >= slice / 2 {
            return times;
        }
        times *= 2;
    }
}

/// Seconds for one piece of work.
#[expect(clippy::cast_precision_loss, reason = "repetitions are few")]
fn seconds(work: &mut impl FnMut(usize), times: usize) -> f64 {
    let start = Instant::now();
    work(times);
    start.elapsed().as_secs_f64() / times as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Metric;

    fn bench(filters: &[&str]) -> Bench {
        Bench::new(Effort::Quick, filters.iter().map(ToString::to_string).collect(), Path::new("."))
    }

    #[test]
    fn the_median_of_the_ratios_is_reported_and_the_control_is_ours() {
        let mut bench = bench(&[]);
        let (mut ours, mut peers) = (0.0, 0.0);
        let mut next_ours = || {
            ours += 1.0;
            if ours == 3.0 { 1000.0 } else { 2.0 }
        };
        let mut next_peer = || {
            peers += 1.0;
            if peers < 3.0 { 6.0 } else { 8.0 }
        };
        bench.compare_samples(Line::new("case", Metric::Tail, "peer").at_least(3.5), &mut next_ours, &mut next_peer);
        let [figure] = bench.figures() else { panic!("{:?}", bench.figures()) };
        assert_eq!((figure.ours, figure.peer, figure.ratio), (2.0, 8.0, 4.0));
        assert_eq!((figure.spread, figure.control), ([3.0, 4.0], Some(1.0)));
        assert_eq!(figure.is_reached(), Some(true));
    }

    #[test]
    fn nothing_is_infinitely_better_than_something_and_as_good_as_nothing() {
        let mut bench = bench(&[]);
        let line = || Line::new("case", Metric::Allocations, "peer").nothing();
        bench.note(line(), 0.0, 44.0);
        bench.note(line(), 0.0, 0.0);
        bench.note(line(), 1.0, 44.0);
        let verdicts: Vec<_> = bench.figures().iter().map(|figure| (figure.ratio, figure.is_reached())).collect();
        assert_eq!(verdicts, [(f64::INFINITY, Some(true)), (1.0, Some(true)), (44.0, Some(false))]);
    }

    #[test]
    fn only_what_is_asked_for_runs() {
        let mut bench = bench(&["lz4", "FileWriter"]);
        for (case, peer, runs) in [("a, lz4", "b", true), ("a, raw", "FileWriter", true), ("a, raw", "b", false)] {
            let line = Line::new(case, Metric::Time, peer);
            assert_eq!(bench.wants(&line), runs, "{line}");
            let before = bench.figures().len();
            bench.compare_samples(line, || 1.0, || 1.0);
            assert_eq!(bench.figures().len() > before, runs);
        }
    }

    #[test]
    fn work_is_repeated_until_it_fills_half_a_slice() {
        let work = |times| (0..times).for_each(|_| std::thread::sleep(Duration::from_micros(300)));
        let times = repetitions(&mut { work }, Duration::from_millis(8));
        assert!(times <= 16 && times.is_power_of_two(), "{times}");
    }
}

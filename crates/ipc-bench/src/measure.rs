//! Comparing two ways of doing the same, fairly.

use std::time::{Duration, Instant};

/// How long one contender runs in one round.
const SLICE: Duration = Duration::from_millis(40);

/// The lines so far.
pub(crate) struct Bench {
    filters: Vec<String>,
    rounds: usize,
    lines: Vec<Line>,
}

struct Line {
    name: String,
    ours: Duration,
    /// The peer's time over ours: the quartiles.
    ratio: [f64; 3],
    /// Ours over ours once more: the median.
    control: f64,
    target: f64,
}

impl Bench {
    pub(crate) fn new(filters: Vec<String>, quick: bool) -> Self {
        Self { filters, rounds: if quick { 5 } else { 21 }, lines: Vec::new() }
    }

    /// Compares `ours` with `peer`, each of which does its work so many times. `target` is the least ratio to reach.
    pub(crate) fn compare(
        &mut self,
        name: &str,
        target: f64,
        mut ours: impl FnMut(usize),
        mut peer: impl FnMut(usize),
    ) {
        if !self.filters.is_empty() && !self.filters.iter().any(|filter| name.contains(filter)) {
            return;
        }
        let (our_times, peer_times) = (repetitions(&mut ours), repetitions(&mut peer));
        let mut rounds: Vec<[f64; 3]> = Vec::new();
        for round in 0..self.rounds {
            let mut times = [0.0; 3];
            // The order turns, so that nobody always comes after the same neighbour.
            for contender in [0, 1, 2].map(|i| (i + round) % 3) {
                times[contender] = match contender {
                    1 => seconds(&mut peer, peer_times),
                    _ => seconds(&mut ours, our_times),
                };
            }
            rounds.push(times);
        }
        let quartiles = |of: &dyn Fn(&[f64; 3]) -> f64| {
            let mut all: Vec<f64> = rounds.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            [all[all.len() / 4], all[all.len() / 2], all[all.len() * 3 / 4]]
        };
        self.lines.push(Line {
            name: name.to_owned(),
            ours: Duration::from_secs_f64(quartiles(&|times| times[0])[1]),
            ratio: quartiles(&|times| times[1] / times[0]),
            control: quartiles(&|times| times[2] / times[0])[1],
            target,
        });
        eprintln!("{}", self.lines.last().expect("a line has just been added").row());
    }

    pub(crate) fn report(&self) {
        println!("| line | ours | ratio | middle half | control | to reach | |\n|---|---|---|---|---|---|---|");
        self.lines.iter().for_each(|line| println!("{}", line.row()));
    }
}

impl Line {
    fn row(&self) -> String {
        let Self { name, ours, ratio: [low, median, high], control, target } = self;
        let verdict = if median >= target { "reached" } else { "not reached" };
        format!(
            "| {name} | {ours:.2?} | {median:.2} | {low:.2} to {high:.2} | {control:.2} | {target:.2} | {verdict} |"
        )
    }
}

/// How often a contender's work fits a slice of time.
fn repetitions(work: &mut impl FnMut(usize)) -> usize {
    work(1);
    let mut times = 1;
    loop {
        let start = Instant::now();
        work(times);
        let elapsed = start.elapsed();
        if elapsed >= SLICE / 2 {
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

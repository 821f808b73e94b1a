//! What is compared, and what came out: a line of the report.

use std::fmt;

/// What is compared with what, in which respect, and how it should come out.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    case: String,
    metric: Metric,
    peer: String,
    target: Option<Target>,
    batches: usize,
}

/// In which respect. Less is better in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Seconds for a batch.
    Time,
    /// The time within which 999 of 1,000 writes return, in seconds.
    Tail,
    /// Seconds for the end of an output.
    Close,
    /// Seconds for taking a lock, the work under it, and giving it back, over all threads.
    Section,
    /// The time within which 999 of 1,000 get a lock, in seconds.
    Wait,
    /// The time within which all get a lock, in seconds.
    LongestWait,
    /// Allocations for a batch, growing ones included.
    Allocations,
    /// Calls into the sink for a batch.
    Calls,
    /// Instructions for a batch.
    Instructions,
    /// Bytes of a batch's body in the output.
    Bytes,
    /// The most memory in use beyond what was before, in bytes.
    Memory,
    /// Memory that a batch leaves behind, in bytes.
    Footer,
    /// How steeply the cost rises: 1 is in proportion.
    Growth,
}

/// How a line should come out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target {
    /// A ratio of at least this.
    Ratio(f64),
    /// Ours is nothing at all.
    Nothing,
}

impl Line {
    /// A line without a target.
    #[must_use]
    pub fn new(case: impl Into<String>, metric: Metric, peer: impl Into<String>) -> Self {
        Self { case: case.into(), metric, peer: peer.into(), target: None, batches: 1 }
    }

    /// Asks for a ratio of at least this.
    #[must_use]
    pub fn at_least(self, ratio: f64) -> Self {
        Self { target: Some(Target::Ratio(ratio)), ..self }
    }

    /// Asks for a ratio of at least this, if for any.
    #[must_use]
    pub fn at_least_if(self, ratio: Option<f64>) -> Self {
        Self { target: ratio.map(Target::Ratio), ..self }
    }

    /// Asks for nothing of ours.
    #[must_use]
    pub fn nothing(self) -> Self {
        Self { target: Some(Target::Nothing), ..self }
    }

    /// Says that one piece of work is so many batches; the figures are for one of them.
    #[must_use]
    pub fn of_batches(self, batches: usize) -> Self {
        Self { batches, ..self }
    }

    /// How many batches a piece of work is.
    #[expect(clippy::cast_precision_loss, reason = "batches are few")]
    pub(crate) fn batches(&self) -> f64 {
        self.batches as f64
    }

    /// What is compared.
    #[must_use]
    pub fn case(&self) -> &str {
        &self.case
    }

    /// In which respect.
    #[must_use]
    pub fn metric(&self) -> Metric {
        self.metric
    }

    /// With what.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// How it should come out.
    #[must_use]
    pub fn target(&self) -> Option<Target> {
        self.target
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { case, metric, peer, .. } = self;
        write!(f, "{case}: {metric} vs {peer}")
    }
}

/// A line that has been measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// What was compared.
    pub line: Line,
    /// Ours.
    pub ours: f64,
    /// The peer's.
    pub peer: f64,
    /// How many times as much the peer needs.
    pub ratio: f64,
    /// The quartiles of the ratio.
    pub spread: [f64; 2],
    /// Ours against ours, where it was measured and not counted.
    pub control: Option<f64>,
}

impl Figure {
    /// Whether the target was reached; `None` without one.
    #[must_use]
    pub fn is_reached(&self) -> Option<bool> {
        self.line.target.map(|target| match target {
            Target::Ratio(least) => self.ratio >= least,
            Target::Nothing => self.ours == 0.0,
        })
    }

    /// `reached`, `not reached`, or nothing where nothing was asked for.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match self.is_reached() {
            Some(true) => "reached",
            Some(false) => "not reached",
            None => "",
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let metric = self.line.metric;
        write!(f, "{}: {} / {}", self.line, metric.show(self.ours), metric.show(self.peer))?;
        write!(f, " = {:.2}", self.ratio)?;
        if let Some(control) = self.control {
            write!(f, " ({:.2} to {:.2}, control {control:.2})", self.spread[0], self.spread[1])?;
        }
        match self.line.target {
            Some(target) => write!(f, ", to reach {target}: {}", self.verdict()),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio(least) => write!(f, ">= {least}"),
            Self::Nothing => f.write_str("0"),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Time => "seconds per batch",
            Self::Tail => "p99.9 of a write in seconds",
            Self::Close => "seconds to close",
            Self::Section => "seconds per section",
            Self::Wait => "p99.9 of a wait in seconds",
            Self::LongestWait => "longest wait in seconds",
            Self::Allocations => "allocations per batch",
            Self::Calls => "sink calls per batch",
            Self::Instructions => "instructions per batch",
            Self::Bytes => "bytes of body per batch",
            Self::Memory => "peak memory in bytes",
            Self::Footer => "bytes of memory kept per batch",
            Self::Growth => "exponent of growth",
        })
    }
}

impl Metric {
    /// A value with a unit that suits its size.
    #[must_use]
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Time | Self::Tail | Self::Close | Self::Section | Self::Wait | Self::LongestWait => match value {
                v if v < 1e-6 => format!("{:.0} ns", v * 1e9),
                v if v < 1e-3 => format!("{:.3} us", v * 1e6),
                v if v < 1.0 => format!("{:.3} ms", v * 1e3),
                v => format!("{v:.2} s"),
            },
            Self::Bytes | Self::Memory => match value {
                v if v < 1e4 => format!("{v:.0} B"),
                v if v < 1e7 => format!("{:.1} KB", v / 1e3),
                v => format!("{:.1} MB", v / 1e6),
            },
            Self::Instructions => format!("{value:.0}"),
            Self::Allocations | Self::Calls | Self::Footer | Self::Growth if value.fract() == 0.0 => {
                format!("{value:.0}")
            }
            Self::Allocations | Self::Calls | Self::Footer | Self::Growth => format!("{value:.3}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_shown_in_units_that_suit_them() {
        let shown = [1.9e-7, 2.05e-6, 3.3e-4, 0.012, 5.0].map(|value| Metric::Time.show(value));
        assert_eq!(shown, ["190 ns", "2.050 us", "330.000 us", "12.000 ms", "5.00 s"]);
        assert_eq!(Metric::Allocations.show(0.0), "0");
        assert_eq!(Metric::Calls.show(1.0 / 90.0), "0.011");
    }
}

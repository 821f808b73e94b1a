//! The stored counts, and how far others may be from them.
//!
//! Allocations and calls have to be equal. Instructions may differ by [`TOLERANCE`], and are compared only where the
//! same compiler made them for the same kind of processor.

use std::fmt;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::report::machine;

/// The share by which instructions may differ.
pub const TOLERANCE: f64 = 0.05;

/// Counts, and what they were counted with.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    toolchain: String,
    counts: Vec<Counts>,
}

/// The counts of one case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counts {
    /// Its name.
    pub case: String,
    /// Allocations in [`BATCHES`](super::BATCHES) batches.
    pub allocations: u64,
    /// Calls into the sink in as many.
    pub calls: u64,
    /// Instructions for one batch, where they were counted.
    pub instructions: Option<u64>,
}

impl Baseline {
    /// What was counted here.
    #[must_use]
    pub fn of_here(counts: Vec<Counts>) -> Self {
        Self { toolchain: format!("{}, {}", machine::rustc(), std::env::consts::ARCH), counts }
    }

    /// Reads a stored baseline.
    ///
    /// # Errors
    ///
    /// Says why it cannot be read.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("cannot read the baseline: {error}"))?;
        let document: Value =
            serde_json::from_str(&text).map_err(|error| format!("the baseline is no JSON: {error}"))?;
        Self::parse(&document).ok_or_else(|| "the baseline is not as `--renew` writes it".to_owned())
    }

    /// Stores it.
    ///
    /// # Errors
    ///
    /// Says why it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), String> {
        let counts: Vec<Value> = self.counts.iter().map(Counts::to_json).collect();
        let document = json!({ "toolchain": self.toolchain, "counts": counts });
        let text = serde_json::to_string_pretty(&document).expect("numbers and strings are JSON");
        fs::write(path, text + "\n").map_err(|error| format!("cannot write the baseline: {error}"))
    }

    /// In what others differ, a line for each count.
    #[must_use]
    pub fn differences(&self, counted: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        let same_toolchain = self.toolchain == counted.toolchain;
        if !same_toolchain {
            let (stored, here) = (&self.toolchain, &counted.toolchain);
            eprintln!("skipped: instructions: the baseline's are those of {stored}, and this is {here}");
        }
        for count in &counted.counts {
            let Some(stored) = self.counts.iter().find(|stored| stored.case == count.case) else {
                differences.push(format!("{}: not in the baseline", count.case));
                continue;
            };
            let mut differ = |what: &str, here: u64, there: u64| {
                differences.push(format!("{}: {here} {what}, the baseline has {there}", count.case));
            };
            if count.allocations != stored.allocations {
                differ("allocations", count.allocations, stored.allocations);
            }
            if count.calls != stored.calls {
                differ("sink calls", count.calls, stored.calls);
            }
            if same_toolchain
                && let (Some(here), Some(there)) = (count.instructions, stored.instructions)
                && is_far(here, there)
            {
                differ("instructions", here, there);
            }
        }
        let gone = self.counts.iter().filter(|stored| !counted.counts.iter().any(|count| count.case == stored.case));
        differences.extend(gone.map(|stored| format!("{}: only in the baseline", stored.case)));
        differences
    }

    fn parse(document: &Value) -> Option<Self> {
        let counts = document["counts"].as_array()?.iter().map(Counts::parse).collect::<Option<_>>()?;
        Some(Self { toolchain: document["toolchain"].as_str()?.to_owned(), counts })
    }
}

impl Counts {
    fn to_json(&self) -> Value {
        let Self { case, allocations, calls, instructions } = self;
        json!({ "case": case, "allocations": allocations, "calls": calls, "instructions": instructions })
    }

    fn parse(value: &Value) -> Option<Self> {
        let instructions = match &value["instructions"] {
            Value::Null => None,
            count => Some(count.as_u64()?),
        };
        Some(Self {
            case: value["case"].as_str()?.to_owned(),
            allocations: value["allocations"].as_u64()?,
            calls: value["calls"].as_u64()?,
            instructions,
        })
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.counts.iter().map(|count| count.case.len()).max().unwrap_or(0);
        write!(f, "{:width$}  allocations  sink calls  instructions", "in 1,024 batches; instructions in one")?;
        for Counts { case, allocations, calls, instructions } in &self.counts {
            let instructions = instructions.map_or_else(String::new, |count| count.to_string());
            write!(f, "\n{case:width$}  {allocations:>11}  {calls:>10}  {instructions:>12}")?;
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far from 2^53")]
fn is_far(here: u64, there: u64) -> bool {
    (here as f64 - there as f64).abs() > TOLERANCE * there as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn baseline(allocations: u64, calls: u64, instructions: Option<u64>) -> Baseline {
        let counts = vec![Counts { case: "a".to_owned(), allocations, calls, instructions }];
        Baseline { toolchain: "rustc 1".to_owned(), counts }
    }

    #[test]
    fn what_differs_is_told() {
        let stored = baseline(0, 1024, Some(1000));
        assert_eq!(stored.differences(&stored), Vec::<String>::new());
        for (counted, differences) in [
            (baseline(1, 1024, Some(1000)), vec!["a: 1 allocations, the baseline has 0"]),
            (baseline(0, 1025, Some(1000)), vec!["a: 1025 sink calls, the baseline has 1024"]),
            (baseline(0, 1024, Some(1050)), vec![]),
            (baseline(0, 1024, Some(1051)), vec!["a: 1051 instructions, the baseline has 1000"]),
            (baseline(0, 1024, Some(949)), vec!["a: 949 instructions, the baseline has 1000"]),
            (baseline(0, 1024, None), vec![]),
        ] {
            assert_eq!(stored.differences(&counted), differences, "{counted:?}");
        }
    }

    #[test]
    fn cases_that_come_and_go_are_told() {
        let mut other = baseline(0, 1024, None);
        other.counts[0].case = "b".to_owned();
        let differences = baseline(0, 1024, None).differences(&other);
        assert_eq!(differences, ["b: not in the baseline", "a: only in the baseline"]);
    }

    #[test]
    fn another_compiler_counts_otherwise() {
        let other = Baseline { toolchain: "rustc 2".to_owned(), ..baseline(0, 1024, Some(2000)) };
        assert_eq!(baseline(0, 1024, Some(1000)).differences(&other), Vec::<String>::new());
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("counts.json");
        for instructions in [None, Some(7)] {
            let stored = baseline(0, 1024, instructions);
            stored.write(&path).unwrap();
            assert_eq!(Baseline::read(&path).unwrap(), stored);
        }
        fs::write(&path, "{}").unwrap();
        assert!(Baseline::read(&path).is_err());
    }
}

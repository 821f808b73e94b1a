//! Runs the steps of a chore one after the other, and reports the result of each and how long it took.
//!
//! The other steps run even after one has failed, so that one run shows everything that is wrong. A chore may also stop
//! at the first failure.

use std::fmt;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// The results of the steps, in the order in which they ran; shown as a table.
#[derive(Debug)]
pub(crate) struct Report {
    outcomes: Vec<Outcome>,
}

#[derive(Debug)]
struct Outcome {
    name: String,
    took: Duration,
    result: Result<()>,
}

impl Report {
    /// Runs `step` for each of `names`: for all of them, or up to the first failure.
    pub(crate) fn run<N: Copy + fmt::Display>(
        names: &[N],
        stop_at_failure: bool,
        mut step: impl FnMut(N) -> Result<()>,
    ) -> Self {
        let mut outcomes = Vec::new();
        for (index, &name) in names.iter().enumerate() {
            println!("\n=== {name} ({} of {}) ===", index + 1, names.len());
            let start = Instant::now();
            let result = step(name);
            if let Err(error) = &result {
                println!("{name}: {error}");
            }
            let failed = result.is_err();
            outcomes.push(Outcome { name: name.to_string(), took: start.elapsed(), result });
            if failed && stop_at_failure {
                break;
            }
        }
        Self { outcomes }
    }

    /// Returns an error that names the steps that failed, if any did.
    pub(crate) fn into_result(self) -> Result<()> {
        let failed: Vec<_> =
            self.outcomes.into_iter().filter(|outcome| outcome.result.is_err()).map(|outcome| outcome.name).collect();
        if failed.is_empty() { Ok(()) } else { Err(Error::Steps(failed)) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.outcomes.iter().map(|outcome| outcome.name.len()).max().unwrap_or_default().max("total".len());
        for Outcome { name, took, result } in &self.outcomes {
            write!(f, "{name:width$}  {:>8.1} s  ", took.as_secs_f64())?;
            match result {
                Ok(()) => writeln!(f, "ok")?,
                Err(error) => writeln!(f, "FAILED: {error}")?,
            }
        }
        let total: Duration = self.outcomes.iter().map(|outcome| outcome.took).sum();
        write!(f, "{:width$}  {:>8.1} s", "total", total.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_fails_the_chore_and_lets_the_others_run() {
        let report = Report::run(&["one", "two", "three"], false, two_fails);
        assert_eq!(names(&report), ["one", "two", "three"]);
        let table = report.to_string();
        assert!(table.contains("FAILED: no luck") && table.contains("total"), "{table}");
        let error = report.into_result().unwrap_err();
        assert_eq!(error.to_string(), "failed: two");
    }

    #[test]
    fn stops_at_the_first_failure_where_asked() {
        let report = Report::run(&["one", "two", "three"], true, two_fails);
        assert_eq!(names(&report), ["one", "two"]);
        assert!(report.into_result().is_err());
    }

    #[test]
    fn all_well() {
        let report = Report::run(&["one", "three"], true, two_fails);
        assert!(!report.to_string().contains("FAILED"));
        assert!(report.into_result().is_ok());
    }

    fn two_fails(name: &str) -> Result<()> {
        if name == "two" { Err(Error::Check("no luck".to_owned())) } else { Ok(()) }
    }

    fn names(report: &Report) -> Vec<&str> {
        report.outcomes.iter().map(|outcome| outcome.name.as_str()).collect()
    }
}

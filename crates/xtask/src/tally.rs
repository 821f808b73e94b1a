//! Counts tests in the output of test programs: how many passed, failed and were left out, and why.
//!
//! The test harness prints a `test result` for each program, and `ignored` with a reason where a test has one. A test
//! that misses something outside the workspace passes, after a line `skipped: TEST: REASON`; that it passed says little
//! then.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What test programs printed, summed up; shown as the end of a report.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// The tests that were left out, wholly or in part, by the reason.
    skipped: BTreeMap<String, BTreeSet<String>>,
}

impl Tally {
    /// Takes in a line that a test program printed.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some((_, counts)) = line.split_once("test result: ").and_then(|(_, result)| result.split_once(". ")) {
            for count in counts.split(';') {
                match count.trim().split_once(' ') {
                    Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                    Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                    Some((number, "ignored")) => self.ignored += number.parse().unwrap_or(0),
                    _ => {}
                }
            }
        } else if let Some((_, skip)) = line.split_once(SKIPPED) {
            let (test, reason) = skip.split_once(": ").unwrap_or(("a test", skip));
            self.skip(test, reason);
        } else if let Some((test, reason)) = line.strip_prefix("test ").and_then(|line| line.split_once(" ... ignored"))
        {
            self.skip(test, reason.strip_prefix(", ").unwrap_or("ignored without a reason"));
        }
    }

    fn skip(&mut self, test: &str, reason: &str) {
        self.skipped.entry(reason.to_owned()).or_default().insert(test.to_owned());
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, failed, ignored, skipped } = self;
        writeln!(f, "{passed} tests passed, {failed} failed, {ignored} ignored")?;
        if skipped.is_empty() {
            return f.write_str("no test was skipped");
        }
        write!(f, "skipped, wholly or in part:")?;
        for (reason, tests) in skipped {
            let tests: Vec<_> = tests.iter().map(String::as_str).collect();
            write!(f, "\n  {reason}: {} ({})", tests.len(), tests.join(", "))?;
        }
        let is_missing = |what: &str| skipped.keys().any(|reason| reason.contains(what));
        if is_missing(SHARED) {
            write!(f, "\n{ABOUT_SHARED}")?;
        }
        if is_missing("Python") {
            write!(f, "\n{ABOUT_PYTHON}")?;
        }
        Ok(())
    }
}

const SKIPPED: &str = "skipped: ";
const SHARED: &str = "../shared";
const ABOUT_SHARED: &str = "\
A clone has no `../shared`. That folder, beside the repository, holds test data which is too large for it.
`cargo xtask test-data` makes the part that can be made; CONTRIBUTING.md says where the rest comes from.";
const ABOUT_PYTHON: &str = "CONTRIBUTING.md says how to install the Python readers.";

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str) -> Tally {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.read(line));
        tally
    }

    #[test]
    fn results_of_all_programs_are_added() {
        let output = "\
test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 4.05s
test a::b ... ok
test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s
";
        assert_eq!(tally(output), Tally { passed: 14, failed: 1, ignored: 1, ..Tally::default() });
    }

    #[test]
    fn a_skip_is_shown_once_with_its_reason_and_its_tests() {
        let output = "\
skipped: golden::a: no test data at ../shared/data/gold
skipped: golden::a: no test data at ../shared/data/gold
test golden::b ... skipped: golden::b: no test data at ../shared/data/gold
test times::c ... ignored, needs --release
test times::d ... ignored
";
        let shown = tally(output).to_string();
        for line in [
            "  no test data at ../shared/data/gold: 2 (golden::a, golden::b)",
            "  needs --release: 1 (times::c)",
            "  ignored without a reason: 1 (times::d)",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{shown}");
        }
        assert_eq!(shown.matches(ABOUT_SHARED).count(), 1, "{shown}");
        assert!(!shown.contains(ABOUT_PYTHON), "{shown}");
    }

    #[test]
    fn nothing_is_explained_where_nothing_is_missing() {
        let shown = tally("test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n").to_string();
        assert_eq!(shown, "1 tests passed, 0 failed, 0 ignored\nno test was skipped");
    }
}

//! `cargo xtask loom`: the models of the lock and of the shared writer, under every schedule within a bound.
//!
//! - The models are the tests of the package `loom-tests` when the crates of this workspace are built with `--cfg
//!   loom`. All other crates are built as ever, once for these models and for those of [`shuttle`](super::shuttle).
//! - The bound is the number of preemptions in a schedule. Loom's limits of time and of the number of schedules are
//!   removed from the environment: a model that stops there passes without proving anything.
//! - Models run one at a time, and their output is shown at once: a failing model may abort the process, and then the
//!   last line shows which one it was, and why.
//! - It is an error if no model has the name that is asked for.

use std::process::Command;

use crate::cargo::Cargo;
use crate::error::{Error, Result};
use crate::tally::Tally;
use crate::workspace::Workspace;

/// Runs the concurrency models under every schedule within a bound.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Arguments {
    /// Up to 5 preemptions in a schedule instead of 3: a quarter of an hour instead of two minutes.
    #[arg(long)]
    deep: bool,

    /// Only the models whose names contain this.
    model: Option<String>,
}

/// Runs the models whose names match.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    run_models(workspace, arguments, &mut Tally::default())
}

/// As [`run`], and counts the models.
pub(crate) fn run_models(workspace: &Workspace, arguments: &Arguments, tally: &mut Tally) -> Result<()> {
    let list = arguments.command(workspace).arg("--list").capture()?;
    let models = models_of(&list);
    if models.is_empty() {
        return Err(Error::Check(match &arguments.model {
            Some(model) => format!("no model's name contains `{model}`"),
            None => "there are no models".to_owned(),
        }));
    }
    println!("{} models, up to {} preemptions", models.len(), arguments.preemptions());

    let mut command = arguments.command(workspace).args(["--test-threads=1", "--nocapture"]);
    within_bound(command.process(), arguments.preemptions());
    command.run_tests(tally)
}

/// Has a program explore all schedules with at most this many preemptions, whatever the environment says.
pub(crate) fn within_bound(program: &mut Command, preemptions: &str) {
    program.env("LOOM_MAX_PREEMPTIONS", preemptions);
    for other in ["MAX_DURATION", "MAX_PERMUTATIONS", "MAX_BRANCHES", "MAX_THREADS", "CHECKPOINT_FILE", "LOG"] {
        program.env_remove(format!("LOOM_{other}"));
    }
}

impl Arguments {
    /// The command that runs the models, up to the options of the test harness.
    fn command(&self, workspace: &Workspace) -> Cargo {
        let test = workspace.cargo("test --package loom-tests --profile loom --tests --no-fail-fast");
        test.wrapped(workspace.root(), WRAPPER).arg("--").args(&self.model)
    }

    fn preemptions(&self) -> &'static str {
        if self.deep { DEEP } else { SHALLOW }
    }
}

/// Builds with `--cfg loom`.
pub(crate) const WRAPPER: &str = "loom";

/// The number of preemptions for every change.
pub(crate) const SHALLOW: &str = "3";
const DEEP: &str = "5";

/// The names in what the test harness prints for `--list`.
fn models_of(list: &str) -> Vec<&str> {
    list.lines().filter_map(|line| line.strip_suffix(": test")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_all_test_programs_are_read() {
        let list = "mutex_2x2: test\nmutex_3: test\n\n2 tests, 0 benchmarks\n\n0 tests, 0 benchmarks\n";
        assert_eq!(models_of(list), ["mutex_2x2", "mutex_3"]);
        assert!(models_of("0 tests, 0 benchmarks\n").is_empty());
    }
}

//! `cargo xtask shuttle`: the shared writer under random schedules of more threads than the models can have.
//!
//! The same package and the same sources as the models of [`loom`](super::loom), built with `--cfg shuttle`. The
//! tests say how many schedules are tried, and what these must have met.

use crate::error::Result;
use crate::tally::Tally;
use crate::workspace::Workspace;

/// Tries the shared writer under random schedules.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    run_schedules(workspace, &mut Tally::default())
}

/// Tries the shared writer under random schedules, and counts the tests.
pub(crate) fn run_schedules(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    let test = workspace.cargo("test --package loom-tests --profile loom --test schedules");
    test.wrapped(workspace.root(), WRAPPER).args(["--", "--nocapture"]).run_tests(tally)
}

/// Builds with `--cfg shuttle`.
const WRAPPER: &str = "shuttle";

//! `cargo xtask shuttle`: the shared writer under random schedules of more threads than the models can have.
//!
//! The same package and the same sources as the models of [`loom`](super::loom), built with `--cfg shuttle` into a target
//! directory of their own. How many schedules are tried is fixed in the tests, and so is what they must have met.

use crate::cargo::Cargo;
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
    cfg_shuttle(workspace, test).args(["--", "--nocapture"]).run_tests(tally)
}

/// Makes a command build with `--cfg shuttle`, into a directory of its own.
pub(crate) fn cfg_shuttle(workspace: &Workspace, command: Cargo) -> Cargo {
    command.rustflags("--cfg shuttle").arg("--target-dir").arg(workspace.target().join("shuttle"))
}

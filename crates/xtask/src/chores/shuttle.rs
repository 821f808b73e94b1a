//! `cargo xtask shuttle`: the shared writer under random schedules of more threads than the models can have.
//!
//! The same package and the same sources as the models of [`loom`](super::loom), built with `--cfg shuttle` into a target
//! directory of their own. How many schedules are tried is fixed in the tests, and so is what they must have met.

use crate::cargo::Cargo;
use crate::error::Result;
use crate::workspace::Workspace;

/// Tries the shared writer under random schedules.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let test = workspace.cargo("test --package loom-tests --profile loom --test schedules");
    cfg_shuttle(workspace, test).args(["--", "--nocapture"]).run()
}

/// Makes a command build with `--cfg shuttle`, into a directory of its own.
pub(crate) fn cfg_shuttle(workspace: &Workspace, command: Cargo) -> Cargo {
    command.rustflags("--cfg shuttle").arg("--target-dir").arg(workspace.target().join("shuttle"))
}

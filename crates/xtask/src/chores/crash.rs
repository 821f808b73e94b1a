//! `cargo xtask crash`: losses of power, replayed, and what `recover` makes of each.
//!
//! The same scenarios as those of the test `crash`, which takes some hundred states of each; and, once more, the states of
//! names that an output has.

use crate::error::Result;
use crate::workspace::Workspace;

/// Replays losses of power behind every write and sync of a dozen runs, and prints what came back, as a table.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// How many states of each run.
    #[arg(long, default_value_t = 2000)]
    states: u64,
}

/// Runs it.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    workspace.cargo(COMMAND).arg("--").arg(arguments.states.to_string()).run()?;
    workspace.cargo(NAMES).run()
}

/// What builds and runs it, up to the states. Not optimised, so that an overflow panics.
const COMMAND: &str = "run --package ipc-tests --bin crash";

/// What replays the names of the tool's outputs.
const NAMES: &str = "test --package ipc-cli --test cli power";

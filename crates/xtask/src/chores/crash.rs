//! `cargo xtask crash`: replays losses of power, and recovers what each leaves.
//!
//! The test `crash` replays some hundred states of the same scenarios. The chore also replays the states of an output's
//! name.

use crate::error::Result;
use crate::workspace::Workspace;

/// Replays losses of power behind every write and sync of a dozen runs, and prints what came back, as a table.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// How many states of each run.
    #[arg(long, default_value_t = 2000)]
    states: u64,
}

/// Builds and runs both.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    workspace.cargo(COMMAND).arg("--").arg(arguments.states.to_string()).run()?;
    workspace.cargo(NAMES).run()
}

/// The command, up to the number of states. Not optimised, so that an overflow panics.
const COMMAND: &str = "run --package ipc-tests --bin crash";

/// The command that replays the names of the tool's outputs.
const NAMES: &str = "test --package ipc-cli --test cli power";

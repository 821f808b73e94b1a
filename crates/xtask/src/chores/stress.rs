//! `cargo xtask stress`: sixteen threads, one output, everything at once, for longer than a test may take.
//!
//! The test `shared_stress` runs the same rounds for a few seconds.

use crate::error::Result;
use crate::workspace::Workspace;

/// Runs sixteen threads that do everything at once to one output after the other, and reads the outputs back.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// How long to run.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Builds and runs the stress test.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    workspace.cargo(COMMAND).arg("--").arg(arguments.seconds.to_string()).run()
}

/// The command, up to the seconds.
pub(crate) const COMMAND: &str = "run --package ipc-tests --bin stress";

//! `cargo xtask stress`: sixteen threads, one output, everything at once, for longer than a test may take.
//!
//! The same rounds as those of the test `shared_stress`, which goes on for a few seconds.

use crate::error::Result;
use crate::workspace::Workspace;

/// Has sixteen threads do everything at once to one output after the other, and reads them back.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// How long.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Runs it.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    workspace.cargo(COMMAND).arg("--").arg(arguments.seconds.to_string()).run()
}

/// What builds and runs it, up to the seconds.
pub(crate) const COMMAND: &str = "run --package ipc-tests --bin stress";

//! `cargo xtask counts`: allocations, sink calls and instructions per batch, compared with a stored baseline.
//!
//! Counts do not depend on what else the machine does, so a change is judged by them and never by time. The baseline is
//! `crates/ipc-bench/counts.json`. Instructions are counted only with valgrind, and compared only with the compiler of
//! the baseline; the chore says if it skips them.

use crate::chores::bench;
use crate::error::Result;
use crate::workspace::Workspace;

/// Counts allocations, sink calls and instructions per batch, and compares them with the stored baseline.
#[derive(clap::Args, Debug, Default)]
pub(crate) struct Arguments {
    /// Store the counts as the new baseline; needs valgrind.
    #[arg(long)]
    renew: bool,
}

/// Builds the bench, and runs its counts.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    bench::build(workspace)?;
    let renew = arguments.renew.then_some("--renew");
    workspace.cargo(bench::RUN).arg("counts").args(renew).run()
}

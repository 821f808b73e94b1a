//! `cargo xtask bench`: measures ours, the peers and the floor side by side, in one run.
//!
//! The package `ipc-bench` does the work. The report is written to `target/bench`, or to the folder that `--output`
//! names.

use std::path::{self, PathBuf};

use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Measures ours, the peers and the floor side by side, and writes bench.json, a table and charts.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Only the lines that have a target, and few rounds: less than five minutes.
    #[arg(long)]
    quick: bool,

    /// One short round: shows that everything runs, and measures nothing.
    #[arg(long, conflicts_with = "quick")]
    smoke: bool,

    /// The folder for the report; `target/bench` by default.
    #[arg(long)]
    output: Option<PathBuf>,

    /// Only lines whose names contain one of these.
    filters: Vec<String>,
}

/// Builds and runs the bench.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    build(workspace)?;
    let output = match &arguments.output {
        // Cargo runs it elsewhere than where this was typed.
        Some(folder) => path::absolute(folder).map_err(|source| Error::Read { path: folder.clone(), source })?,
        None => workspace.target().join("bench"),
    };
    let flags = [("--quick", arguments.quick), ("--smoke", arguments.smoke)];
    workspace
        .cargo(RUN)
        .args(["run", "--output"])
        .arg(output)
        .args(flags.into_iter().filter_map(|(flag, is_set)| is_set.then_some(flag)))
        .arg("--")
        .args(&arguments.filters)
        .run()
}

/// Builds both programs of the bench for release: the one that measures, and the one that counts.
pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    workspace.cargo("build --release --package ipc-bench --bins").run()
}

/// Runs what [`build`] has built.
pub(crate) const RUN: &str = "run --quiet --release --package ipc-bench --bin ipc-bench --";

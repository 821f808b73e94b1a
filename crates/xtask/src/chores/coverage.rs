//! `cargo xtask coverage`: the share of the lines of each library that the tests run.
//!
//! A line that runs is not thereby tested: `cargo mutants` asks whether a test would notice if it were wrong. A line
//! that does not run is not tested.

use crate::error::Result;
use crate::tools::Tool;
use crate::workspace::Workspace;

/// Measures which lines the tests run, and fails where they run too few.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The least share of lines, in percent, for each library.
    #[arg(long, default_value_t = 95)]
    least: u8,

    /// Write a report that shows the lines, in HTML, to the folder `llvm-cov` in the target directory.
    #[arg(long)]
    html: bool,
}

/// The libraries that are measured, each with the sources that its report leaves out.
const LIBRARIES: [(&str, &str); 2] =
    [("ipc-core", "crates/ipc-(shared|recover)/"), ("ipc-shared", "crates/ipc-(core|recover)/")];

/// Runs the tests once, and asks cargo-llvm-cov for a report of each library.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    Tool::LLVM_COV.require()?;
    // The tests of other packages count too; the models do not.
    let packages = ["ipc-core", "ipc-shared", "ipc-tests"].iter().flat_map(|package| ["--package", package]);
    workspace.cargo("llvm-cov test --no-report --no-fail-fast").args(packages).run()?;
    if arguments.html {
        workspace.cargo("llvm-cov report --html --output-dir").arg(workspace.target()).run()?;
    }
    for (library, others) in LIBRARIES {
        println!("\n{library}");
        let report = workspace.cargo("llvm-cov report --ignore-filename-regex").arg(others);
        report.arg("--fail-under-lines").arg(arguments.least.to_string()).run()?;
    }
    Ok(())
}

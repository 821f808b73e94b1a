//! `cargo xtask core-mutants`: would a test notice if `ipc-core` were wrong?
//!
//! cargo-mutants makes one change after another to a copy of the sources - a comparison turned round, a function that
//! does nothing - and runs the tests of each. A change that no test notices is listed as missed: either a test is missing,
//! or the code does not need to be as it is, or the change makes no difference. `docs/RELIABILITY.md` says which it is.
//!
//! That is more than a thousand builds and takes hours. A shard is every n-th of them; a file, those in it.

use crate::cargo::Cargo;
use crate::error::Result;
use crate::tools::Tool;
use crate::workspace::Workspace;

/// Changes `ipc-core` in every way that comes to mind, and looks whether a test notices.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Only every n-th change, from the k-th on: `0/8` to `7/8`.
    #[arg(long, value_name = "K/N")]
    shard: Option<String>,

    /// Only changes of these files of `ipc-core`, such as `rewrite.rs`.
    files: Vec<String>,
}

/// The tests that say most in least time, each of which has fewer cases than usual.
const TESTS: [&str; 13] = [
    "round_trip",
    "bad_batches",
    "secrets",
    "dictionaries",
    "file_layout",
    "refusals",
    "encoder_faults",
    "failed_sync",
    "header_and_end",
    "same_bodies",
    "one_call_per_message",
    "no_allocations",
    "unified",
];
const CASES: &str = "100";

/// How many seconds the tests may take with a change. They take half a minute without one.
const PATIENCE: &str = "180";

/// Asks cargo-mutants.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    Tool::MUTANTS.require()?;
    // A change that "is noticed" by a test that fails anyway says nothing. cargo-mutants would look for all tests in the
    // package that it changes.
    let tests = || ["--lib"].into_iter().chain(TESTS.iter().flat_map(|test| ["--test", test]));
    Cargo::new(workspace, "test --package ipc-core --package ipc-tests")
        .args(tests())
        .env("PROPTEST_CASES", CASES)
        .run()?;
    let mut mutants = Cargo::new(
        workspace,
        "mutants --package ipc-core --test-package ipc-core --test-package ipc-tests --no-shuffle --baseline skip",
    );
    mutants = mutants.args(["--timeout", PATIENCE]).env("PROPTEST_CASES", CASES);
    mutants = mutants.arg("--output").arg(workspace.target().join("core-mutants"));
    if let Some(shard) = &arguments.shard {
        mutants = mutants.args(["--shard", shard]);
    }
    for file in &arguments.files {
        mutants = mutants.arg("--file").arg(format!("crates/ipc-core/src/{file}"));
    }
    mutants.arg("--").args(tests()).run()
}

//! `cargo xtask valgrind`: no byte that was never written reaches a sink.
//!
//! Valgrind reports a branch that depends on a byte which was never written. The tests branch on every byte that an
//! encoder hands out. The first test hands out such a byte on purpose: if valgrind does not report it, the others mean
//! nothing.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::program;
use crate::tools::Tool;
use crate::workspace::Workspace;

/// The exit code of valgrind when it has found something. The test harness never uses it.
const FOUND: i32 = 9;

/// Runs the round trips, and the tests of what leaves an encoder, under valgrind.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// How many cases each property is tried with.
    #[arg(long, default_value_t = 40)]
    cases: u32,
}

/// Runs the tests, after the one that must not pass.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    Tool::VALGRIND.require()?;
    let tests = program::built(workspace.cargo(BUILD), PROGRAM)?;

    println!("\nA byte that was never written, handed out on purpose:");
    match under_valgrind(&tests, arguments, &["--ignored", "--exact", CONTROL], Stdio::null)? {
        Some(FOUND) => println!("noticed"),
        code => return Err(Error::Check(format!("valgrind did not notice it (exit code {code:?})"))),
    }
    let options = ["--test-threads=1", "--skip", UNINTERESTED, "--skip", "unified_round_trip::"];
    match under_valgrind(&tests, arguments, &[&TESTS[..], &options].concat(), Stdio::inherit)? {
        Some(0) => Ok(()),
        Some(FOUND) => Err(Error::Check("valgrind found something".to_owned())),
        code => Err(Error::Check(format!("a test failed (exit code {code:?})"))),
    }
}

/// The command that builds the test program, and the program's name.
const BUILD: &str = "test --package ipc-tests --test it --no-run";
const PROGRAM: &str = "it";
/// The tests that run.
const TESTS: [&str; 2] = ["secrets::", "round_trip::"];
/// Tests that compare many messages with each other: valgrind has nothing to add.
const UNINTERESTED: &str = "reuse::";
/// The test that must not pass.
const CONTROL: &str = "secrets::uninitialised::a_byte_that_was_never_written_is_noticed";

/// Runs a test program, and returns its exit code.
fn under_valgrind(
    program: &Path,
    arguments: &Arguments,
    test_arguments: &[&str],
    output: fn() -> Stdio,
) -> Result<Option<i32>> {
    let mut command = Command::new("valgrind");
    command.arg("--quiet").arg(format!("--error-exitcode={FOUND}")).arg(program).args(test_arguments);
    command.env("PROPTEST_CASES", arguments.cases.to_string());
    println!("$ valgrind --quiet --error-exitcode={FOUND} {} {}", program.display(), test_arguments.join(" "));
    let status = command.stdin(Stdio::null()).stdout(output()).stderr(output()).status();
    let status = status.map_err(|source| Error::Start { command: "valgrind".to_owned(), source })?;
    Ok(status.code())
}

//! `cargo xtask valgrind`: no byte that was never written reaches a sink.
//!
//! Valgrind knows of every byte whether it has been written to, and speaks up where a decision depends on one that has
//! not. The tests decide something on every byte that an encoder hands out. First comes a test that hands out such a byte
//! on purpose: were valgrind to pass it, its silence on the others would mean nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cargo::Cargo;
use crate::error::{Error, Result};
use crate::tools::Tool;
use crate::workspace::{Workspace, json};

/// What valgrind exits with when it has found something; the test harness never does.
const FOUND: i32 = 9;

/// Runs the round trips and the tests of what leaves an encoder under valgrind.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// How many cases each property is tried with.
    #[arg(long, default_value_t = 40)]
    cases: u32,
}

/// Runs the tests, after the one that must not pass.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    Tool::VALGRIND.require()?;
    let build = Cargo::new(workspace, "test --package ipc-tests --no-run --message-format json");
    let built = build.args(TESTS.iter().flat_map(|test| ["--test", test])).capture()?;
    let programs = executables(&built)?;
    let secrets = programs.iter().find(|program| is_of(program, CONTROL.0));
    let secrets = secrets.ok_or_else(|| Error::Output(format!("no test program `{}` was built", CONTROL.0)))?;

    println!("\nA byte that was never written, handed out on purpose:");
    match under_valgrind(secrets, arguments, &["--ignored", "--exact", CONTROL.1], Stdio::null)? {
        Some(FOUND) => println!("noticed"),
        code => return Err(Error::Check(format!("valgrind did not notice it (exit code {code:?})"))),
    }
    for program in &programs {
        match under_valgrind(program, arguments, &["--test-threads=1", "--skip", UNINTERESTED], Stdio::inherit)? {
            Some(0) => {}
            Some(FOUND) => return Err(Error::Check(format!("valgrind found something in {}", program.display()))),
            code => return Err(Error::Check(format!("{} failed (exit code {code:?})", program.display()))),
        }
    }
    Ok(())
}

/// The test programs, and among them the test that must not pass.
const TESTS: [&str; 2] = ["secrets", "round_trip"];
/// Tests that compare messages with each other, many and at length: valgrind has nothing to add.
const UNINTERESTED: &str = "reuse::";
const CONTROL: (&str, &str) = ("secrets", "uninitialised::a_byte_that_was_never_written_is_noticed");

/// Runs a test program, and returns what it exits with.
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

/// The test programs in what cargo prints as JSON, a message a line.
fn executables(messages: &str) -> Result<Vec<PathBuf>> {
    let mut programs = Vec::new();
    for line in messages.lines() {
        let message = json(line)?;
        if message["profile"]["test"] == true
            && let Some(program) = message["executable"].as_str()
        {
            programs.push(program.into());
        }
    }
    Ok(programs)
}

/// Whether a program is that of a test: its name, and a hash.
fn is_of(program: &Path, test: &str) -> bool {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    name.rsplit_once('-').is_some_and(|(name, _)| name == test)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_found_among_cargos_messages() {
        let messages = r#"{"reason": "compiler-artifact", "profile": {"test": false}, "executable": null}
{"reason": "compiler-artifact", "profile": {"test": true}, "executable": "/t/secrets-0a"}
{"reason": "compiler-artifact", "profile": {"test": false}, "executable": "/t/tool"}
{"reason": "build-finished", "success": true}"#;
        let programs = executables(messages).unwrap();
        assert_eq!(programs, [PathBuf::from("/t/secrets-0a")]);
        assert!(is_of(&programs[0], "secrets") && !is_of(&programs[0], "secret"));
        assert!(executables("no JSON").is_err());
    }
}

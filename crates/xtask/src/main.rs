//! The project's chores, run as `cargo xtask CHORE`.
//!
//! - [`chores`]: one file per chore. A new chore is a file there and a variant of [`Chore`] here.
//! - [`checks`]: checks that no tool makes.
//! - [`mutant`]: the table of faults that the models must find. [`mod@copy`]: the sources that they are seeded into.
//!   [`program`]: runs a model.
//! - [`steps`]: runs the steps of a chore, and reports on them. [`tally`]: counts tests, and says why some are skipped.
//! - [`cargo`] and [`workspace`]: cargo commands, and what cargo knows about this workspace.
//! - [`tools`]: programs that may be missing.
//!
//! A chore needs no environment variables and no other command before it. It changes only the target directory, except
//! for `counts --renew` and `bench --output`.

#![forbid(unsafe_code)]

mod cargo;
mod checks;
mod chores;
mod copy;
mod error;
mod mutant;
mod program;
mod steps;
mod tally;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::chores::{
    bench, counts, coverage, crash, deny, features, fuzz, loom, mutants, semver, shuttle, stress, test, test_data,
    tsan, valgrind,
};
use crate::error::Result;
use crate::workspace::Workspace;

/// The project's chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    Test(test::Arguments),
    TestData(test_data::Arguments),
    Bench(bench::Arguments),
    Counts(counts::Arguments),
    Loom(loom::Arguments),
    Mutants(mutants::Arguments),
    /// Tries the shared writer under random schedules.
    Shuttle,
    Stress(stress::Arguments),
    Crash(crash::Arguments),
    Tsan(tsan::Arguments),
    Valgrind(valgrind::Arguments),
    Fuzz(fuzz::Arguments),
    Coverage(coverage::Arguments),
    Features(features::Arguments),
    /// Checks licences, sources and features of dependencies.
    Deny,
    Semver(semver::Arguments),
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<()> {
    let workspace = Workspace::load()?;
    match chore {
        Chore::Test(arguments) => test::run(&workspace, &arguments),
        Chore::TestData(arguments) => test_data::run(&workspace, &arguments),
        Chore::Bench(arguments) => bench::run(&workspace, &arguments),
        Chore::Counts(arguments) => counts::run(&workspace, &arguments),
        Chore::Loom(arguments) => loom::run(&workspace, &arguments),
        Chore::Mutants(arguments) => mutants::run(&workspace, &arguments),
        Chore::Shuttle => shuttle::run(&workspace),
        Chore::Stress(arguments) => stress::run(&workspace, &arguments),
        Chore::Crash(arguments) => crash::run(&workspace, &arguments),
        Chore::Tsan(arguments) => tsan::run(&workspace, &arguments),
        Chore::Valgrind(arguments) => valgrind::run(&workspace, &arguments),
        Chore::Fuzz(arguments) => fuzz::run(&workspace, &arguments),
        Chore::Coverage(arguments) => coverage::run(&workspace, &arguments),
        Chore::Features(arguments) => features::run(&workspace, &arguments),
        Chore::Deny => deny::run(&workspace),
        Chore::Semver(arguments) => semver::run(&workspace, &arguments),
    }
}

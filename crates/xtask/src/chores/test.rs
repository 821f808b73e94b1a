//! `cargo xtask test`: everything that has to hold before a change lands.
//!
//! The steps are the variants of [`Step`], in the order in which they run, the quickest first.

use std::fmt;

use clap::ValueEnum;

use crate::checks::imports;
use crate::chores::{counts, loom, shuttle};
use crate::error::{Error, Result};
use crate::steps::Report;
use crate::tally::Tally;
use crate::workspace::Workspace;

/// Runs everything that has to hold before a change lands, and lists all that does not.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Only these steps.
    #[arg(value_enum)]
    steps: Vec<Step>,

    /// Stop at the first step that fails.
    #[arg(long)]
    fail_fast: bool,
}

/// A step, named on the command line as its variant is here.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Step {
    /// No circle of imports between the files of a crate.
    Imports,
    /// Formatting.
    Fmt,
    /// Lints, as errors, of everything, and of the models with `--cfg loom` and `--cfg shuttle`.
    Clippy,
    /// Unit, integration, compile-fail and documentation tests.
    Tests,
    /// Lints and unit tests of `ipc-core` with no codec, and with each alone.
    Codecs,
    /// Concurrency models, up to 3 preemptions.
    Loom,
    /// Random schedules of more threads.
    Shuttle,
    /// Documentation, with and without private items; warnings are errors.
    Docs,
    /// The examples, in a release build.
    Examples,
    /// Allocations, sink calls and instructions per batch, against the stored baseline.
    Counts,
}

/// Runs the steps that are asked for, or all.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let steps = if arguments.steps.is_empty() { Step::value_variants() } else { &arguments.steps };
    let mut tally = Tally::default();
    let report = Report::run(steps, arguments.fail_fast, |step| step.run(workspace, &mut tally));
    println!("\n{report}");
    if tally != Tally::default() {
        println!("\n{tally}");
    }
    report.into_result()
}

impl Step {
    fn run(self, workspace: &Workspace, tally: &mut Tally) -> Result<()> {
        match self {
            Self::Imports => imports::check(workspace),
            Self::Fmt => workspace.cargo("fmt --all --check").run(),
            Self::Clippy => clippy(workspace),
            Self::Tests => workspace.cargo("test --workspace --no-fail-fast").run_tests(tally),
            Self::Codecs => codecs(workspace, tally),
            Self::Loom => loom::run_models(workspace, &loom::Arguments::default(), tally),
            Self::Shuttle => shuttle::run_schedules(workspace, tally),
            Self::Docs => docs(workspace),
            Self::Examples => examples(workspace),
            Self::Counts => counts::run(workspace, &counts::Arguments::default()),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no variant is skipped");
        f.write_str(value.get_name())
    }
}

fn clippy(workspace: &Workspace) -> Result<()> {
    workspace.cargo("clippy --workspace --all-targets --keep-going -- -D warnings").run()?;
    for wrapper in ["clippy-loom", "clippy-shuttle"] {
        workspace
            .cargo("check --package loom-tests --all-targets --keep-going")
            .wrapped(workspace.root(), wrapper)
            .run()?;
    }
    Ok(())
}

fn codecs(workspace: &Workspace, tally: &mut Tally) -> Result<()> {
    for codec in [None, Some("lz4"), Some("zstd")] {
        // With `ipc-unify`, all crates but those with codecs are those of the steps before.
        let selection = |package: &str| {
            let features = codec.map(|codec| format!(" --features {package}/{codec}")).unwrap_or_default();
            format!("--package {package} --package ipc-unify --no-default-features{features}")
        };
        let (core, shared) = (selection("ipc-core"), selection("ipc-shared"));
        workspace.cargo(&format!("clippy {core} --all-targets -- -D warnings")).run()?;
        workspace.cargo(&format!("test {core} --lib")).run_tests(tally)?;
        workspace.cargo(&format!("clippy {shared} --lib -- -D warnings")).run()?;
    }
    Ok(())
}

fn docs(workspace: &Workspace) -> Result<()> {
    // Private items make more links right, so looking at both finds more that are wrong.
    for items in ["", " --document-private-items"] {
        workspace
            .cargo(&format!("doc --workspace --no-deps --keep-going{items}"))
            .env("RUSTDOCFLAGS", "-D warnings")
            .run()?;
    }
    Ok(())
}

/// Runs the examples of the packages that cargo means where none is named, as the guide says. Those of other packages
/// are built and tested with their packages.
fn examples(workspace: &Workspace) -> Result<()> {
    let examples: Vec<_> =
        workspace.members().iter().filter(|member| member.default).flat_map(|member| &member.examples).collect();
    if examples.is_empty() {
        return Err(Error::Check("there are no examples".to_owned()));
    }
    for example in examples {
        let mut command = workspace.cargo("run --release");
        if !example.features.is_empty() {
            command = command.args(["--features", &example.features.join(",")]);
        }
        command.args(["--example", &example.name]).run()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_shown_as_they_are_typed() {
        for &step in Step::value_variants() {
            assert_eq!(Step::from_str(&step.to_string(), false), Ok(step));
        }
    }
}

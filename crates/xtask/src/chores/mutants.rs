//! `cargo xtask mutants`: every seeded fault is caught by the model that is there to catch it.
//!
//! - The table is that of [`crate::mutant`]. Faults are seeded into a copy of the workspace below the target directory;
//!   the sources themselves are never touched.
//! - The models that the table names run on the copy without a fault first, and must pass. Then each mutant runs alone.
//! - A mutant that does not build is an error of the table. A mutant is caught if its model does not pass, and prints
//!   what the table expects. The model may fail, abort (a panic while loom unwinds) or hang (threads that loom leaves
//!   behind at a deadlock).
//! - Each run is a process of its own with a time limit, since a model that fails may abort or hang.

use std::fmt;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::cargo::Cargo;
use crate::chores::loom;
use crate::copy::Copy;
use crate::error::{Error, Result};
use crate::mutant::{Model, Mutant, Table};
use crate::program::{Ending, built, end_of};
use crate::workspace::Workspace;

/// Seeds faults into a copy of the sources, and fails unless each is caught by its model.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Only the mutants whose names contain one of these.
    mutants: Vec<String>,
}

/// Runs the models without faults, then with each that is asked for, and prints what became of them.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let start = Instant::now();
    let table = Table::load(workspace.root())?;
    let mutants = table.named(&arguments.mutants)?;
    let models = Models { copy: Copy::of(workspace, "mutants")? };

    let mut named: Vec<&Model> = Vec::new();
    for mutant in &mutants {
        if !named.contains(&&mutant.model) {
            named.push(&mutant.model);
        }
    }
    println!("{} mutants, {} models; first without any fault", mutants.len(), named.len());
    for model in named {
        match models.run(model)?.ending {
            Ending::Passed => {}
            ending => return Err(Error::Check(format!("without any fault, {model} {ending}"))),
        }
    }

    let mut rows = Vec::new();
    let mut missed = Vec::new();
    for mutant in mutants {
        let run = models.copy.with(&mutant.file, |sound| mutant.apply(sound), || models.run(&mutant.model))?;
        let verdict = run.verdict(mutant);
        let row = format!("| {} | {} | {verdict} | {:.1} s |", mutant.name, mutant.model, run.took.as_secs_f64());
        println!("{row}");
        if let Verdict::Missed(..) = verdict {
            println!("{}", run.output);
            missed.push(mutant.name.clone());
        }
        rows.push(row);
    }
    println!("\n| mutant | model | verdict | time |\n|---|---|---|---|\n{}", rows.join("\n"));
    println!("\n{} s in all", start.elapsed().as_secs());
    if missed.is_empty() { Ok(()) } else { Err(Error::Check(format!("not caught: {}", missed.join(", ")))) }
}

/// A run of a model.
struct Run {
    ending: Ending,
    output: String,
    took: Duration,
}

/// Whether a mutant was caught.
enum Verdict<'m> {
    Caught(Ending, &'m str),
    Missed(Ending),
}

/// The models in a copy of the workspace.
struct Models {
    copy: Copy,
}

impl Models {
    /// Builds a model from the copy as it is now, and runs it.
    fn run(&self, model: &Model) -> Result<Run> {
        let program = self.build(&model.program)?;
        let path = self.copy.root().join("output.txt");
        let failed = |source| Error::Write { path: path.clone(), source };
        let output = File::create(&path).map_err(failed)?;
        let mut command = Command::new(&program);
        command.args(["--exact", &model.test, "--test-threads=1", "--nocapture"]).stdin(Stdio::null());
        command.stdout(output.try_clone().map_err(failed)?).stderr(output);
        loom::within_bound(&mut command, loom::SHALLOW);
        let start = Instant::now();
        let ending = end_of(&mut command, LIMIT)?;
        let took = start.elapsed();
        let output = fs::read(&path).map_err(|source| Error::Read { path, source })?;
        let output = String::from_utf8_lossy(&output).into_owned();
        if ending == Ending::Passed && !output.contains("1 passed") {
            return Err(Error::Check(format!("{model} did not run")));
        }
        Ok(Run { ending, output, took })
    }

    /// Builds a program of models, and returns its path.
    fn build(&self, program: &str) -> Result<PathBuf> {
        let build = Cargo::within(self.copy.root(), "test --quiet --package loom-tests --profile loom --no-run");
        let build = build.wrapped(self.copy.root(), loom::WRAPPER).arg("--target-dir").arg(self.copy.target());
        built(build.args(["--test", program]), program)
    }
}

impl Run {
    fn verdict<'m>(&self, mutant: &'m Mutant) -> Verdict<'m> {
        match self.ending {
            Ending::Failed | Ending::Aborted | Ending::OutOfTime if self.output.contains(&mutant.says) => {
                Verdict::Caught(self.ending, &mutant.says)
            }
            ending => Verdict::Missed(ending),
        }
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caught(ending, says) => write!(f, "caught, {ending}: {says}"),
            Self::Missed(Ending::Failed | Ending::Aborted) => f.write_str("MISSED: says something else"),
            Self::Missed(ending) => write!(f, "MISSED: {ending}"),
        }
    }
}

/// Several times what the slowest model that catches a mutant takes on two slow cores.
const LIMIT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_expected_words_of_a_model_that_does_not_pass_catch_a_mutant() {
        let mutant: Mutant = toml::from_str(
            "name = 'n'\nfile = 'f'\nfind = 'a'\nreplace = 'b'\nmodel = 'lock::m'\nsays = 'two threads at once'\n",
        )
        .unwrap();
        for (ending, output, caught) in [
            (Ending::Failed, "panicked: two threads at once", true),
            (Ending::Aborted, "panicked: two threads at once", true),
            (Ending::Failed, "no interleaving met what the model is about", false),
            (Ending::OutOfTime, "panicked: two threads at once", true),
            (Ending::OutOfTime, "", false),
            (Ending::Passed, "two threads at once", false),
        ] {
            let run = Run { ending, output: output.to_owned(), took: Duration::ZERO };
            assert_eq!(matches!(run.verdict(&mutant), Verdict::Caught(..)), caught, "{ending}, {output}");
        }
    }
}

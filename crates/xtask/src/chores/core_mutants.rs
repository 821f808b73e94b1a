//! `cargo xtask core-mutants`: would a test notice if `ipc-core` were wrong?
//!
//! cargo-mutants names changes of the sources - a comparison turned round, a function that does nothing. Each is made to
//! a copy of the workspace below the target directory, and the tests are run. One that they pass has survived: either a
//! test is missing, or the code does not need to be as it is, or the change makes no difference. `docs/RELIABILITY.md`
//! says which it is. `.cargo/mutants.toml` names the changes that are not worth a try.
//!
//! There are some two thousand, so what matters is how long one takes.
//! - The files of tests that say most in least time are one program, since linking each takes longer than running it. It
//!   is put together in the copy, and what cargo would build along, but is not needed for it, is left out there.
//! - The quick tests come first, with few cases of each property. What these do not notice is left until all changes have
//!   been tried so, and has to pass the unit tests of `ipc-core` then, and all tests. The first that fails ends it.
//! - Two copies are at work at a time. First, the tests have to pass without any change.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::cargo::Cargo;
use crate::change::Change;
use crate::copy::Copy;
use crate::error::{Error, Result};
use crate::program::{Ending, built, end_of};
use crate::tools::Tool;
use crate::verdicts::{Verdict, Verdicts};
use crate::workspace::Workspace;

/// Changes `ipc-core` in every way that comes to mind, and looks whether a test notices.
///
/// Goes on where the last run ended: what has a verdict is tried again only if its file was edited.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Only changes of these files of `ipc-core`, such as `batch.rs` or `unify/cells.rs`, in this order.
    files: Vec<String>,

    /// Try what survived again, since tests may have come.
    #[arg(long)]
    survivors: bool,

    /// Begin no change after so long. With 0, tell what is known.
    #[arg(long)]
    seconds: Option<u64>,
}

/// Tries the changes that are asked for, and tells what became of them.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    Tool::MUTANTS.require()?;
    let listed = Cargo::new(workspace, "mutants --list --json --package ipc-core").capture()?;
    let changes = of_files(Change::listed(&listed)?, &arguments.files)?;
    let verdicts = Verdicts::load(workspace.target().join(FOLDER).join("verdicts"), workspace.root(), &changes)?;
    let mut line = VecDeque::new();
    let mut queue = |due: Option<Verdict>, stages: &'static [Stage]| {
        line.extend(changes.iter().filter(|change| verdicts.of(change) == due).map(|change| (change, stages)));
    };
    queue(None, &STAGES[..QUICK]);
    queue(Some(Verdict::Left), &STAGES[QUICK..]);
    if arguments.survivors {
        queue(Some(Verdict::Survived), &STAGES);
    }
    let (line, verdicts) = (Mutex::new(line), Mutex::new(verdicts));
    if arguments.seconds != Some(0) && !line.lock().expect("nobody has it").is_empty() {
        let end = arguments.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        let run = Run { line: &line, verdicts: &verdicts, end };
        let benches = COPIES.iter().map(|copy| Bench::new(workspace, copy)).collect::<Result<Vec<_>>>()?;
        if !benches[0].passes(&STAGES)? {
            return Err(Error::Check(format!("the tests fail without any change: {}", benches[0].said().display())));
        }
        thread::scope(|scope| {
            let workers: Vec<_> = benches.iter().map(|bench| scope.spawn(move || run.work(bench))).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("no thread panics"))
        })?;
    }
    println!("\n{}", verdicts.into_inner().expect("no thread panicked").table(&changes));
    Ok(())
}

/// The changes of these files, in their order, or all.
fn of_files(mut changes: Vec<Change>, files: &[String]) -> Result<Vec<Change>> {
    let of_file = |change: &Change, file: &String| change.file.strip_prefix(SOURCES).is_ok_and(|name| name == file);
    if let Some(file) = files.iter().find(|file| !changes.iter().any(|change| of_file(change, file))) {
        return Err(Error::Check(format!("{SOURCES}/{file} has no changes")));
    }
    let place = |change: &Change| files.iter().position(|file| of_file(change, file));
    changes.retain(|change| files.is_empty() || place(change).is_some());
    changes.sort_by_key(place);
    Ok(changes)
}

/// What the workers share.
#[derive(Clone, Copy)]
struct Run<'r> {
    /// What is to be tried, and by which tests.
    line: &'r Mutex<VecDeque<(&'r Change, &'static [Stage])>>,
    verdicts: &'r Mutex<Verdicts>,
    end: Option<Instant>,
}

impl Run<'_> {
    /// Tries one change after the other. What the quick tests let pass goes to the end of the line.
    fn work(self, bench: &Bench) -> Result<()> {
        while self.end.is_none_or(|end| Instant::now() < end) {
            let next = self.line.lock().expect("no thread panics").pop_front();
            let Some((change, stages)) = next else { break };
            let start = Instant::now();
            let tried = bench.copy.with(&change.file, |sound| change.apply(sound), || bench.passes(stages));
            let verdict = match tried {
                Ok(false) => Verdict::Noticed,
                Ok(true) if stages.len() == QUICK => Verdict::Left,
                Ok(true) => Verdict::Survived,
                Err(Error::Exit { .. }) => Verdict::DoesNotCompile,
                Err(error) => return Err(error),
            };
            self.verdicts.lock().expect("no thread panics").keep(change, verdict)?;
            println!("{:>5.1} s  {verdict}: {}", start.elapsed().as_secs_f64(), change.name);
            if verdict == Verdict::Left {
                self.line.lock().expect("no thread panics").push_back((change, &STAGES[QUICK..]));
            }
        }
        Ok(())
    }
}

/// A copy of the workspace, with one program of the tests that come first.
struct Bench {
    copy: Copy,
}

impl Bench {
    fn new(workspace: &Workspace, name: &str) -> Result<Self> {
        let copy = Copy::of(workspace, &format!("{FOLDER}/{name}"))?;
        let within = |path: &str| copy.root().join("tests").join(path);
        let (manifest, tests, bins) = (within("Cargo.toml"), within("tests/core.rs"), within("src/bin"));
        let needed = fs::read_to_string(&manifest)
            .map_err(|source| Error::Read { path: manifest.clone(), source })?
            .replace("ipc-recover.workspace = true\n", "");
        fs::write(&manifest, needed).map_err(|source| Error::Write { path: manifest, source })?;
        fs::write(&tests, program()).map_err(|source| Error::Write { path: tests, source })?;
        fs::remove_dir_all(&bins).map_err(|source| Error::Write { path: bins, source })?;
        Ok(Self { copy })
    }

    /// Whether the copy as it is passes these tests.
    fn passes(&self, stages: &[Stage]) -> Result<bool> {
        let said = self.said();
        let file = || File::create(&said).map_err(|source| Error::Write { path: said.clone(), source });
        for Stage { tests, target, only, but, cases, seconds } in stages {
            let mut build = Cargo::within(self.copy.root(), "test --quiet --profile core-mutants --jobs 1 --no-run");
            build.process().stderr(file()?);
            let program =
                built(build.env("CARGO_TARGET_DIR", self.copy.target()).args(tests.split_whitespace()), target)?;
            let mut command = Command::new("sh");
            command.args(["-c", WITHIN_BOUNDS]).arg(program).arg("--test-threads=1").args(*only);
            command.args(but.iter().flat_map(|name| ["--skip", name]));
            command.env("PROPTEST_CASES", cases).stdin(Stdio::null()).stdout(file()?).stderr(Stdio::null());
            // The other tests go on after one that fails, and say no more.
            let will_fail = || fs::read_to_string(&said).is_ok_and(|said| said.contains("FAILED"));
            if end_of(&mut command, Duration::from_secs(*seconds), will_fail)? != Ending::Passed {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Where stands what compiler and tests say.
    fn said(&self) -> PathBuf {
        self.copy.root().join("output.txt")
    }
}

/// The test program: files of tests as modules.
fn program() -> String {
    let module = |file: &&str| {
        let name = file.trim_end_matches(".rs").trim_end_matches("/main");
        format!("#[path = \"{file}\"]\nmod {name};\n")
    };
    ["//! The tests that say most in least time.\n\n".to_owned()].into_iter().chain(TESTS.iter().map(module)).collect()
}

/// The files of tests that say most in least time. As modules, they name each other by `super`.
const TESTS: [&str; 17] = [
    "round_trip.rs",
    "bad_batches/main.rs",
    "secrets/main.rs",
    "dictionaries.rs",
    "file_layout.rs",
    "refusals.rs",
    "encoder_faults.rs",
    "header_and_end.rs",
    "same_bodies.rs",
    "one_call_per_message.rs",
    "no_allocations.rs",
    "unified.rs",
    "unified_round_trip.rs",
    "compressed_buffers.rs",
    "record_batch_writer.rs",
    "owned_messages.rs",
    "parts.rs",
];

/// Tests that a change has to stand.
struct Stage {
    /// What to build.
    tests: &'static str,
    /// The target of the program that this is about.
    target: &'static str,
    /// Only tests whose names contain one of these, if there are any.
    only: &'static [&'static str],
    /// No tests whose names contain one of these.
    but: &'static [&'static str],
    /// How many cases of each property.
    cases: &'static str,
    /// How long they may take: many times what they take on two slow cores without a change.
    seconds: u64,
}

const STAGES: [Stage; 3] = [
    Stage {
        tests: "--package ipc-tests --test core",
        target: "core",
        only: &[
            "round_trip::",
            "same_bodies::",
            "compressed_buffers::",
            "dictionaries::",
            "unified::",
            "refusals::",
            "header_and_end::",
            "one_call_per_message::",
            "record_batch_writer::",
            "owned_messages::",
            "parts::",
            "nulls::",
            "schemas::",
            "harmless::",
            "cut_off::",
        ],
        but: &[],
        cases: "25",
        seconds: 30,
    },
    // With the features of the tests, so that nothing is built twice.
    Stage {
        tests: "--package ipc-core --package ipc-tests --lib",
        target: "ipc_core",
        only: &[],
        but: &[],
        cases: "100",
        seconds: 60,
    },
    // Without those that take a quarter of the time.
    Stage {
        tests: "--package ipc-tests --test core",
        target: "core",
        only: &[],
        but: &["secrets::reuse::"],
        cases: "100",
        seconds: 240,
    },
];

/// So many of the stages are quick.
const QUICK: usize = 1;

/// Runs a program that may ask for memory without end.
const WITHIN_BOUNDS: &str = "ulimit -v 12000000; exec \"$0\" \"$@\"";

/// The copies at work.
const COPIES: [&str; 2] = ["first", "second"];

const FOLDER: &str = "core-mutants";
const SOURCES: &str = "crates/ipc-core/src";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_tests_are_modules_of_one_program() {
        let program = program();
        assert!(program.contains("#[path = \"round_trip.rs\"]\nmod round_trip;\n"), "{program}");
        assert!(program.contains("#[path = \"secrets/main.rs\"]\nmod secrets;\n"), "{program}");
    }

    #[test]
    fn files_are_tried_in_the_order_in_which_they_are_named() {
        let changes = || {
            let change = |file| {
                format!(
                    r#"{{"name": "{file}", "file": "crates/ipc-core/src/{file}", "replacement": "", "span":
                        {{"start": {{"line": 1, "column": 1}}, "end": {{"line": 1, "column": 1}}}}}}"#
                )
            };
            Change::listed(&format!("[{}]", ["a.rs", "unify/b.rs", "c.rs", "a.rs"].map(change).join(","))).unwrap()
        };
        let named = |files: &[&str]| {
            let files: Vec<_> = files.iter().map(ToString::to_string).collect();
            of_files(changes(), &files).map(|found| found.into_iter().map(|change| change.name).collect::<Vec<_>>())
        };
        assert_eq!(named(&[]).unwrap(), ["a.rs", "unify/b.rs", "c.rs", "a.rs"]);
        assert_eq!(named(&["unify/b.rs", "a.rs"]).unwrap(), ["unify/b.rs", "a.rs", "a.rs"]);
        assert_eq!(named(&["b.rs"]).unwrap_err().to_string(), "crates/ipc-core/src/b.rs has no changes");
    }
}

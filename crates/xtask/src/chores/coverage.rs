//! `cargo xtask coverage`: how many lines of `ipc-core` and `ipc-shared` the tests reach, and which they do not.
//!
//! A line that is reached is not thereby tested; `cargo mutants` asks whether anything would notice if it were
//! wrong. A line that is not reached is not tested, that much is sure.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cargo::Cargo;
use crate::error::{Error, Result};
use crate::tools::Tool;
use crate::workspace::{Workspace, json, list, text};

/// Measures which lines the tests reach.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// The least share of lines, in percent, that the tests of each library have to reach.
    #[arg(long, default_value_t = 95.0)]
    least: f64,

    /// Write a report that shows the lines, in HTML, to the folder `llvm-cov` in the target directory.
    #[arg(long)]
    html: bool,
}

/// The libraries that are measured, and where their sources are.
const LIBRARIES: [(&str, &str); 2] = [("ipc-core", "crates/ipc-core/src/"), ("ipc-shared", "crates/ipc-shared/src/")];

/// The programs of LLVM that read what the compiler writes. They must not be older than the compiler's LLVM.
const PROGRAMS: [(&str, &str); 2] = [("LLVM_COV", "llvm-cov"), ("LLVM_PROFDATA", "llvm-profdata")];

/// Runs the tests, and fails where they reach too little.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    Tool::LLVM_COV.require()?;
    let programs = llvm_programs()?;
    let with_programs = |mut cargo: Cargo| {
        for (variable, program) in &programs {
            cargo = cargo.env(variable, program);
        }
        cargo
    };
    // What others reach of the libraries counts too; what the models reach is measured by other means.
    let packages = ["ipc-core", "ipc-shared", "ipc-tests"].iter().flat_map(|package| ["--package", package]);
    with_programs(workspace.cargo("llvm-cov test --no-report --no-fail-fast").args(packages)).run()?;
    let report = with_programs(workspace.cargo("llvm-cov report --json --summary-only")).capture()?;
    if arguments.html {
        with_programs(workspace.cargo("llvm-cov report --html --output-dir").arg(workspace.target())).run()?;
    }
    let files = files(&json(&report)?)?;
    let mut lacking = Vec::new();
    for (library, folder) in LIBRARIES {
        let of_library = files.iter().filter(|file| file.name.contains(folder));
        let mut sum = Lines::default();
        println!("\n{library}");
        for File { name, lines } in of_library {
            let name = name.rsplit_once(folder).map_or(name.as_str(), |(_, name)| name);
            println!("  {:>5.1} %  {:>5} of {:>5}  {name}", lines.share(), lines.reached, lines.count);
            sum = Lines { count: sum.count + lines.count, reached: sum.reached + lines.reached };
        }
        println!("  {:>5.1} %  {:>5} of {:>5}  in all", sum.share(), sum.reached, sum.count);
        if sum.count == 0 || sum.share() < arguments.least {
            lacking.push(library);
        }
    }
    if lacking.is_empty() {
        return Ok(());
    }
    Err(Error::Check(format!("less than {} % of the lines of {} are reached", arguments.least, lacking.join(", "))))
}

/// Lines of code, and how many of them were run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Lines {
    count: u64,
    reached: u64,
}

impl Lines {
    fn share(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a percentage of some thousand lines")]
        let share = 100.0 * self.reached as f64 / self.count.max(1) as f64;
        share
    }
}

#[derive(Debug, PartialEq)]
struct File {
    name: String,
    lines: Lines,
}

/// The files in llvm-cov's summary.
fn files(report: &Value) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for data in list(report, "data")? {
        for file in list(data, "files")? {
            let lines = &file["summary"]["lines"];
            let number = |key: &str| {
                lines[key].as_u64().ok_or_else(|| Error::Output(format!("no number `{key}` in the summary of a file")))
            };
            let lines = Lines { count: number("count")?, reached: number("covered")? };
            files.push(File { name: text(file, "filename")?.to_owned(), lines });
        }
    }
    Ok(files)
}

/// The programs of LLVM, by the environment variables that name them: those that are named there already, those of the
/// compiler's version, or none where rustup has a component with them, which cargo-llvm-cov finds by itself.
fn llvm_programs() -> Result<Vec<(&'static str, String)>> {
    if PROGRAMS.iter().all(|(variable, _)| env::var_os(variable).is_some()) {
        return Ok(Vec::new());
    }
    let version = rustc(&["--version", "--verbose"])?;
    let major = llvm_major(&version)?;
    let named = PROGRAMS.map(|(variable, program)| (variable, format!("{program}-{major}")));
    if named.iter().all(|(_, program)| runs(program)) {
        return Ok(named.to_vec());
    }
    let beside = Path::new(rustc(&["--print", "target-libdir"])?.trim()).with_file_name("bin");
    if PROGRAMS.iter().all(|(_, program)| beside.join(program).exists()) {
        return Ok(Vec::new());
    }
    let install = format!("apt-get install llvm-{major}, or rustup component add llvm-tools");
    Err(Error::Missing { tool: "LLVM of the compiler's version, for llvm-cov and llvm-profdata,", install })
}

/// What the compiler says.
fn rustc(arguments: &[&str]) -> Result<String> {
    let program = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|source| Error::Start { command: "rustc".to_owned(), source })?;
    String::from_utf8(output.stdout).map_err(|error| Error::Output(error.to_string()))
}

/// The major version of LLVM in what `rustc --version --verbose` prints.
fn llvm_major(version: &str) -> Result<&str> {
    let line = version.lines().find_map(|line| line.strip_prefix("LLVM version: "));
    line.and_then(|version| version.split('.').next())
        .ok_or_else(|| Error::Output("the compiler does not tell its version of LLVM".to_owned()))
}

fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    let status = command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_read() {
        let report = r#"{"data": [{"files": [
            {"filename": "/w/crates/ipc-core/src/a.rs", "summary": {"lines": {"count": 8, "covered": 6}}}
        ]}]}"#;
        let lines = Lines { count: 8, reached: 6 };
        let file = File { name: "/w/crates/ipc-core/src/a.rs".to_owned(), lines };
        assert_eq!(files(&json(report).unwrap()).unwrap(), [file]);
        assert!((lines.share() - 75.0).abs() < f64::EPSILON);
        assert!(files(&json(r#"{"data": [{"files": [{"filename": "a"}]}]}"#).unwrap()).is_err());
    }

    #[test]
    fn the_version_of_llvm_is_found() {
        assert_eq!(llvm_major("rustc 1.95.0\nLLVM version: 22.1.2\n").unwrap(), "22");
        assert!(llvm_major("rustc 1.95.0\n").is_err());
    }
}
